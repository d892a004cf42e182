//! The keys that servers share, as the Collector's `configgrpc` and `confighttp` have them.

mod grpc;
mod http;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, Extensions, StartError};

pub use grpc::GrpcServer;
pub use http::{CorsKeys, HttpServer};

use super::{Address, AddressError, Authentication, Settings};
use crate::tls::{ServerIdentity, ServerTls};

/// The network that a server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP over IPv4 and IPv6.
    #[default]
    Tcp,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// A unix socket; the endpoint is its path.
    Unix,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tcp4 => "tcp4",
            Self::Tcp6 => "tcp6",
            Self::Unix => "unix",
        }
    }

    /// The address of an endpoint on this network, or what is wrong at `path`.
    ///
    /// The default says which port is the usual one.
    fn address(self, endpoint: &str, default: &str, path: &str) -> Result<Address, BuildError> {
        Address::parse(endpoint, self.name()).map_err(|error| {
            let text = error.to_string();
            let (fault, remedy) = text.split_once("; ").unwrap_or((&text, ""));
            let remedy = match (&error, default.rsplit_once(':')) {
                (AddressError::NoPort(host), Some((_, port))) => format!("write \"{host}:{port}\""),
                _ => remedy.to_owned(),
            };
            BuildError::at(under(path, "endpoint"), fault).remedy(remedy)
        })
    }
}

/// `auth` of a server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The extension that says who a client is.
    pub authenticator: Option<String>,
    /// Query parameters that are handed to the extension like headers.
    pub request_params: Vec<String>,
}

/// A middleware of a server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Middleware {
    /// The extension that it is.
    pub id: Option<String>,
}

/// `dialer`, which servers have in the original.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialer {
    /// Time to connect.
    pub timeout: Option<tidegate_document::Duration>,
}

impl Auth {
    /// What asks clients who they are; none where nobody is to ask.
    ///
    /// Without `extensions` the component that has the server cannot ask, and says so: it would be
    /// unsafe to pass over.
    fn authentication(
        &self,
        path: &str,
        extensions: Option<&Extensions>,
    ) -> Result<Option<Authentication>, BuildError> {
        let at = |key: &str| under(&under(path, "auth"), key);
        let name = self.authenticator.as_deref().unwrap_or_default();
        if name.is_empty() {
            if self.request_params.is_empty() {
                return Ok(None);
            }
            return Err(BuildError::at(
                at("request_params"),
                "no extension is named that reads them",
            )
            .remedy("name one as `authenticator`"));
        }
        let Some(extensions) = extensions else {
            return Err(BuildError::at(
                under(path, "auth"),
                "this component does not ask clients who they are",
            )
            .remedy("ask them for certificates (`tls::client_ca_file`), or remove `auth`"));
        };
        let authenticator = extensions.server_authenticator(name, &at("authenticator"))?;
        let authentication = Authentication::new(authenticator, &self.request_params);
        authentication.map(Some).map_err(|param| {
            let message = format!("\"{param}\" cannot stand for a header");
            BuildError::at(at("request_params"), message).remedy("take it out")
        })
    }
}

/// Refuses what is not built.
fn refuse_unbuilt(path: &str, middlewares: &[Middleware]) -> Result<(), BuildError> {
    if !middlewares.is_empty() {
        let message = "middlewares are not built yet";
        return Err(
            BuildError::at(under(path, "middlewares"), message).remedy("remove `middlewares`")
        );
    }
    Ok(())
}

/// A server's settings, checked, whose certificates are not read yet.
#[derive(Clone, Debug)]
pub struct Prepared {
    settings: Settings,
    tls: Option<ServerTls>,
    alpn: &'static [&'static str],
}

impl Prepared {
    fn new(
        settings: Settings,
        tls: Option<&ServerTls>,
        alpn: &'static [&'static str],
        path: &str,
    ) -> Result<Self, BuildError> {
        if let Some(tls) = tls {
            tls.check().map_err(|error| error.at(&under(path, "tls")))?;
        }
        Ok(Self {
            settings,
            tls: tls.cloned(),
            alpn,
        })
    }

    /// Where the server will listen.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.settings.address
    }

    /// Reads certificates and keys.
    ///
    /// # Errors
    /// When a file is missing or does not hold what it should.
    pub fn load(&self) -> Result<Settings, StartError> {
        let mut settings = self.settings.clone();
        if let Some(tls) = &self.tls {
            settings.tls = Some(Arc::new(ServerIdentity::load(tls, self.alpn)?));
        }
        Ok(settings)
    }
}

/// The path of a key under another, which is empty where the keys are the component's own.
fn under(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}::{key}")
    }
}

/// A time limit: the default where the key is absent, none where it is zero.
fn limit(
    key: Option<tidegate_document::Duration>,
    default: Option<std::time::Duration>,
) -> Option<std::time::Duration> {
    match key {
        None => default,
        Some(limit) => Some(*limit).filter(|limit| !limit.is_zero()),
    }
}
