//! Real clients send, and everything arrives as it was sent: telemetrygen, the Python SDK, what the
//! Node SDK puts on the wire.
//!
//! The clients are those of `tests/setup`; a test says `skipped: …` where its client is missing.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, metric::Data, number_data_point::Value as Number,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use support::peers::peer;
use support::sink::{Received, Sink};
use support::{Tidegate, free_port, repository};

const PIPELINES: &str = "
processors: {batch: {timeout: 100ms}}
exporters: {otlp_http: {endpoint: '${env:SINK}', compression: none}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}
    metrics: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}
    logs: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}
";

/// The collector between clients and a sink.
struct Rig {
    tidegate: Tidegate,
    sink: Sink,
    grpc: String,
    http: String,
}

impl Rig {
    fn start() -> Self {
        let sink = Sink::start();
        let [grpc, http] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let out = format!("http://{}", sink.address());
        let receiver = "receivers: {otlp: {protocols: \
             {grpc: {endpoint: '${env:GRPC}'}, http: {endpoint: '${env:HTTP}'}}}}";
        let tidegate = Tidegate::start_with(
            &format!("{receiver}{PIPELINES}"),
            &[&grpc, &http],
            &[("SINK", &out), ("GRPC", &grpc), ("HTTP", &http)],
        );
        Self {
            tidegate,
            sink,
            grpc,
            http,
        }
    }

    fn address(&self, protocol: &str) -> &str {
        match protocol {
            "grpc" => &self.grpc,
            _ => &self.http,
        }
    }

    /// Ends the collector, which delivers what is left, and gives all that arrived.
    fn arrived(self) -> Received {
        let log = self.tidegate.stop();
        assert!(!log.contains("items ended here"), "{log}");
        self.sink.received()
    }
}

/// Runs a client to its end and gives what it printed.
fn run(name: &str, command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{name} ended with {}:\n{printed}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

fn generate(telemetrygen: &Path, rig: &Rig, protocol: &str, signal: &str, count: u32) {
    let mut command = Command::new(telemetrygen);
    command
        .args([signal, "--otlp-insecure", "--rate", "0", "--workers", "1"])
        .args(["--otlp-endpoint", rig.address(protocol)])
        .args([format!("--{signal}"), count.to_string()]);
    if protocol == "http" {
        command.arg("--otlp-http");
    }
    run("telemetrygen", &mut command);
}

#[test]
fn every_item_of_telemetrygen_arrives_once() {
    let Some(telemetrygen) = peer("bin/telemetrygen") else {
        return;
    };
    for protocol in ["grpc", "http"] {
        let rig = Rig::start();
        generate(&telemetrygen, &rig, protocol, "traces", 1000);
        generate(&telemetrygen, &rig, protocol, "metrics", 500);
        generate(&telemetrygen, &rig, protocol, "logs", 700);
        let received = rig.arrived();
        let counts = (
            spans(&received).len(),
            metrics(&received)
                .iter()
                .map(|metric| support::normal::points(metric))
                .sum::<usize>(),
            logs(&received).len(),
        );
        // A trace has a parent and a child.
        assert_eq!(counts, (2000, 500, 700), "over {protocol}");
        let ids: std::collections::BTreeSet<_> = spans(&received)
            .iter()
            .map(|span| span.span_id.clone())
            .collect();
        assert_eq!(ids.len(), 2000, "over {protocol}");
    }
}

#[test]
fn what_the_python_sdk_sends_arrives_value_by_value() {
    let Some(python) = peer("venv/bin/python") else {
        return;
    };
    for protocol in ["grpc", "http"] {
        let rig = Rig::start();
        let mut client = Command::new(&python);
        client
            .arg(repository("tests/clients/python_sdk.py"))
            .args([protocol, rig.address(protocol)]);
        let ids = run("the Python SDK", &mut client);
        let ids: serde_json::Value = serde_json::from_str(&ids).expect("it prints JSON");
        let received = rig.arrived();
        check_python_spans(&received, &ids);
        check_python_metrics(&received);
        check_python_logs(&received);
    }
}

fn check_python_spans(received: &Received, ids: &serde_json::Value) {
    let resource = received.traces[0].resource_spans[0].resource.as_ref();
    let resource = &resource.expect("there is a resource").attributes;
    assert_eq!(of(resource, "service.name"), Some(text("checkout")));
    assert_eq!(of(resource, "host.cpus"), Some(Value::IntValue(8)));
    let scope = received.traces[0].resource_spans[0].scope_spans[0]
        .scope
        .as_ref();
    assert_eq!(
        scope.map(|scope| (&*scope.name, &*scope.version)),
        Some(("shop", "0.1"))
    );

    let spans = spans(received);
    assert_eq!(spans.len(), 3);
    let named = |name: &str| *spans.iter().find(|span| span.name == name).expect(name);
    let (earlier, parent, child) = (named("earlier"), named("GET /cart"), named("SELECT"));
    assert_eq!(hex(&parent.trace_id), ids["trace_id"]);
    assert_eq!(hex(&parent.span_id), ids["parent_id"]);
    assert_eq!(hex(&child.span_id), ids["child_id"]);
    assert_eq!(hex(&earlier.span_id), ids["earlier_id"]);
    assert_eq!(
        (&child.trace_id, &child.parent_span_id),
        (&parent.trace_id, &parent.span_id)
    );
    assert_eq!(parent.start_time_unix_nano.to_string(), ids["start"]);
    assert_eq!(parent.end_time_unix_nano.to_string(), ids["end"]);
    assert_eq!((parent.kind, child.kind), (2, 3));
    let status = child
        .status
        .as_ref()
        .map(|status| (status.code, &*status.message));
    assert_eq!(status, Some((2, "deadline exceeded")));
    for (key, value) in [
        ("text", text("žluťoučký kůň 🐎")),
        ("empty", text("")),
        ("int", Value::IntValue(-42)),
        ("big", Value::IntValue((1 << 62) + 1)),
        ("double", Value::DoubleValue(0.1)),
        ("bool", Value::BoolValue(true)),
        ("texts", list([text("a"), text("b")])),
        ("ints", list([1, 2, 3].map(Value::IntValue))),
    ] {
        assert_eq!(of(&parent.attributes, key), Some(value), "{key}");
    }
    assert_eq!(parent.events.len(), 1);
    assert_eq!(parent.events[0].name, "cache.miss");
    assert_eq!(
        of(&parent.events[0].attributes, "key"),
        Some(text("cart:7"))
    );
    assert_eq!(parent.links.len(), 1);
    assert_eq!(parent.links[0].span_id, earlier.span_id);
    assert_eq!(of(&parent.links[0].attributes, "why"), Some(text("caused")));
}

fn check_python_metrics(received: &Received) {
    let metrics = metrics(received);
    let named = |name: &str| {
        let metric = metrics
            .iter()
            .find(|metric| metric.name == name)
            .expect(name);
        metric.data.clone().expect("it has data")
    };
    let Data::Sum(orders) = named("orders") else {
        panic!("a counter is a sum");
    };
    assert!(orders.is_monotonic);
    assert_eq!(orders.aggregation_temporality, 2);
    let mut values: Vec<_> = orders
        .data_points
        .iter()
        .map(|point| (of(&point.attributes, "region"), point.value))
        .collect();
    values.sort_by_key(|(region, _)| format!("{region:?}"));
    let expected = [
        (Some(text("eu")), Some(Number::AsInt(7))),
        (Some(text("us")), Some(Number::AsInt(5))),
    ];
    assert_eq!(values, expected);
    let Data::Sum(carts) = named("carts") else {
        panic!("an up-down counter is a sum");
    };
    assert!(!carts.is_monotonic);
    assert_eq!(carts.data_points[0].value, Some(Number::AsInt(-2)));
    let Data::Histogram(latency) = named("latency") else {
        panic!("this view is a histogram");
    };
    let point = &latency.data_points[0];
    assert_eq!((point.count, point.sum), (3, Some(5.55)));
    assert_eq!(point.explicit_bounds, [0.1, 1.0]);
    assert_eq!(point.bucket_counts, [1, 1, 1]);
    assert_eq!((point.min, point.max), (Some(0.05), Some(5.0)));
    let Data::ExponentialHistogram(sizes) = named("sizes") else {
        panic!("this view is an exponential histogram");
    };
    let point = &sizes.data_points[0];
    assert_eq!((point.count, point.sum), (4, Some(1031.0)));
    let buckets = point.positive.as_ref().expect("there are positive values");
    assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), 4);
    let Data::Gauge(temperature) = named("temperature") else {
        panic!("an observable gauge is a gauge");
    };
    assert_eq!(
        temperature.data_points[0].value,
        Some(Number::AsDouble(21.5))
    );
}

fn check_python_logs(received: &Received) {
    let logs = logs(received);
    assert_eq!(logs.len(), 2);
    let full = logs
        .iter()
        .find(|log| log.severity_number == 13)
        .expect("one is a warning");
    assert_eq!(full.time_unix_nano, 1_767_323_045_678_901_234);
    assert_eq!(full.severity_text, "WARN");
    assert_eq!(body(full), Some(text("the cart is empty")));
    assert_eq!(of(&full.attributes, "cart"), Some(Value::IntValue(7)));
    let Some(Value::KvlistValue(tags)) = of(&full.attributes, "tags") else {
        panic!("a dict is a map");
    };
    assert_eq!(of(&tags.values, "vip"), Some(Value::BoolValue(true)));
    let bare = logs
        .iter()
        .find(|log| log.time_unix_nano == 1)
        .expect("one is bare");
    let Some(Value::KvlistValue(map)) = body(bare) else {
        panic!("a dict is a map");
    };
    let Some(Value::ArrayValue(list)) = of(&map.values, "nested") else {
        panic!("a list is an array");
    };
    let values: Vec<_> = list.values.into_iter().map(|any| any.value).collect();
    assert_eq!(values, [Some(Value::IntValue(1)), Some(text("two")), None]);
}

/// The Node SDK writes integers of 64 bits as JSON numbers, where the mapping wants strings, and sends
/// in chunks. The bodies were captured from `@opentelemetry/exporter-*-otlp-http` 0.223.
#[test]
fn what_the_node_sdk_writes_as_json_is_read() {
    let rig = Rig::start();
    for signal in ["traces", "metrics", "logs"] {
        let path = repository(&format!("tests/clients/node_sdk_{signal}.json"));
        let body = std::fs::read(path).expect("the captured body is there");
        let (head, answer) = in_chunks(&rig.http, &format!("/v1/{signal}"), &body);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(answer, r#"{"partialSuccess":{}}"#);
    }
    let received = rig.arrived();
    let span = spans(&received)[0];
    assert_eq!(hex(&span.trace_id), "6e3d1c0fbe7fccd2561dc10c4af24945");
    assert_eq!(span.flags, 257);
    assert_eq!(of(&span.attributes, "big"), Some(Value::IntValue(1 << 40)));
    assert_eq!(of(&span.attributes, "small"), Some(Value::IntValue(-7)));
    assert_eq!(
        of(&span.attributes, "ratio"),
        Some(Value::DoubleValue(0.25))
    );
    assert_eq!(
        of(&span.attributes, "list"),
        Some(list([1, 2].map(Value::IntValue)))
    );
    assert_eq!(span.events[0].time_unix_nano, 1_795_294_565_510_368_544);
    let metrics = metrics(&received);
    let histogram = metrics.iter().find_map(|metric| match &metric.data {
        Some(Data::Histogram(histogram)) => Some(&histogram.data_points[0]),
        _ => None,
    });
    let histogram = histogram.expect("there is a histogram");
    assert_eq!((histogram.count, histogram.sum), (1, Some(12.0)));
    assert_eq!(histogram.bucket_counts[3], 1);
    let Some(Value::KvlistValue(map)) = body(logs(&received)[0]) else {
        panic!("an object is a map");
    };
    assert_eq!(of(&map.values, "tries"), Some(Value::IntValue(2)));
}

/// Posts JSON as Node's HTTP client does: without a length.
fn in_chunks(address: &str, path: &str, body: &[u8]) -> (String, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(support::PATIENCE))
        .expect("it can be set");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    stream.write_all(body).expect("it reads");
    stream.write_all(b"\r\n0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("it answers in text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("headers end");
    (head.to_owned(), body.to_owned())
}

/// `generate` needs no peer: a newcomer sees something at once.
#[test]
fn every_item_of_our_own_generator_arrives_once() {
    let rig = Rig::start();
    for (signal, count) in [("traces", 300), ("metrics", 200), ("logs", 100)] {
        let mut command = support::tidegate();
        command
            .args(["generate", signal, "--rate", "0", "--endpoint", &rig.grpc])
            .args(["--count", &count.to_string()]);
        run("tidegate generate", &mut command);
    }
    let received = rig.arrived();
    let points = metrics(&received)
        .iter()
        .map(|metric| support::normal::points(metric))
        .sum();
    assert_eq!(
        (spans(&received).len(), points, logs(&received).len()),
        (300, 200, 100)
    );
}

fn spans(received: &Received) -> Vec<&Span> {
    let resources = received
        .traces
        .iter()
        .flat_map(|request| &request.resource_spans);
    let scopes = resources.flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).collect()
}

fn metrics(received: &Received) -> Vec<&Metric> {
    let resources = received
        .metrics
        .iter()
        .flat_map(|request| &request.resource_metrics);
    let scopes = resources.flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics).collect()
}

fn logs(received: &Received) -> Vec<&LogRecord> {
    let resources = received
        .logs
        .iter()
        .flat_map(|request| &request.resource_logs);
    let scopes = resources.flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| &scope.log_records).collect()
}

fn of(attributes: &[KeyValue], key: &str) -> Option<Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

fn body(log: &LogRecord) -> Option<Value> {
    log.body.clone()?.value
}

fn text(value: &str) -> Value {
    support::corpus::text(value)
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    let values = values
        .into_iter()
        .map(|value| AnyValue { value: Some(value) });
    Value::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue {
        values: values.collect(),
    })
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
