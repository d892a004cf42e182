//! The keys of `cumulative_to_delta`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_document::Duration;
use tidegate_pdata::Signals;

use super::{CumulativeToDelta, Kind};
use crate::matching::{MatchType, RegexpOptions, Strings};

/// Turns cumulative monotonic sums, histograms and exponential histograms into deltas.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The metrics that are converted; all of them where this is left out.
    include: MatchMetrics,
    /// Of these the metrics that are not converted.
    exclude: MatchMetrics,
    /// How long a series is remembered after its last point; `0s` remembers for ever.
    max_staleness: Duration,
    /// What becomes of the first point of a series; `auto` unless told.
    initial_value: InitialValue,
    /// Series that are remembered at a time; points of others are lost. `0` sets no limit.
    max_streams: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            include: MatchMetrics::default(),
            exclude: MatchMetrics::default(),
            max_staleness: Duration::from_secs(3600),
            initial_value: InitialValue::default(),
            max_streams: 1_000_000,
        }
    }
}

/// What becomes of the first point of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum InitialValue {
    /// It passes where it says that it began to count after this process started, and is left out where it
    /// does not.
    #[default]
    Auto,
    /// It passes as it is.
    Keep,
    /// It is left out.
    Drop,
}

/// Metrics by name and kind; what is not given is not asked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MatchMetrics {
    /// Whether names are compared as they are (`strict`) or are regular expressions (`regexp`).
    match_type: Option<MatchType>,
    /// How the results of regular expressions are cached.
    #[schemars(extend("x-no-effect" = "patterns are matched in one pass without a cache; remove it"))]
    regexp: Option<RegexpOptions>,
    /// Names of metrics, or patterns; needs `match_type`.
    metrics: Vec<String>,
    /// Kinds of metrics: `sum`, `histogram`, `exponentialhistogram`.
    metric_types: Vec<String>,
}

/// Metrics by name and kind.
#[derive(Default)]
pub(super) struct Matcher {
    names: Option<Strings>,
    kinds: Vec<Kind>,
}

impl Matcher {
    fn new(of: &MatchMetrics, path: &str) -> Result<Self, BuildError> {
        match (of.metrics.is_empty(), of.match_type) {
            (false, None) => {
                return Err(BuildError::at(path, "`match_type` is missing")
                    .remedy("write `match_type: strict` or `match_type: regexp`"));
            }
            (true, Some(_)) => {
                let message = "there is nothing to match";
                return Err(BuildError::at(format!("{path}::match_type"), message)
                    .remedy("name metrics under `metrics`, or remove `match_type`"));
            }
            _ => {}
        }
        let kinds = of.metric_types.iter().enumerate().map(|(at, name)| {
            Kind::named(name).ok_or_else(|| {
                let message = format!("{name:?} is no kind of metric that is converted");
                BuildError::at(format!("{path}::metric_types::{at}"), message)
                    .remedy("write `sum`, `histogram` or `exponentialhistogram`")
            })
        });
        Ok(Self {
            kinds: kinds.collect::<Result<_, _>>()?,
            names: Strings::new(&of.metrics, of.match_type, &format!("{path}::metrics"))?,
        })
    }
}

/// Which metrics are converted.
#[derive(Default)]
pub(super) struct Selection {
    include: Matcher,
    exclude: Matcher,
}

impl Selection {
    /// Whether metrics of this name and kind are converted.
    pub(super) fn has(&self, name: &[u8], kind: Kind) -> bool {
        let Self { include, exclude } = self;
        (include.names.as_ref()).is_none_or(|names| names.matches(name))
            && (include.kinds.is_empty() || include.kinds.contains(&kind))
            && !(exclude.names.as_ref()).is_some_and(|names| names.matches(name))
            && !exclude.kinds.contains(&kind)
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "cumulative_to_delta";
    const STABILITY: Stability = Stability::Beta;
    const SIGNALS: Signals = Signals::METRICS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let selection = Selection {
            include: Matcher::new(&self.include, "include")?,
            exclude: Matcher::new(&self.exclude, "exclude")?,
        };
        Ok(Box::new(CumulativeToDelta::new(
            cx,
            selection,
            self.initial_value,
            (self.max_streams as usize, self.max_staleness.into()),
        )))
    }
}
