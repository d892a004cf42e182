//! The process's own metrics: handles that components keep and the registry that serves them.
//!
//! A handle is looked up once, when a component is built; using it is one atomic operation.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A count that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A value that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// A distribution over fixed bounds.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<HistogramCells>);

#[derive(Debug)]
struct HistogramCells {
    bounds: Box<[f64]>,
    /// One more than there are bounds: the last is everything above.
    buckets: Box<[AtomicU64]>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &[f64]) -> Self {
        Self(Arc::new(HistogramCells {
            bounds: bounds.into(),
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let cells = &*self.0;
        let bucket = cells.bounds.partition_point(|bound| *bound < value);
        cells.buckets[bucket].fetch_add(1, Relaxed);
        let _ = cells.sum.fetch_update(Relaxed, Relaxed, |bits| {
            Some((f64::from_bits(bits) + value).to_bits())
        });
    }

    /// The upper bounds, without the last, infinite one.
    #[must_use]
    pub fn bounds(&self) -> &[f64] {
        &self.0.bounds
    }

    /// Observations per bucket, not accumulated; one more than there are bounds.
    #[must_use]
    pub fn buckets(&self) -> Vec<u64> {
        self.0.buckets.iter().map(|b| b.load(Relaxed)).collect()
    }

    /// The sum of all observations.
    #[must_use]
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Relaxed))
    }
}

/// One time series of a family.
#[derive(Clone, Debug)]
pub enum Series {
    /// A count that only grows.
    Counter(Counter),
    /// A value that goes up and down.
    Gauge(Gauge),
    /// A distribution.
    Histogram(Histogram),
    /// A count that is kept elsewhere and read when it is served.
    CounterOf(Reading<u64>),
    /// A value that is kept elsewhere and read when it is served.
    GaugeOf(Reading<i64>),
}

/// Reads a value where it is kept.
#[derive(Clone)]
pub struct Reading<T>(Arc<dyn Fn() -> T + Send + Sync>);

impl<T> Reading<T> {
    /// The value now.
    #[must_use]
    pub fn value(&self) -> T {
        (self.0)()
    }
}

impl<T> std::fmt::Debug for Reading<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading")
    }
}

/// Label names and values, sorted by name.
pub type Labels = Vec<(String, String)>;

/// All series that carry one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// What it counts, as one sentence.
    pub help: String,
    /// Its series by their labels.
    pub series: BTreeMap<Labels, Series>,
}

/// Where series are made and read.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<String, Family>>>);

impl Registry {
    /// The series of this name and these labels; every caller shares it.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Counter {
        let made = || Series::Counter(Counter::default());
        match self.series(name, help, labels, made) {
            Series::Counter(counter) => counter,
            // A name that is taken by another kind is a mistake in our own code; its series
            // still counts, it is only not served.
            _ => Counter::default(),
        }
    }

    /// The gauge of this name and these labels; every caller shares it.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        match self.series(name, help, labels, || Series::Gauge(Gauge::default())) {
            Series::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram of this name and these labels, with these upper bounds, ascending.
    #[must_use]
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Histogram {
        let made = || Series::Histogram(Histogram::new(bounds));
        match self.series(name, help, labels, made) {
            Series::Histogram(histogram) => histogram,
            _ => Histogram::new(bounds),
        }
    }

    /// Serves a count that is kept elsewhere, in the place of an earlier one.
    pub fn counter_of(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.replace(
            name,
            help,
            labels,
            Series::CounterOf(Reading(Arc::new(read))),
        );
    }

    /// Serves a value that is kept elsewhere, in the place of an earlier one.
    pub fn gauge_of(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        self.replace(name, help, labels, Series::GaugeOf(Reading(Arc::new(read))));
    }

    /// A copy of all families by name; the handles in it are live.
    #[must_use]
    pub fn families(&self) -> BTreeMap<String, Family> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets every series with this label, as when a component goes.
    pub fn remove(&self, label: &str, value: &str) {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for family in families.values_mut() {
            family
                .series
                .retain(|labels, _| !labels.iter().any(|(n, v)| n == label && v == value));
        }
        families.retain(|_, family| !family.series.is_empty());
    }

    fn replace(&self, name: &str, help: &str, labels: &[(&str, &str)], series: Series) {
        self.slot(name, help, labels, |slot| match slot {
            Entry::Occupied(mut known) => _ = known.insert(series),
            Entry::Vacant(free) => _ = free.insert(series),
        });
    }

    fn series(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        made: impl FnOnce() -> Series,
    ) -> Series {
        self.slot(name, help, labels, |slot| slot.or_insert_with(made).clone())
    }

    fn slot<T>(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        visit: impl FnOnce(Entry<'_, Labels, Series>) -> T,
    ) -> T {
        let mut labels: Labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name.to_owned()).or_insert_with(|| Family {
            help: help.to_owned(),
            series: BTreeMap::new(),
        });
        visit(family.series.entry(labels))
    }
}

/// The registry as one component sees it: every series carries the component's own label.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    registry: Registry,
    labels: Vec<(String, String)>,
}

impl Metrics {
    /// A view of the registry that adds these labels to every series.
    #[must_use]
    pub fn new(registry: Registry, labels: &[(&str, &str)]) -> Self {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self { registry, labels }
    }

    /// A counter under the Collector's name for it, without `_total`.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Counter {
        self.registry.counter(name, help, &self.with_own(labels))
    }

    /// A gauge under the Collector's name for it.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        self.registry.gauge(name, help, &self.with_own(labels))
    }

    /// A histogram under the Collector's name for it, with these upper bounds, ascending.
    #[must_use]
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Histogram {
        self.registry
            .histogram(name, help, &self.with_own(labels), bounds)
    }

    /// Serves a count that is kept elsewhere, in the place of an earlier one.
    pub fn counter_of(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.registry
            .counter_of(name, help, &self.with_own(labels), read);
    }

    /// Serves a value that is kept elsewhere, in the place of an earlier one.
    pub fn gauge_of(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> i64 + Send + Sync + 'static,
    ) {
        self.registry
            .gauge_of(name, help, &self.with_own(labels), read);
    }

    /// The registry behind it.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    fn with_own<'a>(&'a self, labels: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        self.labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(labels.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_name_and_labels_share_one_series() {
        let registry = Registry::default();
        let metrics = Metrics::new(registry.clone(), &[("exporter", "otlp")]);
        metrics.counter("sent", "Sent items.", &[]).add(2);
        metrics.counter("sent", "Sent items.", &[]).add(3);
        let total = registry.counter("sent", "", &[("exporter", "otlp")]);
        assert_eq!(total.value(), 5);
    }

    #[test]
    fn histogram_counts_each_value_in_the_first_bucket_that_holds_it() {
        let histogram = Registry::default().histogram("size", "", &[], &[1.0, 10.0]);
        for value in [0.5, 1.0, 1.5, 10.0, 11.0] {
            histogram.observe(value);
        }
        assert_eq!(histogram.buckets(), [2, 2, 1]);
        assert!((histogram.sum() - 24.0).abs() < 1e-9);
    }

    #[test]
    fn removing_a_component_takes_its_series_away() {
        let registry = Registry::default();
        let _ = registry.counter("sent", "", &[("exporter", "a")]);
        let _ = registry.counter("sent", "", &[("exporter", "b")]);
        registry.remove("exporter", "a");
        assert_eq!(registry.families()["sent"].series.len(), 1);
    }
}
