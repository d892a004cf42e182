//! Own metrics: how much, and through which readers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_document::{Node, Secret, Spanned};

/// Own metrics.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// How much is measured.
    #[schemars(extend("x-ignore-case" = true))]
    pub level: MetricsLevel,
    /// Where metrics are served; an older form of a `pull` reader.
    #[schemars(extend("x-deprecated" = "write `readers: [{pull: {exporter: {prometheus: {host: …, port: …}}}}]`"))]
    pub address: Option<Spanned<String>>,
    /// The ways out; one `pull` reader on localhost:8888 where nothing is said.
    pub readers: Option<Vec<Reader>>,
    /// Accepted; views are not carried out.
    #[schemars(extend("x-no-effect" = "own metrics have a fixed set of labels; drop them where they are scraped"))]
    pub views: Vec<Node>,
}

impl Metrics {
    /// Gives the readers in force: none at level `none`, those that are written, the one that `address` stands for,
    /// else the default.
    ///
    /// # Errors
    /// Says why `address` is none.
    pub fn readers(&self) -> Result<Vec<Reader>, String> {
        if self.level == MetricsLevel::None {
            return Ok(Vec::new());
        }
        match (&self.readers, &self.address) {
            (Some(readers), _) => Ok(readers.clone()),
            (None, None) => Ok(vec![Reader::prometheus(Prometheus::default())]),
            (None, Some(address)) => {
                let fault = "the address is not `host:port`; write for example `0.0.0.0:8888`";
                let (host, port) = address.rsplit_once(':').ok_or(fault)?;
                Ok(vec![Reader::prometheus(Prometheus {
                    host: match host.trim_matches(['[', ']']) {
                        "" => "0.0.0.0".to_owned(),
                        host => host.to_owned(),
                    },
                    port: port.parse().map_err(|_| fault)?,
                    ..Prometheus::default()
                })])
            }
        }
    }
}

/// How much is measured of itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// Nothing.
    None,
    /// What one needs.
    Basic,
    /// What one wants.
    #[default]
    Normal,
    /// Everything.
    Detailed,
}

/// One way out for own metrics: served to a scraper, or pushed at intervals.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reader {
    /// Serves metrics to a scraper.
    pub pull: Option<Pull>,
    /// Pushes metrics at intervals.
    pub periodic: Option<Periodic>,
}

impl Reader {
    /// Makes a reader that serves a Prometheus endpoint.
    pub fn prometheus(prometheus: Prometheus) -> Self {
        Self {
            pull: Some(Pull {
                exporter: PullExporter {
                    prometheus: Some(prometheus),
                },
                producers: None,
                cardinality_limits: None,
            }),
            periodic: None,
        }
    }
}

/// Serves metrics to a scraper.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// What is served.
    pub exporter: PullExporter,
    /// Accepted; there are no other producers.
    #[schemars(extend("x-no-effect" = "there are no other producers here; remove it"))]
    pub producers: Option<Node>,
    /// Accepted; the labels of own metrics are bounded.
    #[schemars(extend("x-no-effect" = "the labels of own metrics are bounded without it; remove it"))]
    pub cardinality_limits: Option<Node>,
}

/// What a scraper gets.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullExporter {
    /// Prometheus' formats at `/metrics`.
    pub prometheus: Option<Prometheus>,
}

/// A Prometheus endpoint.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// The address to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// Whether to leave `otel_scope_*` out.
    pub without_scope_info: bool,
    /// Whether to leave `_total` out.
    pub without_type_suffix: bool,
    /// Whether to leave units out of names.
    pub without_units: bool,
    /// Which of the resource's attributes each series carries.
    pub with_resource_constant_labels: Option<ConstantLabels>,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 8888,
            without_scope_info: true,
            without_type_suffix: true,
            without_units: true,
            with_resource_constant_labels: None,
        }
    }
}

/// Attributes by name; `*` stands for any text, and an exclusion wins.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ConstantLabels {
    pub included: Vec<String>,
    pub excluded: Vec<String>,
}

/// Pushes metrics at intervals.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Periodic {
    /// Milliseconds between two pushes.
    #[serde(default = "minute")]
    #[schemars(range(min = 1))]
    pub interval: u64,
    /// Milliseconds that one push may take.
    #[serde(default = "half_minute")]
    #[schemars(range(min = 1))]
    pub timeout: u64,
    /// Where to.
    pub exporter: PeriodicExporter,
    /// Accepted; there are no other producers.
    #[schemars(extend("x-no-effect" = "there are no other producers here; remove it"))]
    pub producers: Option<Node>,
    /// Accepted; the labels of own metrics are bounded.
    #[schemars(extend("x-no-effect" = "the labels of own metrics are bounded without it; remove it"))]
    pub cardinality_limits: Option<Node>,
}

fn minute() -> u64 {
    60_000
}

fn half_minute() -> u64 {
    30_000
}

/// Where metrics are pushed to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeriodicExporter {
    /// A server of OTLP.
    pub otlp: Option<OtlpReader>,
    /// The standard output.
    pub console: Option<Console>,
}

/// The standard output; nothing to set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Console {}

/// A server of OTLP that takes own metrics.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpReader {
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Its address, with the scheme.
    pub endpoint: Option<String>,
    /// Whether to speak without TLS.
    pub insecure: bool,
    /// `gzip` or `none`.
    pub compression: Option<String>,
    /// Milliseconds for one request.
    pub timeout: Option<u64>,
    /// Headers of each request.
    pub headers: Option<Headers>,
    /// The file of certificates to trust.
    pub certificate: Option<String>,
    /// The file of the client's certificate.
    pub client_certificate: Option<String>,
    /// The file of the client's key.
    pub client_key: Option<String>,
    /// Sums since the start, or since the last push.
    pub temporality_preference: Option<Temporality>,
    /// The form of histograms.
    pub default_histogram_aggregation: Option<String>,
}

/// How a server of OTLP is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// HTTP with protobuf.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// HTTP with JSON.
    #[serde(rename = "http/json")]
    HttpJson,
}

/// What a sum is since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Temporality {
    /// Since the start.
    Cumulative,
    /// Since the last push.
    Delta,
    /// As little to keep as can be.
    LowMemory,
}

/// Headers: a mapping, or the newer list of names and values.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Headers {
    /// `{name: value}`.
    Map(std::collections::BTreeMap<String, Secret>),
    /// `[{name: …, value: …}]`.
    List(Vec<Header>),
}

/// One header.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Header {
    pub name: String,
    pub value: Option<Secret>,
}

impl OtlpReader {
    /// Gives the headers as pairs.
    pub fn headers(&self) -> Vec<(&str, &Secret)> {
        match &self.headers {
            None => Vec::new(),
            Some(Headers::Map(map)) => map.iter().map(|(name, value)| (&**name, value)).collect(),
            Some(Headers::List(list)) => list
                .iter()
                .filter_map(|header| Some((header.name.as_str(), header.value.as_ref()?)))
                .collect(),
        }
    }
}
