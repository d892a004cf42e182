//! The tables, message by message.

use super::{FieldType, Kind, Label, Message};

const fn field(number: u32, name: &'static str, kind: Kind, label: Label) -> FieldType {
    FieldType {
        number,
        name,
        kind,
        label,
    }
}

const fn varint(number: u32, name: &'static str) -> FieldType {
    field(number, name, Kind::Varint, Label::Singular)
}

const fn fixed32(number: u32, name: &'static str) -> FieldType {
    field(number, name, Kind::Fixed32, Label::Singular)
}

const fn fixed64(number: u32, name: &'static str) -> FieldType {
    field(number, name, Kind::Fixed64, Label::Singular)
}

const fn bytes(number: u32, name: &'static str) -> FieldType {
    field(number, name, Kind::Bytes, Label::Singular)
}

const fn message(number: u32, name: &'static str, of: &'static Message) -> FieldType {
    field(number, name, Kind::Message(of), Label::Singular)
}

const fn repeated(number: u32, name: &'static str, of: &'static Message) -> FieldType {
    field(number, name, Kind::Message(of), Label::Repeated)
}

const fn container(number: u32, name: &'static str, of: &'static Message) -> FieldType {
    field(number, name, Kind::Message(of), Label::Container)
}

const fn item(number: u32, name: &'static str, of: &'static Message) -> FieldType {
    field(number, name, Kind::Message(of), Label::Item)
}

const fn attributes(number: u32) -> FieldType {
    attribute_list(number, "attributes")
}

const fn attribute_list(number: u32, name: &'static str) -> FieldType {
    field(number, name, Kind::Attribute, Label::Repeated)
}

const fn one(number: u32, name: &'static str, kind: Kind) -> FieldType {
    field(number, name, kind, Label::OneOf)
}

const fn data(number: u32, name: &'static str, of: &'static Message) -> FieldType {
    field(number, name, Kind::Message(of), Label::OneOfContainer)
}

// Traces.

pub(super) static TRACES: Message = Message::of(&[container(1, "resource_spans", &RESOURCE_SPANS)]);

static RESOURCE_SPANS: Message = Message::of(&[
    field(1, "resource", Kind::Message(&RESOURCE), Label::First),
    container(2, "scope_spans", &SCOPE_SPANS),
    bytes(3, "schema_url"),
]);

static SCOPE_SPANS: Message = Message::of(&[
    field(1, "scope", Kind::Message(&SCOPE), Label::First),
    item(2, "spans", &SPAN),
    bytes(3, "schema_url"),
]);

static SPAN: Message = Message::of(&[
    bytes(1, "trace_id"),
    bytes(2, "span_id"),
    bytes(3, "trace_state"),
    bytes(4, "parent_span_id"),
    bytes(5, "name"),
    varint(6, "kind"),
    fixed64(7, "start_time_unix_nano"),
    fixed64(8, "end_time_unix_nano"),
    attributes(9),
    varint(10, "dropped_attributes_count"),
    repeated(11, "events", &EVENT),
    varint(12, "dropped_events_count"),
    repeated(13, "links", &LINK),
    varint(14, "dropped_links_count"),
    message(15, "status", &STATUS),
    fixed32(16, "flags"),
]);

static EVENT: Message = Message::of(&[
    fixed64(1, "time_unix_nano"),
    bytes(2, "name"),
    attributes(3),
    varint(4, "dropped_attributes_count"),
]);

static LINK: Message = Message::of(&[
    bytes(1, "trace_id"),
    bytes(2, "span_id"),
    bytes(3, "trace_state"),
    attributes(4),
    varint(5, "dropped_attributes_count"),
    fixed32(6, "flags"),
]);

static STATUS: Message = Message::of(&[bytes(2, "message"), varint(3, "code")]);

// Logs.

pub(super) static LOGS: Message = Message::of(&[container(1, "resource_logs", &RESOURCE_LOGS)]);

static RESOURCE_LOGS: Message = Message::of(&[
    field(1, "resource", Kind::Message(&RESOURCE), Label::First),
    container(2, "scope_logs", &SCOPE_LOGS),
    bytes(3, "schema_url"),
]);

static SCOPE_LOGS: Message = Message::of(&[
    field(1, "scope", Kind::Message(&SCOPE), Label::First),
    item(2, "log_records", &LOG_RECORD),
    bytes(3, "schema_url"),
]);

static LOG_RECORD: Message = Message::of(&[
    fixed64(1, "time_unix_nano"),
    varint(2, "severity_number"),
    bytes(3, "severity_text"),
    message(5, "body", &ANY_VALUE),
    attributes(6),
    varint(7, "dropped_attributes_count"),
    fixed32(8, "flags"),
    bytes(9, "trace_id"),
    bytes(10, "span_id"),
    fixed64(11, "observed_time_unix_nano"),
    bytes(12, "event_name"),
]);

// Metrics.

pub(super) static METRICS: Message =
    Message::of(&[container(1, "resource_metrics", &RESOURCE_METRICS)]);

static RESOURCE_METRICS: Message = Message::of(&[
    field(1, "resource", Kind::Message(&RESOURCE), Label::First),
    container(2, "scope_metrics", &SCOPE_METRICS),
    bytes(3, "schema_url"),
]);

static SCOPE_METRICS: Message = Message::of(&[
    field(1, "scope", Kind::Message(&SCOPE), Label::First),
    container(2, "metrics", &METRIC),
    bytes(3, "schema_url"),
]);

static METRIC: Message = Message::of(&[
    field(1, "name", Kind::Bytes, Label::First),
    field(2, "description", Kind::Bytes, Label::First),
    field(3, "unit", Kind::Bytes, Label::First),
    data(5, "gauge", &GAUGE),
    data(7, "sum", &SUM),
    data(9, "histogram", &HISTOGRAM),
    data(10, "exponential_histogram", &EXPONENTIAL_HISTOGRAM),
    data(11, "summary", &SUMMARY),
    attribute_list(12, "metadata"),
]);

static GAUGE: Message = Message::of(&[item(1, "data_points", &NUMBER_POINT)]);

static SUM: Message = Message::of(&[
    item(1, "data_points", &NUMBER_POINT),
    varint(2, "aggregation_temporality"),
    varint(3, "is_monotonic"),
]);

static HISTOGRAM: Message = Message::of(&[
    item(1, "data_points", &HISTOGRAM_POINT),
    varint(2, "aggregation_temporality"),
]);

static EXPONENTIAL_HISTOGRAM: Message = Message::of(&[
    item(1, "data_points", &EXPONENTIAL_POINT),
    varint(2, "aggregation_temporality"),
]);

static SUMMARY: Message = Message::of(&[item(1, "data_points", &SUMMARY_POINT)]);

static NUMBER_POINT: Message = Message::of(&[
    fixed64(2, "start_time_unix_nano"),
    fixed64(3, "time_unix_nano"),
    one(4, "as_double", Kind::Fixed64),
    repeated(5, "exemplars", &EXEMPLAR),
    one(6, "as_int", Kind::Fixed64),
    attributes(7),
    varint(8, "flags"),
]);

static HISTOGRAM_POINT: Message = Message::of(&[
    fixed64(2, "start_time_unix_nano"),
    fixed64(3, "time_unix_nano"),
    fixed64(4, "count"),
    fixed64(5, "sum"),
    field(6, "bucket_counts", Kind::PackedFixed64, Label::Singular),
    field(7, "explicit_bounds", Kind::PackedFixed64, Label::Singular),
    repeated(8, "exemplars", &EXEMPLAR),
    attributes(9),
    varint(10, "flags"),
    fixed64(11, "min"),
    fixed64(12, "max"),
]);

static EXPONENTIAL_POINT: Message = Message::of(&[
    attributes(1),
    fixed64(2, "start_time_unix_nano"),
    fixed64(3, "time_unix_nano"),
    fixed64(4, "count"),
    fixed64(5, "sum"),
    varint(6, "scale"),
    fixed64(7, "zero_count"),
    message(8, "positive", &BUCKETS),
    message(9, "negative", &BUCKETS),
    varint(10, "flags"),
    repeated(11, "exemplars", &EXEMPLAR),
    fixed64(12, "min"),
    fixed64(13, "max"),
    fixed64(14, "zero_threshold"),
]);

static BUCKETS: Message = Message::of(&[
    varint(1, "offset"),
    field(2, "bucket_counts", Kind::PackedVarint, Label::Singular),
]);

static SUMMARY_POINT: Message = Message::of(&[
    fixed64(2, "start_time_unix_nano"),
    fixed64(3, "time_unix_nano"),
    fixed64(4, "count"),
    fixed64(5, "sum"),
    repeated(6, "quantile_values", &QUANTILE),
    attributes(7),
    varint(8, "flags"),
]);

static QUANTILE: Message = Message::of(&[fixed64(1, "quantile"), fixed64(2, "value")]);

static EXEMPLAR: Message = Message::of(&[
    fixed64(2, "time_unix_nano"),
    one(3, "as_double", Kind::Fixed64),
    bytes(4, "span_id"),
    bytes(5, "trace_id"),
    one(6, "as_int", Kind::Fixed64),
    attribute_list(7, "filtered_attributes"),
]);

// Shared by all.

static RESOURCE: Message = Message::of(&[
    attributes(1),
    varint(2, "dropped_attributes_count"),
    repeated(3, "entity_refs", &ENTITY_REF),
]);

static ENTITY_REF: Message = Message::of(&[
    bytes(1, "schema_url"),
    bytes(2, "type"),
    field(3, "id_keys", Kind::Bytes, Label::Repeated),
    field(4, "description_keys", Kind::Bytes, Label::Repeated),
]);

static SCOPE: Message = Message::of(&[
    bytes(1, "name"),
    bytes(2, "version"),
    attributes(3),
    varint(4, "dropped_attributes_count"),
]);

pub(crate) static KEY_VALUE: Message = Message::of(&[
    field(1, "key", Kind::Bytes, Label::First),
    message(2, "value", &ANY_VALUE),
    varint(3, "key_strindex"),
]);

static ANY_VALUE: Message = Message::of(&[
    one(1, "string_value", Kind::Bytes),
    one(2, "bool_value", Kind::Varint),
    one(3, "int_value", Kind::Varint),
    one(4, "double_value", Kind::Fixed64),
    one(5, "array_value", Kind::Message(&ARRAY)),
    one(6, "kvlist_value", Kind::Message(&LIST)),
    one(7, "bytes_value", Kind::Bytes),
    one(8, "string_value_strindex", Kind::Varint),
]);

static ARRAY: Message = Message::of(&[repeated(1, "values", &ANY_VALUE)]);

static LIST: Message = Message::of(&[attribute_list(1, "values")]);
