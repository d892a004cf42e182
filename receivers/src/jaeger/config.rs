//! The keys of `jaeger`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Receiver, Stability};
use tidegate_pdata::Signals;
use tidegate_transport::datagrams::PREFIX;
use tidegate_transport::server::Address;
use tidegate_transport::server::config::{GrpcServer, HttpServer};

use super::Jaeger;
use super::udp::{Encoding, UdpSettings};
use crate::servers::present;
use crate::web::Web;

const GRPC: (&str, &str) = ("protocols::grpc", "localhost:14250");
const THRIFT_HTTP: (&str, &str) = ("protocols::thrift_http", "localhost:14268");
const THRIFT_COMPACT: (&str, &str) = ("protocols::thrift_compact", "localhost:6831");
const THRIFT_BINARY: (&str, &str) = ("protocols::thrift_binary", "localhost:6832");

/// Receives spans of Jaeger's clients and agents.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The protocols to serve, at least one; a protocol that is named is served, even without keys.
    protocols: Protocols,
}

/// `protocols`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Protocols {
    /// Protobuf over gRPC, as agents send to a collector, on `localhost:14250` unless told.
    #[serde(deserialize_with = "present")]
    grpc: Option<GrpcServer>,
    /// Thrift over HTTP, as clients send to a collector, on `localhost:14268` unless told.
    #[serde(deserialize_with = "present")]
    thrift_http: Option<HttpServer>,
    /// Thrift's compact protocol over UDP, as clients send to an agent, on `localhost:6831` unless told.
    #[serde(deserialize_with = "present")]
    thrift_compact: Option<Udp>,
    /// Thrift's binary protocol over UDP, as some clients send to an agent, on `localhost:6832` unless told.
    #[serde(deserialize_with = "present")]
    thrift_binary: Option<Udp>,
}

/// A socket for datagrams.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Udp {
    /// Host and port to listen on.
    endpoint: Option<String>,
    /// Datagrams that may wait for what becomes of them, for each worker that reads; more are dropped and counted.
    queue_size: usize,
    /// The largest datagram taken, in bytes; larger ones are dropped and counted.
    max_packet_size: usize,
    /// Workers that read from the socket, at most those of the process.
    workers: usize,
    /// Bytes that the system keeps until they are read; its own default unless told, as for `0`.
    socket_buffer_size: usize,
}

impl Default for Udp {
    fn default() -> Self {
        Self {
            endpoint: None,
            queue_size: 1000,
            max_packet_size: 65_000,
            workers: 10,
            socket_buffer_size: 0,
        }
    }
}

impl Udp {
    fn settings(
        &self,
        (path, default): (&str, &str),
        encoding: Encoding,
    ) -> Result<UdpSettings, BuildError> {
        /// No datagram is larger.
        const LARGEST: usize = 65_535;
        let at_least_one = [
            ("queue_size", self.queue_size),
            ("max_packet_size", self.max_packet_size),
            ("workers", self.workers),
        ];
        for (key, value) in at_least_one {
            if value == 0 {
                let key = format!("{path}::{key}");
                return Err(BuildError::at(key, "must be at least 1"));
            }
        }
        Ok(UdpSettings {
            address: self.address((path, default))?,
            encoding,
            queue_size: self.queue_size,
            max_packet_size: self.max_packet_size.min(LARGEST),
            readers: self.workers,
            socket_buffer: Some(self.socket_buffer_size).filter(|size| *size > 0),
        })
    }

    fn address(&self, (path, default): (&str, &str)) -> Result<Address, BuildError> {
        let endpoint = self.endpoint.as_deref().unwrap_or(default);
        Address::parse(endpoint, "tcp").map_err(|error| {
            let text = error.to_string();
            // What it says to write is the port of another protocol.
            let fault = text.split("; ").next().unwrap_or(&text);
            let port = default.rsplit(':').next().unwrap_or_default();
            BuildError::at(format!("{path}::endpoint"), fault)
                .remedy(format!("write host and port, as \"localhost:{port}\""))
        })
    }
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(&self, cx: &BuildContext) -> Result<Jaeger, BuildError> {
        let Protocols {
            grpc,
            thrift_http,
            thrift_compact,
            thrift_binary,
        } = &self.protocols;
        let mut jaeger = Jaeger::new(cx.metrics.clone());
        if let Some(keys) = grpc {
            let prepared = keys.prepare_with(&cx.extensions, GRPC.0, GRPC.1)?;
            jaeger.grpc = Some((prepared, keys.max_message(), keys.include_metadata));
        }
        if let Some(keys) = thrift_http {
            let prepared = keys.prepare_with(&cx.extensions, THRIFT_HTTP.0, THRIFT_HTTP.1)?;
            jaeger.http = Some((prepared, Web::new(keys, THRIFT_HTTP.0)?));
        }
        for (keys, place, encoding) in [
            (thrift_compact, THRIFT_COMPACT, Encoding::Compact),
            (thrift_binary, THRIFT_BINARY, Encoding::Binary),
        ] {
            if let Some(keys) = keys {
                jaeger.agents.push(keys.settings(place, encoding)?);
            }
        }
        if jaeger.is_idle() {
            return Err(BuildError::at("protocols", "no protocol is named")
                .remedy("write \"protocols: {grpc: {}}\", or the one that is needed"));
        }
        Ok(jaeger)
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "jaeger";
    const SIGNALS: Signals = Signals::TRACES;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx)?))
    }

    fn listens(&self) -> Vec<(String, String)> {
        let key = |(path, _): (&str, &str)| format!("{path}::endpoint");
        let mut listens = Vec::new();
        if let Some(keys) = &self.protocols.grpc
            && let Ok(address) = keys.address(GRPC.0, GRPC.1)
        {
            listens.push((key(GRPC), address.to_string()));
        }
        if let Some(keys) = &self.protocols.thrift_http
            && let Ok(address) = keys.address(THRIFT_HTTP.0, THRIFT_HTTP.1)
        {
            listens.push((key(THRIFT_HTTP), address.to_string()));
        }
        for (keys, place) in [
            (&self.protocols.thrift_compact, THRIFT_COMPACT),
            (&self.protocols.thrift_binary, THRIFT_BINARY),
        ] {
            if let Some(keys) = keys
                && let Ok(address) = keys.address(place)
            {
                listens.push((key(place), format!("{PREFIX}{address}")));
            }
        }
        listens
    }
}
