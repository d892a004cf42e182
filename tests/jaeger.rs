//! A real Jaeger shows what was sent: names, attributes, events, links, errors.
//!
//! The test says `skipped: …` where `tests/setup` was not run.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::path::Path;
use std::process::Command;

use prost::Message;
use serde_json::{Value, json};
use support::peers::peer;
use support::{Process, Tidegate, corpus, eventually, free_port};

/// A Jaeger that keeps spans in memory.
struct Jaeger {
    _process: Process,
    query: String,
}

impl Jaeger {
    /// Starts it, taking OTLP at this address.
    fn start(binary: &Path, otlp: &str) -> Self {
        let query = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(binary);
        command.env("SPAN_STORAGE_TYPE", "memory");
        command.arg(format!("--collector.otlp.grpc.host-port={otlp}"));
        command.arg(format!("--query.http-server.host-port={query}"));
        // It opens all of these too, and would want their usual ports.
        for listener in [
            "admin.http",
            "collector.grpc-server",
            "collector.http-server",
            "collector.otlp.http",
            "http-server",
            "query.grpc-server",
        ] {
            command.arg(format!("--{listener}.host-port=127.0.0.1:{}", free_port()));
        }
        for agent in ["jaeger-binary", "jaeger-compact", "zipkin-compact"] {
            command.arg(format!("--processor.{agent}.server-host-port=127.0.0.1:0"));
        }
        let mut process = Process::start("jaeger", &mut command);
        process.wait_listening(otlp);
        process.wait_listening(&query);
        Self {
            _process: process,
            query,
        }
    }

    /// What its API answers, once it has this many spans in one trace.
    fn trace(&self, id: &str, spans: usize) -> Value {
        eventually(&format!("Jaeger has {spans} spans of {id}"), || {
            let answer = support::get(&self.query, &format!("/api/traces/{id}"))?;
            let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
            let trace = answer["data"][0].clone();
            match trace["spans"].as_array().map(Vec::len) {
                Some(found) if found == spans => Ok(trace),
                found => Err(format!("{found:?} spans: {answer}")),
            }
        })
    }

    fn services(&self) -> Vec<String> {
        let answer = support::get(&self.query, "/api/services").expect("it answers");
        let answer: Value = serde_json::from_str(&answer).expect("it answers in JSON");
        let names = answer["data"].as_array().into_iter().flatten();
        let mut names: Vec<String> = names
            .filter_map(|name| name.as_str().map(ToOwned::to_owned))
            .collect();
        names.sort();
        names
    }
}

fn collector(otlp: &str, jaeger: &str) -> Tidegate {
    let yaml = "
receivers: {otlp: {protocols: {http: {endpoint: '${env:OTLP}'}}}}
processors: {batch: {timeout: 50ms}}
exporters:
  jaeger: {endpoint: '${env:JAEGER}', retry_on_failure: {initial_interval: 100ms, max_interval: 500ms}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [jaeger]}}
";
    Tidegate::start_with(yaml, &[otlp], &[("OTLP", otlp), ("JAEGER", jaeger)])
}

fn send(otlp: &str) {
    let head = "POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf";
    let (head, _) =
        support::http(otlp, head, &corpus::traces().encode_to_vec()).expect("it answers");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

/// The ID of the trace in the corpus that has two spans.
fn trace_id() -> String {
    let spans = &corpus::traces().resource_spans[0].scope_spans[0].spans;
    spans[0]
        .trace_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn tag<'a>(tags: &'a Value, key: &str) -> (&'a str, &'a Value) {
    let mut all = tags.as_array().into_iter().flatten();
    let tag = all
        .find(|tag| tag["key"] == key)
        .unwrap_or_else(|| panic!("no {key} in {tags:#}"));
    (tag["type"].as_str().unwrap_or_default(), &tag["value"])
}

#[test]
fn jaeger_shows_names_attributes_events_links_and_errors() {
    let Some(binary) = peer("bin/jaeger-all-in-one") else {
        return;
    };
    let [otlp, endpoint] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let jaeger = Jaeger::start(&binary, &endpoint);
    let tidegate = collector(&otlp, &endpoint);
    send(&otlp);
    let trace = jaeger.trace(&trace_id(), 2);
    let spans = trace["spans"].as_array().expect("a trace has spans");
    let named = |name: &str| {
        let mut spans = spans.iter();
        spans
            .find(|span| span["operationName"] == name)
            .expect(name)
    };
    let (parent, child) = (named("GET /cart/{id}"), named("SELECT"));

    assert_eq!(parent["startTime"], corpus::TIME / 1000);
    assert_eq!(parent["duration"], 1500);
    for (key, kind, value) in [
        ("text", "string", json!("plain")),
        ("unicode", "string", json!("žluťoučký kůň 🐎 \u{0}\"\\")),
        ("empty", "string", json!("")),
        ("true", "bool", json!(true)),
        ("int", "int64", json!(-42)),
        // Its API writes what JavaScript would round as text.
        ("big", "int64", json!("9223372036854775807")),
        ("double", "float64", json!(0.1)),
        ("span.kind", "string", json!("server")),
        ("error", "bool", json!(true)),
        ("otel.status_code", "string", json!("ERROR")),
        (
            "otel.status_description",
            "string",
            json!("deadline exceeded"),
        ),
        ("w3c.tracestate", "string", json!("vendor=1,ot=th:8")),
    ] {
        assert_eq!(tag(&parent["tags"], key), (kind, &value), "{key}");
    }
    let event = &parent["logs"][0];
    assert_eq!(event["timestamp"], (corpus::TIME + 10) / 1000);
    assert_eq!(tag(&event["fields"], "event").1, "exception");
    assert_eq!(tag(&event["fields"], "exception.message").1, "no such cart");
    let links = &corpus::traces().resource_spans[0].scope_spans[0].spans[0].links;
    let linked: String = links[0]
        .span_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(parent["references"][0]["refType"], "FOLLOWS_FROM");
    assert_eq!(parent["references"][0]["spanID"], json!(linked));
    assert_eq!(child["references"][0]["refType"], "CHILD_OF");
    assert_eq!(child["references"][0]["spanID"], parent["spanID"]);
    let process = &trace["processes"][parent["processID"].as_str().expect("it has one")];
    assert_eq!(process["serviceName"], "cart");
    assert_eq!(tag(&process["tags"], "host.name").1, "node-1");
    assert_eq!(jaeger.services(), ["cart", "worker"]);
    let log = tidegate.stop();
    assert!(!log.contains("items ended here"), "{log}");
}

#[test]
fn jaeger_that_is_away_is_told_once_and_gets_the_spans_when_it_comes() {
    let Some(binary) = peer("bin/jaeger-all-in-one") else {
        return;
    };
    let [otlp, endpoint] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let tidegate = collector(&otlp, &endpoint);
    send(&otlp);
    tidegate.process.wait_output(&endpoint);
    let jaeger = Jaeger::start(&binary, &endpoint);
    jaeger.trace(&trace_id(), 2);
    let log = tidegate.stop();
    for told in [
        "the exporter does not deliver",
        "the exporter delivers again",
    ] {
        let lines = log.lines().filter(|line| line.contains(told));
        assert_eq!(lines.count(), 1, "{log}");
    }
    assert!(!log.contains("items ended here"), "{log}");
}
