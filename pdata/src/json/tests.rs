use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::json;

use super::schema::{ALL, Kind};
use super::*;
use crate::Signal;

fn read(signal: Signal, text: &str) -> Result<Vec<u8>, JsonError> {
    from_json(signal, text.as_bytes(), &mut |_| true)
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        key_strindex: 0,
    }
}

/// Every kind of value, long enough that lengths take one byte here and two there.
fn attributes() -> Vec<KeyValue> {
    let list = vec![any(Value::IntValue(i64::MIN)), any(Value::DoubleValue(0.1))];
    vec![
        pair(
            "text",
            Value::StringValue("näive \"quoted\" \u{1F600}".repeat(20)),
        ),
        pair("empty", Value::StringValue(String::new())),
        pair("yes", Value::BoolValue(true)),
        pair("no", Value::BoolValue(false)),
        pair("zero", Value::IntValue(0)),
        pair("most", Value::IntValue(i64::MAX)),
        pair("tiny", Value::DoubleValue(5e-324)),
        pair("list", Value::ArrayValue(ArrayValue { values: list })),
        pair(
            "map",
            Value::KvlistValue(KeyValueList {
                values: vec![pair("inner", Value::StringValue("x".to_owned()))],
            }),
        ),
        pair("bytes", Value::BytesValue(vec![0, 0xff, 0x10])),
        KeyValue {
            key: "absent".to_owned(),
            value: None,
            key_strindex: 3,
        },
    ]
}

fn resource() -> Resource {
    Resource {
        attributes: attributes(),
        dropped_attributes_count: 1,
        entity_refs: vec![EntityRef {
            schema_url: "url".to_owned(),
            r#type: "host".to_owned(),
            id_keys: vec!["a".to_owned(), "b".to_owned()],
            description_keys: vec!["c".to_owned()],
        }],
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "scope".to_owned(),
        version: "1".to_owned(),
        attributes: attributes(),
        dropped_attributes_count: 2,
    }
}

fn traces() -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: (1..17).collect(),
        span_id: (1..9).collect(),
        trace_state: "a=b".to_owned(),
        parent_span_id: (2..10).collect(),
        flags: 257,
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: u64::MAX,
        end_time_unix_nano: 1,
        attributes: attributes(),
        dropped_attributes_count: 3,
        events: vec![Event {
            time_unix_nano: 4,
            name: "event".to_owned(),
            attributes: attributes(),
            dropped_attributes_count: 5,
        }],
        dropped_events_count: 6,
        links: vec![Link {
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            trace_state: "c=d".to_owned(),
            attributes: attributes(),
            dropped_attributes_count: 7,
            flags: 1,
        }],
        dropped_links_count: 8,
        status: Some(Status {
            message: "failed".to_owned(),
            code: 2,
        }),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans: vec![span.clone(), Span::default(), span],
                schema_url: "scope url".to_owned(),
            }],
            schema_url: "resource url".to_owned(),
        }],
    }
}

fn logs() -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 1,
        observed_time_unix_nano: 2,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(any(Value::StringValue("body".to_owned()))),
        attributes: attributes(),
        dropped_attributes_count: 3,
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "event".to_owned(),
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: vec![record, LogRecord::default()],
                schema_url: "scope url".to_owned(),
            }],
            schema_url: "resource url".to_owned(),
        }],
    }
}

fn exemplars() -> Vec<Exemplar> {
    let exemplar = |value| Exemplar {
        filtered_attributes: attributes(),
        time_unix_nano: 9,
        span_id: vec![3; 8],
        trace_id: vec![4; 16],
        value: Some(value),
    };
    vec![
        exemplar(exemplar::Value::AsDouble(1.5)),
        exemplar(exemplar::Value::AsInt(-7)),
    ]
}

fn numbers() -> Vec<NumberDataPoint> {
    let point = |value| NumberDataPoint {
        attributes: attributes(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: exemplars(),
        flags: 1,
        value: Some(value),
    };
    vec![
        point(number_data_point::Value::AsDouble(0.0)),
        point(number_data_point::Value::AsInt(-1)),
    ]
}

fn metric_data() -> Vec<metric::Data> {
    let buckets = |offset| Buckets {
        offset,
        bucket_counts: vec![0, 1, u64::MAX, 300],
    };
    vec![
        metric::Data::Gauge(Gauge {
            data_points: numbers(),
        }),
        metric::Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
        metric::Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                attributes: attributes(),
                start_time_unix_nano: 1,
                time_unix_nano: 2,
                count: 3,
                sum: Some(0.0),
                bucket_counts: vec![0, 1, 2],
                explicit_bounds: vec![0.5, 1e300],
                exemplars: exemplars(),
                flags: 1,
                min: Some(-1.0),
                max: Some(2.0),
            }],
            aggregation_temporality: 1,
        }),
        metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                attributes: attributes(),
                start_time_unix_nano: 1,
                time_unix_nano: 2,
                count: 3,
                sum: Some(4.0),
                scale: -3,
                zero_count: 5,
                positive: Some(buckets(-1000)),
                negative: Some(buckets(i32::MAX)),
                flags: 1,
                exemplars: exemplars(),
                min: Some(-1.0),
                max: Some(2.0),
                zero_threshold: 0.25,
            }],
            aggregation_temporality: 1,
        }),
        metric::Data::Summary(Summary {
            data_points: vec![SummaryDataPoint {
                attributes: attributes(),
                start_time_unix_nano: 1,
                time_unix_nano: 2,
                count: 3,
                sum: 4.0,
                quantile_values: vec![ValueAtQuantile {
                    quantile: 0.99,
                    value: 12.0,
                }],
                flags: 1,
            }],
        }),
    ]
}

fn metrics() -> ExportMetricsServiceRequest {
    let metric = |data| Metric {
        name: "metric".to_owned(),
        description: "what it is".to_owned(),
        unit: "s".to_owned(),
        metadata: attributes(),
        data: Some(data),
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: metric_data().into_iter().map(metric).collect(),
                schema_url: "scope url".to_owned(),
            }],
            schema_url: "resource url".to_owned(),
        }],
    }
}

#[test]
fn every_field_of_every_message_is_read() {
    let text = serde_json::to_string(&traces()).unwrap();
    let bytes = read(Signal::Traces, &text).unwrap();
    assert_eq!(bytes.capacity(), bytes.len());
    assert_eq!(
        ExportTraceServiceRequest::decode(&*bytes).unwrap(),
        traces()
    );

    let text = serde_json::to_string(&logs()).unwrap();
    let bytes = read(Signal::Logs, &text).unwrap();
    assert_eq!(ExportLogsServiceRequest::decode(&*bytes).unwrap(), logs());

    let text = serde_json::to_string(&metrics()).unwrap();
    let bytes = read(Signal::Metrics, &text).unwrap();
    let read = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
    assert_eq!(read, metrics());
}

#[test]
fn what_it_writes_is_what_prost_writes() {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![Span {
                    name: "a".repeat(300),
                    attributes: attributes(),
                    ..Span::default()
                }],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let text = serde_json::to_string(&request).unwrap();
    let bytes = read(Signal::Traces, &text).unwrap();
    assert_eq!(bytes, request.encode_to_vec());
}

fn span(fields: serde_json::Value) -> Result<Span, JsonError> {
    let text = json!({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]});
    let bytes = read(Signal::Traces, &text.to_string())?;
    let mut request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    Ok(request
        .resource_spans
        .remove(0)
        .scope_spans
        .remove(0)
        .spans
        .remove(0))
}

#[test]
fn numbers_may_be_strings_and_strings_numbers() {
    let read = span(json!({
        "startTimeUnixNano": "1700000000000000001",
        "endTimeUnixNano": 1_700_000_000_000_000_002_u64,
        "droppedAttributesCount": "3",
        "droppedEventsCount": 1e3,
        "flags": 257.0,
        "attributes": [
            {"key": "text", "value": {"intValue": "-9223372036854775808"}},
            {"key": "number", "value": {"intValue": 1_099_511_627_776_i64}},
            {"key": "nan", "value": {"doubleValue": "NaN"}},
            {"key": "inf", "value": {"doubleValue": "-Infinity"}},
            {"key": "whole", "value": {"doubleValue": 3}},
        ],
    }))
    .unwrap();
    assert_eq!(read.start_time_unix_nano, 1_700_000_000_000_000_001);
    assert_eq!(read.end_time_unix_nano, 1_700_000_000_000_000_002);
    assert_eq!(read.dropped_attributes_count, 3);
    assert_eq!(read.dropped_events_count, 1000);
    assert_eq!(read.flags, 257);
    let value = |at: usize| read.attributes[at].value.clone().unwrap().value.unwrap();
    assert_eq!(value(0), Value::IntValue(i64::MIN));
    assert_eq!(value(1), Value::IntValue(1_099_511_627_776));
    assert!(matches!(value(2), Value::DoubleValue(nan) if nan.is_nan()));
    assert_eq!(value(3), Value::DoubleValue(f64::NEG_INFINITY));
    assert_eq!(value(4), Value::DoubleValue(3.0));
}

#[test]
fn doubles_are_exact() {
    for text in [
        "0.1",
        "1.7976931348623157e308",
        "123456.78901234567",
        "-0.0",
    ] {
        let fields = format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[
            {{"key":"k","value":{{"doubleValue":{text}}}}}]}}]}}]}}]}}"#
        );
        let bytes = read(Signal::Traces, &fields).unwrap();
        let bits = text.parse::<f64>().unwrap().to_le_bytes();
        assert!(bytes.ends_with(&bits), "{text}");
    }
}

#[test]
fn enums_may_be_names() {
    let read = span(json!({"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"}}));
    let read = read.unwrap();
    assert_eq!((read.kind, read.status.unwrap().code), (3, 2));
    // Numbers that the enum does not name are kept.
    assert_eq!(span(json!({"kind": 99})).unwrap().kind, 99);
    assert!(span(json!({"kind": "SPAN_KIND_TEAPOT"})).is_err());
}

#[test]
fn keys_may_be_in_snake_case_and_unknown_ones_are_passed_over() {
    let read = span(json!({
        "trace_id": "0123456789ABCDEFfedcba9876543210",
        "newKey": {"deep": [1, {"er": null}]},
        "name": null,
        "events": null,
        "status": null,
    }))
    .unwrap();
    assert_eq!(read.trace_id[..2], [0x01, 0x23]);
    assert_eq!(
        read,
        Span {
            trace_id: read.trace_id.clone(),
            ..Span::default()
        }
    );
}

#[test]
fn bytes_are_base64_of_any_kind() {
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        let value = json!({"attributes": [{"key": "k", "value": {"bytesValue": text}}]});
        let read = span(value).unwrap();
        let value = read.attributes[0].value.clone().unwrap().value;
        assert_eq!(value, Some(Value::BytesValue(vec![0xfb, 0xff])));
    }
}

#[test]
fn says_where_and_why_it_cannot_read() {
    for (fields, message) in [
        (
            json!({"traceId": "abc"}),
            "invalid value: string \"abc\", expected 32 hexadecimal digits, the traceId",
        ),
        (
            json!({"kind": true}),
            "invalid type: boolean `true`, expected a number or a name of the enum, the kind",
        ),
        (
            json!({"flags": -1}),
            "invalid value: integer `-1`, expected an integer from 0 to 2^32 - 1, the flags",
        ),
        (
            json!({"startTimeUnixNano": 1.5}),
            "invalid value: floating point `1.5`, expected an integer from 0 to 2^64 - 1, the startTimeUnixNano",
        ),
        (
            json!({"name": 3}),
            "invalid type: integer `3`, expected a string, the name",
        ),
        (
            json!({"events": {}}),
            "invalid type: map, expected an array, the events",
        ),
        (
            json!({"status": []}),
            "invalid type: sequence, expected an object, the Status",
        ),
    ] {
        let error = span(fields).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "the body is not OTLP/JSON: {message} at line 1 column "
            )),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_json_is_turned_away() {
    for text in [
        "",
        "[]",
        "null",
        "{",
        "{}x",
        "\u{feff}{}",
        r#"{"resourceSpans":"#,
    ] {
        assert!(
            matches!(read(Signal::Traces, text), Err(JsonError::Malformed(_))),
            "{text}"
        );
    }
    assert_eq!(read(Signal::Traces, " {} ").unwrap(), b"");
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert!(read(Signal::Traces, &deep).is_err());
    let deep = r#"{"arrayValue":{"values":["#.repeat(100_000);
    let text = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
    assert!(read(Signal::Logs, &text).is_err());
}

#[test]
fn asks_for_room_before_it_takes_it() {
    // Two bytes of JSON make eight of protobuf.
    let counts = vec!["0"; 1 << 20].join(",");
    let text = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{counts}]}}]}}}}]}}]}}]}}"#
    );
    let result = from_json(Signal::Metrics, text.as_bytes(), &mut |bytes| {
        bytes < 1 << 20
    });
    assert!(matches!(result, Err(JsonError::NoRoom)));
    let mut most = 0;
    let bytes = from_json(Signal::Metrics, text.as_bytes(), &mut |bytes| {
        most = bytes;
        true
    });
    assert!(most >= bytes.unwrap().len());
}

#[test]
fn every_message_of_the_table_is_used_and_numbers_its_fields_once() {
    let mut used: Vec<&str> = Signal::ALL
        .map(|signal| schema::request(signal).name)
        .into();
    for message in ALL {
        let mut numbers: Vec<u32> = message.fields.iter().map(|field| field.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), message.fields.len(), "{}", message.name);
        for field in message.fields {
            if let Kind::Message(inner) = field.kind {
                used.push(inner.name);
            }
        }
    }
    for message in ALL {
        assert!(used.contains(&message.name), "{}", message.name);
    }
}
