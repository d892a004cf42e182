//! The keys of `cardinality_limiter`.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_document::Duration;
use tidegate_pdata::Signals;

use super::CardinalityLimiter;
use super::group::{Limit, Part};

/// The most series that can be remembered.
const MOST: u32 = 1 << 24;

/// Caps how many series a metric, a service or a tenant has. Points of further series go into one with the attribute
/// `otel.metric.overflow: true`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is capped; a series must be within all limits. 2,000 series for each metric unless told.
    limits: Vec<LimitKeys>,
    /// How long a series counts after it was last seen; up to twice as long.
    window: Duration,
    /// Series that are remembered at a time, in all; others are beyond the limit. Each takes 16 bytes, set aside at
    /// the start.
    max_series: NonZeroU32,
}

/// One limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LimitKeys {
    /// What shares the limit: `metric` (the name of the metric), `service` (`service.name` of the resource),
    /// `resource.KEY` or `metadata.KEY` (a header of the request), or several together.
    per: Vec<String>,
    /// How many series it may have.
    series: NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        let series = NonZeroU32::new(2000).unwrap_or(NonZeroU32::MIN);
        Self {
            limits: vec![LimitKeys {
                per: vec!["metric".to_owned()],
                series,
            }],
            window: Duration::from_secs(3600),
            max_series: NonZeroU32::new(1 << 18).unwrap_or(NonZeroU32::MIN),
        }
    }
}

impl LimitKeys {
    fn limit(&self, at: usize) -> Result<Limit, BuildError> {
        let path = format!("limits::{at}::per");
        if self.per.is_empty() {
            return Err(BuildError::at(path, "nothing says what shares the limit")
                .remedy("write `per: [metric]`"));
        }
        let parts = self.per.iter().enumerate().map(|(part, name)| {
            Part::named(name).ok_or_else(|| {
                let message = format!("{name:?} is nothing that has series");
                BuildError::at(format!("{path}::{part}"), message)
                    .remedy("write metric, service, resource.KEY or metadata.KEY")
            })
        });
        Ok(Limit {
            name: self.per.join(","),
            parts: parts.collect::<Result<_, _>>()?,
            series: self.series.get(),
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "cardinality_limiter";
    const STABILITY: Stability = Stability::Alpha;
    const SIGNALS: Signals = Signals::METRICS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        if self.limits.is_empty() {
            return Err(BuildError::at("limits", "nothing is limited")
                .remedy("write a limit, or take the processor out"));
        }
        let limits = self.limits.iter().enumerate();
        let limits: Vec<Limit> = limits
            .map(|(at, limit)| limit.limit(at))
            .collect::<Result<_, _>>()?;
        let window: std::time::Duration = self.window.into();
        if window.is_zero() {
            return Err(
                BuildError::at("window", "no series would count").remedy("write for example `1h`")
            );
        }
        if self.max_series.get() > MOST {
            let message = format!("more than {MOST} series cannot be remembered");
            return Err(BuildError::at("max_series", message).remedy("write a smaller number"));
        }
        let most = self.max_series.get() as usize;
        Ok(Box::new(CardinalityLimiter::new(cx, limits, window, most)))
    }
}
