//! The keys of `statsd`.

use std::time::Duration;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Receiver, Stability, pattern};
use tidegate_document::Duration as Time;
use tidegate_pdata::Signals;
use tidegate_transport::datagrams::PREFIX;
use tidegate_transport::server::Address;

use super::StatsD;
use super::line::Type;

/// The socket of `unixgram` where none is named.
const SOCKET: &str = "/var/run/statsd-receiver.sock";
/// Buckets of an exponential histogram where no number is named.
const MAX_SIZE: usize = 160;
/// The fewest and the most that may be named.
const SIZES: std::ops::RangeInclusive<usize> = 2..=16_384;
const PERCENTILES: [f64; 6] = [0.0, 10.0, 50.0, 90.0, 95.0, 100.0];

/// Receives metrics of StatsD's and DogStatsD's clients, and adds them up over an interval.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen: host and port, `localhost:8125` unless told, or for `unixgram` the path of a socket, `/var/run/statsd-receiver.sock` unless told.
    endpoint: Option<String>,
    /// How clients send: udp, udp4, udp6, tcp, tcp4, tcp6 or unixgram.
    transport: Transport,
    /// Accepted and without effect: nothing is dialled.
    dialer: Option<Dialer>,
    /// The permissions of the socket of `unixgram`, in octal.
    socket_permissions: Permissions,
    /// Bytes that the system keeps of datagrams until they are read; its own default unless told, as for `0`.
    socket_buffer_size: usize,
    /// The time over which metrics are added up.
    aggregation_interval: Time,
    /// Gives every point an attribute `metric_type`.
    enable_metric_type: bool,
    /// Takes tags without a value.
    enable_simple_tags: bool,
    /// Adds up what one IP address sends, from whatever ports.
    enable_ip_only_aggregation: bool,
    /// Says of counters that they only rise.
    is_monotonic_counter: bool,
    /// What counters are: int, whole numbers, what is sent being cut to such; float; stochastic_int, whole numbers that are right on average.
    counter_type: CounterType,
    /// What becomes of timers, histograms and distributions; gauges unless told, a point for each.
    timer_histogram_mapping: Vec<Mapping>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            transport: Transport::default(),
            dialer: None,
            socket_permissions: Permissions(0o622),
            socket_buffer_size: 0,
            aggregation_interval: Time::from_secs(60),
            enable_metric_type: false,
            enable_simple_tags: false,
            enable_ip_only_aggregation: false,
            is_monotonic_counter: false,
            counter_type: CounterType::default(),
            timer_histogram_mapping: Vec::new(),
        }
    }
}

/// `dialer`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Dialer {
    /// Accepted and without effect.
    timeout: Option<Time>,
}

/// How clients send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    /// Datagrams.
    #[default]
    Udp,
    /// Datagrams over IPv4.
    Udp4,
    /// Datagrams over IPv6.
    Udp6,
    /// Streams.
    Tcp,
    /// Streams over IPv4.
    Tcp4,
    /// Streams over IPv6.
    Tcp6,
    /// Datagrams on this machine.
    Unixgram,
}

impl Transport {
    /// What the ledger calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Udp | Self::Udp4 | Self::Udp6 => "udp",
            Self::Tcp | Self::Tcp4 | Self::Tcp6 => "tcp",
            Self::Unixgram => "unixgram",
        }
    }

    /// The streams of the same family, by the Collector's name for them.
    const fn family(self) -> &'static str {
        match self {
            Self::Udp | Self::Tcp | Self::Unixgram => "tcp",
            Self::Udp4 | Self::Tcp4 => "tcp4",
            Self::Udp6 | Self::Tcp6 => "tcp6",
        }
    }
}

/// Permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Permissions(u32);

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.trim_start_matches("0o");
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => Err(serde::de::Error::custom(format!(
                "\"{text}\" are no permissions; write them in octal, as '0622'"
            ))),
        }
    }
}

impl JsonSchema for Permissions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Permissions".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// What counters are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CounterType {
    /// Whole numbers: what is sent is cut to such.
    #[default]
    Int,
    /// Numbers as they are sent.
    Float,
    /// Whole numbers that are right on average: fractions are rounded by chance.
    StochasticInt,
}

/// What becomes of one type.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Mapping {
    /// What clients send.
    statsd_type: Sent,
    /// What it becomes: gauge, summary, histogram or disabled.
    observer_type: Observer,
    /// Of `observer_type: histogram`: its buckets.
    #[serde(default)]
    histogram: HistogramKeys,
    /// Of `observer_type: summary`: its percentiles.
    #[serde(default)]
    summary: SummaryKeys,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sent {
    /// `ms`.
    Timing,
    /// `ms`.
    Timer,
    /// `h` and `d`.
    Histogram,
    /// `d` and `h`.
    Distribution,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Observer {
    /// A point for each value.
    Gauge,
    /// Percentiles.
    Summary,
    /// A histogram: with exponential bounds, unless `explicit_buckets` has some for the name.
    Histogram,
    /// Nothing.
    Disabled,
}

/// `histogram`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct HistogramKeys {
    /// Buckets of an exponential histogram, on each side of zero; 160 unless told, as for `0`.
    max_size: usize,
    /// Bounds for metrics of certain names; the first that matches holds.
    explicit_buckets: Vec<Explicit>,
}

/// One of `explicit_buckets`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Explicit {
    /// A regular expression for names.
    matcher_pattern: String,
    /// The upper bounds, each above the one before.
    buckets: Vec<f64>,
}

/// `summary`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SummaryKeys {
    /// Percentiles, from 0 to 100; 0, 10, 50, 90, 95 and 100 unless told.
    percentiles: Vec<f64>,
}

/// The keys, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) transport: Transport,
    pub(super) place: Place,
    pub(super) buffer: Option<usize>,
    pub(super) interval: Duration,
    pub(super) metric_type: bool,
    pub(super) simple_tags: bool,
    pub(super) ip_only: bool,
    pub(super) monotonic: bool,
    pub(super) counter: CounterType,
    timing: View,
    histogram: View,
}

/// Where it listens.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Address(Address),
    /// A path, and the permissions of what is made there.
    Path(String, u32),
}

/// What becomes of values that are observed.
#[derive(Clone, Debug)]
pub(super) enum View {
    Gauge,
    Summary(Vec<f64>),
    Histogram {
        max_size: usize,
        explicit: Vec<(Regex, Vec<f64>)>,
    },
    Disabled,
}

impl Settings {
    /// What becomes of values of a type.
    pub(super) const fn view(&self, of: Type) -> &View {
        match of {
            Type::Timing => &self.timing,
            _ => &self.histogram,
        }
    }
}

impl Mapping {
    fn view(&self, path: &str) -> Result<View, BuildError> {
        let at = |key: &str| format!("{path}::{key}");
        let histogram = self.histogram != HistogramKeys::default();
        if histogram && self.observer_type != Observer::Histogram {
            let message = "only `observer_type: histogram` has buckets";
            return Err(BuildError::at(at("histogram"), message));
        }
        let summary = self.summary != SummaryKeys::default();
        if summary && self.observer_type != Observer::Summary {
            let message = "only `observer_type: summary` has percentiles";
            return Err(BuildError::at(at("summary"), message));
        }
        Ok(match self.observer_type {
            Observer::Gauge => View::Gauge,
            Observer::Disabled => View::Disabled,
            Observer::Summary => View::Summary(self.percentiles(&at("summary::percentiles"))?),
            Observer::Histogram => View::Histogram {
                max_size: match self.histogram.max_size {
                    0 => MAX_SIZE,
                    size if SIZES.contains(&size) => size,
                    size => {
                        let message = format!("{size} is not from 2 to 16384");
                        return Err(BuildError::at(at("histogram::max_size"), message));
                    }
                },
                explicit: self.explicit(&at("histogram::explicit_buckets"))?,
            },
        })
    }

    fn percentiles(&self, path: &str) -> Result<Vec<f64>, BuildError> {
        let written = &self.summary.percentiles;
        if written.iter().any(|one| !(0.0..=100.0).contains(one)) {
            return Err(BuildError::at(path, "percentiles lie between 0 and 100"));
        }
        Ok(match written.is_empty() {
            true => PERCENTILES.to_vec(),
            false => written.clone(),
        })
    }

    fn explicit(&self, path: &str) -> Result<Vec<(Regex, Vec<f64>)>, BuildError> {
        let all = self.histogram.explicit_buckets.iter().enumerate();
        all.map(|(number, one)| {
            let path = format!("{path}::{number}");
            let rises = one.buckets.is_sorted_by(|a, b| a < b);
            if one.buckets.is_empty() || !rises || one.buckets.iter().any(|bound| bound.is_nan()) {
                let message = "there must be bounds, each above the one before";
                return Err(BuildError::at(format!("{path}::buckets"), message));
            }
            let matcher = pattern::compile(&one.matcher_pattern);
            let matcher =
                matcher.map_err(|why| BuildError::at(format!("{path}::matcher_pattern"), why))?;
            Ok((matcher, one.buckets.clone()))
        })
        .collect()
    }
}

impl Config {
    fn place(&self) -> Result<Place, BuildError> {
        let written = self.endpoint.as_deref().filter(|text| !text.is_empty());
        if self.transport == Transport::Unixgram {
            let path = written.unwrap_or(SOCKET).to_owned();
            return Ok(Place::Path(path, self.socket_permissions.0));
        }
        let endpoint = written.unwrap_or("localhost:8125");
        let address = Address::parse(endpoint, self.transport.family());
        address.map(Place::Address).map_err(|error| {
            let text = error.to_string();
            // What it says to write is the port of another protocol.
            let fault = text.split("; ").next().unwrap_or(&text).to_owned();
            BuildError::at("endpoint", fault).remedy("write host and port, as \"localhost:8125\"")
        })
    }

    fn settings(&self) -> Result<Settings, BuildError> {
        if self.aggregation_interval.is_zero() {
            let message = "the interval must be longer than nothing";
            return Err(BuildError::at("aggregation_interval", message).remedy("write \"60s\""));
        }
        let (mut timing, mut histogram) = (None, None);
        for (at, mapping) in self.timer_histogram_mapping.iter().enumerate() {
            let path = format!("timer_histogram_mapping::{at}");
            let view = mapping.view(&path)?;
            let place = match mapping.statsd_type {
                Sent::Timing | Sent::Timer => &mut timing,
                Sent::Histogram | Sent::Distribution => &mut histogram,
            };
            *place = Some(view);
        }
        Ok(Settings {
            transport: self.transport,
            place: self.place()?,
            buffer: Some(self.socket_buffer_size).filter(|size| *size > 0),
            interval: self.aggregation_interval.into(),
            metric_type: self.enable_metric_type,
            simple_tags: self.enable_simple_tags,
            ip_only: self.enable_ip_only_aggregation,
            monotonic: self.is_monotonic_counter,
            counter: self.counter_type,
            timing: timing.unwrap_or(View::Gauge),
            histogram: histogram.unwrap_or(View::Gauge),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "statsd";
    const SIGNALS: Signals = Signals::METRICS;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        let settings = self.settings()?;
        Ok(Box::new(StatsD::new(settings, cx.metrics.clone())))
    }

    fn listens(&self) -> Vec<(String, String)> {
        let listens = match self.place() {
            Ok(Place::Address(address)) if self.transport.name() == "udp" => {
                format!("{PREFIX}{address}")
            }
            Ok(Place::Address(address)) => address.to_string(),
            Ok(Place::Path(path, _)) => path,
            Err(_) => return Vec::new(),
        };
        vec![("endpoint".to_owned(), listens)]
    }
}

#[cfg(test)]
pub(super) fn settings(yaml: &str) -> Result<Settings, BuildError> {
    let node = tidegate_document::yaml::parse_str(yaml).unwrap();
    tidegate_document::read::<Config>(&node).unwrap().settings()
}
