//! Tokens of OAuth 2.0, which a client gets for its ID and its secret.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use serde::Deserialize;
use tidegate_document::Secret;
use tidegate_transport::client::{Answer, Call, HttpChannel, HttpSettings, Pieces};
use tidegate_transport::query::{escape, values};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::credentials::Given;

/// Bytes of an answer that are taken at most.
const MOST: usize = 1 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token is no longer used so short before it ends.
const EARLY: Duration = Duration::from_secs(10);

/// A server that failed is not asked again for so long: each target of a job would.
const PAUSE: Duration = Duration::from_secs(1);

/// A client that gets tokens.
#[derive(Debug)]
pub(in crate::prometheus) struct Grant {
    url: Uri,
    id: String,
    secret: Given,
    /// The parameters of the request.
    form: Vec<(String, String)>,
    client: HttpSettings,
    channel: OnceLock<HttpChannel>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What goes into the `Authorization` header, and until when.
    token: Option<(Secret, Option<Instant>)>,
    /// Whether the server wants the ID and the secret among the parameters, as far as that is known.
    in_form: Option<bool>,
    failed: Option<(String, Instant)>,
}

impl Grant {
    pub(in crate::prometheus) fn new(
        url: Uri,
        id: String,
        secret: Given,
        form: Vec<(String, String)>,
        client: HttpSettings,
    ) -> Self {
        Self {
            url,
            id,
            secret,
            form,
            client,
            channel: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// What goes into the `Authorization` header; a token that has ended is replaced first.
    ///
    /// # Errors
    /// When there is none and none can be had.
    pub(super) async fn token(&self) -> Result<Secret, String> {
        // Whoever comes while a token is fetched waits for it.
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some((token, until)) = &state.token
            && until.is_none_or(|until| now < until)
        {
            return Ok(token.clone());
        }
        if let Some((fault, at)) = &state.failed
            && now.duration_since(*at) < PAUSE
        {
            return Err(fault.clone());
        }
        match self.fetch(&mut state.in_form).await {
            Ok((token, lasts)) => {
                let until = lasts.map(|lasts| now + lasts.saturating_sub(EARLY));
                state.failed = None;
                state.token = Some((token.clone(), until));
                Ok(token)
            }
            Err(fault) => {
                let fault = format!("no token from {}: {fault}", self.url);
                state.failed = Some((fault.clone(), Instant::now()));
                Err(fault)
            }
        }
    }

    /// A new token and how long it lasts. Where it is not known how the server wants to be told who asks, both ways
    /// are tried.
    async fn fetch(
        &self,
        in_form: &mut Option<bool>,
    ) -> Result<(Secret, Option<Duration>), String> {
        let secret = self.secret.read().await?;
        let first = in_form.unwrap_or(false);
        let mut answer = self.ask(&secret, first).await;
        let mut way = first;
        if in_form.is_none() && matches!(&answer, Ok(answer) if !answer.status.is_success()) {
            way = true;
            answer = self.ask(&secret, way).await;
        }
        let answer = answer?;
        if !answer.status.is_success() {
            return Err(format!("the server answers {}", refusal(&answer)));
        }
        let token = read(&answer)?;
        *in_form = Some(way);
        Ok(token)
    }

    async fn ask(&self, secret: &Secret, in_form: bool) -> Result<Answer, String> {
        let mut form = String::new();
        let own = [("client_id", &*self.id), ("client_secret", secret.reveal())];
        let own = own
            .into_iter()
            .filter(|(_, value)| in_form && !value.is_empty());
        let all = self.form.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in all.chain(own) {
            if !form.is_empty() {
                form.push('&');
            }
            form += &format!("{}={}", escape(name), escape(value));
        }
        let mut headers = HeaderMap::new();
        let content = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, content);
        if !in_form {
            let both = format!("{}:{}", escape(&self.id), escape(secret.reveal()));
            let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(both)));
            let mut value = value.map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let call = Call {
            method: Method::POST,
            uri: self.url.clone(),
            headers,
            body: Pieces::from(Bytes::from(form)),
        };
        let answer = timeout(PATIENCE, self.channel()?.send(call, MOST)).await;
        let answer = answer.map_err(|_| format!("there is no answer after {PATIENCE:?}"))?;
        answer.map_err(|error| error.to_string())
    }

    fn channel(&self) -> Result<&HttpChannel, String> {
        if let Some(channel) = self.channel.get() {
            return Ok(channel);
        }
        let channel = self.client.start(None).map_err(|error| error.to_string())?;
        Ok(self.channel.get_or_init(|| channel))
    }
}

/// The status of a refusal, and what the server says of it.
fn refusal(answer: &Answer) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Fault {
        error: String,
        error_description: String,
    }
    let said: Fault = serde_json::from_slice(&answer.body).unwrap_or_default();
    let parts = [
        answer.status.to_string(),
        said.error,
        said.error_description,
    ];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(": ")
}

/// A number, which some servers write as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

/// What a server gives.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Issued {
    access_token: String,
    token_type: String,
    expires_in: Option<Seconds>,
}

fn read(answer: &Answer) -> Result<(Secret, Option<Duration>), String> {
    let content = answer.headers.get(header::CONTENT_TYPE);
    let content = content.and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = content.split(';').next().unwrap_or("").trim();
    let given: Issued = match media_type {
        "application/x-www-form-urlencoded" | "text/plain" => {
            let text = String::from_utf8_lossy(&answer.body);
            let of = |key: &str| values(&text, key).next().unwrap_or_default();
            Issued {
                access_token: of("access_token"),
                token_type: of("token_type"),
                expires_in: Some(Seconds::Text(of("expires_in"))),
            }
        }
        _ => {
            serde_json::from_slice(&answer.body).map_err(|_| "the answer is no token".to_owned())?
        }
    };
    if given.access_token.is_empty() {
        return Err("the answer has no `access_token`".to_owned());
    }
    let scheme = match given.token_type.to_ascii_lowercase().as_str() {
        "" | "bearer" => "Bearer",
        "mac" => "MAC",
        "basic" => "Basic",
        _ => &given.token_type,
    };
    let seconds = match given.expires_in {
        Some(Seconds::Number(seconds)) => seconds,
        Some(Seconds::Text(text)) => text.parse().unwrap_or(0.0),
        None => 0.0,
    };
    // A year is as good as for ever, and no number is too large for a clock then.
    let lasts = (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(31_536_000.0)));
    let token = Secret::new(format!("{scheme} {}", given.access_token));
    Ok((token, lasts))
}
