//! What the registry holds, as an OTLP request.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tidegate_component::metrics::{Family, Labels, Registry, Series};
use tidegate_config::telemetry::Temporality;

/// What the Prometheus endpoint says of the resource, which OTLP says by itself.
const TARGET_INFO: &str = "target_info";

/// What was sent of a series that is told by its differences.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sent {
    count: u64,
    buckets: Vec<u64>,
    sum: f64,
}

type Key = (String, Labels);

/// Makes requests of a registry, one after the other.
pub(super) struct Snapshots {
    resource: Resource,
    temporality: Temporality,
    born: u64,
    /// What the last request that arrived told, and when, for what is told by differences.
    sent: HashMap<Key, Sent>,
    since: u64,
}

/// A request, and what will have been sent once it has arrived.
pub(super) struct Snapshot {
    pub(super) request: ExportMetricsServiceRequest,
    sent: HashMap<Key, Sent>,
    at: u64,
}

impl Snapshots {
    pub(super) fn new<'a>(
        resource: impl IntoIterator<Item = (&'a String, &'a String)>,
        temporality: Temporality,
    ) -> Self {
        let born = now();
        Self {
            resource: Resource {
                attributes: attributes(resource),
                ..Resource::default()
            },
            temporality,
            born,
            sent: HashMap::new(),
            since: born,
        }
    }

    /// What the registry holds now.
    pub(super) fn take(&self, registry: &Registry) -> Snapshot {
        let mut snapshot = Snapshot {
            request: ExportMetricsServiceRequest::default(),
            sent: HashMap::new(),
            at: now(),
        };
        let families = registry.families();
        let told = families.iter().filter(|(name, _)| *name != TARGET_INFO);
        let metrics = told
            .filter_map(|(name, family)| self.metric(name, family, &mut snapshot))
            .collect();
        snapshot.request.resource_metrics = vec![ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "tidegate".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }];
        snapshot
    }

    /// Notes that a request has arrived: the next one tells what comes after it.
    pub(super) fn arrived(&mut self, snapshot: Snapshot) {
        self.sent = snapshot.sent;
        self.since = snapshot.at;
    }

    fn metric(&self, name: &str, family: &Family, snapshot: &mut Snapshot) -> Option<Metric> {
        let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
        let first = family.series.values().next()?;
        let delta = self.by_differences(first);
        let (start, at) = (if delta { self.since } else { self.born }, snapshot.at);
        let number = |labels, value: i64| NumberDataPoint {
            attributes: attributes(pairs(labels)),
            start_time_unix_nano: start,
            time_unix_nano: at,
            value: Some(Value::AsInt(value)),
            ..NumberDataPoint::default()
        };
        for (labels, series) in &family.series {
            let total = match series {
                Series::Counter(counter) => count(counter.value()),
                Series::CounterOf(reading) => count(reading.value()),
                Series::Histogram(histogram) => Sent {
                    count: 0,
                    buckets: histogram.buckets(),
                    sum: histogram.sum(),
                },
                Series::Gauge(gauge) => {
                    numbers.push(number(labels, gauge.value()));
                    continue;
                }
                Series::GaugeOf(reading) => {
                    numbers.push(number(labels, reading.value()));
                    continue;
                }
            };
            let told = match delta {
                true => self.since_then(name, labels, total, snapshot),
                false => total,
            };
            match series {
                Series::Histogram(histogram) => histograms.push(HistogramDataPoint {
                    attributes: attributes(pairs(labels)),
                    start_time_unix_nano: start,
                    time_unix_nano: at,
                    count: told.buckets.iter().sum(),
                    sum: Some(told.sum),
                    explicit_bounds: histogram.bounds().to_vec(),
                    bucket_counts: told.buckets,
                    ..HistogramDataPoint::default()
                }),
                _ => numbers.push(number(
                    labels,
                    i64::try_from(told.count).unwrap_or(i64::MAX),
                )),
            }
        }
        let temporality = match delta {
            true => AggregationTemporality::Delta,
            false => AggregationTemporality::Cumulative,
        };
        let data = match first {
            Series::Counter(_) | Series::CounterOf(_) => Data::Sum(Sum {
                data_points: numbers,
                aggregation_temporality: temporality.into(),
                is_monotonic: true,
            }),
            Series::Gauge(_) | Series::GaugeOf(_) => Data::Gauge(Gauge {
                data_points: numbers.into_iter().map(without_start).collect(),
            }),
            Series::Histogram(_) => Data::Histogram(Histogram {
                data_points: histograms,
                aggregation_temporality: temporality.into(),
            }),
        };
        Some(Metric {
            name: name.to_owned(),
            description: family.help.clone(),
            data: Some(data),
            ..Metric::default()
        })
    }

    /// OTLP's preferences: `delta` for all that only grows, `low_memory` for what is not read
    /// from elsewhere.
    fn by_differences(&self, series: &Series) -> bool {
        match (self.temporality, series) {
            (Temporality::Cumulative, _) | (_, Series::Gauge(_) | Series::GaugeOf(_)) => false,
            (Temporality::LowMemory, Series::CounterOf(_)) => false,
            (Temporality::Delta | Temporality::LowMemory, _) => true,
        }
    }

    /// What has come since the last request; a series that fell began anew.
    fn since_then(
        &self,
        name: &str,
        labels: &Labels,
        total: Sent,
        snapshot: &mut Snapshot,
    ) -> Sent {
        let key = (name.to_owned(), labels.clone());
        let told = match self.sent.get(&key) {
            Some(before) => total.less(before).unwrap_or_else(|| total.clone()),
            None => total.clone(),
        };
        snapshot.sent.insert(key, total);
        told
    }
}

impl Sent {
    fn less(&self, before: &Self) -> Option<Self> {
        if self.buckets.len() != before.buckets.len() {
            return None;
        }
        let pairs = self.buckets.iter().zip(&before.buckets);
        Some(Self {
            count: self.count.checked_sub(before.count)?,
            buckets: pairs
                .map(|(now, before)| now.checked_sub(*before))
                .collect::<Option<_>>()?,
            sum: self.sum - before.sum,
        })
    }
}

fn count(count: u64) -> Sent {
    Sent {
        count,
        ..Sent::default()
    }
}

fn without_start(mut point: NumberDataPoint) -> NumberDataPoint {
    point.start_time_unix_nano = 0;
    point
}

fn pairs(labels: &Labels) -> impl Iterator<Item = (&String, &String)> {
    labels.iter().map(|(name, value)| (name, value))
}

fn attributes<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<KeyValue> {
    let attribute = |(key, value): (&String, &String)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.clone())),
        }),
        ..KeyValue::default()
    };
    pairs.into_iter().map(attribute).collect()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(snapshot: &Snapshot, name: &str) -> Data {
        let metrics = &snapshot.request.resource_metrics[0].scope_metrics[0].metrics;
        let mut found = metrics.iter().filter(|metric| metric.name == name);
        found.next().unwrap().data.clone().unwrap()
    }

    fn sum(snapshot: &Snapshot, name: &str) -> (i64, u64) {
        let Data::Sum(sum) = points(snapshot, name) else {
            panic!("{name} is no sum");
        };
        let point = &sum.data_points[0];
        let Some(Value::AsInt(value)) = point.value else {
            panic!("{name} is no integer");
        };
        assert!(sum.is_monotonic && point.time_unix_nano >= point.start_time_unix_nano);
        (value, point.start_time_unix_nano)
    }

    #[test]
    fn families_become_sums_gauges_and_histograms() {
        let registry = Registry::default();
        registry
            .counter("sent", "Sent.", &[("exporter", "otlp")])
            .add(3);
        registry.gauge("size", "Size.", &[]).set(-2);
        registry.gauge(TARGET_INFO, "", &[]).set(1);
        let histogram = registry.histogram("took", "Took.", &[], &[1.0, 10.0]);
        for value in [0.5, 5.0, 50.0] {
            histogram.observe(value);
        }
        let resource = [("service.name".to_owned(), "edge".to_owned())];
        let resource = resource.iter().map(|(key, value)| (key, value));
        let snapshot = Snapshots::new(resource, Temporality::Cumulative).take(&registry);
        let sent = &snapshot.request.resource_metrics[0];
        let attributes = &sent.resource.as_ref().unwrap().attributes;
        assert_eq!(attributes[0].key, "service.name");
        assert_eq!(sent.scope_metrics[0].metrics.len(), 3);
        assert_eq!(sum(&snapshot, "sent").0, 3);
        let Data::Gauge(size) = points(&snapshot, "size") else {
            panic!("size is no gauge");
        };
        assert_eq!(size.data_points[0].value, Some(Value::AsInt(-2)));
        let Data::Histogram(took) = points(&snapshot, "took") else {
            panic!("took is no histogram");
        };
        let point = &took.data_points[0];
        assert_eq!((point.count, point.sum), (3, Some(55.5)));
        assert_eq!(point.bucket_counts, [1, 1, 1]);
        assert_eq!(point.explicit_bounds, [1.0, 10.0]);
    }

    #[test]
    fn differences_begin_where_the_last_request_that_arrived_ended() {
        let registry = Registry::default();
        let counter = registry.counter("sent", "", &[]);
        let mut snapshots = Snapshots::new([], Temporality::Delta);
        counter.add(3);
        let lost = snapshots.take(&registry);
        assert_eq!(sum(&lost, "sent"), (3, snapshots.born));
        counter.add(4);
        let second = snapshots.take(&registry);
        assert_eq!(sum(&second, "sent"), (7, snapshots.born));
        let at = second.at;
        snapshots.arrived(second);
        counter.add(1);
        assert_eq!(sum(&snapshots.take(&registry), "sent"), (1, at));
    }

    #[test]
    fn counter_that_began_anew_is_told_in_full() {
        let registry = Registry::default();
        registry.counter("sent", "", &[("exporter", "a")]).add(9);
        let mut snapshots = Snapshots::new([], Temporality::Delta);
        let first = snapshots.take(&registry);
        snapshots.arrived(first);
        registry.remove("exporter", "a");
        registry.counter("sent", "", &[("exporter", "a")]).add(2);
        assert_eq!(sum(&snapshots.take(&registry), "sent").0, 2);
    }

    #[test]
    fn totals_start_with_the_process() {
        let registry = Registry::default();
        registry.counter("sent", "", &[]).add(1);
        let mut snapshots = Snapshots::new([], Temporality::Cumulative);
        for _ in 0..2 {
            let snapshot = snapshots.take(&registry);
            assert_eq!(sum(&snapshot, "sent"), (1, snapshots.born));
            snapshots.arrived(snapshot);
        }
    }
}
