//! Requests signed by an extension.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, ClientAuthenticator, Extensions};
use tidegate_pdata::{Context, ContextKeys};

/// `auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthKeys {
    /// The extension's name.
    pub authenticator: Option<String>,
}

/// A member of `middlewares`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MiddlewareKeys {
    /// The extension's name.
    pub id: Option<String>,
}

/// What signs requests, if anything does.
#[derive(Clone, Default)]
pub(super) struct Signer(Option<Arc<dyn ClientAuthenticator>>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_there = self.0.is_some();
        f.debug_tuple("Signer").field(&is_there).finish()
    }
}

impl Signer {
    /// Finds the extension that the keys name; without `extensions` there is none to be had.
    pub(super) fn new(
        auth: Option<&AuthKeys>,
        middlewares: &[MiddlewareKeys],
        extensions: Option<&Extensions>,
    ) -> Result<Self, BuildError> {
        if !middlewares.is_empty() {
            return Err(
                BuildError::at("middlewares", "middlewares are not built yet")
                    .remedy("take the key away"),
            );
        }
        let name = auth.and_then(|auth| auth.authenticator.as_deref());
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let Some(extensions) = extensions else {
            return Err(BuildError::at("auth", "this client asks no authenticator")
                .remedy("send a fixed token by `headers: {authorization: …}`, or authenticate by `tls.cert_file`"));
        };
        let found = extensions.client_authenticator(name, "auth::authenticator")?;
        Ok(Self(Some(found)))
    }

    /// Whether what it adds is to be sent over TLS alone.
    pub(super) fn needs_tls(&self) -> bool {
        self.0.as_ref().is_some_and(|signer| signer.needs_tls())
    }

    /// What it reads of contexts.
    pub(super) fn reads(&self) -> ContextKeys {
        self.0
            .as_ref()
            .map(|signer| signer.reads())
            .unwrap_or_default()
    }

    /// Signs a request that carries what came with this context.
    pub(super) fn sign(&self, context: &Context, headers: &mut HeaderMap) -> Result<(), String> {
        match &self.0 {
            Some(signer) => signer.authorize(context, headers),
            None => Ok(()),
        }
    }
}
