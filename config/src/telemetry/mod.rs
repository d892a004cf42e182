//! `service.telemetry`: what the collector tells of itself.

mod metrics;
mod resource;

pub use metrics::{
    Console, ConstantLabels, Header, Headers, Metrics, MetricsLevel, OtlpProtocol, OtlpReader,
    Periodic, PeriodicExporter, Prometheus, Pull, PullExporter, Reader, Temporality,
};
pub use resource::Resource;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_document::{Duration, Node, Spanned};

/// The collector's own logs, metrics and resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Own logs.
    pub logs: Logs,
    /// Own metrics.
    pub metrics: Metrics,
    /// Own spans; accepted, none are recorded.
    pub traces: Option<Traces>,
    /// Attributes of the collector itself. A null takes one away that is there by default.
    pub resource: Resource,
}

/// Own spans, which are not recorded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Traces(pub Node);

impl JsonSchema for Traces {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Traces".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object"})
    }
}

/// Own logs.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// The least level that is written.
    #[schemars(extend("x-ignore-case" = true))]
    pub level: LogLevel,
    /// Lines for people, or JSON for machines.
    pub encoding: Encoding,
    /// Where lines go: `stderr` and `stdout`; a file is not written.
    pub output_paths: Vec<Spanned<String>>,
    /// Accepted; there are no errors of the log itself to write.
    pub error_output_paths: Vec<String>,
    /// How much of the same message is written.
    pub sampling: Sampling,
    /// Fields that every line carries.
    pub initial_fields: BTreeMap<String, serde_json::Value>,
    /// Accepted; lines carry no place in the code.
    pub disable_caller: bool,
    /// Accepted; lines carry no stack.
    pub disable_stacktrace: bool,
    /// Accepted; there is no development mode.
    #[schemars(extend("x-no-effect" = "there is no development mode; set `level: debug` to see more"))]
    pub development: bool,
    /// Accepted; own logs are written, not exported.
    #[schemars(extend("x-no-effect" = "own logs go to `output_paths`; read them there"))]
    pub processors: Vec<Node>,
    /// Whether to leave the resource's attributes out of the lines.
    pub disable_zap_resource: bool,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: Encoding::Console,
            output_paths: vec![Spanned::from("stderr".to_owned())],
            error_output_paths: vec!["stderr".to_owned()],
            sampling: Sampling::default(),
            initial_fields: BTreeMap::new(),
            disable_caller: false,
            disable_stacktrace: false,
            development: false,
            processors: Vec::new(),
            disable_zap_resource: false,
        }
    }
}

/// Levels by the names of the Collector; those above error are written as errors.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    Dpanic,
    Panic,
    Fatal,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// A line for people.
    Console,
    /// A JSON object a line.
    Json,
}

/// How much of the same message is written in each `tick`: the first `initial`, then each `thereafter`th.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Sampling {
    pub enabled: bool,
    pub tick: Duration,
    pub initial: u32,
    pub thereafter: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            enabled: true,
            tick: Duration::from_secs(10),
            initial: 10,
            thereafter: 100,
        }
    }
}
