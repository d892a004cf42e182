//! Clients of older protocols send, and their spans arrive as OTLP.
//!
//! The clients are those of `tests/setup`; a test says `skipped: …` where its client is missing.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::process::Command;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use support::peers::peer;
use support::sink::{Received, Sink};
use support::{Tidegate, eventually, free_port, http, repository};

/// A receiver between a client and a sink.
struct Rig {
    tidegate: Tidegate,
    sink: Sink,
    address: String,
}

impl Rig {
    /// Starts with a receiver of a type; its keys name the address as `${env:IN}`.
    fn start(name: &str, keys: &str) -> Self {
        let sink = Sink::start();
        let address = format!("127.0.0.1:{}", free_port());
        let out = format!("http://{}", sink.address());
        let yaml = format!(
            "receivers: {{{name}: {keys}}}
processors: {{batch: {{timeout: 100ms}}}}
exporters: {{otlp_http: {{endpoint: '${{env:SINK}}', compression: none}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [{name}], processors: [batch], exporters: [otlp_http]}}
"
        );
        let tidegate = Tidegate::start_with(&yaml, &[], &[("SINK", &out), ("IN", &address)]);
        // Nobody can connect to a socket for datagrams to see whether it is there.
        tidegate.process.wait_output("everything is ready");
        Self {
            tidegate,
            sink,
            address,
        }
    }

    /// Waits for so many spans, ends the collector and gives what arrived.
    fn arrived(self, spans: usize) -> Received {
        eventually("the spans arrive", || match self.sink.received().items() {
            found if found == spans => Ok(()),
            found => Err(found),
        });
        let log = self.tidegate.stop();
        assert!(!log.contains("items ended here"), "{log}");
        self.sink.received()
    }
}

/// Runs the client and gives the trace ID that it prints.
fn send(python: &std::path::Path, client: &[&str]) -> String {
    let script = repository("tests/clients/older_clients.py");
    let output = Command::new(python).arg(script).args(client).output();
    let output = output.expect("the client runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The resources with their spans.
fn resources(received: &Received) -> Vec<&ResourceSpans> {
    let requests = received.traces.iter();
    requests.flat_map(|one| &one.resource_spans).collect()
}

fn named<'r>(received: &'r Received, name: &str) -> (&'r ResourceSpans, &'r Span) {
    let all = resources(received).into_iter();
    let mut spans = all.flat_map(|of| {
        let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
        spans.map(move |span| (of, span))
    });
    spans
        .find(|(_, span)| span.name == name)
        .expect("it arrived")
}

fn of(attributes: &[KeyValue], key: &str) -> Option<Value> {
    let found = attributes.iter().find(|one| one.key == key)?;
    found.value.clone().and_then(|AnyValue { value }| value)
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

/// Checks what every client sends: a parent, and a child that failed.
fn check(received: &Received, trace_id: &str) {
    let (resource, parent) = named(received, "checkout");
    let (_, child) = named(received, "pay");
    let resource = resource.resource.as_ref().expect("there is a resource");
    assert_eq!(of(&resource.attributes, "service.name"), text("shop"));
    let hex: String = parent
        .trace_id
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, trace_id);
    assert_eq!(child.trace_id, parent.trace_id);
    assert_eq!(child.parent_span_id, parent.span_id);
    assert!(parent.start_time_unix_nano <= child.start_time_unix_nano);
    assert!(parent.end_time_unix_nano >= child.end_time_unix_nano);
    assert_eq!(child.status.as_ref().map(|status| status.code), Some(2));
    assert_eq!(child.events.len(), 1);
}

#[test]
fn what_an_sdk_sends_as_zipkin_arrives() {
    let Some(python) = peer("venv/bin/python") else {
        return;
    };
    for version in ["v1", "v2"] {
        let rig = Rig::start("zipkin", "{endpoint: '${env:IN}', parse_string_tags: true}");
        let trace_id = send(&python, &["zipkin", version, &rig.address]);
        let received = rig.arrived(2);
        check(&received, &trace_id);
        let (resource, parent) = named(&received, "checkout");
        assert_eq!(of(&parent.attributes, "items"), Some(Value::IntValue(3)));
        if version == "v2" {
            assert_eq!(parent.kind, 2);
            let scope = resource.scope_spans[0].scope.as_ref();
            let scope = scope.map(|scope| (&*scope.name, &*scope.version));
            assert_eq!(scope, Some(("cart", "1.2")));
            let host = resource.resource.as_ref();
            let host = host.and_then(|of_host| of(&of_host.attributes, "host.name"));
            assert_eq!(host, text("web-1"));
            let (_, child) = named(&received, "pay");
            assert_eq!(of(&child.attributes, "error"), text("no money"));
        }
    }
}

#[test]
fn what_a_client_of_jaeger_sends_over_udp_arrives() {
    let Some(python) = peer("venv/bin/python") else {
        return;
    };
    let keys = "{protocols: {thrift_compact: {endpoint: '${env:IN}'}}}";
    let rig = Rig::start("jaeger", keys);
    let trace_id = send(&python, &["jaeger", "agent", &rig.address]);
    let received = rig.arrived(2);
    check(&received, &trace_id);
    let (_, parent) = named(&received, "checkout");
    assert_eq!(parent.kind, 2);
    assert_eq!(of(&parent.attributes, "items"), Some(Value::IntValue(3)));
}

#[test]
fn samples_that_zipkin_publishes_arrive() {
    for (path, sample) in [("/api/v2/spans", "v2.json"), ("/api/v1/spans", "v1.json")] {
        let rig = Rig::start("zipkin", "{endpoint: '${env:IN}'}");
        let file = repository("receivers/src/zipkin/tests/samples").join(sample);
        let body = std::fs::read(file).expect("the sample is there");
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json");
        let (status, _) = http(&rig.address, &head, &body).expect("it answers");
        assert!(status.contains(" 202 "), "{status}");
        rig.arrived(1);
    }
}
