use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tidegate_pdata::Signal;
use tidegate_transport::compression::{Codec, decompress};
use tidegate_transport::grpc::Code;
use tokio::net::TcpListener;

use super::*;
use crate::otlp::testing::{batch, remote};

/// A server whose answers are scripted; then it answers 200.
#[derive(Clone, Default)]
struct Script {
    seen: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<VecDeque<Response<Full<Bytes>>>>>,
}

impl Script {
    async fn serve(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = self.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let script = script.clone();
                let service = service_fn(move |request| script.clone().handle(request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        port
    }

    async fn handle(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let seen = (head.uri.to_string(), head.headers, body);
        self.seen.lock().unwrap().push(seen);
        Ok(self.answers.lock().unwrap().pop_front().unwrap_or_default())
    }
}

fn logs(count: usize) -> ExportLogsServiceRequest {
    let log = |at: usize| LogRecord {
        time_unix_nano: at as u64,
        body: Some(AnyValue {
            value: Some(Value::StringValue(format!("line {at}"))),
        }),
        trace_id: vec![0xab; 16],
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: (0..count).map(log).collect(),
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

fn two() -> Batch {
    batch(
        Signal::Logs,
        &[(logs(2).encode_to_vec(), 2), (logs(3).encode_to_vec(), 3)],
    )
}

/// What comes of a batch when the peer answers so.
async fn answered(
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Delivered, ExportError> {
    let script = Script::default();
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    let body = Full::new(Bytes::copy_from_slice(body));
    script
        .answers
        .lock()
        .unwrap()
        .push_back(answer.body(body).unwrap());
    let port = script.serve().await;
    let exporter = remote::<Config>(&format!("{{endpoint: 'http://127.0.0.1:{port}'}}")).await;
    exporter.export(&two()).await
}

#[tokio::test]
async fn a_merged_batch_arrives_as_one_request_in_protobuf() {
    let script = Script::default();
    let port = script.serve().await;
    let yaml = format!(
        "{{endpoint: 'http://127.0.0.1:{port}/otlp', headers: {{X-Tenant: a}}, compression: zstd}}"
    );
    remote::<Config>(&yaml).await.export(&two()).await.unwrap();
    let (uri, headers, body) = script.seen.lock().unwrap().remove(0);
    assert_eq!(uri, "/otlp/v1/logs");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["content-encoding"], "zstd");
    assert_eq!(headers["x-tenant"], "a");
    assert!(
        headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("Tidegate/")
    );
    let body = decompress(Codec::Zstd, &body, 1 << 20, &mut |_| true).unwrap();
    let read = ExportLogsServiceRequest::decode(&*body).unwrap();
    assert_eq!(
        read.resource_logs,
        [logs(2).resource_logs, logs(3).resource_logs].concat()
    );
}

#[tokio::test]
async fn json_is_written_as_otlp_maps_it() {
    let script = Script::default();
    let port = script.serve().await;
    let yaml = format!(
        "{{endpoint: 'http://localhost:1', logs_endpoint: 'http://127.0.0.1:{port}/in', encoding: json, compression: none}}"
    );
    remote::<Config>(&yaml).await.export(&two()).await.unwrap();
    let (uri, headers, body) = script.seen.lock().unwrap().remove(0);
    assert_eq!(uri, "/in");
    assert_eq!(headers["content-type"], "application/json");
    let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let last = &read["resourceLogs"][1]["scopeLogs"][0]["logRecords"][2];
    assert_eq!(
        last,
        &serde_json::json!({
            "timeUnixNano": "2",
            "body": {"stringValue": "line 2"},
            "traceId": "abababababababababababababababab",
        })
    );
}

#[tokio::test]
async fn a_partial_success_is_reported_in_either_encoding() {
    let json = br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#;
    let proto = b"\x0a\x0b\x08\x02\x12\x07too old";
    for (kind, body) in [
        ("application/json", &json[..]),
        ("application/x-protobuf", proto),
    ] {
        let delivered = answered(200, &[("content-type", kind)], body)
            .await
            .unwrap();
        assert_eq!(delivered.rejected, 2);
        assert_eq!(delivered.message.as_deref(), Some("too old"));
    }
    assert_eq!(
        answered(202, &[], b"thanks").await.unwrap(),
        Delivered::default()
    );
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_final() {
    for kind in ["application/json", "application/x-protobuf"] {
        let error = answered(200, &[("content-type", kind)], b"<html>")
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                ExportError::Permanent {
                    divisible: false,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn statuses_mean_what_they_mean_to_the_collector() {
    for status in [429, 502, 503, 504] {
        let error = answered(status, &[], b"").await.unwrap_err();
        assert!(
            matches!(error, ExportError::Retryable { .. }),
            "{status}: {error}"
        );
    }
    for status in [302, 400, 401, 403, 404, 405, 413, 415, 500, 501] {
        let error = answered(status, &[], b"").await.unwrap_err();
        let ExportError::Permanent {
            divisible, reason, ..
        } = error
        else {
            panic!("{status}: {error}")
        };
        assert_eq!(divisible, matches!(status, 400 | 413), "{status}");
        assert!(reason.contains(&status.to_string()), "{reason}");
    }
}

#[tokio::test]
async fn retry_after_is_handed_on_in_seconds_and_as_a_date() {
    for status in [429, 503] {
        let error = answered(status, &[("retry-after", "30")], b"")
            .await
            .unwrap_err();
        let ExportError::Refused { after, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(after, Some(Duration::from_secs(30)));
    }
    let date = [("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")];
    let error = answered(503, &date, b"").await.unwrap_err();
    let ExportError::Refused {
        after: Some(after), ..
    } = error
    else {
        panic!("{error}")
    };
    assert!(after > Duration::from_secs(86_400 * 365));
    // The Collector heeds it for these two alone.
    let error = answered(502, &[("retry-after", "30")], b"")
        .await
        .unwrap_err();
    assert!(matches!(error, ExportError::Retryable { .. }), "{error}");
}

#[tokio::test]
async fn what_the_peer_says_is_part_of_the_error() {
    let proto = Status::new(Code::InvalidArgument, "bad span").encode();
    let json = br#"{"code":3,"message":"bad span"}"#;
    for (kind, body) in [
        ("application/x-protobuf", &*proto),
        ("application/json; charset=utf-8", json),
        ("text/plain", b"bad span\n"),
    ] {
        let error = answered(400, &[("content-type", kind)], body)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("HTTP 400 Bad Request: bad span"),
            "{error}"
        );
    }
}
