//! What a request is sent along with: logins and headers, some of them read from files each time.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tidegate_component::async_trait;
use tidegate_document::Secret;
use tidegate_transport::kubernetes::Authorize;

use super::oauth2::Grant;

/// A secret, written in the configuration or in a file.
#[derive(Clone, Debug)]
pub(in crate::prometheus) enum Given {
    Inline(Secret),
    File(PathBuf),
}

impl Given {
    pub(super) async fn read(&self) -> Result<Secret, String> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(Secret::new(text.trim())),
                Err(error) => Err(format!("cannot read {}: {error}", path.display())),
            },
        }
    }
}

/// What goes into the `Authorization` header.
#[derive(Clone, Debug)]
pub(in crate::prometheus) enum Login {
    Basic { name: Given, password: Given },
    Header { scheme: String, credentials: Given },
    OAuth2(Arc<Grant>),
}

/// A header.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct Header {
    name: HeaderName,
    value: Given,
}

impl Header {
    /// A header that is the user's to set.
    pub(in crate::prometheus) fn new(name: &str, value: Given) -> Result<Self, String> {
        const OURS: [&str; 14] = [
            "accept",
            "accept-encoding",
            "authorization",
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "host",
            "keep-alive",
            "te",
            "transfer-encoding",
            "upgrade",
            "user-agent",
            "x-prometheus-scrape-timeout-seconds",
        ];
        let lower = name.to_ascii_lowercase();
        if OURS.contains(&lower.as_str()) {
            return Err("the receiver sets this header itself".to_owned());
        }
        let name =
            HeaderName::try_from(lower).map_err(|_| "this is no name for a header".to_owned())?;
        if let Given::Inline(secret) = &value {
            header_value(secret.reveal())?;
        }
        Ok(Self { name, value })
    }
}

/// Everything that is sent along.
#[derive(Clone, Debug, Default)]
pub(in crate::prometheus) struct Credentials {
    login: Option<Login>,
    headers: Vec<Header>,
}

impl Credentials {
    pub(in crate::prometheus) const fn new(login: Option<Login>, headers: Vec<Header>) -> Self {
        Self { login, headers }
    }

    /// Adds all of it to the headers of a request.
    ///
    /// # Errors
    /// When a file cannot be read, or holds what cannot be sent.
    pub(in crate::prometheus) async fn add_to(
        &self,
        headers: &mut HeaderMap,
    ) -> Result<(), String> {
        for header in &self.headers {
            let value = header.value.read().await?;
            headers.append(header.name.clone(), header_value(value.reveal())?);
        }
        let text = match &self.login {
            None => return Ok(()),
            Some(Login::Basic { name, password }) => {
                let (name, password) = (name.read().await?, password.read().await?);
                let both = format!("{}:{}", name.reveal(), password.reveal());
                format!("Basic {}", STANDARD.encode(both))
            }
            Some(Login::Header {
                scheme,
                credentials,
            }) => format!("{scheme} {}", credentials.read().await?.reveal()),
            Some(Login::OAuth2(grant)) => grant.token().await?.reveal().to_owned(),
        };
        headers.insert(header::AUTHORIZATION, header_value(&text)?);
        Ok(())
    }
}

#[async_trait]
impl Authorize for Credentials {
    async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), String> {
        self.add_to(headers).await
    }
}

fn header_value(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| "the value cannot be sent in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
