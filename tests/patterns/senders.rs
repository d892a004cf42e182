//! Who sends to the receivers of a pattern.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::support::http;

/// A span as Zipkin's clients send it.
pub fn zipkin(address: &str, name: &str) {
    let body = format!(
        r#"[{{"traceId":"5982fe77008310cc80f1da5e10147517","id":"90394f6bcffb5d13","name":"{name}","kind":"SERVER",
        "timestamp":1764500000000000,"duration":1000,"localEndpoint":{{"serviceName":"older"}}}}]"#
    );
    let request = "POST /api/v2/spans HTTP/1.1\r\ncontent-type: application/json";
    let (head, _) = http(address, request, body.as_bytes()).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 202"), "{head}");
}

/// A span as Jaeger's clients post it: a batch in Thrift's binary protocol.
pub fn jaeger(address: &str, name: &str) {
    fn field(out: &mut Vec<u8>, kind: u8, id: i16) {
        out.push(kind);
        out.extend(id.to_be_bytes());
    }
    fn text(out: &mut Vec<u8>, id: i16, value: &str) {
        field(out, 11, id);
        let length = i32::try_from(value.len()).expect("a short text");
        out.extend(length.to_be_bytes());
        out.extend(value.as_bytes());
    }
    fn number(out: &mut Vec<u8>, id: i16, value: i64) {
        field(out, 10, id);
        out.extend(value.to_be_bytes());
    }
    let mut batch = Vec::new();
    field(&mut batch, 12, 1);
    text(&mut batch, 1, "older");
    batch.push(0);
    // A list of one structure.
    field(&mut batch, 15, 2);
    batch.push(12);
    batch.extend(1i32.to_be_bytes());
    number(&mut batch, 1, 71);
    number(&mut batch, 2, 72);
    number(&mut batch, 3, 73);
    number(&mut batch, 4, 0);
    text(&mut batch, 5, name);
    field(&mut batch, 8, 7);
    batch.extend(1i32.to_be_bytes());
    number(&mut batch, 8, 1_764_500_000_000_000);
    number(&mut batch, 9, 1000);
    batch.push(0);
    batch.push(0);
    let request = "POST /api/traces HTTP/1.1\r\ncontent-type: application/x-thrift";
    let (head, _) = http(address, request, &batch).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 20"), "{head}");
}

/// Adds to a file.
pub fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.expect("the file opens");
    file.write_all(text.as_bytes()).expect("it takes more");
}

/// Sends a line over TCP.
pub fn line(address: &str, text: &str) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(text.as_bytes()).expect("it is sent");
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    })
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: text(value),
        ..KeyValue::default()
    }
}

fn span(trace: u8, name: &str) -> Span {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let now = u64::try_from(now.as_nanos()).expect("a time");
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: now - 1_000_000,
        end_time_unix_nano: now,
        ..Span::default()
    }
}

fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            // Metrics are made of named services alone.
            resource: Some(Resource {
                attributes: vec![attribute("service.name", "shop")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn logs(record: LogRecord) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn send_spans(address: &str, spans: Vec<Span>) {
    let address = format!("http://{address}");
    run(async {
        let mut client = TraceServiceClient::connect(address)
            .await
            .expect("a connection");
        client.export(traces(spans)).await.expect("it is taken");
    });
}

/// A span and a log record with what nobody is to see.
pub fn secrets(address: &str) {
    let mut span = span(1, "pay");
    span.attributes = vec![
        attribute("card", "4111111111111111"),
        attribute("db.password", "hunter2"),
        attribute("Authorization", "Bearer hunter2"),
    ];
    send_spans(address, vec![span]);
    let record = LogRecord {
        body: text(r#"{"user": "error 7"}"#),
        attributes: vec![
            attribute("card", "4111111111111111"),
            attribute("Password", "hunter2"),
        ],
        ..LogRecord::default()
    };
    let address = format!("http://{address}");
    run(async {
        let mut client = LogsServiceClient::connect(address)
            .await
            .expect("a connection");
        client.export(logs(record)).await.expect("it is taken");
    });
}

/// A trace that failed, and one of a probe.
pub fn verdicts(address: &str) {
    let mut failed = span(2, "failed");
    failed.status = Some(Status {
        code: 2,
        ..Status::default()
    });
    let mut probe = span(3, "probe");
    probe.attributes = vec![attribute("http.route", "/healthz")];
    send_spans(address, vec![failed, probe]);
}
