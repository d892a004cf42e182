//! Telemetry as a multiset of records, so that regrouping does not matter.

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use serde_json::{Value, json};

use super::sink::Received;

/// Data points of a metric.
pub fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    }
}

/// One line of JSON per record, with its resource and scope, sorted.
///
/// Attributes are sorted by key, since their order means nothing in OTLP.
pub fn records(received: &Received) -> Vec<String> {
    let mut lines = Vec::new();
    for request in &received.traces {
        walk(
            &to_json(request),
            "resourceSpans",
            "scopeSpans",
            "spans",
            &mut lines,
        );
    }
    for request in &received.metrics {
        walk(
            &to_json(request),
            "resourceMetrics",
            "scopeMetrics",
            "metrics",
            &mut lines,
        );
    }
    for request in &received.logs {
        walk(
            &to_json(request),
            "resourceLogs",
            "scopeLogs",
            "logRecords",
            &mut lines,
        );
    }
    lines.sort();
    lines
}

fn to_json(request: &impl serde::Serialize) -> Value {
    serde_json::to_value(request).expect("OTLP has a JSON form")
}

fn walk(request: &Value, resources: &str, scopes: &str, records: &str, lines: &mut Vec<String>) {
    for resource in list(request, resources) {
        for scope in list(resource, scopes) {
            for record in list(scope, records) {
                for record in apart(record) {
                    let mut line = json!({
                        "resource": resource["resource"],
                        "resourceSchemaUrl": resource["schemaUrl"],
                        "scope": scope["scope"],
                        "scopeSchemaUrl": scope["schemaUrl"],
                        "record": record,
                    });
                    sort_attributes(&mut line);
                    lines.push(line.to_string());
                }
            }
        }
    }
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// A metric becomes one record a data point; everything else is one record as it is.
fn apart(record: &Value) -> Vec<Value> {
    const KINDS: [&str; 5] = [
        "gauge",
        "sum",
        "histogram",
        "exponentialHistogram",
        "summary",
    ];
    let Some(kind) = KINDS.into_iter().find(|kind| record[kind].is_object()) else {
        return vec![record.clone()];
    };
    list(&record[kind], "dataPoints")
        .map(|point| {
            let mut one = record.clone();
            one[kind]["dataPoints"] = json!([point]);
            one
        })
        .collect()
}

fn sort_attributes(value: &mut Value) {
    match value {
        Value::Array(items) => {
            if items.iter().all(|item| item["key"].is_string()) {
                items.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
            }
            items.iter_mut().for_each(sort_attributes);
        }
        Value::Object(fields) => fields.values_mut().for_each(sort_attributes),
        _ => {}
    }
}

/// A record without its empty messages: an absent one and one of defaults mean the same, and the
/// Collector writes some that it was not given. A line that is no record stays as it is.
pub fn same(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(mut record @ Value::Object(_)) => {
            prune(&mut record);
            record.to_string()
        }
        _ => line.to_owned(),
    }
}

fn prune(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|key, field| match key.as_str() {
                "status" | "scope" | "resource" => !is_default(field),
                _ => !(field.is_null() || field.as_object().is_some_and(serde_json::Map::is_empty)),
            });
        }
        _ => {}
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_default),
    }
}
