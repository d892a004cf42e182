//! What the views show, as the types that prost decodes into.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as trace;

use crate::testing::Request;
use crate::view::*;
use crate::{Payload, Signal};

fn text(text: Text<'_>) -> String {
    text.to_str().into_owned()
}

pub(crate) fn value(view: AnyValue<'_>) -> common::AnyValue {
    use common::any_value::Value;
    let value = match view {
        AnyValue::Empty => None,
        AnyValue::String(value) => Some(Value::StringValue(text(value))),
        AnyValue::Bool(value) => Some(Value::BoolValue(value)),
        AnyValue::Int(value) => Some(Value::IntValue(value)),
        AnyValue::Double(value) => Some(Value::DoubleValue(value)),
        AnyValue::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        AnyValue::Array(values) => Some(Value::ArrayValue(common::ArrayValue {
            values: values.map(value).collect(),
        })),
        AnyValue::KeyValues(entries) => Some(Value::KvlistValue(common::KeyValueList {
            values: attributes(entries),
        })),
    };
    common::AnyValue { value }
}

pub(crate) fn attribute((key, entry): (Text<'_>, AnyValue<'_>)) -> common::KeyValue {
    common::KeyValue {
        key: text(key),
        value: Some(value(entry)),
        ..Default::default()
    }
}

pub(crate) fn attributes(view: Attributes<'_>) -> Vec<common::KeyValue> {
    view.map(attribute).collect()
}

pub(crate) fn resource(view: Resource<'_>) -> resource::Resource {
    let fields = view.fields();
    resource::Resource {
        attributes: attributes(fields.attributes),
        dropped_attributes_count: fields.dropped_attributes_count,
        entity_refs: fields
            .entity_refs
            .map(|entity| common::EntityRef {
                schema_url: text(entity.schema_url()),
                r#type: text(entity.r#type()),
                id_keys: entity.id_keys().map(text).collect(),
                description_keys: entity.description_keys().map(text).collect(),
            })
            .collect(),
    }
}

pub(crate) fn scope(view: Scope<'_>) -> common::InstrumentationScope {
    let fields = view.fields();
    common::InstrumentationScope {
        name: text(fields.name),
        version: text(fields.version),
        attributes: attributes(fields.attributes),
        dropped_attributes_count: fields.dropped_attributes_count,
    }
}

fn event(view: SpanEvent<'_>) -> trace::span::Event {
    let fields = view.fields();
    trace::span::Event {
        time_unix_nano: fields.time_unix_nano,
        name: text(fields.name),
        attributes: attributes(fields.attributes),
        dropped_attributes_count: fields.dropped_attributes_count,
    }
}

fn link(view: SpanLink<'_>) -> trace::span::Link {
    let fields = view.fields();
    trace::span::Link {
        trace_id: fields.trace_id.to_vec(),
        span_id: fields.span_id.to_vec(),
        trace_state: text(fields.trace_state),
        attributes: attributes(fields.attributes),
        dropped_attributes_count: fields.dropped_attributes_count,
        flags: fields.flags,
    }
}

fn status(view: Status<'_>) -> trace::Status {
    trace::Status {
        message: text(view.message()),
        code: view.code(),
    }
}

pub(crate) fn span(view: Span<'_>) -> trace::Span {
    let fields = view.fields();
    trace::Span {
        trace_id: fields.trace_id.to_vec(),
        span_id: fields.span_id.to_vec(),
        trace_state: text(fields.trace_state),
        parent_span_id: fields.parent_span_id.to_vec(),
        flags: fields.flags,
        name: text(fields.name),
        kind: fields.kind,
        start_time_unix_nano: fields.start_time_unix_nano,
        end_time_unix_nano: fields.end_time_unix_nano,
        attributes: attributes(fields.attributes),
        dropped_attributes_count: fields.dropped_attributes_count,
        events: fields.events.map(event).collect(),
        dropped_events_count: fields.dropped_events_count,
        links: fields.links.map(link).collect(),
        dropped_links_count: fields.dropped_links_count,
        status: Some(status(fields.status.unwrap_or_default())),
    }
}

pub(crate) fn log_record(view: LogRecord<'_>) -> logs::LogRecord {
    let fields = view.fields();
    logs::LogRecord {
        time_unix_nano: fields.time_unix_nano,
        observed_time_unix_nano: fields.observed_time_unix_nano,
        severity_number: fields.severity_number,
        severity_text: text(fields.severity_text),
        body: fields.body.map(value),
        attributes: attributes(fields.attributes),
        dropped_attributes_count: fields.dropped_attributes_count,
        flags: fields.flags,
        trace_id: fields.trace_id.to_vec(),
        span_id: fields.span_id.to_vec(),
        event_name: text(fields.event_name),
    }
}

fn exemplar(view: Exemplar<'_>) -> metrics::Exemplar {
    use metrics::exemplar::Value;
    let fields = view.fields();
    metrics::Exemplar {
        filtered_attributes: attributes(fields.filtered_attributes),
        time_unix_nano: fields.time_unix_nano,
        span_id: fields.span_id.to_vec(),
        trace_id: fields.trace_id.to_vec(),
        value: fields.value.map(|number| match number {
            Number::Double(value) => Value::AsDouble(value),
            Number::Int(value) => Value::AsInt(value),
        }),
    }
}

pub(crate) fn number_point(view: NumberDataPoint<'_>) -> metrics::NumberDataPoint {
    use metrics::number_data_point::Value;
    let fields = view.fields();
    metrics::NumberDataPoint {
        attributes: attributes(fields.attributes),
        start_time_unix_nano: fields.start_time_unix_nano,
        time_unix_nano: fields.time_unix_nano,
        exemplars: fields.exemplars.map(exemplar).collect(),
        flags: fields.flags,
        value: fields.value.map(|number| match number {
            Number::Double(value) => Value::AsDouble(value),
            Number::Int(value) => Value::AsInt(value),
        }),
    }
}

pub(crate) fn histogram_point(view: HistogramDataPoint<'_>) -> metrics::HistogramDataPoint {
    let fields = view.fields();
    metrics::HistogramDataPoint {
        attributes: attributes(fields.attributes),
        start_time_unix_nano: fields.start_time_unix_nano,
        time_unix_nano: fields.time_unix_nano,
        count: fields.count,
        sum: fields.sum,
        bucket_counts: fields.bucket_counts.collect(),
        explicit_bounds: fields.explicit_bounds.collect(),
        exemplars: fields.exemplars.map(exemplar).collect(),
        flags: fields.flags,
        min: fields.min,
        max: fields.max,
    }
}

fn buckets(view: Buckets<'_>) -> metrics::exponential_histogram_data_point::Buckets {
    metrics::exponential_histogram_data_point::Buckets {
        offset: view.offset(),
        bucket_counts: view.bucket_counts().collect(),
    }
}

pub(crate) fn exponential_point(
    view: ExponentialHistogramDataPoint<'_>,
) -> metrics::ExponentialHistogramDataPoint {
    let fields = view.fields();
    metrics::ExponentialHistogramDataPoint {
        attributes: attributes(fields.attributes),
        start_time_unix_nano: fields.start_time_unix_nano,
        time_unix_nano: fields.time_unix_nano,
        count: fields.count,
        sum: fields.sum,
        scale: fields.scale,
        zero_count: fields.zero_count,
        positive: fields.positive.map(buckets),
        negative: fields.negative.map(buckets),
        flags: fields.flags,
        exemplars: fields.exemplars.map(exemplar).collect(),
        min: fields.min,
        max: fields.max,
        zero_threshold: fields.zero_threshold,
    }
}

pub(crate) fn summary_point(view: SummaryDataPoint<'_>) -> metrics::SummaryDataPoint {
    let fields = view.fields();
    metrics::SummaryDataPoint {
        attributes: attributes(fields.attributes),
        start_time_unix_nano: fields.start_time_unix_nano,
        time_unix_nano: fields.time_unix_nano,
        count: fields.count,
        sum: fields.sum,
        quantile_values: fields
            .quantile_values
            .map(|at| metrics::summary_data_point::ValueAtQuantile {
                quantile: at.quantile(),
                value: at.value(),
            })
            .collect(),
        flags: fields.flags,
    }
}

pub(crate) fn metric(view: Metric<'_>) -> metrics::Metric {
    use metrics::metric::Data;
    let fields = view.fields();
    let data = match fields.data {
        MetricData::Empty => None,
        MetricData::Gauge(gauge) => Some(Data::Gauge(metrics::Gauge {
            data_points: gauge.data_points().map(number_point).collect(),
        })),
        MetricData::Sum(sum) => Some(Data::Sum(metrics::Sum {
            data_points: sum.data_points().map(number_point).collect(),
            aggregation_temporality: sum.aggregation_temporality(),
            is_monotonic: sum.is_monotonic(),
        })),
        MetricData::Histogram(histogram) => Some(Data::Histogram(metrics::Histogram {
            data_points: histogram.data_points().map(histogram_point).collect(),
            aggregation_temporality: histogram.aggregation_temporality(),
        })),
        MetricData::ExponentialHistogram(histogram) => {
            Some(Data::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: histogram.data_points().map(exponential_point).collect(),
                aggregation_temporality: histogram.aggregation_temporality(),
            }))
        }
        MetricData::Summary(summary) => Some(Data::Summary(metrics::Summary {
            data_points: summary.data_points().map(summary_point).collect(),
        })),
    };
    metrics::Metric {
        name: text(fields.name),
        description: text(fields.description),
        unit: text(fields.unit),
        metadata: attributes(fields.metadata),
        data,
    }
}

/// The three requests have their groups alike, in types of their own.
macro_rules! request {
    ($payload:ident, $variant:ident, $request:ident, $module:ident, $groups:ident: $group:ident, $scopes:ident: $scope:ident, $records:ident: $record:ident) => {{
        let scopes = |records: ByScope<'_, _>| $module::$scope {
            scope: Some(scope(records.scope())),
            schema_url: text(records.schema_url()),
            $records: records.$records().map($record).collect(),
        };
        let groups = |group: ByResource<'_, _>| $module::$group {
            resource: Some(resource(group.resource())),
            schema_url: text(group.schema_url()),
            $scopes: group.scopes().map(scopes).collect(),
        };
        Request::$variant($request {
            $groups: $payload.$groups().map(groups).collect(),
        })
    }};
}

pub(crate) fn request(payload: &Payload) -> Request {
    match payload.signal() {
        Signal::Traces => {
            request!(payload, Traces, ExportTraceServiceRequest, trace, resource_spans: ResourceSpans, scope_spans: ScopeSpans, spans: span)
        }
        Signal::Metrics => {
            request!(payload, Metrics, ExportMetricsServiceRequest, metrics, resource_metrics: ResourceMetrics, scope_metrics: ScopeMetrics, metrics: metric)
        }
        Signal::Logs => {
            request!(payload, Logs, ExportLogsServiceRequest, logs, resource_logs: ResourceLogs, scope_logs: ScopeLogs, log_records: log_record)
        }
    }
}
