//! Authentication: what servers and clients ask of an extension that they name as their
//! `auth.authenticator`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use tidegate_document::ComponentId;
use tidegate_pdata::{Context, ContextBuilder, ContextKeys};

use crate::{BuildError, Extension};

/// Says who sends a request.
#[async_trait]
pub trait ServerAuthenticator: Send + Sync {
    /// Says who has sent the headers of a request, before its body is read.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, Unauthenticated>;
}

/// Says to peers who sends a request.
pub trait ClientAuthenticator: Send + Sync {
    /// Changes the headers of a request that carries what came with this context.
    ///
    /// # Errors
    /// Says why there is nothing to send as it should be.
    fn authorize(&self, context: &Context, headers: &mut HeaderMap) -> Result<(), String>;

    /// Whether the headers are to be sent over TLS alone, where the protocol asks for that.
    fn needs_tls(&self) -> bool {
        true
    }

    /// Whether it has another one authenticate requests too.
    fn stands_on_others(&self) -> bool {
        false
    }

    /// What it reads of contexts, so that queues on disk keep it.
    fn reads(&self) -> ContextKeys {
        ContextKeys::default()
    }
}

/// Who sends a request, as far as an authenticator tells: fields for [`Context::auth`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity(Vec<(Box<str>, Box<str>)>);

impl Identity {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// Adds the fields to a context.
    #[must_use]
    pub fn add_to(&self, context: ContextBuilder) -> ContextBuilder {
        let fields = self.0.iter();
        fields.fold(context, |context, (name, value)| context.auth(name, value))
    }
}

/// Why a request is turned away that does not say, or prove, who sends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unauthenticated(pub Cow<'static, str>);

impl Unauthenticated {
    /// With what the client is told.
    pub fn new(fault: impl Into<Cow<'static, str>>) -> Self {
        Self(fault.into())
    }
}

/// The extensions of the service, for components that name one.
#[derive(Clone, Default)]
pub struct Extensions(Arc<BTreeMap<ComponentId, Arc<dyn Extension>>>);

impl Extensions {
    /// The set of these.
    pub fn new(extensions: impl IntoIterator<Item = (ComponentId, Arc<dyn Extension>)>) -> Self {
        Self(Arc::new(extensions.into_iter().collect()))
    }

    /// The extension of this name that `path` asks for.
    ///
    /// # Errors
    /// When the service has none.
    pub fn named(&self, name: &str, path: &str) -> Result<&Arc<dyn Extension>, BuildError> {
        let id: Option<ComponentId> = name.parse().ok();
        id.and_then(|id| self.0.get(&id)).ok_or_else(|| {
            let message = format!("there is no extension `{name}` in the service");
            let remedy = "define it under `extensions` and name it in `service::extensions`";
            BuildError::at(path, message).remedy(remedy)
        })
    }

    /// The authenticator of this name for a server, whose configuration names it at `path`.
    ///
    /// # Errors
    /// When there is no such extension, or it authenticates no clients.
    pub fn server_authenticator(
        &self,
        name: &str,
        path: &str,
    ) -> Result<Arc<dyn ServerAuthenticator>, BuildError> {
        let authenticator = self.named(name, path)?.server_authenticator();
        authenticator.ok_or_else(|| {
            let message = format!("the extension `{name}` does not say who clients are");
            BuildError::at(path, message)
                .remedy("name one that does, as a `basicauth` with `htpasswd`")
        })
    }

    /// The authenticator of this name for a client, whose configuration names it at `path`.
    ///
    /// # Errors
    /// When there is no such extension, or it has nothing to say to servers.
    pub fn client_authenticator(
        &self,
        name: &str,
        path: &str,
    ) -> Result<Arc<dyn ClientAuthenticator>, BuildError> {
        let authenticator = self.named(name, path)?.client_authenticator();
        authenticator.ok_or_else(|| {
            let message = format!("the extension `{name}` does not authenticate requests");
            BuildError::at(path, message)
                .remedy("name one that does, as a `basicauth` with `client_auth`")
        })
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
