//! Any request of data points.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};

use super::Entropy;
use super::arbitrary::{attributes, resource, scope};

pub(super) fn metrics(entropy: &mut Entropy<'_>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: entropy.list(3, |entropy| ResourceMetrics {
            resource: entropy.maybe(resource),
            scope_metrics: entropy.list(3, |entropy| ScopeMetrics {
                scope: entropy.maybe(scope),
                metrics: entropy.list(4, metric),
                schema_url: entropy.text(),
            }),
            schema_url: entropy.text(),
        }),
    }
}

fn metric(entropy: &mut Entropy<'_>) -> Metric {
    Metric {
        name: entropy.text(),
        description: entropy.text(),
        unit: entropy.text(),
        metadata: attributes(entropy),
        data: data(entropy),
    }
}

fn data(entropy: &mut Entropy<'_>) -> Option<Data> {
    Some(match entropy.below(6) {
        0 => return None,
        1 => Data::Gauge(Gauge {
            data_points: entropy.list(5, number_point),
        }),
        2 => Data::Sum(Sum {
            data_points: entropy.list(5, number_point),
            aggregation_temporality: entropy.integer() as i32,
            is_monotonic: entropy.chance(2),
        }),
        3 => Data::Histogram(Histogram {
            data_points: entropy.list(4, histogram_point),
            aggregation_temporality: entropy.integer() as i32,
        }),
        4 => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: entropy.list(4, exponential_point),
            aggregation_temporality: entropy.integer() as i32,
        }),
        _ => Data::Summary(Summary {
            data_points: entropy.list(4, summary_point),
        }),
    })
}

fn number_point(entropy: &mut Entropy<'_>) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(entropy),
        start_time_unix_nano: entropy.integer(),
        time_unix_nano: entropy.integer(),
        exemplars: exemplars(entropy),
        flags: entropy.integer() as u32,
        value: entropy.maybe(|entropy| match entropy.below(2) {
            0 => number_data_point::Value::AsInt(entropy.integer() as i64),
            _ => number_data_point::Value::AsDouble(entropy.double()),
        }),
    }
}

fn histogram_point(entropy: &mut Entropy<'_>) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(entropy),
        start_time_unix_nano: entropy.integer(),
        time_unix_nano: entropy.integer(),
        count: entropy.integer(),
        sum: entropy.maybe(Entropy::double),
        bucket_counts: entropy.list(20, Entropy::integer),
        explicit_bounds: entropy.list(20, Entropy::double),
        exemplars: exemplars(entropy),
        flags: entropy.integer() as u32,
        min: entropy.maybe(Entropy::double),
        max: entropy.maybe(Entropy::double),
    }
}

fn exponential_point(entropy: &mut Entropy<'_>) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        attributes: attributes(entropy),
        start_time_unix_nano: entropy.integer(),
        time_unix_nano: entropy.integer(),
        count: entropy.integer(),
        sum: entropy.maybe(Entropy::double),
        scale: entropy.integer() as i32,
        zero_count: entropy.integer(),
        positive: entropy.maybe(buckets),
        negative: entropy.maybe(buckets),
        flags: entropy.integer() as u32,
        exemplars: exemplars(entropy),
        min: entropy.maybe(Entropy::double),
        max: entropy.maybe(Entropy::double),
        zero_threshold: entropy.double(),
    }
}

fn buckets(entropy: &mut Entropy<'_>) -> Buckets {
    Buckets {
        offset: entropy.integer() as i32,
        bucket_counts: entropy.list(20, Entropy::integer),
    }
}

fn summary_point(entropy: &mut Entropy<'_>) -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: attributes(entropy),
        start_time_unix_nano: entropy.integer(),
        time_unix_nano: entropy.integer(),
        count: entropy.integer(),
        sum: entropy.double(),
        quantile_values: entropy.list(4, |entropy| ValueAtQuantile {
            quantile: entropy.double(),
            value: entropy.double(),
        }),
        flags: entropy.integer() as u32,
    }
}

fn exemplars(entropy: &mut Entropy<'_>) -> Vec<Exemplar> {
    entropy.list(2, |entropy| Exemplar {
        filtered_attributes: attributes(entropy),
        time_unix_nano: entropy.integer(),
        span_id: entropy.id(8),
        trace_id: entropy.id(16),
        value: entropy.maybe(|entropy| match entropy.below(2) {
            0 => exemplar::Value::AsInt(entropy.integer() as i64),
            _ => exemplar::Value::AsDouble(entropy.double()),
        }),
    })
}
