//! The keys of `otlp`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Receiver, Stability};
use tidegate_pdata::Signal;
use tidegate_transport::server::config::{GrpcServer, HttpServer};

use super::Otlp;
use super::http::HttpSettings;
use crate::servers::present;
use crate::web::Web;

const GRPC: &str = "protocols::grpc";
const HTTP: &str = "protocols::http";

/// Receives OTLP over gRPC and HTTP.
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
    /// OTLP over gRPC, on `localhost:4317` unless told.
    #[serde(deserialize_with = "present")]
    grpc: Option<GrpcServer>,
    /// OTLP over HTTP, in protobuf and JSON, on `localhost:4318` unless told.
    #[serde(deserialize_with = "present")]
    http: Option<HttpProtocol>,
}

tidegate_document::layered! {
    /// `protocols.http`.
    #[derive(Clone, Debug, Default)]
    pub(super) struct HttpProtocol {
        server: HttpServer,
        paths: Paths,
    }
}

/// Where each signal is sent to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Paths {
    /// The path that takes spans.
    traces_url_path: String,
    /// The path that takes metrics.
    metrics_url_path: String,
    /// The path that takes log records.
    logs_url_path: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
        }
    }
}

impl Paths {
    /// The paths by signal, each with the slash that it may lack.
    fn absolute(&self) -> Result<[String; 3], BuildError> {
        let paths = Signal::ALL.map(|signal| {
            let path = match signal {
                Signal::Traces => &self.traces_url_path,
                Signal::Metrics => &self.metrics_url_path,
                Signal::Logs => &self.logs_url_path,
            };
            match path.strip_prefix('/') {
                Some(_) => path.clone(),
                None => format!("/{path}"),
            }
        });
        for (at, path) in paths.iter().enumerate() {
            if paths[..at].contains(path) {
                let signal = Signal::ALL[at].name();
                let message = format!("\"{path}\" is the path of another signal already");
                return Err(BuildError::at(
                    format!("{HTTP}::{signal}_url_path"),
                    message,
                ));
            }
        }
        Ok(paths)
    }
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(&self, cx: &BuildContext) -> Result<Otlp, BuildError> {
        let Protocols { grpc, http } = &self.protocols;
        if grpc.is_none() && http.is_none() {
            return Err(BuildError::at("protocols", "no protocol is named")
                .remedy("write \"protocols: {grpc: {}, http: {}}\", or the one that is needed"));
        }
        let grpc = grpc.as_ref().map(|keys| {
            let prepared = keys.prepare_with(&cx.extensions, GRPC, "localhost:4317")?;
            Ok((prepared, keys.max_message(), keys.include_metadata))
        });
        let http = http.as_ref().map(|keys| {
            let prepared = keys
                .server
                .prepare_with(&cx.extensions, HTTP, "localhost:4318")?;
            Ok((prepared, HttpSettings::new(keys, HTTP)?))
        });
        Ok(Otlp::new(
            grpc.transpose()?,
            http.transpose()?,
            cx.metrics.clone(),
        ))
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "otlp";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx)?))
    }

    fn listens(&self) -> Vec<(String, String)> {
        let Protocols { grpc, http } = &self.protocols;
        let grpc = grpc
            .as_ref()
            .map(|keys| (GRPC, keys.address(GRPC, "localhost:4317")));
        let http = http
            .as_ref()
            .map(|keys| (HTTP, keys.server.address(HTTP, "localhost:4318")));
        [grpc, http]
            .into_iter()
            .flatten()
            .filter_map(|(path, address)| {
                let address = address.ok()?.to_string();
                Some((format!("{path}::endpoint"), address))
            })
            .collect()
    }
}

impl HttpSettings {
    fn new(keys: &HttpProtocol, path: &str) -> Result<Self, BuildError> {
        Ok(Self {
            paths: keys.paths.absolute()?,
            web: Web::new(&keys.server, path)?,
        })
    }
}
