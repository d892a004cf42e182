//! The keys of an HTTP server.

use std::time::Duration as Time;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, Extensions};
use tidegate_document::Duration;

use super::super::{Address, Cors, Encodings, Pace, Protocol, Settings};
use super::{Auth, Dialer, Middleware, Prepared, Transport, limit, refuse_unbuilt, under};
use crate::client::Headers;
use crate::tls::ServerTls;

/// An HTTP server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpServer {
    /// Host and port to listen on, or the path of a unix socket where `transport` says so.
    pub endpoint: Option<String>,
    /// The network to listen on.
    pub transport: Transport,
    /// Without effect: a server does not connect.
    #[schemars(extend("x-no-effect" = "a server does not connect"))]
    pub dialer: Option<Dialer>,
    /// Serves TLS; without it connections are in the clear.
    pub tls: Option<ServerTls>,
    /// Lets web pages of other origins send telemetry.
    pub cors: Option<CorsKeys>,
    /// Asks clients who they are.
    pub auth: Option<Auth>,
    /// The largest body taken, in bytes, before and after decompression; 20 MiB unless told, as for `0`.
    pub max_request_body_size: i64,
    /// Keeps the headers of requests for components that read them.
    pub include_metadata: bool,
    /// Headers that every answer carries.
    pub response_headers: Headers,
    /// The encodings that bodies may have; `""` is none. All unless told; an empty list takes every body as it is.
    pub compression_algorithms: Option<Vec<String>>,
    /// Time for a whole request. Without it a body may take as long as it comes with 1 KiB a second, after 10 s.
    pub read_timeout: Option<Duration>,
    /// Time from a request's first byte to the end of its headers; 20 s unless told, `0` sets no limit.
    pub read_header_timeout: Option<Duration>,
    /// Without effect: answers are small, and a connection on which one does not go out counts as idle.
    pub write_timeout: Option<Duration>,
    /// How long a connection may stay without a request; 5 m unless told, `0` sets no limit.
    pub idle_timeout: Option<Duration>,
    /// Not built yet.
    pub middlewares: Vec<Middleware>,
    /// Whether a connection serves more than one request.
    pub keep_alives_enabled: bool,
}

impl Default for HttpServer {
    fn default() -> Self {
        Self {
            endpoint: None,
            transport: Transport::default(),
            dialer: None,
            tls: None,
            cors: None,
            auth: None,
            max_request_body_size: 0,
            include_metadata: false,
            response_headers: Headers::default(),
            compression_algorithms: None,
            read_timeout: None,
            read_header_timeout: None,
            write_timeout: None,
            idle_timeout: None,
            middlewares: Vec::new(),
            keep_alives_enabled: true,
        }
    }
}

/// `cors`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CorsKeys {
    /// Origins whose pages may send; `*` in one stands for any text, and alone for every origin.
    pub allowed_origins: Vec<String>,
    /// Request headers that pages may set beside the simple ones; `*` stands for any.
    pub allowed_headers: Vec<String>,
    /// Answer headers that pages may read beside the simple ones.
    pub exposed_headers: Vec<String>,
    /// Seconds for which browsers may keep the answer to a preflight; less than `0` means 0.
    pub max_age: i64,
}

impl HttpServer {
    /// Checks the keys, which lie under `path`, and makes settings of them for a component that
    /// names no extensions.
    ///
    /// # Errors
    /// When keys are wrong, or ask for what is not built.
    pub fn prepare(&self, path: &str, default_endpoint: &str) -> Result<Prepared, BuildError> {
        self.prepare_beside(None, path, default_endpoint)
    }

    /// Checks the keys, which lie under `path`, and makes settings of them, with what the
    /// extensions of the service have to do.
    ///
    /// # Errors
    /// When keys are wrong, or ask for what is not there.
    pub fn prepare_with(
        &self,
        extensions: &Extensions,
        path: &str,
        default_endpoint: &str,
    ) -> Result<Prepared, BuildError> {
        self.prepare_beside(Some(extensions), path, default_endpoint)
    }

    /// Where the server is to listen.
    ///
    /// # Errors
    /// When the endpoint is no address.
    pub fn address(&self, path: &str, default_endpoint: &str) -> Result<Address, BuildError> {
        let endpoint = self.endpoint.as_deref().unwrap_or(default_endpoint);
        self.transport.address(endpoint, default_endpoint, path)
    }

    fn prepare_beside(
        &self,
        extensions: Option<&Extensions>,
        path: &str,
        default_endpoint: &str,
    ) -> Result<Prepared, BuildError> {
        refuse_unbuilt(path, &self.middlewares)?;
        let address = self.address(path, default_endpoint)?;
        let mut settings = Settings::new(address, Protocol::Any);
        settings.header_timeout = limit(self.read_header_timeout, settings.header_timeout);
        settings.idle_timeout = limit(self.idle_timeout, Some(Time::from_secs(5 * 60)));
        settings.keep_alives = self.keep_alives_enabled;
        if let Some(auth) = &self.auth {
            settings.authentication = auth.authentication(path, extensions)?;
        }
        Prepared::new(settings, self.tls.as_ref(), &["h2", "http/1.1"], path)
    }

    /// The largest body taken, in bytes.
    #[must_use]
    pub fn max_body(&self) -> usize {
        match usize::try_from(self.max_request_body_size) {
            Ok(0) | Err(_) => 20 << 20,
            Ok(size) => size,
        }
    }

    /// How slowly a body may come.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace {
            total: limit(self.read_timeout, None),
            ..Pace::default()
        }
    }

    /// The encodings that bodies may have.
    ///
    /// # Errors
    /// When one is not known.
    pub fn encodings(&self, path: &str) -> Result<Encodings, BuildError> {
        Encodings::new(self.compression_algorithms.as_deref()).map_err(|name| {
            let message = format!("\"{name}\" is no encoding that is known");
            let known = Encodings::KNOWN.map(|name| if name.is_empty() { "\"\"" } else { name });
            let known = known.join(", ");
            BuildError::at(under(path, "compression_algorithms"), message)
                .remedy(format!("take from: {known}"))
        })
    }

    /// What pages of other origins may do.
    ///
    /// # Errors
    /// When a header's name is none.
    pub fn cors(&self, path: &str) -> Result<Option<Cors>, BuildError> {
        let Some(keys) = &self.cors else {
            return Ok(None);
        };
        if keys.allowed_origins.is_empty() && !keys.allowed_headers.is_empty() {
            tracing::warn!(key = %under(path, "cors"), "allowed_headers without allowed_origins allow nothing");
        }
        Cors::new(keys).map_err(|name| {
            let message = format!("\"{name}\" is no name of a header");
            BuildError::at(under(path, "cors"), message)
        })
    }

    /// The headers that every answer carries.
    ///
    /// # Errors
    /// When a name or a value is none of a header.
    pub fn response_headers(&self, path: &str) -> Result<http::HeaderMap, BuildError> {
        self.response_headers.build().map_err(|mut error| {
            error.path = under(path, &format!("response_{}", error.path));
            error
        })
    }
}
