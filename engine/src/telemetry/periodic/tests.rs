//! Own metrics as a server on the loopback gets them.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use tidegate_document::{read, yaml};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A request, as it came over HTTP/1 or HTTP/2.
#[derive(Clone, Debug, Default)]
struct Came {
    path: String,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

type Requests = Arc<Mutex<Vec<Came>>>;

/// Takes everything over gRPC.
async fn grpc_server() -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Requests::default();
    let taken = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let taken = Arc::clone(&taken);
                tokio::spawn(async move {
                    let (head, mut body) = request.into_parts();
                    let mut whole = Vec::new();
                    while let Some(data) = body.data().await {
                        whole.extend_from_slice(&data.unwrap());
                    }
                    taken.lock().unwrap().push(Came {
                        path: head.uri.path().to_owned(),
                        headers: head.headers,
                        body: whole[5..].to_vec(),
                    });
                    let answer = http::Response::builder()
                        .header("content-type", "application/grpc")
                        .header("grpc-status", "0");
                    respond
                        .send_response(answer.body(()).unwrap(), true)
                        .unwrap();
                });
            }
        }
    });
    (address, requests)
}

/// Takes everything over HTTP/1 and answers with this status.
async fn http_server(status: &'static str) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Requests::default();
    let taken = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let came = request(stream, status).await;
            taken.lock().unwrap().push(came);
        }
    });
    (address, requests)
}

/// Reads one request of a connection and closes it.
async fn request(mut stream: TcpStream, status: &str) -> Came {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let (line, rest) = head.split_once("\r\n").unwrap();
        let mut came = Came {
            path: line.split(' ').nth(1).unwrap().to_owned(),
            ..Came::default()
        };
        for header in rest.lines() {
            let (name, value) = header.split_once(": ").unwrap();
            let name: http::HeaderName = name.parse().unwrap();
            came.headers.insert(name, value.parse().unwrap());
        }
        let length: usize = came.headers["content-length"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        if bytes.len() < end + 4 + length {
            continue;
        }
        came.body = bytes.split_off(end + 4);
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        return came;
    }
}

fn telemetry(periodic: &str) -> Telemetry {
    let text = format!(
        "{{resource: {{service.name: edge}}, metrics: {{readers: [{{periodic: {periodic}}}]}}}}"
    );
    read(&yaml::parse_str(&text).unwrap()).unwrap()
}

/// Counts three spans, starts a reader and stops it, which pushes.
async fn push(periodic: &str) {
    let settings = telemetry(periodic);
    let registry = Registry::default();
    registry
        .counter("otelcol_exporter_sent_spans", "", &[("exporter", "otlp")])
        .add(3);
    let readers = settings.metrics.readers().unwrap();
    let periodic = readers[0].periodic.as_ref().unwrap();
    Pushing::start(&settings, periodic, &registry)
        .unwrap()
        .stop()
        .await;
}

fn refused(periodic: &str) -> String {
    let settings = telemetry(periodic);
    let readers = settings.metrics.readers().unwrap();
    let periodic = readers[0].periodic.as_ref().unwrap();
    let started = Pushing::start(&settings, periodic, &Registry::default());
    started.unwrap_err().to_string()
}

/// The only request, which tells of three spans sent by `edge`.
fn only(requests: &Requests) -> Came {
    let mut requests = requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn tells_of_three_spans(body: &[u8]) {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let sent = &request.resource_metrics[0];
    let resource = format!("{:?}", sent.resource);
    assert!(resource.contains("service.name") && resource.contains("edge"));
    let metrics = &sent.scope_metrics[0].metrics;
    let sent = metrics
        .iter()
        .find(|metric| metric.name == "otelcol_exporter_sent_spans");
    let Some(Data::Sum(sum)) = &sent.unwrap().data else {
        panic!("{sent:?} is no sum");
    };
    assert_eq!(sum.data_points[0].value, Some(Value::AsInt(3)));
    assert!(
        metrics
            .iter()
            .any(|metric| metric.name == "otelcol_process_memory_rss")
    );
}

#[tokio::test]
async fn metrics_are_pushed_over_grpc() {
    let (address, requests) = grpc_server().await;
    push(&format!(
        "{{exporter: {{otlp: {{protocol: grpc, endpoint: 'http://{address}', headers: {{key: secret}}}}}}}}"
    ))
    .await;
    let came = only(&requests);
    assert_eq!(
        came.path,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    );
    assert_eq!(came.headers["key"], "secret");
    tells_of_three_spans(&came.body);
}

#[tokio::test]
async fn metrics_are_pushed_over_http() {
    let (address, requests) = http_server("200 OK").await;
    push(&format!(
        "{{exporter: {{otlp: {{protocol: http/protobuf, endpoint: 'http://{address}', headers: [{{name: key, value: secret}}]}}}}}}"
    ))
    .await;
    let came = only(&requests);
    assert_eq!(came.path, "/v1/metrics");
    assert_eq!(came.headers["content-type"], "application/x-protobuf");
    assert_eq!(came.headers["key"], "secret");
    tells_of_three_spans(&came.body);
}

#[tokio::test]
async fn path_of_an_endpoint_is_taken_as_it_is_and_json_is_spoken() {
    let (address, requests) = http_server("200 OK").await;
    push(&format!(
        "{{exporter: {{otlp: {{protocol: http/json, endpoint: '{address}/mine', insecure: true}}}}}}"
    ))
    .await;
    let came = only(&requests);
    assert_eq!(came.path, "/mine");
    assert_eq!(came.headers["content-type"], "application/json");
    let body = json::from_json(Signal::Metrics, &came.body, &mut |_| true).unwrap();
    tells_of_three_spans(&body);
}

#[tokio::test]
async fn pushes_go_on_while_the_server_fails() {
    let (address, requests) = http_server("503 Service Unavailable").await;
    let settings = telemetry(&format!(
        "{{interval: 1, exporter: {{otlp: {{endpoint: 'http://{address}'}}}}}}"
    ));
    let readers = settings.metrics.readers().unwrap();
    let periodic = readers[0].periodic.as_ref().unwrap();
    let pushing = Pushing::start(&settings, periodic, &Registry::default()).unwrap();
    while requests.lock().unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    pushing.stop().await;
}

#[tokio::test]
async fn server_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    push(&format!(
        "{{timeout: 20, exporter: {{otlp: {{endpoint: 'http://{address}'}}}}}}"
    ))
    .await;
    drop(listener);
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_named() {
    for (periodic, told) in [
        ("{exporter: {}}", "periodic::exporter: there is no exporter"),
        (
            "{exporter: {otlp: {endpoint: 'ftp://a'}}}",
            "otlp::endpoint: \"ftp://a\" is no URL",
        ),
        (
            "{exporter: {otlp: {protocol: grpc, endpoint: a}}}",
            "otlp::endpoint: \"a\" has no port",
        ),
        (
            "{exporter: {otlp: {endpoint: 'http://a', compression: lzma}}}",
            "otlp::compression: \"lzma\" is not known",
        ),
    ] {
        let error = refused(periodic);
        assert!(error.contains(told), "{error}");
    }
}
