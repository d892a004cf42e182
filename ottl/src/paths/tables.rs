//! The fields of each context.

use super::{Field, Side};
use crate::context::Context;

type Table = &'static [(&'static str, Field)];

/// The fields of a context by their names.
pub(super) const fn fields(context: Context) -> Table {
    match context {
        Context::Resource => RESOURCE,
        Context::Scope => SCOPE,
        Context::Metric => METRIC,
        Context::DataPoint => DATA_POINT,
        Context::Span => SPAN,
        Context::SpanEvent => SPAN_EVENT,
        Context::Log => LOG,
    }
}

/// Whether a name begins one of the context's own fields.
pub(super) fn is_field(context: Context, name: &str) -> bool {
    fields(context)
        .iter()
        .any(|(field, _)| field.split('.').next() == Some(name))
}

/// Fields that the Collector knows and statements here do not.
pub(super) const NOT_BUILT: &[(Context, &str)] = &[
    (Context::DataPoint, "positive"),
    (Context::DataPoint, "negative"),
];

const RESOURCE: Table = &[
    ("attributes", Field::Attributes),
    ("dropped_attributes_count", Field::Uint(2)),
    ("schema_url", Field::SchemaUrl),
    ("cache", Field::Cache),
];

const SCOPE: Table = &[
    ("name", Field::Text(1)),
    ("version", Field::Text(2)),
    ("attributes", Field::Attributes),
    ("dropped_attributes_count", Field::Uint(4)),
    ("schema_url", Field::SchemaUrl),
    ("cache", Field::Cache),
];

const SPAN: Table = &[
    ("trace_id", Field::TraceId(1)),
    ("trace_id.string", Field::TraceIdText(1)),
    ("span_id", Field::SpanId(2)),
    ("span_id.string", Field::SpanIdText(2)),
    ("trace_state", Field::TraceState),
    ("parent_span_id", Field::SpanId(4)),
    ("parent_span_id.string", Field::SpanIdText(4)),
    ("name", Field::Text(5)),
    ("kind", Field::Enum(6)),
    ("kind.string", Field::KindText),
    ("kind.deprecated_string", Field::KindDeprecatedText),
    ("start_time_unix_nano", Field::Nanos(7)),
    ("end_time_unix_nano", Field::Nanos(8)),
    ("start_time", Field::Time(7)),
    ("end_time", Field::Time(8)),
    ("attributes", Field::Attributes),
    ("dropped_attributes_count", Field::Uint(10)),
    ("events", Field::Messages(11)),
    ("dropped_events_count", Field::Uint(12)),
    ("links", Field::Messages(13)),
    ("dropped_links_count", Field::Uint(14)),
    ("status", Field::Status),
    ("status.code", Field::StatusCode),
    ("status.message", Field::StatusMessage),
    ("flags", Field::SpanFlags),
    ("cache", Field::Cache),
];

const SPAN_EVENT: Table = &[
    ("time_unix_nano", Field::Nanos(1)),
    ("time", Field::Time(1)),
    ("name", Field::Text(2)),
    ("attributes", Field::Attributes),
    ("dropped_attributes_count", Field::Uint(4)),
    ("event_index", Field::EventIndex),
    ("cache", Field::Cache),
];

const LOG: Table = &[
    ("time_unix_nano", Field::Nanos(1)),
    ("observed_time_unix_nano", Field::Nanos(11)),
    ("time", Field::Time(1)),
    ("observed_time", Field::Time(11)),
    ("severity_number", Field::Enum(2)),
    ("severity_text", Field::Text(3)),
    ("body", Field::Body),
    ("body.string", Field::BodyText),
    ("attributes", Field::Attributes),
    ("dropped_attributes_count", Field::Uint(7)),
    ("flags", Field::Fixed32(8)),
    ("trace_id", Field::TraceId(9)),
    ("trace_id.string", Field::TraceIdText(9)),
    ("span_id", Field::SpanId(10)),
    ("span_id.string", Field::SpanIdText(10)),
    ("event_name", Field::Text(12)),
    ("cache", Field::Cache),
];

const METRIC: Table = &[
    ("name", Field::Text(1)),
    ("description", Field::Text(2)),
    ("unit", Field::Text(3)),
    ("type", Field::MetricType),
    ("aggregation_temporality", Field::Temporality),
    ("is_monotonic", Field::Monotonic),
    ("data_points", Field::Points),
    ("metadata", Field::Attributes),
    ("cache", Field::Cache),
];

const DATA_POINT: Table = &[
    ("attributes", Field::Attributes),
    ("start_time_unix_nano", Field::Nanos(2)),
    ("time_unix_nano", Field::Nanos(3)),
    ("start_time", Field::Time(2)),
    ("time", Field::Time(3)),
    ("value_double", Field::ValueDouble),
    ("value_int", Field::ValueInt),
    ("exemplars", Field::Exemplars),
    ("flags", Field::PointFlags),
    ("count", Field::Count),
    ("sum", Field::Sum),
    ("bucket_counts", Field::BucketCounts),
    ("explicit_bounds", Field::ExplicitBounds),
    ("scale", Field::Scale),
    ("zero_count", Field::ZeroCount),
    ("positive.offset", Field::Offset(Side::Positive)),
    ("positive.bucket_counts", Field::SideCounts(Side::Positive)),
    ("negative.offset", Field::Offset(Side::Negative)),
    ("negative.bucket_counts", Field::SideCounts(Side::Negative)),
    ("quantile_values", Field::Quantiles),
    ("cache", Field::Cache),
];
