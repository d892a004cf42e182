//! Any request of spans or log records.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::Event, span::Link,
};

use super::Entropy;

pub(super) fn traces(entropy: &mut Entropy<'_>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: entropy.list(4, |entropy| ResourceSpans {
            resource: entropy.maybe(resource),
            scope_spans: entropy.list(3, |entropy| ScopeSpans {
                scope: entropy.maybe(scope),
                spans: entropy.list(6, span),
                schema_url: entropy.text(),
            }),
            schema_url: entropy.text(),
        }),
    }
}

pub(super) fn logs(entropy: &mut Entropy<'_>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: entropy.list(4, |entropy| ResourceLogs {
            resource: entropy.maybe(resource),
            scope_logs: entropy.list(3, |entropy| ScopeLogs {
                scope: entropy.maybe(scope),
                log_records: entropy.list(6, log_record),
                schema_url: entropy.text(),
            }),
            schema_url: entropy.text(),
        }),
    }
}

fn span(entropy: &mut Entropy<'_>) -> Span {
    Span {
        trace_id: entropy.id(16),
        span_id: entropy.id(8),
        trace_state: entropy.text(),
        parent_span_id: entropy.id(8),
        flags: entropy.integer() as u32,
        name: entropy.text(),
        kind: entropy.integer() as i32,
        start_time_unix_nano: entropy.integer(),
        end_time_unix_nano: entropy.integer(),
        attributes: attributes(entropy),
        dropped_attributes_count: entropy.integer() as u32,
        events: entropy.list(2, |entropy| Event {
            time_unix_nano: entropy.integer(),
            name: entropy.text(),
            attributes: attributes(entropy),
            dropped_attributes_count: entropy.integer() as u32,
        }),
        dropped_events_count: entropy.integer() as u32,
        links: entropy.list(2, |entropy| Link {
            trace_id: entropy.id(16),
            span_id: entropy.id(8),
            trace_state: entropy.text(),
            attributes: attributes(entropy),
            dropped_attributes_count: entropy.integer() as u32,
            flags: entropy.integer() as u32,
        }),
        dropped_links_count: entropy.integer() as u32,
        status: entropy.maybe(|entropy| Status {
            message: entropy.text(),
            code: entropy.integer() as i32,
        }),
    }
}

fn log_record(entropy: &mut Entropy<'_>) -> LogRecord {
    LogRecord {
        time_unix_nano: entropy.integer(),
        observed_time_unix_nano: entropy.integer(),
        severity_number: entropy.integer() as i32,
        severity_text: entropy.text(),
        body: entropy.maybe(|entropy| any_value(entropy, 0)),
        attributes: attributes(entropy),
        dropped_attributes_count: entropy.integer() as u32,
        flags: entropy.integer() as u32,
        trace_id: entropy.id(16),
        span_id: entropy.id(8),
        event_name: entropy.text(),
    }
}

pub(super) fn resource(entropy: &mut Entropy<'_>) -> Resource {
    Resource {
        attributes: attributes(entropy),
        dropped_attributes_count: entropy.integer() as u32,
        entity_refs: entropy.list(2, |entropy| EntityRef {
            schema_url: entropy.text(),
            r#type: entropy.text(),
            id_keys: entropy.list(2, Entropy::text),
            description_keys: entropy.list(2, Entropy::text),
        }),
    }
}

pub(super) fn scope(entropy: &mut Entropy<'_>) -> InstrumentationScope {
    InstrumentationScope {
        name: entropy.text(),
        version: entropy.text(),
        attributes: attributes(entropy),
        dropped_attributes_count: entropy.integer() as u32,
    }
}

pub(super) fn attributes(entropy: &mut Entropy<'_>) -> Vec<KeyValue> {
    entropy.list(5, |entropy| key_value(entropy, 0))
}

fn key_value(entropy: &mut Entropy<'_>, depth: usize) -> KeyValue {
    KeyValue {
        key: entropy.text(),
        value: entropy.maybe(|entropy| any_value(entropy, depth)),
        key_strindex: if entropy.chance(16) { 7 } else { 0 },
    }
}

fn any_value(entropy: &mut Entropy<'_>, depth: usize) -> AnyValue {
    let kinds = if depth < 5 { 10 } else { 7 };
    AnyValue {
        value: Some(match entropy.below(kinds) {
            0 => return AnyValue { value: None },
            1 => Value::BoolValue(entropy.chance(2)),
            2 => Value::IntValue(entropy.integer() as i64),
            3 => Value::DoubleValue(entropy.double()),
            4 => Value::BytesValue(entropy.list(20, Entropy::byte)),
            5 => Value::StringValueStrindex(entropy.integer() as i32),
            6 | 7 => Value::StringValue(entropy.text()),
            8 => Value::ArrayValue(ArrayValue {
                values: entropy.list(3, |entropy| any_value(entropy, depth + 1)),
            }),
            _ => Value::KvlistValue(KeyValueList {
                values: entropy.list(3, |entropy| key_value(entropy, depth + 1)),
            }),
        }),
    }
}
