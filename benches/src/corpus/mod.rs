//! The telemetry that the generator sends: requests encoded once, given fresh IDs and times as they go out.
//!
//! A [`Ring`] holds a number of encoded requests ("templates"), each with the places where an ID or a
//! timestamp stands. Stamping a template copies it and overwrites those places, so every request that is sent
//! without compression carries IDs of its own, at the cost of a `memcpy`. A compressed request cannot be
//! stamped: there the ring is larger and its requests repeat.

mod logs;
mod metrics;
mod record;
mod spans;
mod template;
mod values;

pub(crate) use template::{Stamper, Template};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use record::Record;
use values::Values;

/// How much one item tells about the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Entropy {
    /// Values from small sets, as the routes, hosts and statuses of real services are.
    #[default]
    Low,
    /// Values made of random characters, no two alike.
    High,
}

/// What a corpus is made of.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shape {
    /// Signal to send
    #[arg(long, value_enum, default_value_t = Signal::Traces)]
    pub(crate) signal: Signal,
    /// Items (spans, log records, data points) in each request
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) items_per_request: u32,
    /// Resources over which the items of a request are spread
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) resources: u32,
    /// How much the values repeat
    #[arg(long, value_enum, default_value_t = Entropy::Low)]
    pub(crate) entropy: Entropy,
    /// Consecutive spans that share a trace ID
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) spans_per_trace: u32,
    /// Distinct metric series; the requests of a ring hold each of them once
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) series: u32,
    /// Share of histograms among the metrics, in percent; gauges and sums halve the rest
    #[arg(long, default_value_t = 33, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) histogram_percent: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            signal: Signal::Traces,
            items_per_request: 100,
            resources: 5,
            entropy: Entropy::Low,
            spans_per_trace: 5,
            series: 1000,
            histogram_percent: 33,
        }
    }
}

/// The templates of a run, handed out in turn.
pub(crate) struct Ring {
    templates: Vec<Template>,
}

impl Ring {
    /// Encodes the templates of `shape`; at least `least` of them, and enough to hold every series.
    pub(crate) fn encode(shape: &Shape, least: u32) -> Ring {
        let count = match shape.signal {
            Signal::Metrics => shape.series.div_ceil(shape.items_per_request),
            Signal::Traces | Signal::Logs => least,
        };
        let mut values = Values::new(shape.entropy);
        let templates = (0..count.max(1))
            .map(|index| template(shape, index, &mut values))
            .collect();
        Ring { templates }
    }

    /// The template of the `n`th request of a run.
    pub(crate) fn at(&self, n: u64) -> &Template {
        &self.templates[(n % self.templates.len() as u64) as usize]
    }

    pub(crate) fn len(&self) -> u64 {
        self.templates.len() as u64
    }
}

fn template(shape: &Shape, index: u32, values: &mut Values) -> Template {
    let mut request = Record::default();
    let resources = shape.resources.min(shape.items_per_request);
    let mut first = 0;
    for resource in 0..resources {
        // The first resources take one more each where the items do not divide evenly.
        let end = u64::from(shape.items_per_request) * u64::from(resource + 1);
        let end = end.div_ceil(u64::from(resources)) as u32;
        let items = first..end;
        first = end;
        let records = match shape.signal {
            Signal::Traces => spans::scope_spans(shape, items, values),
            Signal::Logs => logs::scope_logs(items, values),
            Signal::Metrics => metrics::scope_metrics(shape, index, items, values),
        };
        let mut group = Record::default();
        group.nest(1, values.resource(resource));
        group.nest(2, records);
        request.nest(1, group);
    }
    Template::new(request, shape.items_per_request)
}

#[cfg(test)]
mod tests;
