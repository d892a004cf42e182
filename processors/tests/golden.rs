//! What `attributes` and `resource` make of the corpus is what the Collector made of it.
//!
//! The configurations and the Collector's output are those of the differential suite.

#![allow(clippy::unwrap_used)] // a test may fail where it stands

use std::path::Path;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tidegate_component::{BuildContext, ComponentId, Outbox, Processor};
use tidegate_document::{Diagnostics, Node, yaml};
use tidegate_pdata::{Batch, Context, Payload, Receipt, Signal};
use tidegate_processors::ALL;

#[path = "../../tests/support/corpus.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the black-box tests")]
mod corpus;
#[path = "../../tests/support/normal.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the black-box tests")]
mod normal;

/// What `normal` reads.
mod sink {
    use super::{ExportLogsServiceRequest, ExportMetricsServiceRequest, ExportTraceServiceRequest};

    #[derive(Default)]
    pub(crate) struct Received {
        pub(crate) traces: Vec<ExportTraceServiceRequest>,
        pub(crate) metrics: Vec<ExportMetricsServiceRequest>,
        pub(crate) logs: Vec<ExportLogsServiceRequest>,
    }
}

fn build(tree: &Node, id: &str, signal: Signal) -> Box<dyn Processor> {
    let id: ComponentId = id.parse().unwrap();
    let kind = id.as_str().split('/').next().unwrap_or_default();
    let entry = ALL.iter().find(|entry| entry.name == kind).unwrap();
    let node = tree.at(&format!("processors::{}", id.as_str())).unwrap();
    let mut found = Diagnostics::default();
    let factory = (entry.read)(node, &[], &mut found).unwrap();
    assert!(!found.has_errors());
    let mut cx = BuildContext::detached("processor", id);
    cx.signal = Some(signal);
    factory.build(&cx).unwrap()
}

/// Sends a request through the processors of the signal's pipeline, if there is one.
fn through(tree: &Node, signal: Signal, request: Vec<u8>) -> Option<Vec<u8>> {
    let list = tree.at(&format!(
        "service::pipelines::{}::processors",
        signal.name()
    ))?;
    let payload = Payload::admit(signal, request.into(), None)
        .unwrap()
        .payload;
    let mut batch = Batch::new(payload, Context::default(), Receipt::none());
    for id in list.as_seq().unwrap() {
        let mut out = Outbox::default();
        build(tree, id.as_str().unwrap(), signal).process(batch, &mut out);
        batch = out.take().pop().unwrap();
    }
    let bytes = batch.payload().segments().iter();
    Some(bytes.flat_map(|segment| segment.bytes().to_vec()).collect())
}

fn lines(yaml: &str) -> Vec<String> {
    let tree = yaml::parse_str(yaml).unwrap();
    let mut received = sink::Received::default();
    if let Some(bytes) = through(&tree, Signal::Traces, corpus::traces().encode_to_vec()) {
        received.traces.push(Message::decode(&bytes[..]).unwrap());
    }
    if let Some(bytes) = through(&tree, Signal::Metrics, corpus::metrics().encode_to_vec()) {
        received.metrics.push(Message::decode(&bytes[..]).unwrap());
    }
    if let Some(bytes) = through(&tree, Signal::Logs, corpus::logs().encode_to_vec()) {
        received.logs.push(Message::decode(&bytes[..]).unwrap());
    }
    let mut lines: Vec<String> = normal::records(&received)
        .iter()
        .map(|line| filled(line))
        .collect();
    lines.sort();
    lines
}

/// A record with an empty message where it has none, as the Collector writes everything.
fn filled(line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).unwrap();
    let scope = json!({"attributes": [], "droppedAttributesCount": 0, "name": "", "version": ""});
    fill(&mut line["scope"], scope);
    let resource = json!({"attributes": [], "droppedAttributesCount": 0, "entityRefs": []});
    fill(&mut line["resource"], resource);
    let record = line["record"].as_object_mut().unwrap();
    if let Some(status) = record.get_mut("status") {
        fill(status, json!({"code": 0, "message": ""}));
    }
    if let Some(body) = record.get_mut("body") {
        fill(body, json!({}));
    }
    fill_values(&mut line);
    line.to_string()
}

fn fill(value: &mut Value, empty: Value) {
    if value.is_null() {
        *value = empty;
    }
}

/// Gives attributes without a value an empty one.
fn fill_values(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(fill_values),
        Value::Object(fields) => {
            if fields.contains_key("key")
                && let Some(value) = fields.get_mut("value")
            {
                fill(value, json!({}));
            }
            fields.values_mut().for_each(fill_values);
        }
        _ => {}
    }
}

fn check(case: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential");
    let read = |path: String| std::fs::read_to_string(root.join(path)).unwrap();
    let found = lines(&read(format!("cases/{case}.yaml")));
    let golden = read(format!("golden/{case}.txt"));
    let mut expected: Vec<String> = golden.lines().map(filled).collect();
    expected.sort();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "in {case}");
    }
    assert_eq!(found.len(), expected.len(), "records of {case}");
}

#[test]
fn attributes_equal_those_of_the_collector() {
    for case in ["actions", "extract-convert", "hash-pattern"] {
        check(&format!("attributes-{case}"));
    }
}

#[test]
fn matching_equals_that_of_the_collector() {
    for case in ["match", "match-spans", "match-logs", "match-libraries"] {
        check(&format!("attributes-{case}"));
    }
}

#[test]
fn resources_equal_those_of_the_collector() {
    check("resource-actions");
}

#[test]
fn examples_of_statements_can_be_built() {
    for example in ["filter", "transform"] {
        let path = format!("../docs/examples/{example}.yaml");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let tree = yaml::parse_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            let request = match signal {
                Signal::Traces => corpus::traces().encode_to_vec(),
                Signal::Metrics => corpus::metrics().encode_to_vec(),
                Signal::Logs => corpus::logs().encode_to_vec(),
            };
            let bytes = through(&tree, signal, request).unwrap();
            assert!(
                !bytes.is_empty(),
                "{example} leaves {} alone",
                signal.name()
            );
        }
    }
}
