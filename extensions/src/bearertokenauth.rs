//! `bearertokenauth`: tokens that requests carry, sent to servers and asked of clients.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tidegate_component::{
    BuildContext, BuildError, ClientAuthenticator, ComponentConfig, Extension, ExtensionContext,
    Identity, ServerAuthenticator, StartError, Unauthenticated, async_trait,
};
use tidegate_document::Secret;
use tidegate_pdata::Context;

use crate::credentials::Credentials;

/// Sends a token with the requests of the exporters that name it, and asks one of the clients of the receivers
/// that do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The header that carries the token.
    header: String,
    /// What stands before the token in the header; nothing where it is empty.
    scheme: String,
    /// The token.
    token: Secret,
    /// Tokens in place of `token`: clients may send any of them; the first is sent to servers.
    tokens: Vec<Secret>,
    /// A file with tokens, one on each line, in place of those above. It is read again when it changes.
    filename: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header: "Authorization".to_owned(),
            scheme: "Bearer".to_owned(),
            token: Secret::default(),
            tokens: Vec::new(),
            filename: None,
        }
    }
}

impl Config {
    /// The tokens that stand in the configuration.
    fn given(&self) -> Result<&[Secret], BuildError> {
        match (self.token.is_empty(), self.tokens.is_empty()) {
            (false, false) => Err(BuildError::at("tokens", "`token` is given too")
                .remedy("write `token` or `tokens`, not both")),
            (false, true) => Ok(std::slice::from_ref(&self.token)),
            (true, false) => Ok(&self.tokens),
            (true, true) => Ok(&[]),
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "bearertokenauth";

    fn build(&self, _cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        let given = self.given()?;
        let file = self
            .filename
            .clone()
            .filter(|path| !path.as_os_str().is_empty());
        if given.is_empty() && file.is_none() {
            return Err(BuildError::at("", "no token is given")
                .remedy("write `token`, `tokens` or `filename`"));
        }
        let header: HeaderName = self.header.parse().map_err(|_| {
            let message = format!("\"{}\" is no name of a header", self.header);
            BuildError::at("header", message).remedy("write \"Authorization\"")
        })?;
        let values = given
            .iter()
            .map(|token| value(&self.scheme, token.reveal()))
            .collect::<Option<Values>>();
        let values = values.ok_or_else(|| {
            let key = if self.token.is_empty() {
                "tokens"
            } else {
                "token"
            };
            BuildError::at(key, "a token cannot be sent in a header")
                .remedy("take out line breaks and what is not ASCII")
        })?;
        let bearer = Bearer {
            header,
            header_as_written: self.header.clone(),
            scheme: self.scheme.clone(),
            values: OnceLock::new(),
        };
        if file.is_none() {
            // It cannot be set yet.
            let _ = bearer.values.set(Credentials::fixed(values));
        } else if !given.is_empty() {
            tracing::warn!("bearertokenauth: `filename` is given, so tokens beside it are ignored");
        }
        Ok(Arc::new(BearerTokenAuth {
            file,
            bearer: Arc::new(bearer),
        }))
    }
}

/// What the header may hold; the first is sent.
type Values = Vec<HeaderValue>;

fn value(scheme: &str, token: &str) -> Option<HeaderValue> {
    let text = match scheme {
        "" => token.to_owned(),
        scheme => format!("{scheme} {token}"),
    };
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The tokens of a file: its lines, of which empty ones are none.
fn of_lines(scheme: &str, text: &str) -> Result<Values, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let values = lines
        .map(|token| value(scheme, token))
        .collect::<Option<Values>>();
    let values = values.ok_or("a line of it cannot be sent in a header")?;
    if values.is_empty() {
        return Err("no line of it is a token".to_owned());
    }
    Ok(values)
}

struct BearerTokenAuth {
    file: Option<PathBuf>,
    bearer: Arc<Bearer>,
}

#[async_trait]
impl Extension for BearerTokenAuth {
    async fn start(&self, _cx: ExtensionContext) -> Result<(), StartError> {
        if let Some(file) = &self.file {
            let scheme = self.bearer.scheme.clone();
            let values = Credentials::of_file(file, move |text| of_lines(&scheme, text))?;
            // A second start, which nobody makes, changes nothing.
            let _ = self.bearer.values.set(values);
        }
        Ok(())
    }

    fn server_authenticator(&self) -> Option<Arc<dyn ServerAuthenticator>> {
        Some(Arc::clone(&self.bearer) as _)
    }

    fn client_authenticator(&self) -> Option<Arc<dyn ClientAuthenticator>> {
        Some(Arc::clone(&self.bearer) as _)
    }

    async fn stop(&self) {}
}

struct Bearer {
    header: HeaderName,
    header_as_written: String,
    scheme: String,
    values: OnceLock<Credentials<Values>>,
}

#[async_trait]
impl ServerAuthenticator for Bearer {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, Unauthenticated> {
        let came = headers.get(&self.header).filter(|value| !value.is_empty());
        let Some(came) = came else {
            let name = &self.header_as_written;
            return Err(Unauthenticated::new(format!(
                "missing or empty authorization header: {name}"
            )));
        };
        let values = self.values.get().map(Credentials::current);
        let values = values.iter().flat_map(|values| values.iter());
        // All are looked at, so that the time tells nothing of which one is near.
        let known = values.fold(subtle::Choice::from(0), |known, value| {
            known | value.as_bytes().ct_eq(came.as_bytes())
        });
        if bool::from(known) {
            return Ok(Identity::default());
        }
        Err(Unauthenticated::new(
            "provided authorization does not match expected scheme or token",
        ))
    }
}

impl ClientAuthenticator for Bearer {
    fn authorize(&self, _: &Context, headers: &mut HeaderMap) -> Result<(), String> {
        let values = self.values.get().map(Credentials::current);
        let first = values.as_ref().and_then(|values| values.first());
        let first = first.ok_or("bearertokenauth was not started")?;
        headers.insert(&self.header, first.clone());
        Ok(())
    }
}
