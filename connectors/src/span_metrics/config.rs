//! The keys of `span_metrics`.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Duration;

/// Makes metrics of spans: how many there were, how long they took, and what happened during them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What the metrics' names begin with; nothing where it is empty.
    pub(super) namespace: String,
    /// How long spans took.
    pub(super) histogram: Histogram,
    /// Attributes of spans, or else of their resources, by which all metrics tell spans apart, beside `service.name`,
    /// `span.name`, `span.kind` and `status.code`.
    pub(super) dimensions: Vec<Dimension>,
    /// More of them for the metric that counts spans.
    pub(super) calls_dimensions: Vec<Dimension>,
    /// Which of `service.name`, `span.name`, `span.kind` and `status.code` the metrics do not have.
    pub(super) exclude_dimensions: Vec<String>,
    /// Names of instrumentation scopes that the metrics tell as `span.instrumentation.scope.name` and `.version`.
    pub(super) include_instrumentation_scope: Vec<String>,
    /// How many resources are remembered from one flush to the next: the last that sent spans.
    pub(super) resource_metrics_cache_size: NonZeroUsize,
    /// The attributes that tell resources apart; all of them where none is named.
    pub(super) resource_metrics_key_attributes: Vec<String>,
    /// Whether the metrics have the attributes of the spans' resources.
    #[schemars(extend("x-no-effect" = "the metrics have them in any case; remove it"))]
    pub(super) add_resource_attributes: bool,
    /// What the points count from: the start, or the flush before.
    pub(super) aggregation_temporality: Temporality,
    /// How often metrics are passed on.
    pub(super) metrics_flush_interval: Duration,
    /// How long after its last span the metrics of a resource end; never where it is `0`.
    pub(super) metrics_expiration: Duration,
    /// For deltas: of how many series the time of the last point is remembered, at which the next one starts.
    pub(super) metric_timestamp_cache_size: NonZeroUsize,
    /// How many series a metric of a resource has at most; what comes beyond is counted in one with the attribute
    /// `otel.metric.overflow`. `0` sets no limit.
    pub(super) aggregation_cardinality_limit: usize,
    /// How many series there are at most, of all resources together; what comes beyond is counted as overflow, and
    /// spans of new resources are not counted.
    pub(super) max_series: NonZeroUsize,
    /// Spans that stand as examples for what is counted.
    pub(super) exemplars: Exemplars,
    /// What happened during spans.
    pub(super) events: Events,
    /// Whether the metrics tell by `sampling.method` if spans stand for others that were not sampled (`extrapolated`,
    /// by the threshold in their trace state) or for themselves (`counted`).
    pub(super) enable_metrics_sampling_method: bool,
    /// The size of a cache that is gone.
    #[schemars(extend("x-no-effect" = "there is no such cache; remove it, `aggregation_cardinality_limit` bounds series"))]
    pub(super) dimensions_cache_size: usize,
}

/// How long spans took.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Histogram {
    /// Whether there is no such metric.
    pub(super) disable: bool,
    /// What it is measured in.
    pub(super) unit: Unit,
    /// Buckets that are written down.
    pub(super) explicit: Option<Explicit>,
    /// Buckets that follow the values.
    pub(super) exponential: Option<Exponential>,
    /// More attributes by which this metric tells spans apart.
    pub(super) dimensions: Vec<Dimension>,
}

/// What durations are measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(extend("x-ignore-case" = true))]
pub(super) enum Unit {
    /// Milliseconds.
    #[default]
    #[serde(rename = "ms")]
    Milliseconds,
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
}

impl Unit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    pub(super) const fn nanos(self) -> f64 {
        match self {
            Self::Milliseconds => 1e6,
            Self::Seconds => 1e9,
        }
    }
}

/// Buckets that are written down.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Explicit {
    /// Their upper bounds, in rising order; `[2ms, 4ms, 6ms, 8ms, 10ms, 50ms, 100ms, 200ms, 400ms, 800ms, 1s, 1400ms,
    /// 2s, 5s, 10s, 15s]` unless told.
    pub(super) buckets: Option<Vec<Duration>>,
}

/// Buckets that follow the values.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Exponential {
    /// How many there are at most, from 2 to 16384; `0` stands for 160.
    pub(super) max_size: u32,
}

/// An attribute by which spans are told apart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dimension {
    /// Its name.
    pub(super) name: String,
    /// What holds for spans without it; these have no such attribute where this is left out.
    #[serde(default)]
    pub(super) default: Option<String>,
}

/// Spans that stand as examples for what is counted.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Exemplars {
    /// Whether there are any.
    pub(super) enabled: bool,
    /// How many a point has at most.
    pub(super) max_per_data_point: usize,
}

impl Default for Exemplars {
    fn default() -> Self {
        Self {
            enabled: false,
            max_per_data_point: 5,
        }
    }
}

/// What happened during spans.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Events {
    /// Whether there is a metric that counts events.
    pub(super) enabled: bool,
    /// The attributes of events, or else of spans or resources, by which it tells them apart; at least one.
    pub(super) dimensions: Vec<Dimension>,
}

/// What points count from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum Temporality {
    /// The start.
    #[default]
    #[serde(rename = "AGGREGATION_TEMPORALITY_CUMULATIVE")]
    Cumulative,
    /// The flush before.
    #[serde(rename = "AGGREGATION_TEMPORALITY_DELTA")]
    Delta,
}

impl Default for Config {
    fn default() -> Self {
        let thousand = NonZeroUsize::MIN.saturating_add(999);
        Self {
            namespace: "traces.span.metrics".to_owned(),
            histogram: Histogram::default(),
            dimensions: Vec::new(),
            calls_dimensions: Vec::new(),
            exclude_dimensions: Vec::new(),
            include_instrumentation_scope: Vec::new(),
            resource_metrics_cache_size: thousand,
            resource_metrics_key_attributes: Vec::new(),
            add_resource_attributes: false,
            aggregation_temporality: Temporality::default(),
            metrics_flush_interval: Duration::from_secs(60),
            metrics_expiration: Duration::from_secs(0),
            metric_timestamp_cache_size: thousand,
            aggregation_cardinality_limit: 0,
            max_series: NonZeroUsize::MIN.saturating_add(999_999),
            exemplars: Exemplars::default(),
            events: Events::default(),
            enable_metrics_sampling_method: false,
            dimensions_cache_size: 0,
        }
    }
}

/// The attributes that all metrics have unless they are excluded.
const OWN: [&str; 4] = ["service.name", "span.name", "span.kind", "status.code"];

impl Config {
    /// Checks what the types of single keys cannot.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        if std::time::Duration::from(self.metrics_flush_interval).is_zero() {
            let error =
                BuildError::at("metrics_flush_interval", "metrics would never be passed on");
            return Err(error.remedy("write how often they are, as `60s`"));
        }
        let histogram = &self.histogram;
        if histogram.explicit.is_some() && histogram.exponential.is_some() {
            let error = BuildError::at(
                "histogram",
                "`explicit` and `exponential` stand side by side",
            );
            return Err(error.remedy("take one of them out"));
        }
        self.bounds()?;
        if let Some(Exponential { max_size }) = histogram.exponential
            && max_size != 0
            && !(2..=16384).contains(&max_size)
        {
            let message = format!("{max_size} buckets are too few or too many");
            let error = BuildError::at("histogram::exponential::max_size", message);
            return Err(error.remedy("write a number from 2 to 16384, as 160"));
        }
        unlike("dimensions", &self.dimensions, &OWN)?;
        let kept: Vec<&str> = OWN.into_iter().filter(|name| self.has(name)).collect();
        unlike("calls_dimensions", &self.calls_dimensions, &kept)?;
        unlike("histogram::dimensions", &histogram.dimensions, &kept)?;
        if self.events.enabled {
            if self.events.dimensions.is_empty() {
                let error =
                    BuildError::at("events::dimensions", "events are told apart by nothing");
                return Err(error.remedy("name an attribute, as `- name: exception.type`"));
            }
            unlike("events::dimensions", &self.events.dimensions, &OWN)?;
        }
        Ok(())
    }

    /// Whether the metrics have one of their own attributes.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.exclude_dimensions.iter().any(|other| other == name)
    }

    /// The upper bounds of explicit buckets, in the histogram's unit.
    pub(super) fn bounds(&self) -> Result<Vec<f64>, BuildError> {
        const MILLISECONDS: [f64; 16] = [
            2.0, 4.0, 6.0, 8.0, 10.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1000.0, 1400.0, 2000.0,
            5000.0, 10_000.0, 15_000.0,
        ];
        let explicit = self.histogram.explicit.as_ref();
        let Some(buckets) = explicit.and_then(|explicit| explicit.buckets.as_ref()) else {
            let unit = self.histogram.unit.nanos() / 1e6;
            return Ok(MILLISECONDS.map(|bound| bound / unit).to_vec());
        };
        let nanos = buckets
            .iter()
            .map(|bound| std::time::Duration::from(*bound).as_nanos() as f64);
        let bounds: Vec<f64> = nanos
            .map(|nanos| nanos / self.histogram.unit.nanos())
            .collect();
        match bounds.windows(2).position(|pair| pair[0] >= pair[1]) {
            None => Ok(bounds),
            Some(at) => {
                let path = format!("histogram::explicit::buckets::{}", at + 1);
                let error = BuildError::at(path, "this bound is not above the one before");
                Err(error.remedy("write the bounds in rising order, each once"))
            }
        }
    }
}

/// Checks that dimensions differ from one another and from those that are there already.
fn unlike(path: &str, dimensions: &[Dimension], known: &[&str]) -> Result<(), BuildError> {
    let mut names: BTreeSet<&str> = known.iter().copied().collect();
    for (at, Dimension { name, .. }) in dimensions.iter().enumerate() {
        if name.is_empty() {
            let error = BuildError::at(format!("{path}::{at}::name"), "an attribute has no name");
            return Err(error.remedy("name it, as `http.route`"));
        }
        if !names.insert(name) {
            let message = format!("there is a dimension `{name}` already");
            return Err(
                BuildError::at(format!("{path}::{at}::name"), message).remedy("take it out")
            );
        }
    }
    Ok(())
}
