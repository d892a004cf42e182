//! Requests of rows, and requests as they come back: what no reader of OTLP tells apart is alike.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::Event, span::Link,
};
use tidegate_pdata::testing::Request;

use crate::object_storage::parquet::rebuild::Row;
use crate::object_storage::parquet::{Table, logs, metrics, spans};

/// The request of one row.
pub(super) fn request(table: Table, row: &Row) -> Request {
    if let Some(bytes) = row.bytes("otlp") {
        return Request::decode(table.signal(), &bytes).unwrap();
    }
    let (resource, scope) = (Some(row.resource()), Some(row.scope()));
    let resource_schema = row.text("resource_schema_url");
    let scope_schema = row.text("scope_schema_url");
    match table {
        Table::Spans => Request::Traces(ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource,
                scope_spans: vec![ScopeSpans {
                    scope,
                    spans: vec![span(row)],
                    schema_url: scope_schema,
                }],
                schema_url: resource_schema,
            }],
        }),
        Table::Logs => Request::Logs(ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource,
                scope_logs: vec![ScopeLogs {
                    scope,
                    log_records: vec![log_record(row)],
                    schema_url: scope_schema,
                }],
                schema_url: resource_schema,
            }],
        }),
        _ => Request::Metrics(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource,
                scope_metrics: vec![ScopeMetrics {
                    scope,
                    metrics: vec![metric(table, row)],
                    schema_url: scope_schema,
                }],
                schema_url: resource_schema,
            }],
        }),
    }
}

fn span(row: &Row) -> Span {
    Span {
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        trace_state: row.text("trace_state"),
        parent_span_id: row.id("parent_span_id"),
        flags: row.uint32("flags"),
        name: row.text("name"),
        kind: row.number("kind", spans::KINDS),
        start_time_unix_nano: row.time("start_time"),
        end_time_unix_nano: row.time("end_time"),
        attributes: row.attributes("span_attribute"),
        dropped_attributes_count: row.uint32("dropped_attributes_count"),
        events: row.structs("events").iter().map(event).collect(),
        dropped_events_count: row.uint32("dropped_events_count"),
        links: row.structs("links").iter().map(link).collect(),
        dropped_links_count: row.uint32("dropped_links_count"),
        status: row.maybe_text("status_code").map(|_| Status {
            message: row.text("status_message"),
            code: row.number("status_code", spans::STATUS_CODES),
        }),
    }
}

fn event(row: &Row) -> Event {
    Event {
        time_unix_nano: row.time("time"),
        name: row.text("name"),
        attributes: row.attributes("attribute"),
        dropped_attributes_count: row.uint32("dropped_attributes_count"),
    }
}

fn link(row: &Row) -> Link {
    Link {
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        trace_state: row.text("trace_state"),
        attributes: row.attributes("attribute"),
        dropped_attributes_count: row.uint32("dropped_attributes_count"),
        flags: row.uint32("flags"),
    }
}

fn log_record(row: &Row) -> LogRecord {
    LogRecord {
        time_unix_nano: row.time("time"),
        observed_time_unix_nano: row.time("observed_time"),
        severity_number: row.number("severity", logs::SEVERITIES),
        severity_text: row.text("severity_text"),
        body: row.body(),
        attributes: row.attributes("log_attribute"),
        dropped_attributes_count: row.uint32("dropped_attributes_count"),
        flags: row.uint32("flags"),
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        event_name: row.text("event_name"),
    }
}

fn metric(table: Table, row: &Row) -> Metric {
    let temporality = || row.number("aggregation_temporality", metrics::TEMPORALITIES);
    let data = match table {
        Table::Gauge => Data::Gauge(Gauge {
            data_points: vec![number_point(row)],
        }),
        Table::Sum => Data::Sum(Sum {
            data_points: vec![number_point(row)],
            aggregation_temporality: temporality(),
            is_monotonic: row.bool("is_monotonic"),
        }),
        Table::Histogram => Data::Histogram(Histogram {
            data_points: vec![histogram_point(row)],
            aggregation_temporality: temporality(),
        }),
        Table::ExponentialHistogram => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential_point(row)],
            aggregation_temporality: temporality(),
        }),
        _ => Data::Summary(Summary {
            data_points: vec![summary_point(row)],
        }),
    };
    Metric {
        name: row.text("metric_name"),
        description: row.text("metric_description"),
        unit: row.text("metric_unit"),
        metadata: row.attributes("metric_metadata_attribute"),
        data: Some(data),
    }
}

fn number_point(row: &Row) -> NumberDataPoint {
    let value = match row.int64("int_value") {
        Some(value) => Some(number_data_point::Value::AsInt(value)),
        None => row.double("value").map(number_data_point::Value::AsDouble),
    };
    NumberDataPoint {
        attributes: row.attributes("metric_attribute"),
        start_time_unix_nano: row.time("start_time"),
        time_unix_nano: row.time("time"),
        exemplars: exemplars(row),
        flags: row.uint32("flags"),
        value,
    }
}

fn exemplars(row: &Row) -> Vec<Exemplar> {
    let exemplar = |row: &Row| Exemplar {
        filtered_attributes: row.attributes("filtered_attribute"),
        time_unix_nano: row.time("time"),
        span_id: row.id("span_id"),
        trace_id: row.id("trace_id"),
        value: match row.int64("int_value") {
            Some(value) => Some(exemplar::Value::AsInt(value)),
            None => row.double("value").map(exemplar::Value::AsDouble),
        },
    };
    row.structs("exemplars").iter().map(exemplar).collect()
}

fn histogram_point(row: &Row) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: row.attributes("metric_attribute"),
        start_time_unix_nano: row.time("start_time"),
        time_unix_nano: row.time("time"),
        count: row.uint64("count"),
        sum: row.double("sum"),
        bucket_counts: row.counts("bucket_counts").unwrap(),
        explicit_bounds: row.doubles("explicit_bounds"),
        exemplars: exemplars(row),
        flags: row.uint32("flags"),
        min: row.double("min"),
        max: row.double("max"),
    }
}

fn exponential_point(row: &Row) -> ExponentialHistogramDataPoint {
    let buckets = |sign: &str| {
        row.counts(&format!("{sign}_bucket_counts"))
            .map(|bucket_counts| Buckets {
                offset: row.maybe_int32(&format!("{sign}_offset")).unwrap(),
                bucket_counts,
            })
    };
    ExponentialHistogramDataPoint {
        attributes: row.attributes("metric_attribute"),
        start_time_unix_nano: row.time("start_time"),
        time_unix_nano: row.time("time"),
        count: row.uint64("count"),
        sum: row.double("sum"),
        scale: row.int32("scale"),
        zero_count: row.uint64("zero_count"),
        positive: buckets("positive"),
        negative: buckets("negative"),
        flags: row.uint32("flags"),
        exemplars: exemplars(row),
        min: row.double("min"),
        max: row.double("max"),
        zero_threshold: row.double("zero_threshold").unwrap(),
    }
}

fn summary_point(row: &Row) -> SummaryDataPoint {
    let quantile = |row: &Row| ValueAtQuantile {
        quantile: row.double("quantile").unwrap(),
        value: row.double("value").unwrap(),
    };
    SummaryDataPoint {
        attributes: row.attributes("metric_attribute"),
        start_time_unix_nano: row.time("start_time"),
        time_unix_nano: row.time("time"),
        count: row.uint64("count"),
        sum: row.double("sum").unwrap(),
        quantile_values: row.structs("quantiles").iter().map(quantile).collect(),
        flags: row.uint32("flags"),
    }
}

/// The request with absent resources and scopes as empty ones, empty values as absent ones, and
/// without the references into a dictionary that only profiles have.
pub(super) fn plain(mut request: Request) -> Request {
    match &mut request {
        Request::Traces(request) => {
            for resource in &mut request.resource_spans {
                plain_attributes(&mut resource.resource.get_or_insert_default().attributes);
                for scope in &mut resource.scope_spans {
                    plain_attributes(&mut scope.scope.get_or_insert_default().attributes);
                    scope.spans.iter_mut().for_each(plain_span);
                }
            }
        }
        Request::Logs(request) => {
            for resource in &mut request.resource_logs {
                plain_attributes(&mut resource.resource.get_or_insert_default().attributes);
                for scope in &mut resource.scope_logs {
                    plain_attributes(&mut scope.scope.get_or_insert_default().attributes);
                    for log in &mut scope.log_records {
                        plain_attributes(&mut log.attributes);
                        log.body.iter_mut().for_each(plain_value);
                    }
                }
            }
        }
        Request::Metrics(request) => {
            for resource in &mut request.resource_metrics {
                plain_attributes(&mut resource.resource.get_or_insert_default().attributes);
                for scope in &mut resource.scope_metrics {
                    plain_attributes(&mut scope.scope.get_or_insert_default().attributes);
                    scope.metrics.iter_mut().for_each(plain_metric);
                }
            }
        }
    }
    request
}

fn plain_span(span: &mut Span) {
    plain_attributes(&mut span.attributes);
    for event in &mut span.events {
        plain_attributes(&mut event.attributes);
    }
    for link in &mut span.links {
        plain_attributes(&mut link.attributes);
    }
}

fn plain_metric(metric: &mut Metric) {
    plain_attributes(&mut metric.metadata);
    macro_rules! points {
        ($data:expr) => {
            for point in &mut $data.data_points {
                plain_attributes(&mut point.attributes);
                for exemplar in &mut point.exemplars {
                    plain_attributes(&mut exemplar.filtered_attributes);
                }
            }
        };
    }
    match &mut metric.data {
        None => {}
        Some(Data::Gauge(data)) => points!(data),
        Some(Data::Sum(data)) => points!(data),
        Some(Data::Histogram(data)) => points!(data),
        Some(Data::ExponentialHistogram(data)) => points!(data),
        Some(Data::Summary(data)) => {
            for point in &mut data.data_points {
                plain_attributes(&mut point.attributes);
            }
        }
    }
}

fn plain_attributes(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        attribute.key_strindex = 0;
        attribute.value.iter_mut().for_each(plain_value);
        if attribute
            .value
            .as_ref()
            .is_some_and(|value| value.value.is_none())
        {
            attribute.value = None;
        }
    }
}

fn plain_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::StringValueStrindex(_)) => value.value = None,
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(plain_value),
        Some(Value::KvlistValue(map)) => plain_attributes(&mut map.values),
        _ => {}
    }
}
