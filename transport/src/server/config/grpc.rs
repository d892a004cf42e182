//! The keys of a gRPC server.

use std::time::Duration as Time;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildError, Extensions};
use tidegate_document::Duration;

use super::super::{Address, Protocol, Settings};
use super::{Auth, Dialer, Middleware, Prepared, Transport, limit, refuse_unbuilt, under};
use crate::tls::ServerTls;

/// How long a connection may stay without a call. Clients that come back later notice nothing.
const IDLE: Time = Time::from_secs(60 * 60);

/// A gRPC server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcServer {
    /// Host and port to listen on, or the path of a unix socket where `transport` says so.
    pub endpoint: Option<String>,
    /// The network to listen on.
    pub transport: Transport,
    /// Without effect: a server does not connect.
    #[schemars(extend("x-no-effect" = "a server does not connect"))]
    pub dialer: Option<Dialer>,
    /// Serves TLS; without it connections are in the clear.
    pub tls: Option<ServerTls>,
    /// The largest message taken, in MiB, before and after decompression; 4 unless told, as for `0`.
    #[schemars(range(max = 4095))]
    pub max_recv_msg_size_mib: u32,
    /// Calls at a time on one connection; 256 unless told, as for `0`.
    pub max_concurrent_streams: u32,
    /// Without effect: buffers grow as needed.
    #[schemars(extend("x-no-effect" = "buffers grow as needed"))]
    pub read_buffer_size: Option<i64>,
    /// Without effect: buffers grow as needed.
    #[schemars(extend("x-no-effect" = "buffers grow as needed"))]
    pub write_buffer_size: Option<i64>,
    /// How connections are kept and ended.
    pub keepalive: Option<Keepalive>,
    /// Asks clients who they are.
    pub auth: Option<Auth>,
    /// Keeps the metadata of calls for components that read it.
    pub include_metadata: bool,
    /// Not built yet.
    pub middlewares: Vec<Middleware>,
}

/// `keepalive` of a gRPC server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keepalive {
    /// When connections are pinged and ended.
    pub server_parameters: Option<KeepaliveParameters>,
    /// How often clients may ping: without effect, pings are always answered and never punished.
    pub enforcement_policy: Option<KeepalivePolicy>,
}

/// `keepalive.server_parameters`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeepaliveParameters {
    /// How long a connection may stay without a call; 1 h unless told, `0` sets no limit.
    pub max_connection_idle: Option<Duration>,
    /// How long a connection may live; it is then asked to go. No limit unless told.
    pub max_connection_age: Option<Duration>,
    /// How long calls may still take on a connection that was asked to go for its age; no limit unless told.
    pub max_connection_age_grace: Option<Duration>,
    /// Silence after which the client is pinged; two hours unless told.
    pub time: Option<Duration>,
    /// Time to answer a ping; 20 s unless told.
    pub timeout: Option<Duration>,
}

/// `keepalive.enforcement_policy`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeepalivePolicy {
    /// Accepted and without effect.
    pub min_time: Option<Duration>,
    /// Accepted and without effect.
    pub permit_without_stream: bool,
}

impl GrpcServer {
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
        let mut settings = Settings::new(address, Protocol::Http2);
        if self.max_concurrent_streams > 0 {
            settings.max_concurrent_streams = self.max_concurrent_streams;
        }
        settings.idle_timeout = Some(IDLE);
        if let Some(auth) = &self.auth {
            if !auth.request_params.is_empty() {
                let at = under(path, "auth::request_params");
                return Err(BuildError::at(at, "a gRPC call has no query parameters")
                    .remedy("take the key out"));
            }
            settings.authentication = auth.authentication(path, extensions)?;
        }
        let keepalive = self.keepalive.as_ref();
        if let Some(keys) = keepalive.and_then(|keys| keys.server_parameters.as_ref()) {
            settings.idle_timeout = limit(keys.max_connection_idle, settings.idle_timeout);
            settings.max_age = limit(keys.max_connection_age, None);
            settings.max_age_grace = limit(keys.max_connection_age_grace, None);
            // Zero means the default here, as gRPC has it.
            let told = |key: Option<Duration>| limit(key, None);
            settings.ping_interval = told(keys.time).or(settings.ping_interval);
            settings.ping_timeout = told(keys.timeout).unwrap_or(settings.ping_timeout);
        }
        // gRPC does not ping more often than each second.
        settings.ping_interval = settings
            .ping_interval
            .map(|time| time.max(Time::from_secs(1)));
        Prepared::new(settings, self.tls.as_ref(), &["h2"], path)
    }

    /// The largest message taken, in bytes.
    #[must_use]
    pub const fn max_message(&self) -> usize {
        let mib = match self.max_recv_msg_size_mib {
            0 => 4,
            mib => mib as usize,
        };
        mib << 20
    }
}
