//! The messages of OTLP, as far as JSON needs to know them.

use crate::Signal;

/// The values that a field takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    String,
    /// Base64.
    Bytes,
    /// An ID of as many bytes, in hexadecimal.
    Id(usize),
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Enum(&'static [(&'static str, i32)]),
    Message(&'static Message),
}

/// How often a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Once; the type's zero is the same as absent.
    Plain,
    /// Once or not at all: an optional field or a member of a oneof.
    Present,
    /// As often as it likes; scalars are packed.
    Repeated,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) camel: &'static str,
    pub(super) snake: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) rule: Rule,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

impl Message {
    pub(super) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields
            .iter()
            .find(|field| field.camel == key || field.snake == key)
    }
}

/// The request of a signal.
pub(super) const fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
    }
}

macro_rules! messages {
    ($( $name:ident = $full:literal { $( $number:literal $rule:ident $camel:literal $snake:literal $kind:expr; )* } )*) => {
        $(
            pub(super) static $name: Message = Message {
                name: $full,
                fields: &[ $( Field {
                    camel: $camel,
                    snake: $snake,
                    number: $number,
                    kind: $kind,
                    rule: Rule::$rule,
                } ),* ],
            };
        )*

        #[cfg(test)]
        pub(super) static ALL: &[&Message] = &[ $( &$name ),* ];
    };
}

use Kind::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Message as Of, Sfixed64, Sint32,
    String, Uint32, Uint64,
};

messages! {
    TRACES = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest" {
        1 Repeated "resourceSpans" "resource_spans" Of(&RESOURCE_SPANS);
    }
    METRICS = "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest" {
        1 Repeated "resourceMetrics" "resource_metrics" Of(&RESOURCE_METRICS);
    }
    LOGS = "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest" {
        1 Repeated "resourceLogs" "resource_logs" Of(&RESOURCE_LOGS);
    }

    RESOURCE = "opentelemetry.proto.resource.v1.Resource" {
        1 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        2 Plain "droppedAttributesCount" "dropped_attributes_count" Uint32;
        3 Repeated "entityRefs" "entity_refs" Of(&ENTITY_REF);
    }
    ENTITY_REF = "opentelemetry.proto.common.v1.EntityRef" {
        1 Plain "schemaUrl" "schema_url" String;
        2 Plain "type" "type" String;
        3 Repeated "idKeys" "id_keys" String;
        4 Repeated "descriptionKeys" "description_keys" String;
    }
    SCOPE = "opentelemetry.proto.common.v1.InstrumentationScope" {
        1 Plain "name" "name" String;
        2 Plain "version" "version" String;
        3 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        4 Plain "droppedAttributesCount" "dropped_attributes_count" Uint32;
    }
    KEY_VALUE = "opentelemetry.proto.common.v1.KeyValue" {
        1 Plain "key" "key" String;
        2 Present "value" "value" Of(&ANY_VALUE);
        3 Plain "keyStrindex" "key_strindex" Int32;
    }
    ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue" {
        1 Present "stringValue" "string_value" String;
        2 Present "boolValue" "bool_value" Bool;
        3 Present "intValue" "int_value" Int64;
        4 Present "doubleValue" "double_value" Double;
        5 Present "arrayValue" "array_value" Of(&ARRAY_VALUE);
        6 Present "kvlistValue" "kvlist_value" Of(&KEY_VALUE_LIST);
        7 Present "bytesValue" "bytes_value" Bytes;
        8 Present "stringValueStrindex" "string_value_strindex" Int32;
    }
    ARRAY_VALUE = "opentelemetry.proto.common.v1.ArrayValue" {
        1 Repeated "values" "values" Of(&ANY_VALUE);
    }
    KEY_VALUE_LIST = "opentelemetry.proto.common.v1.KeyValueList" {
        1 Repeated "values" "values" Of(&KEY_VALUE);
    }

    RESOURCE_SPANS = "opentelemetry.proto.trace.v1.ResourceSpans" {
        1 Present "resource" "resource" Of(&RESOURCE);
        2 Repeated "scopeSpans" "scope_spans" Of(&SCOPE_SPANS);
        3 Plain "schemaUrl" "schema_url" String;
    }
    SCOPE_SPANS = "opentelemetry.proto.trace.v1.ScopeSpans" {
        1 Present "scope" "scope" Of(&SCOPE);
        2 Repeated "spans" "spans" Of(&SPAN);
        3 Plain "schemaUrl" "schema_url" String;
    }
    SPAN = "opentelemetry.proto.trace.v1.Span" {
        1 Plain "traceId" "trace_id" Id(16);
        2 Plain "spanId" "span_id" Id(8);
        3 Plain "traceState" "trace_state" String;
        4 Plain "parentSpanId" "parent_span_id" Id(8);
        5 Plain "name" "name" String;
        6 Plain "kind" "kind" Enum(SPAN_KIND);
        7 Plain "startTimeUnixNano" "start_time_unix_nano" Fixed64;
        8 Plain "endTimeUnixNano" "end_time_unix_nano" Fixed64;
        9 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        10 Plain "droppedAttributesCount" "dropped_attributes_count" Uint32;
        11 Repeated "events" "events" Of(&EVENT);
        12 Plain "droppedEventsCount" "dropped_events_count" Uint32;
        13 Repeated "links" "links" Of(&LINK);
        14 Plain "droppedLinksCount" "dropped_links_count" Uint32;
        15 Present "status" "status" Of(&STATUS);
        16 Plain "flags" "flags" Fixed32;
    }
    EVENT = "opentelemetry.proto.trace.v1.Span.Event" {
        1 Plain "timeUnixNano" "time_unix_nano" Fixed64;
        2 Plain "name" "name" String;
        3 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        4 Plain "droppedAttributesCount" "dropped_attributes_count" Uint32;
    }
    LINK = "opentelemetry.proto.trace.v1.Span.Link" {
        1 Plain "traceId" "trace_id" Id(16);
        2 Plain "spanId" "span_id" Id(8);
        3 Plain "traceState" "trace_state" String;
        4 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        5 Plain "droppedAttributesCount" "dropped_attributes_count" Uint32;
        6 Plain "flags" "flags" Fixed32;
    }
    STATUS = "opentelemetry.proto.trace.v1.Status" {
        2 Plain "message" "message" String;
        3 Plain "code" "code" Enum(STATUS_CODE);
    }

    RESOURCE_LOGS = "opentelemetry.proto.logs.v1.ResourceLogs" {
        1 Present "resource" "resource" Of(&RESOURCE);
        2 Repeated "scopeLogs" "scope_logs" Of(&SCOPE_LOGS);
        3 Plain "schemaUrl" "schema_url" String;
    }
    SCOPE_LOGS = "opentelemetry.proto.logs.v1.ScopeLogs" {
        1 Present "scope" "scope" Of(&SCOPE);
        2 Repeated "logRecords" "log_records" Of(&LOG_RECORD);
        3 Plain "schemaUrl" "schema_url" String;
    }
    LOG_RECORD = "opentelemetry.proto.logs.v1.LogRecord" {
        1 Plain "timeUnixNano" "time_unix_nano" Fixed64;
        11 Plain "observedTimeUnixNano" "observed_time_unix_nano" Fixed64;
        2 Plain "severityNumber" "severity_number" Enum(SEVERITY);
        3 Plain "severityText" "severity_text" String;
        5 Present "body" "body" Of(&ANY_VALUE);
        6 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        7 Plain "droppedAttributesCount" "dropped_attributes_count" Uint32;
        8 Plain "flags" "flags" Fixed32;
        9 Plain "traceId" "trace_id" Id(16);
        10 Plain "spanId" "span_id" Id(8);
        12 Plain "eventName" "event_name" String;
    }

    RESOURCE_METRICS = "opentelemetry.proto.metrics.v1.ResourceMetrics" {
        1 Present "resource" "resource" Of(&RESOURCE);
        2 Repeated "scopeMetrics" "scope_metrics" Of(&SCOPE_METRICS);
        3 Plain "schemaUrl" "schema_url" String;
    }
    SCOPE_METRICS = "opentelemetry.proto.metrics.v1.ScopeMetrics" {
        1 Present "scope" "scope" Of(&SCOPE);
        2 Repeated "metrics" "metrics" Of(&METRIC);
        3 Plain "schemaUrl" "schema_url" String;
    }
    METRIC = "opentelemetry.proto.metrics.v1.Metric" {
        1 Plain "name" "name" String;
        2 Plain "description" "description" String;
        3 Plain "unit" "unit" String;
        5 Present "gauge" "gauge" Of(&GAUGE);
        7 Present "sum" "sum" Of(&SUM);
        9 Present "histogram" "histogram" Of(&HISTOGRAM);
        10 Present "exponentialHistogram" "exponential_histogram" Of(&EXPONENTIAL_HISTOGRAM);
        11 Present "summary" "summary" Of(&SUMMARY);
        12 Repeated "metadata" "metadata" Of(&KEY_VALUE);
    }
    GAUGE = "opentelemetry.proto.metrics.v1.Gauge" {
        1 Repeated "dataPoints" "data_points" Of(&NUMBER_POINT);
    }
    SUM = "opentelemetry.proto.metrics.v1.Sum" {
        1 Repeated "dataPoints" "data_points" Of(&NUMBER_POINT);
        2 Plain "aggregationTemporality" "aggregation_temporality" Enum(TEMPORALITY);
        3 Plain "isMonotonic" "is_monotonic" Bool;
    }
    HISTOGRAM = "opentelemetry.proto.metrics.v1.Histogram" {
        1 Repeated "dataPoints" "data_points" Of(&HISTOGRAM_POINT);
        2 Plain "aggregationTemporality" "aggregation_temporality" Enum(TEMPORALITY);
    }
    EXPONENTIAL_HISTOGRAM = "opentelemetry.proto.metrics.v1.ExponentialHistogram" {
        1 Repeated "dataPoints" "data_points" Of(&EXPONENTIAL_POINT);
        2 Plain "aggregationTemporality" "aggregation_temporality" Enum(TEMPORALITY);
    }
    SUMMARY = "opentelemetry.proto.metrics.v1.Summary" {
        1 Repeated "dataPoints" "data_points" Of(&SUMMARY_POINT);
    }
    NUMBER_POINT = "opentelemetry.proto.metrics.v1.NumberDataPoint" {
        7 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        2 Plain "startTimeUnixNano" "start_time_unix_nano" Fixed64;
        3 Plain "timeUnixNano" "time_unix_nano" Fixed64;
        4 Present "asDouble" "as_double" Double;
        6 Present "asInt" "as_int" Sfixed64;
        5 Repeated "exemplars" "exemplars" Of(&EXEMPLAR);
        8 Plain "flags" "flags" Uint32;
    }
    HISTOGRAM_POINT = "opentelemetry.proto.metrics.v1.HistogramDataPoint" {
        9 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        2 Plain "startTimeUnixNano" "start_time_unix_nano" Fixed64;
        3 Plain "timeUnixNano" "time_unix_nano" Fixed64;
        4 Plain "count" "count" Fixed64;
        5 Present "sum" "sum" Double;
        6 Repeated "bucketCounts" "bucket_counts" Fixed64;
        7 Repeated "explicitBounds" "explicit_bounds" Double;
        8 Repeated "exemplars" "exemplars" Of(&EXEMPLAR);
        10 Plain "flags" "flags" Uint32;
        11 Present "min" "min" Double;
        12 Present "max" "max" Double;
    }
    EXPONENTIAL_POINT = "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint" {
        1 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        2 Plain "startTimeUnixNano" "start_time_unix_nano" Fixed64;
        3 Plain "timeUnixNano" "time_unix_nano" Fixed64;
        4 Plain "count" "count" Fixed64;
        5 Present "sum" "sum" Double;
        6 Plain "scale" "scale" Sint32;
        7 Plain "zeroCount" "zero_count" Fixed64;
        8 Present "positive" "positive" Of(&BUCKETS);
        9 Present "negative" "negative" Of(&BUCKETS);
        10 Plain "flags" "flags" Uint32;
        11 Repeated "exemplars" "exemplars" Of(&EXEMPLAR);
        12 Present "min" "min" Double;
        13 Present "max" "max" Double;
        14 Plain "zeroThreshold" "zero_threshold" Double;
    }
    BUCKETS = "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets" {
        1 Plain "offset" "offset" Sint32;
        2 Repeated "bucketCounts" "bucket_counts" Uint64;
    }
    SUMMARY_POINT = "opentelemetry.proto.metrics.v1.SummaryDataPoint" {
        7 Repeated "attributes" "attributes" Of(&KEY_VALUE);
        2 Plain "startTimeUnixNano" "start_time_unix_nano" Fixed64;
        3 Plain "timeUnixNano" "time_unix_nano" Fixed64;
        4 Plain "count" "count" Fixed64;
        5 Plain "sum" "sum" Double;
        6 Repeated "quantileValues" "quantile_values" Of(&QUANTILE);
        8 Plain "flags" "flags" Uint32;
    }
    QUANTILE = "opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile" {
        1 Plain "quantile" "quantile" Double;
        2 Plain "value" "value" Double;
    }
    EXEMPLAR = "opentelemetry.proto.metrics.v1.Exemplar" {
        7 Repeated "filteredAttributes" "filtered_attributes" Of(&KEY_VALUE);
        2 Plain "timeUnixNano" "time_unix_nano" Fixed64;
        3 Present "asDouble" "as_double" Double;
        6 Present "asInt" "as_int" Sfixed64;
        4 Plain "spanId" "span_id" Id(8);
        5 Plain "traceId" "trace_id" Id(16);
    }
}

const SPAN_KIND: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

const STATUS_CODE: &[(&str, i32)] = &[
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
];

const TEMPORALITY: &[(&str, i32)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];

const SEVERITY: &[(&str, i32)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
