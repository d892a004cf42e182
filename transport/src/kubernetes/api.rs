//! Requests to the API.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde::Deserialize;
use tidegate_component::{StartError, Workers};
use tokio::time::timeout;

use super::access::{Access, Token};
use crate::client::{Call, Flow, HttpChannel, HttpClient, HttpCompression, Pieces, retry_after};

/// How long an answer that is no watch may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that is read of an answer that tells of a fault.
const FAULT: usize = 64 << 10;

/// Why there is no answer that could be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// There was none.
    #[error("{0}")]
    Unreachable(String),
    /// The server answered with another status.
    #[error("the server answers {status}{}", with_message(message))]
    Status {
        /// The status.
        status: StatusCode,
        /// What the server says of it.
        message: String,
        /// How long it asks to wait.
        after: Option<Duration>,
    },
    /// The answer is larger than it may be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what was asked for.
    #[error("the answer makes no sense: {0}")]
    Senseless(String),
}

fn with_message(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(": {message}"),
    }
}

impl ApiError {
    /// Whether the server has forgotten the version that was asked for.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Status { status, .. } if *status == StatusCode::GONE)
    }

    /// Whether there is nothing under the name.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Status { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// How long the server asks to wait.
    #[must_use]
    pub const fn after(&self) -> Option<Duration> {
        match self {
            Self::Status { after, .. } => *after,
            _ => None,
        }
    }
}

/// A client of the API, or of a kubelet.
#[derive(Debug)]
pub struct Api {
    channel: HttpChannel,
    base: String,
    token: Token,
}

impl Api {
    /// Reads the files of TLS. Connects when first used.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should.
    pub fn new(access: &Access, workers: Option<Workers>) -> Result<Self, StartError> {
        let client = HttpClient {
            tls: access.tls.clone(),
            proxy_url: access.proxy.clone(),
            ..HttpClient::default()
        };
        let settings = client
            .build(HttpCompression::None)
            .map_err(|error| StartError {
                message: format!("{}: {}", error.path, error.message),
                source: None,
            })?
            // The API is in the cluster, and a proxy of the environment is for what is not.
            .environment_proxies(false);
        Ok(Self {
            channel: settings.start(workers)?,
            base: access.base.clone(),
            token: access.token.clone(),
        })
    }

    /// A client that speaks over a channel which is there already; `base` is what every URL begins with.
    #[must_use]
    pub fn over(channel: HttpChannel, base: &str, token: Token) -> Self {
        Self {
            channel,
            base: base.trim_end_matches('/').to_owned(),
            token,
        }
    }

    /// Gets what is at a path, as JSON of at most so many bytes.
    ///
    /// # Errors
    /// When there is no answer, or another than the one that was asked for.
    pub async fn get(&self, path: &str, most: usize) -> Result<Bytes, ApiError> {
        self.get_as(path, "application/json", most).await
    }

    /// Gets what is at a path in this form.
    ///
    /// # Errors
    /// The same.
    pub async fn get_as(&self, path: &str, accept: &str, most: usize) -> Result<Bytes, ApiError> {
        self.request(Method::GET, path, accept, None, most).await
    }

    /// Sends a JSON document to a path, and gives the answer to it.
    ///
    /// # Errors
    /// The same.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        document: Bytes,
        most: usize,
    ) -> Result<Bytes, ApiError> {
        let accept = "application/json";
        self.request(method, path, accept, Some(document), most)
            .await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        document: Option<Bytes>,
        most: usize,
    ) -> Result<Bytes, ApiError> {
        let exchange = async {
            let call = self.call(method, path, accept, document).await?;
            let answer = self.channel.send(call, most).await;
            answer.map_err(|error| ApiError::Unreachable(error.to_string()))
        };
        let answer = timeout(PATIENCE, exchange).await.unwrap_or_else(|_| {
            let late = format!("no answer within {} s", PATIENCE.as_secs());
            Err(ApiError::Unreachable(late))
        })?;
        if !answer.status.is_success() {
            return Err(status(answer.status, &answer.headers, &answer.body));
        }
        match answer.complete {
            true => Ok(answer.body),
            false => Err(ApiError::TooLarge(most)),
        }
    }

    /// Opens an answer that comes bit by bit.
    ///
    /// # Errors
    /// The same.
    pub async fn open(&self, path: &str, accept: &str) -> Result<Flow, ApiError> {
        let exchange = async {
            let call = self.call(Method::GET, path, accept, None).await?;
            let flow = self.channel.open(call).await;
            let mut flow = flow.map_err(|error| ApiError::Unreachable(error.to_string()))?;
            if flow.status().is_success() {
                return Ok(flow);
            }
            let body = flow.rest(FAULT).await.unwrap_or_default();
            Err(status(flow.status(), flow.headers(), &body))
        };
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_| {
            let late = format!("no answer within {} s", PATIENCE.as_secs());
            Err(ApiError::Unreachable(late))
        })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        document: Option<Bytes>,
    ) -> Result<Call, ApiError> {
        let url = format!("{}{path}", self.base);
        let uri: Uri = url
            .parse()
            .map_err(|error| ApiError::Unreachable(format!("{url} is no URL: {error}")))?;
        let mut headers = HeaderMap::with_capacity(3);
        if let Ok(accept) = HeaderValue::try_from(accept) {
            headers.insert(header::ACCEPT, accept);
        }
        if document.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        if let Token::By(somebody) = &self.token {
            let added = somebody.authorize(&mut headers).await;
            added.map_err(ApiError::Unreachable)?;
        } else if let Some(text) = self.authorization().await? {
            let value = HeaderValue::try_from(text);
            let mut value = value.map_err(|_| {
                ApiError::Unreachable("the token cannot be sent in a header".to_owned())
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(Call {
            method,
            uri,
            headers,
            body: document.map(Pieces::from).unwrap_or_default(),
        })
    }

    async fn authorization(&self) -> Result<Option<String>, ApiError> {
        match &self.token {
            Token::None | Token::By(_) => Ok(None),
            Token::Header(value) => Ok(Some(value.reveal().to_owned())),
            Token::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(Some(format!("Bearer {}", text.trim()))),
                Err(error) => {
                    let fault = format!("cannot read the token {}: {error}", path.display());
                    Err(ApiError::Unreachable(fault))
                }
            },
        }
    }
}

/// What the API sends in place of an object when it refuses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    retry_after_seconds: u64,
}

fn status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
    let told: Status = serde_json::from_slice(body).unwrap_or_default();
    let seconds = Some(told.details.retry_after_seconds).filter(|seconds| *seconds > 0);
    let after = retry_after(headers, SystemTime::now());
    let message = match told.message {
        message if message.is_empty() => String::from_utf8_lossy(&body[..body.len().min(200)])
            .trim()
            .to_owned(),
        message => message,
    };
    ApiError::Status {
        status,
        message,
        after: after.or(seconds.map(Duration::from_secs)),
    }
}
