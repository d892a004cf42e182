//! Decisions by policy, their order, and what holds around them.

mod holding;
mod policies;
mod workers;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, BuildError, ComponentConfig};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Payload, Signal};

use super::Config;

/// A request of spans: of resource attributes, each with its spans.
fn request(resources: &[(Value, Vec<Value>)]) -> Payload {
    let resources = resources.iter().map(|(attributes, spans)| {
        json!({
            "resource": {"attributes": attributes},
            "schemaUrl": "resource.schema",
            "scopeSpans": [{"scope": {"name": "scope"}, "schemaUrl": "scope.schema", "spans": spans}],
        })
    });
    let request = json!({"resourceSpans": resources.collect::<Vec<_>>()}).to_string();
    let bytes = from_json(Signal::Traces, request.as_bytes(), &mut |_| true).unwrap();
    Payload::admit(Signal::Traces, bytes.into(), None)
        .unwrap()
        .payload
}

/// A request of spans with one resource.
fn spans(spans: Vec<Value>) -> Payload {
    request(&[(json!([attribute("service.name", "cart")]), spans)])
}

/// A span of a trace, with more fields.
fn span(trace: u128, more: &Value) -> Value {
    let mut span = json!({
        "traceId": format!("{trace:032x}"), "spanId": "0000000000000001", "name": "a",
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000010000000",
    });
    let fields = span.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    span
}

/// A root of a trace, and nothing else of it.
fn plain(trace: u128) -> Value {
    span(trace, &json!({}))
}

fn attribute(key: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    let kind = match value {
        Value::Bool(_) => "boolValue",
        Value::Number(_) => "intValue",
        _ => "stringValue",
    };
    let value = match value {
        Value::Number(number) => json!(number.to_string()),
        other => other,
    };
    json!({"key": key, "value": {kind: value}})
}

fn bench(yaml: &str) -> ProcessorBench {
    ProcessorBench::new::<Config>(yaml, Signal::Traces)
}

/// The traces that were passed on, with how many spans of each.
fn kept(bench: &ProcessorBench) -> BTreeMap<u128, usize> {
    let mut kept = BTreeMap::new();
    for payload in bench.emitted() {
        count(payload, &mut kept);
    }
    kept
}

fn count(payload: &Payload, kept: &mut BTreeMap<u128, usize>) {
    let scopes = payload.resource_spans().flat_map(|of| of.scopes());
    for span in scopes.flat_map(|scope| scope.spans()) {
        let id = span.trace_id().try_into().map_or(0, u128::from_be_bytes);
        *kept.entry(id).or_default() += 1;
    }
}

/// The traces that policies keep of a request.
fn kept_of(policies: &str, payload: Payload) -> Vec<u128> {
    let mut bench = bench(&format!("policies: [{policies}]"));
    bench.send(payload);
    bench.finish();
    kept(&bench).into_keys().collect()
}

fn fault(yaml: &str) -> BuildError {
    let cx = BuildContext::detached("processor", "tail_sampling".parse().unwrap());
    read::<Config>(yaml).build(&cx).err().unwrap()
}
