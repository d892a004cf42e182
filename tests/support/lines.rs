//! Requests as lines, a record each, in the one form in which what two collectors made is compared.

#![allow(clippy::unwrap_used)] // a test may fail where it stands

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Payload, Signal};

/// A request as JSON, in the one form that everything is compared in.
pub fn shown(signal: Signal, bytes: &[u8]) -> Value {
    match signal {
        Signal::Traces => serde_json::to_value(ExportTraceServiceRequest::decode(bytes).unwrap()),
        Signal::Metrics => {
            serde_json::to_value(ExportMetricsServiceRequest::decode(bytes).unwrap())
        }
        Signal::Logs => serde_json::to_value(ExportLogsServiceRequest::decode(bytes).unwrap()),
    }
    .unwrap()
}

/// The records of a request, a line each with all that they lie in, sorted.
pub fn records(signal: Signal, mut request: Value, lines: &mut Vec<String>) {
    plain(&mut request);
    let [resources, scopes, records] = match signal {
        Signal::Traces => ["resourceSpans", "scopeSpans", "spans"],
        Signal::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
        Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
    };
    for (around, resource) in parts(request, resources) {
        drop(around);
        for (resource, scope) in parts(resource, scopes) {
            for (scope, record) in parts(scope, records) {
                let held = json!({"resource": resource, "scope": scope});
                if signal == Signal::Metrics {
                    points(&held, record, lines);
                } else {
                    let record = without_clock(record);
                    lines.push(json!({"in": held, "record": record}).to_string());
                }
            }
        }
    }
}

/// Takes the time of the day out of a record that stands for others.
fn without_clock(mut record: Value) -> Value {
    let has_one = |entry: &Value| entry["key"] == "first_observed_timestamp";
    let attributes = record["attributes"].as_array();
    if attributes.is_some_and(|entries| entries.iter().any(has_one)) {
        let fields = record.as_object_mut().unwrap();
        for time in ["timeUnixNano", "observedTimeUnixNano"] {
            assert!(fields.remove(time).is_some(), "there is no {time}");
        }
        for entry in fields["attributes"].as_array_mut().unwrap() {
            if entry["key"]
                .as_str()
                .unwrap()
                .ends_with("_observed_timestamp")
            {
                let zone: String = entry["value"]["stringValue"].as_str().unwrap()[19..].to_owned();
                entry["value"] = zone.into();
            }
        }
    }
    record
}

fn points(held: &Value, mut metric: Value, lines: &mut Vec<String>) {
    const KINDS: [&str; 5] = [
        "gauge",
        "sum",
        "histogram",
        "exponentialHistogram",
        "summary",
    ];
    let kind = KINDS.iter().find(|kind| metric.get(kind).is_some());
    let Some(kind) = kind else { return };
    let data = metric.as_object_mut().unwrap().remove(*kind).unwrap();
    for (data, point) in parts(data, "dataPoints") {
        let line =
            json!({"in": held, "metric": metric, "kind": kind, "data": data, "point": point});
        lines.push(line.to_string());
    }
}

/// The elements of a list in a message, each with what is beside the list.
fn parts(mut message: Value, list: &str) -> Vec<(Value, Value)> {
    let taken = message
        .as_object_mut()
        .and_then(|fields| fields.remove(list));
    let Some(Value::Array(items)) = taken else {
        return Vec::new();
    };
    items
        .into_iter()
        .map(|item| (message.clone(), item))
        .collect()
}

/// Takes out what says nothing, and puts attributes in order.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(plain);
            if items.iter().all(|item| item.get("key").is_some()) {
                items.sort_by_key(|item| item["key"].to_string());
            }
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(plain);
            without_empty_buckets(fields);
            let says = |name: &str, value: &Value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(fields) => !fields.is_empty() || name == "value",
                _ if name.ends_with("Value") || name.starts_with("as") => true,
                Value::String(text) => !text.is_empty() && text != "0",
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::Bool(value) => *value,
            };
            fields.retain(|name, value| says(name, value));
        }
        _ => {}
    }
}

/// Takes empty buckets off the ends of those of an exponential histogram.
fn without_empty_buckets(fields: &mut serde_json::Map<String, Value>) {
    if fields.contains_key("explicitBounds") {
        return;
    }
    let Some(Value::Array(counts)) = fields.get_mut("bucketCounts") else {
        return;
    };
    let has_some = |count: &Value| count != "0";
    let last = counts.iter().rposition(has_some);
    counts.truncate(last.map_or(0, |last| last + 1));
    let first = counts.iter().position(has_some).unwrap_or(0);
    counts.drain(..first);
    let offset = fields.get("offset").and_then(Value::as_i64).unwrap_or(0);
    fields.insert("offset".to_owned(), json!(offset + first as i64));
}

/// The request that OTLP/JSON says.
pub fn payload(signal: Signal, json: &[u8]) -> Payload {
    let bytes = from_json(signal, json, &mut |_| true).unwrap();
    let admitted = Payload::admit(signal, bytes.into(), None);
    admitted.unwrap().payload
}
