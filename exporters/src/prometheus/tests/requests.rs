//! Requests, briefly.

pub(super) use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
pub(super) use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// 2026-01-02T03:04:05.678901234Z.
pub(super) const TIME: u64 = 1_767_323_045_678_901_234;

pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    typed(key, Value::StringValue(value.to_owned()))
}

pub(super) fn typed(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(super) fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs
        .iter()
        .map(|(key, value)| attribute(key, value))
        .collect()
}

/// A request of one metric, from a resource and a scope without attributes.
pub(super) fn request(metric: Metric) -> Metrics {
    from(&[], metric)
}

/// A request of one metric from a resource.
pub(super) fn from(resource: &[(&str, &str)], metric: Metric) -> Metrics {
    from_scope(resource, InstrumentationScope::default(), metric)
}

pub(super) fn from_scope(
    resource: &[(&str, &str)],
    scope: InstrumentationScope,
    metric: Metric,
) -> Metrics {
    Metrics {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: attributes(resource),
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: format!("\"{name}\" is\\nice"),
        data: Some(data),
        ..Metric::default()
    }
}

/// Attributes, value and time.
pub(super) type Plain<'a> = (&'a [(&'a str, &'a str)], f64, u64);

fn number(&(labels, value, time): &Plain<'_>) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(labels),
        time_unix_nano: time,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

pub(super) fn gauge(name: &str, points: &[Plain<'_>]) -> Metric {
    gauge_of(name, points.iter().map(number).collect())
}

pub(super) fn gauge_of(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, Data::Gauge(Gauge { data_points }))
}

pub(super) fn sum(name: &str, temporality: i32, monotonic: bool, points: &[Plain<'_>]) -> Metric {
    sum_of(
        name,
        temporality,
        monotonic,
        points.iter().map(number).collect(),
    )
}

pub(super) fn sum_of(
    name: &str,
    aggregation_temporality: i32,
    is_monotonic: bool,
    data_points: Vec<NumberDataPoint>,
) -> Metric {
    let sum = Sum {
        data_points,
        aggregation_temporality,
        is_monotonic,
    };
    metric(name, Data::Sum(sum))
}

/// A whole number over a time.
pub(super) fn over(value: i64, start: u64, time: u64) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(Number::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

pub(super) fn histogram(name: &str, temporality: i32, points: Vec<HistogramDataPoint>) -> Metric {
    let histogram = Histogram {
        data_points: points,
        aggregation_temporality: temporality,
    };
    metric(name, Data::Histogram(histogram))
}

pub(super) fn summary(name: &str, points: Vec<SummaryDataPoint>) -> Metric {
    let summary = Summary {
        data_points: points,
    };
    metric(name, Data::Summary(summary))
}
