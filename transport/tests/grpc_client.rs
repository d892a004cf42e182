//! The gRPC client against servers made by others.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use support::collector::{Collector, Running};
use support::pki::Pki;
use support::{EXPORT, request, segment};
use tidegate_transport::client::{CallError, GrpcChannel, GrpcClient, GrpcCompression};
use tidegate_transport::grpc::Code;
use tidegate_transport::tls::ClientTls;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

fn plaintext(endpoint: String) -> GrpcClient {
    GrpcClient {
        endpoint: Some(endpoint),
        tls: ClientTls {
            insecure: true,
            ..ClientTls::default()
        },
        ..GrpcClient::default()
    }
}

fn open(client: &GrpcClient, compression: GrpcCompression) -> GrpcChannel {
    client.build(compression).unwrap().start(None).unwrap()
}

async fn send(channel: &GrpcChannel, segments: &[Bytes]) -> Result<Bytes, CallError> {
    let message = channel.message(segments.iter()).await.unwrap();
    channel.unary(EXPORT, &message, None).await
}

#[tokio::test]
async fn segments_arrive_as_one_request_whatever_the_compression() {
    let collector = Collector::default();
    let server = Running::start(&collector, 0, Server::builder()).await;
    let parts = [
        request(3, 10),
        request(200, 400),
        request(1, 5),
        request(40, 1000),
    ];
    let segments = parts.each_ref().map(segment);
    for compression in [
        GrpcCompression::None,
        GrpcCompression::Gzip,
        GrpcCompression::Zstd,
    ] {
        let channel = open(&plaintext(server.endpoint()), compression);
        let answer = send(&channel, &segments).await.unwrap();
        assert_eq!(
            ExportTraceServiceResponse::decode(answer).unwrap(),
            ExportTraceServiceResponse::default()
        );
        let mut seen = collector.take();
        assert_eq!(seen.len(), 1);
        let together: Vec<_> = parts
            .iter()
            .flat_map(|part| part.resource_spans.clone())
            .collect();
        assert!(
            seen.remove(0).0.resource_spans == together,
            "{compression:?}"
        );
    }
}

#[tokio::test]
async fn a_large_body_passes_small_windows() {
    let collector = Collector::default();
    let server = Server::builder()
        .initial_stream_window_size(65_535)
        .initial_connection_window_size(65_535)
        .max_frame_size(16_384);
    let server = Running::start(&collector, 0, server).await;
    let channel = open(&plaintext(server.endpoint()), GrpcCompression::None);
    let large = request(20, 100_000);
    let segments = vec![segment(&large); 4];
    send(&channel, &segments).await.unwrap();
    let seen = collector.take();
    assert_eq!(seen[0].0.resource_spans.len(), 4);
    assert!(seen[0].0.resource_spans[3] == large.resource_spans[0]);
}

#[tokio::test]
async fn an_error_without_a_body_tells_code_message_and_delay() {
    let collector = Collector::default();
    let server = Running::start(&collector, 0, Server::builder()).await;
    let channel = open(&plaintext(server.endpoint()), GrpcCompression::None);
    let mut status = tonic::Status::resource_exhausted("quota of naïve 10% spent");
    // google.rpc.Status with RetryInfo{retry_delay: {seconds: 7}}.
    let mut details = vec![8, 8, 0x1a, 0x30, 0x0a, 0x28];
    details.extend(b"type.googleapis.com/google.rpc.RetryInfo");
    details.extend([0x12, 4, 0x0a, 2, 8, 7]);
    status = tonic::Status::with_details(status.code(), status.message(), details.into());
    collector.answer(Err(status));
    let error = send(&channel, &[segment(&request(1, 1))])
        .await
        .unwrap_err();
    let CallError::Status(status) = error else {
        panic!("{error}")
    };
    assert_eq!(status.code, Code::ResourceExhausted);
    assert_eq!(status.message, "quota of naïve 10% spent");
    assert_eq!(status.retry_after, Some(Duration::from_secs(7)));
    // The connection goes on.
    send(&channel, &[segment(&request(1, 1))]).await.unwrap();
}

#[tokio::test]
async fn the_answer_is_handed_over_also_when_compressed() {
    let collector = Collector::default();
    let server = Running::start(&collector, 0, Server::builder()).await;
    let channel = open(&plaintext(server.endpoint()), GrpcCompression::Gzip);
    let partial = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 3,
            error_message: "too old".repeat(100),
        }),
    };
    collector.answer(Ok(partial.clone()));
    let answer = send(&channel, &[segment(&request(1, 1))]).await.unwrap();
    assert_eq!(ExportTraceServiceResponse::decode(answer).unwrap(), partial);
}

#[tokio::test]
async fn headers_and_timeout_arrive_as_given() {
    let collector = Collector::default();
    let server = Running::start(&collector, 0, Server::builder()).await;
    let mut client = plaintext(format!("http://{}", server.endpoint()));
    client.headers = [("X-Tenant", "a=b; c"), ("authorization", "Bearer x")]
        .into_iter()
        .collect();
    client.user_agent = Some("probe/1".to_owned());
    let channel = open(&client, GrpcCompression::None);
    let message = channel.message([].iter()).await.unwrap();
    channel
        .unary(EXPORT, &message, Some(Duration::from_secs(5)))
        .await
        .unwrap();
    let (_, metadata) = collector.take().remove(0);
    assert_eq!(metadata.get("x-tenant").unwrap(), "a=b; c");
    assert_eq!(metadata.get("authorization").unwrap(), "Bearer x");
    assert_eq!(metadata.get("user-agent").unwrap(), "probe/1");
    assert_eq!(metadata.get("grpc-timeout").unwrap(), "5000000u");
}

#[tokio::test]
async fn a_peer_that_says_farewell_is_found_again_without_an_error() {
    let collector = Collector::default();
    let server = Running::start(&collector, 0, Server::builder()).await;
    let port = server.port;
    let channel = open(&plaintext(server.endpoint()), GrpcCompression::None);
    for _ in 0..3 {
        send(&channel, &[segment(&request(1, 1))]).await.unwrap();
    }
    server.stop().await;
    let server = Running::start(&collector, port, Server::builder()).await;
    send(&channel, &[segment(&request(1, 1))]).await.unwrap();
    assert_eq!(collector.take().len(), 4);
    server.stop().await;
}

#[tokio::test]
async fn an_absent_peer_fails_at_once_and_is_found_when_it_comes() {
    let collector = Collector::default();
    let server = Running::start(&collector, 0, Server::builder()).await;
    let port = server.port;
    server.stop().await;
    let channel = open(
        &plaintext(format!("127.0.0.1:{port}")),
        GrpcCompression::None,
    );
    let segments = [segment(&request(1, 1))];
    for _ in 0..5 {
        let error = send(&channel, &segments).await.unwrap_err().to_string();
        assert!(error.contains("is the peer running"), "{error}");
    }
    let _server = Running::start(&collector, port, Server::builder()).await;
    let found = async {
        while send(&channel, &segments).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_patient_client_waits_for_its_peer() {
    let collector = Collector::default();
    let server = Running::start(&collector, 0, Server::builder()).await;
    let port = server.port;
    server.stop().await;
    let mut client = plaintext(format!("127.0.0.1:{port}"));
    client.wait_for_ready = true;
    let channel = open(&client, GrpcCompression::None);
    let segments = [segment(&request(1, 1))];
    let sent = send(&channel, &segments);
    let start = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Running::start(&collector, port, Server::builder()).await
    };
    let (sent, _server) = tokio::join!(sent, start);
    sent.unwrap();
}

fn tls(pki: &Pki) -> ServerTlsConfig {
    ServerTlsConfig::new().identity(Identity::from_pem(
        pki.read("server.pem"),
        pki.read("server.key"),
    ))
}

async fn secure(collector: &Collector, config: ServerTlsConfig) -> Running {
    let server = Server::builder().tls_config(config).unwrap();
    Running::start(collector, 0, server).await
}

fn trusting(endpoint: String, pki: &Pki) -> GrpcClient {
    GrpcClient {
        endpoint: Some(endpoint),
        tls: ClientTls {
            ca_file: Some(pki.text("ca.pem")),
            ..ClientTls::default()
        },
        ..GrpcClient::default()
    }
}

#[tokio::test]
async fn tls_is_spoken_with_a_ca_of_ones_own() {
    let (collector, pki) = (Collector::default(), Pki::new());
    let server = secure(&collector, tls(&pki)).await;
    for endpoint in [
        server.endpoint(),
        format!("https://localhost:{}", server.port),
    ] {
        let channel = open(&trusting(endpoint, &pki), GrpcCompression::Gzip);
        send(&channel, &[segment(&request(100, 300))])
            .await
            .unwrap();
    }
    assert_eq!(collector.take().len(), 2);
}

#[tokio::test]
async fn a_client_certificate_is_presented_where_one_is_given() {
    let (collector, pki) = (Collector::default(), Pki::new());
    let config = tls(&pki).client_ca_root(Certificate::from_pem(pki.read("ca.pem")));
    let server = secure(&collector, config).await;
    let mut client = trusting(server.endpoint(), &pki);
    let segments = [segment(&request(1, 1))];
    let error = send(&open(&client, GrpcCompression::None), &segments).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("give `tls.cert_file`"), "{error}");
    client.tls.cert_file = Some(pki.text("client.pem"));
    client.tls.key_file = Some(pki.text("client.key"));
    send(&open(&client, GrpcCompression::None), &segments)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_handshake_that_fails_says_what_to_do() {
    let (collector, pki) = (Collector::default(), Pki::new());
    let server = secure(&collector, tls(&pki)).await;
    let segments = [segment(&request(1, 1))];
    let other = Pki::new();
    let mut stranger = trusting(server.endpoint(), &other);
    let mut misnamed = trusting(server.endpoint(), &pki);
    misnamed.tls.server_name_override = Some("gateway.example".to_owned());
    let mut skipping = trusting(server.endpoint(), &other);
    skipping.tls.insecure_skip_verify = true;
    for (client, expected) in [
        (&stranger, "name its CA in `tls.ca_file`"),
        (
            &misnamed,
            "the right one into `endpoint` or `tls.server_name_override`",
        ),
        (
            &plaintext(server.endpoint()),
            "take `tls.insecure` (or `http://`) away",
        ),
    ] {
        let error = send(&open(client, GrpcCompression::None), &segments).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    send(&open(&skipping, GrpcCompression::None), &segments)
        .await
        .unwrap();
    stranger.tls.ca_file = Some(pki.text("ca.pem"));
    send(&open(&stranger, GrpcCompression::None), &segments)
        .await
        .unwrap();

    let plain = Running::start(&collector, 0, Server::builder()).await;
    let client = trusting(plain.endpoint(), &pki);
    let error = send(&open(&client, GrpcCompression::None), &segments).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("tls: {insecure: true}"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_its_own_ca_is_trusted_when_given() {
    let (collector, pki) = (Collector::default(), Pki::new());
    pki.self_signed("server");
    let server = secure(&collector, tls(&pki)).await;
    let mut client = trusting(format!("localhost:{}", server.port), &pki);
    client.tls.ca_file = Some(pki.text("server.pem"));
    let segments = [segment(&request(1, 1))];
    send(&open(&client, GrpcCompression::None), &segments)
        .await
        .unwrap();
    client.tls.server_name_override = Some("gateway.example".to_owned());
    assert!(
        send(&open(&client, GrpcCompression::None), &segments)
            .await
            .is_err()
    );
}
