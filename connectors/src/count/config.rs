//! The keys of `count`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_ottl::{Condition, Context, build_error};
use tidegate_pdata::Signal;
use tidegate_pdata::compose::{Fields, Value};

use super::counter::{Attribute, Counter};

/// Counts spans, span events, metrics, data points and log records, each of them in metrics of its own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Metrics that count spans, by name; `trace.span.count` unless told.
    spans: Option<BTreeMap<String, Metric>>,
    /// Metrics that count what happened during spans; `trace.span.event.count` unless told.
    spanevents: Option<BTreeMap<String, Metric>>,
    /// Metrics that count metrics; `metric.count` unless told.
    metrics: Option<BTreeMap<String, Metric>>,
    /// Metrics that count data points; `metric.datapoint.count` unless told.
    datapoints: Option<BTreeMap<String, Metric>>,
    /// Metrics that count log records; `log.record.count` unless told.
    logs: Option<BTreeMap<String, Metric>>,
}

/// A metric that counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Metric {
    /// What it says of itself.
    description: String,
    /// Conditions; what satisfies any of them is counted, and everything where there is none.
    conditions: Vec<String>,
    /// Attributes of records, or else of their scopes or resources, by which it counts apart. What lacks one is not
    /// counted. Metrics have none.
    attributes: Vec<AttributeConfig>,
}

/// An attribute by which is counted apart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AttributeConfig {
    /// Its name.
    key: String,
    /// What holds for records without it.
    default_value: Option<Fallback>,
}

/// A value that is written down.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Fallback {
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A text; an empty one is none.
    Text(String),
}

impl Fallback {
    /// Its `AnyValue` message.
    fn encoded(&self) -> Option<Box<[u8]>> {
        let value = match self {
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Text(text) if text.is_empty() => return None,
            Self::Text(text) => Value::Str(text),
        };
        let mut out = Fields::new();
        out.any(value);
        Some(out.bytes().into())
    }
}

/// What of a signal is counted, and how that is called where nothing is told.
type Counted<'c> = (
    &'static str,
    Context,
    &'c Option<BTreeMap<String, Metric>>,
    [&'static str; 2],
);

impl Config {
    fn counted(&self, signal: Signal) -> Vec<Counted<'_>> {
        match signal {
            Signal::Traces => vec![
                (
                    "spans",
                    Context::Span,
                    &self.spans,
                    ["trace.span.count", "The number of spans observed."],
                ),
                (
                    "spanevents",
                    Context::SpanEvent,
                    &self.spanevents,
                    [
                        "trace.span.event.count",
                        "The number of span events observed.",
                    ],
                ),
            ],
            Signal::Metrics => vec![
                (
                    "metrics",
                    Context::Metric,
                    &self.metrics,
                    ["metric.count", "The number of metrics observed."],
                ),
                (
                    "datapoints",
                    Context::DataPoint,
                    &self.datapoints,
                    [
                        "metric.datapoint.count",
                        "The number of data points observed.",
                    ],
                ),
            ],
            Signal::Logs => {
                vec![(
                    "logs",
                    Context::Log,
                    &self.logs,
                    ["log.record.count", "The number of log records observed."],
                )]
            }
        }
    }

    /// The counters of a signal; those of others are checked too.
    pub(super) fn counters(&self, own: Signal) -> Result<Vec<Counter>, BuildError> {
        let mut counters = Vec::new();
        for signal in Signal::ALL {
            let mut its = Vec::new();
            for (key, context, told, [name, description]) in self.counted(signal) {
                match told {
                    Some(metrics) => {
                        for (name, metric) in metrics {
                            its.push(metric.counter(name, context, key)?);
                        }
                    }
                    None => its.push(Counter::new(context, name, description)),
                }
            }
            if signal == own {
                counters = its;
            }
        }
        Ok(counters)
    }
}

impl Metric {
    fn counter(&self, name: &str, context: Context, key: &str) -> Result<Counter, BuildError> {
        let path = format!("{key}::{name}");
        if name.is_empty() {
            return Err(
                BuildError::at(key, "a metric has no name").remedy("name it, as `my.count`")
            );
        }
        if context == Context::Metric && !self.attributes.is_empty() {
            let error = BuildError::at(format!("{path}::attributes"), "metrics have no attributes");
            return Err(error.remedy("count data points by their attributes, under `datapoints`"));
        }
        let mut counter = Counter::new(context, name, &self.description);
        for (at, text) in self.conditions.iter().enumerate() {
            let condition = Condition::compile(text, context)
                .map_err(|error| build_error(&format!("{path}::conditions::{at}"), &error))?;
            counter.conditions.push(condition);
        }
        for (at, AttributeConfig { key, default_value }) in self.attributes.iter().enumerate() {
            let path = format!("{path}::attributes::{at}::key");
            if key.is_empty() {
                return Err(
                    BuildError::at(path, "an attribute has no name").remedy("name it, as `env`")
                );
            }
            if counter.attributes.iter().any(|known| *known.key == **key) {
                return Err(
                    BuildError::at(path, format!("`{key}` is there already")).remedy("take it out")
                );
            }
            counter.attributes.push(Attribute {
                key: key.as_str().into(),
                default: default_value.as_ref().and_then(Fallback::encoded),
            });
        }
        Ok(counter)
    }
}
