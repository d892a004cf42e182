//! Who sends a request: asked of an extension before the service sees it.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_component::{ServerAuthenticator, Unauthenticated};

use super::Peer;

/// What asks who sends requests.
#[derive(Clone)]
pub struct Authentication {
    authenticator: Arc<dyn ServerAuthenticator>,
    /// Query parameters that stand for headers, each with the header's name.
    params: Arc<[(String, HeaderName)]>,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

impl Authentication {
    /// Asks this authenticator, which is shown these query parameters as if they were headers.
    ///
    /// # Errors
    /// Gives the parameter whose name cannot be that of a header.
    pub fn new(
        authenticator: Arc<dyn ServerAuthenticator>,
        params: &[String],
    ) -> Result<Self, String> {
        let named = params.iter().map(|param| {
            let name = param.parse().map_err(|_| param.clone())?;
            Ok((param.clone(), name))
        });
        Ok(Self {
            authenticator,
            params: named.collect::<Result<_, String>>()?,
        })
    }

    /// The peer as this request's sender, with what the authenticator says of it.
    pub(super) async fn identify(
        &self,
        request: &Parts,
        peer: &Arc<Peer>,
    ) -> Result<Arc<Peer>, Unauthenticated> {
        let identity = match self.with_params(request) {
            Some(headers) => self.authenticator.authenticate(&headers).await,
            None => self.authenticator.authenticate(&request.headers).await,
        }?;
        Ok(Arc::new(Peer {
            address: peer.address,
            context: identity.add_to(peer.context.extend()).build(),
        }))
    }

    /// The headers with the query parameters, where there are such.
    fn with_params(&self, request: &Parts) -> Option<HeaderMap> {
        let query = request.uri.query().filter(|_| !self.params.is_empty())?;
        let mut headers = request.headers.clone();
        for (param, name) in &*self.params {
            let mut values = crate::query::values(query, param).peekable();
            if values.peek().is_some() {
                headers.remove(name);
            }
            for value in values {
                if let Ok(value) = HeaderValue::try_from(value) {
                    headers.append(name, value);
                }
            }
        }
        Some(headers)
    }
}
