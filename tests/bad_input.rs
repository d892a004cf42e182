//! Whatever a client sends at a listening collector: it gets a status and a message that names the fault,
//! the next good request goes through, and the process neither grows nor dies.
//!
//! What the receiver does case by case is tested beside it; here all comes at one process over its sockets.

// What the tests share is public for all of them.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Buf, BufMut, Bytes};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use support::sink::{Received, Sink};
use support::{PATIENCE, Tidegate, corpus, free_port};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

const PROTOBUF: &str = "content-type: application/x-protobuf";
const JSON: &str = "content-type: application/json";
/// The largest body that the collector of these tests takes.
const LIMIT: usize = 16 << 20;

/// A collector before a sink.
struct Rig {
    tidegate: Tidegate,
    sink: Sink,
    grpc: String,
    http: String,
}

/// An HTTP answer: status, content type, and the message of its `rpc.Status`, or its text.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    message: String,
}

impl Rig {
    fn start() -> Self {
        let sink = Sink::start();
        let [grpc, http] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let yaml = format!(
            "
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '{grpc}', max_recv_msg_size_mib: 1}}
      http: {{endpoint: '{http}', max_request_body_size: {LIMIT}, read_timeout: 2s}}
exporters: {{otlp_http: {{endpoint: 'http://{}', compression: none}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlp_http]}}
    metrics: {{receivers: [otlp], exporters: [otlp_http]}}
",
            sink.address()
        );
        Self {
            tidegate: Tidegate::start(&yaml, &[&grpc, &http]),
            sink,
            grpc,
            http,
        }
    }

    /// Sends a request and reads the answer; the server may answer before it has read everything.
    fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.http).expect("it listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("it can be set");
        let head = format!(
            "{head}\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads headers");
        let _ = stream.write_all(body);
        Answer::read(stream)
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        self.send(&format!("POST {path} HTTP/1.1\r\n{kind}"), body)
    }

    /// A good request goes through.
    fn goes_on(&self, after: &str) {
        let good = corpus::traces().encode_to_vec();
        let answer = self.post("/v1/traces", PROTOBUF, &good);
        assert_eq!(answer.status, 200, "after {after}: {answer:?}");
    }

    /// Ends the collector and gives what came through.
    fn arrived(self) -> Received {
        let log = self.tidegate.stop();
        assert!(!log.contains("panic"), "{log}");
        assert!(!log.contains("items ended here"), "{log}");
        self.sink.received()
    }
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut whole = Vec::new();
        let _ = stream.read_to_end(&mut whole);
        let end = whole.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {whole:?}"));
        let head = String::from_utf8_lossy(&whole[..end]).to_ascii_lowercase();
        let body = &whole[end + 4..];
        let content_type = head
            .lines()
            .find_map(|line| line.strip_prefix("content-type: "));
        let content_type = content_type.unwrap_or_default().to_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.expect("a status");
        let message = match content_type.as_str() {
            "application/x-protobuf" if status != 200 => {
                RpcStatus::decode(body).expect("an rpc.Status").message
            }
            _ => String::from_utf8_lossy(body).into_owned(),
        };
        Self {
            status,
            content_type,
            message,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// A message within messages, the innermost being these bytes.
fn nested(path: &[u32], innermost: &[u8]) -> Vec<u8> {
    path.iter().rev().fold(innermost.to_vec(), |inner, field| {
        let mut outer = Vec::new();
        prost::encoding::encode_key(
            *field,
            prost::encoding::WireType::LengthDelimited,
            &mut outer,
        );
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

#[test]
fn broken_protobuf_is_named_at_every_level() {
    let rig = Rig::start();
    let (traces, metrics) = ("/v1/traces", "/v1/metrics");
    for (what, path, fields) in [
        ("request", traces, &[][..]),
        ("resource spans", traces, &[1]),
        ("resource", traces, &[1, 1]),
        ("resource attribute", traces, &[1, 1, 1]),
        ("scope spans", traces, &[1, 2]),
        ("scope", traces, &[1, 2, 1]),
        ("span", traces, &[1, 2, 2]),
        ("attribute", traces, &[1, 2, 2, 9]),
        ("value", traces, &[1, 2, 2, 9, 2]),
        ("list", traces, &[1, 2, 2, 9, 2, 5]),
        ("map", traces, &[1, 2, 2, 9, 2, 6]),
        ("event", traces, &[1, 2, 2, 11]),
        ("event attribute", traces, &[1, 2, 2, 11, 3]),
        ("link", traces, &[1, 2, 2, 13]),
        ("status", traces, &[1, 2, 2, 15]),
        ("metric", metrics, &[1, 2, 2]),
        ("gauge", metrics, &[1, 2, 2, 5]),
        ("gauge point", metrics, &[1, 2, 2, 5, 1]),
        ("exemplar", metrics, &[1, 2, 2, 5, 1, 5]),
        ("sum point", metrics, &[1, 2, 2, 7, 1]),
        ("histogram point", metrics, &[1, 2, 2, 9, 1]),
        ("exponential point", metrics, &[1, 2, 2, 10, 1]),
        ("buckets", metrics, &[1, 2, 2, 10, 1, 8]),
        ("summary point", metrics, &[1, 2, 2, 11, 1]),
        ("quantile", metrics, &[1, 2, 2, 11, 1, 6]),
    ] {
        // A tag that does not end, a length past the end, field number 0, a group.
        for broken in [&[0xff][..], &[0x0a, 0x7f], &[0x00], &[0x0b]] {
            let answer = rig.post(path, PROTOBUF, &nested(fields, broken));
            assert_eq!(answer.status, 400, "{what} {broken:x?}: {answer:?}");
            let named = answer.message.starts_with("the request is not OTLP: ");
            assert!(named, "{what} {broken:x?}: {answer:?}");
        }
    }
    let whole = corpus::traces().encode_to_vec();
    let answer = rig.post(traces, PROTOBUF, &whole[..whole.len() / 2]);
    assert_eq!(answer.status, 400, "{answer:?}");
    rig.goes_on("broken protobuf");
    assert_eq!(rig.arrived().traces.len(), 1);
}

#[test]
fn wrong_requests_get_their_status_and_the_next_one_passes() {
    let rig = Rig::start();
    let good = corpus::traces().encode_to_vec();
    let post = |head: &str| format!("POST {head}");
    for (what, head, body, status, said) in [
        ("method", format!("GET /v1/traces HTTP/1.1\r\n{PROTOBUF}"), &good[..], 405, "supported: [post]"),
        ("path", post(&format!("/v2/traces HTTP/1.1\r\n{PROTOBUF}")), &good, 404, "not found"),
        ("signal without a pipeline", post(&format!("/v1/logs HTTP/1.1\r\n{PROTOBUF}")), &[], 404, "not found"),
        ("type", post("/v1/traces HTTP/1.1\r\ncontent-type: text/plain"), &good, 415, "application/x-protobuf"),
        ("JSON", post(&format!("/v1/traces HTTP/1.1\r\n{JSON}")), b"{\"resourceSpans\": [", 400, "not otlp/json"),
        ("JSON's type", post(&format!("/v1/metrics HTTP/1.1\r\n{JSON}")), br#"{"resourceMetrics": 1}"#, 400, "not otlp/json"),
        ("negative count", post(&format!("/v1/metrics HTTP/1.1\r\n{JSON}")), br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"dataPoints":[{"count":"-1"}]}}]}]}]}"#, 400, "not otlp/json"),
        ("encoding", post(&format!("/v1/traces HTTP/1.1\r\n{PROTOBUF}\r\ncontent-encoding: br")), &good, 400, "content-encoding: br"),
        ("gzip", post(&format!("/v1/traces HTTP/1.1\r\n{PROTOBUF}\r\ncontent-encoding: gzip")), &good, 400, "gzip: invalid header"),
        ("size", post(&format!("/v1/traces HTTP/1.1\r\n{PROTOBUF}")), &vec![0; LIMIT + 1], 400, "larger than 16777216 bytes"),
    ] {
        let answer = rig.send(&head, body);
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let message = answer.message.to_ascii_lowercase();
        assert!(message.contains(said), "{what}: {answer:?}");
        if head.contains(JSON) {
            assert_eq!(answer.content_type, "application/json", "{what}");
        }
        rig.goes_on(what);
    }
    for (kind, body) in [(PROTOBUF, &b""[..]), (JSON, b"{}")] {
        let answer = rig.post("/v1/traces", kind, body);
        assert_eq!(answer.status, 200, "an empty request: {answer:?}");
    }
    assert_eq!(rig.arrived().traces.len(), 10);
}

#[test]
fn bombs_are_refused_and_memory_stays() {
    let rig = Rig::start();
    let bomb = gzip(&vec![0; 256 << 20]);
    let head = format!("POST /v1/traces HTTP/1.1\r\n{PROTOBUF}\r\ncontent-encoding: gzip");
    for _ in 0..5 {
        let answer = rig.send(&head, &bomb);
        assert_eq!(answer.status, 400, "{answer:?}");
        let named = answer
            .message
            .contains("larger than 16777216 bytes after decompression");
        assert!(named, "{answer:?}");
    }
    rig.goes_on("bombs");
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.tidegate.process.id()));
    let status = status.expect("the process is there");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak
        .and_then(|peak| peak.split_whitespace().next())
        .expect("a peak");
    let peak: u64 = peak.parse().expect("a number of KiB");
    assert!(peak < 200 << 10, "it grew to {peak} KiB");
    assert_eq!(rig.arrived().traces.len(), 1);
}

#[test]
fn a_slow_client_and_one_that_goes_disturb_nobody() {
    let rig = Rig::start();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\n{PROTOBUF}\r\ncontent-length: 1000\r\n\r\nhalf"
    );
    let mut slow = TcpStream::connect(&rig.http).expect("it listens");
    slow.set_read_timeout(Some(PATIENCE))
        .expect("it can be set");
    slow.write_all(head.as_bytes()).expect("it reads headers");
    let mut gone = TcpStream::connect(&rig.http).expect("it listens");
    gone.write_all(head.as_bytes()).expect("it reads headers");
    drop(gone);
    rig.goes_on("a client that went");
    let answer = Answer::read(slow);
    assert_eq!(answer.status, 408, "{answer:?}");
    rig.goes_on("a slow client");
    assert_eq!(rig.arrived().traces.len(), 2);
}

fn spans(span: Span) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn points(data: Data) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![Metric {
                    name: "odd".to_owned(),
                    data: Some(data),
                    ..Metric::default()
                }],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// The last nanosecond of the year 2500, past what fits a signed number of 64 bits.
const YEAR_2500: u64 = 16_756_761_599_999_999_999;

#[test]
fn what_is_odd_and_valid_arrives_as_it_is() {
    let rig = Rig::start();
    let long = Span {
        attributes: vec![corpus::attribute(
            "long",
            Value::StringValue("x".repeat(8 << 20)),
        )],
        ..Span::default()
    };
    let many = Span {
        attributes: (0..1_000_000)
            .map(|at: u32| corpus::attribute(&at.to_string(), Value::BoolValue(true)))
            .collect(),
        ..Span::default()
    };
    let times = Span {
        start_time_unix_nano: 0,
        end_time_unix_nano: YEAR_2500,
        ..Span::default()
    };
    let traces = [long, many, times].map(spans);
    for request in &traces {
        let answer = rig.post("/v1/traces", PROTOBUF, &request.encode_to_vec());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let doubles = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        f64::MIN_POSITIVE,
    ];
    let gauge = doubles.map(|value| NumberDataPoint {
        time_unix_nano: YEAR_2500,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    });
    // What a client means by negative counts is a very large number on the wire.
    let histogram = HistogramDataPoint {
        count: (-1_i64).cast_unsigned(),
        sum: Some(f64::NAN),
        bucket_counts: vec![(-5_i64).cast_unsigned(), 1],
        explicit_bounds: vec![f64::NEG_INFINITY],
        ..HistogramDataPoint::default()
    };
    let metrics = [
        points(Data::Gauge(Gauge {
            data_points: gauge.into(),
        })),
        points(Data::Histogram(Histogram {
            data_points: vec![histogram],
            aggregation_temporality: 2,
        })),
    ];
    for request in &metrics {
        let answer = rig.post("/v1/metrics", PROTOBUF, &request.encode_to_vec());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let received = rig.arrived();
    // Compared as bytes, for NaN equals nothing.
    let bytes = |requests: &[ExportMetricsServiceRequest]| -> Vec<Vec<u8>> {
        let mut all: Vec<_> = requests.iter().map(Message::encode_to_vec).collect();
        all.sort();
        all
    };
    assert_eq!(bytes(&received.metrics), bytes(&metrics));
    assert_eq!(received.traces.len(), 3);
    for request in traces {
        assert!(received.traces.contains(&request), "a request is missing");
    }
}

/// Sends bytes as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

async fn call(rig: &Rig, path: &'static str, message: Vec<u8>) -> Result<Bytes, Status> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", rig.grpc));
    let channel = channel
        .expect("an address")
        .connect()
        .await
        .expect("it listens");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("it is connected");
    let request = tonic::Request::new(Bytes::from(message));
    let path = http::uri::PathAndQuery::from_static(path);
    let answer = client.unary(request, path, Raw).await?;
    Ok(answer.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_calls_over_grpc_get_their_code_and_the_next_one_passes() {
    const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let rig = Rig::start();
    for (what, path, message, code, said) in [
        (
            "protobuf",
            EXPORT,
            nested(&[1, 2, 2], &[0xff]),
            Code::InvalidArgument,
            "not OTLP",
        ),
        (
            "cut off",
            EXPORT,
            nested(&[1], &[0x12, 0x7f]),
            Code::InvalidArgument,
            "not OTLP",
        ),
        (
            "size",
            EXPORT,
            vec![0; (1 << 20) + 1],
            Code::ResourceExhausted,
            "larger than",
        ),
        (
            "service",
            "/no.Service/Export",
            Vec::new(),
            Code::Unimplemented,
            "",
        ),
        (
            "signal",
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Vec::new(),
            Code::Unimplemented,
            "",
        ),
    ] {
        let status = call(&rig, path, message).await.expect_err(what);
        assert_eq!(status.code(), code, "{what}: {status:?}");
        assert!(status.message().contains(said), "{what}: {status:?}");
        let good = call(&rig, EXPORT, corpus::traces().encode_to_vec()).await;
        assert!(good.is_ok(), "after {what}: {good:?}");
    }
    assert!(
        call(&rig, EXPORT, Vec::new()).await.is_ok(),
        "an empty request"
    );
    assert_eq!(rig.arrived().traces.len(), 5);
}
