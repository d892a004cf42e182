//! Which metric a series belongs to, and as what of it.

use std::borrow::Cow;
use std::collections::HashMap;

use tidegate_pdata::compose::{Kind, Temporality};

use crate::prometheus::exposition::{Text, Type};

/// What a page says of its metrics.
#[derive(Debug, Default)]
pub(super) struct Metadata<'p> {
    known: HashMap<Cow<'p, str>, About<'p>, foldhash::fast::RandomState>,
}

/// What a page says of one metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About<'p> {
    pub(super) kind: Type,
    pub(super) help: Option<Text<'p>>,
    pub(super) unit: Option<Text<'p>>,
}

impl<'p> Metadata<'p> {
    pub(super) fn about(&mut self, name: Text<'p>) -> &mut About<'p> {
        self.known.entry(name.to_cow()).or_default()
    }

    pub(super) fn get(&self, name: &str) -> Option<&About<'p>> {
        self.known.get(name)
    }

    /// The metric of a series.
    pub(super) fn resolve<'n>(&self, name: &'n str) -> Belongs<'n> {
        if let Some(about) = self.get(name) {
            return Belongs::new(about.kind, name, name, name.into());
        }
        let stem = stem(name);
        match self.get(stem) {
            Some(about) if stem != name => {
                let metric = match (about.kind, name.strip_suffix("_created")) {
                    // The start of the counter whose value has the suffix `_total`.
                    (Type::Counter, Some(stem)) => format!("{stem}_total").into(),
                    (Type::Counter, None) => name.into(),
                    _ => stem.into(),
                };
                Belongs::new(about.kind, name, stem, metric)
            }
            _ => Belongs::new(Type::Unknown, name, name, name.into()),
        }
    }
}

/// A name without the suffix that tells parts of a metric from each other.
fn stem(name: &str) -> &str {
    const SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];
    let stem = SUFFIXES.iter().find_map(|end| name.strip_suffix(end));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// What a series is of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The value.
    Value,
    /// The sum of a histogram or summary.
    Sum,
    /// The count of one.
    Count,
    /// The time of the start.
    Created,
    /// A bucket or a quantile.
    Bound,
}

/// A metric and what a series is of it.
#[derive(Clone, Debug)]
pub(super) struct Belongs<'n> {
    /// The metric's name.
    pub(super) metric: Cow<'n, str>,
    /// The name under which the page tells about it.
    pub(super) about: &'n str,
    pub(super) kind: Type,
    pub(super) role: Role,
}

impl<'n> Belongs<'n> {
    fn new(kind: Type, name: &'n str, about: &'n str, metric: Cow<'n, str>) -> Self {
        let created = || name.strip_suffix("_created") == Some(about);
        let role = match kind {
            Type::Histogram | Type::Summary if name.ends_with("_sum") => Role::Sum,
            Type::Histogram | Type::Summary if name.ends_with("_count") => Role::Count,
            Type::Histogram | Type::Summary | Type::Counter | Type::Info | Type::StateSet
                if created() =>
            {
                Role::Created
            }
            Type::Histogram | Type::Summary => Role::Bound,
            _ => Role::Value,
        };
        Self {
            metric,
            about,
            kind,
            role,
        }
    }
}

/// The kind of points that a metric has.
pub(super) const fn points(kind: Type, native: bool) -> Kind {
    match kind {
        Type::Counter => Kind::COUNTER,
        Type::Info | Type::StateSet => Kind::UP_DOWN_COUNTER,
        Type::Histogram if native => Kind::ExponentialHistogram(Temporality::Cumulative),
        Type::Histogram => Kind::Histogram(Temporality::Cumulative),
        Type::Summary => Kind::Summary,
        Type::Gauge | Type::Unknown | Type::GaugeHistogram => Kind::Gauge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_belong_to_the_metrics_of_the_original() {
        let mut metadata = Metadata::default();
        for (name, kind) in [
            ("requests", Type::Counter),
            ("sold_total", Type::Counter),
            ("latency", Type::Histogram),
            ("size", Type::Summary),
            ("build", Type::Info),
            ("state", Type::StateSet),
            ("heat", Type::Gauge),
        ] {
            metadata.about(Text::plain(name)).kind = kind;
        }
        for (series, metric, kind, role) in [
            (
                "requests_total",
                "requests_total",
                Type::Counter,
                Role::Value,
            ),
            (
                "requests_created",
                "requests_total",
                Type::Counter,
                Role::Created,
            ),
            ("sold_total", "sold_total", Type::Counter, Role::Value),
            ("sold_created", "sold_created", Type::Unknown, Role::Value),
            ("latency_bucket", "latency", Type::Histogram, Role::Bound),
            ("latency_sum", "latency", Type::Histogram, Role::Sum),
            ("latency_count", "latency", Type::Histogram, Role::Count),
            ("latency_created", "latency", Type::Histogram, Role::Created),
            ("size", "size", Type::Summary, Role::Bound),
            ("build_info", "build", Type::Info, Role::Value),
            ("state", "state", Type::StateSet, Role::Value),
            ("heat", "heat", Type::Gauge, Role::Value),
            ("heat_count", "heat", Type::Gauge, Role::Value),
            ("nobody_sum", "nobody_sum", Type::Unknown, Role::Value),
            ("_sum", "_sum", Type::Unknown, Role::Value),
        ] {
            let found = metadata.resolve(series);
            let found = (&*found.metric, found.kind, found.role);
            assert_eq!(found, (metric, kind, role), "{series}");
        }
    }
}
