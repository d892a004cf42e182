//! gRPC, against tonic's clients.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tidegate_transport::grpc;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::*;

async fn channel(rig: &Rig) -> Channel {
    let uri = format!("http://{}", rig.address());
    Endpoint::try_from(uri).unwrap().connect().await.unwrap()
}

async fn tracer(rig: &Rig) -> TraceServiceClient<Channel> {
    TraceServiceClient::new(channel(rig).await)
}

#[tokio::test]
async fn every_signal_comes_in_byte_for_byte() {
    let rig = Rig::grpc().await;
    let channel = channel(&rig).await;

    let mut client = TraceServiceClient::new(channel.clone());
    client.export(traces()).await.unwrap();
    assert_eq!(rig.only(), traces().encode_to_vec());

    let mut client = MetricsServiceClient::new(channel.clone());
    client.export(metrics()).await.unwrap();
    assert_eq!(rig.only(), metrics().encode_to_vec());

    let mut client = LogsServiceClient::new(channel);
    let response = client.export(logs()).await.unwrap().into_inner();
    assert_eq!(rig.only(), logs().encode_to_vec());
    let partial = response.partial_success.unwrap_or_default();
    assert_eq!(
        (partial.rejected_log_records, &*partial.error_message),
        (0, "")
    );
    assert_eq!(rig.failed_requests(), 0);
}

#[tokio::test]
async fn compressed_requests_come_in() {
    let rig = Rig::grpc().await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = tracer(&rig).await.send_compressed(encoding);
        let request = traces_with(vec![attribute("long", &"x".repeat(100_000))]);
        client.export(request.clone()).await.unwrap();
        assert_eq!(rig.only(), request.encode_to_vec());
    }
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn the_room_goes_with_the_payload() {
    let rig = Rig::grpc().await;
    tracer(&rig).await.export(traces()).await.unwrap();
    assert_eq!(rig.pipeline.budget.used(), traces().encoded_len());
    drop(rig.taken());
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn an_empty_request_is_fine_and_goes_nowhere() {
    let rig = Rig::grpc().await;
    let empty = ExportTraceServiceRequest::default();
    tracer(&rig).await.export(empty).await.unwrap();
    assert!(rig.taken().is_empty());
}

fn retry_after(status: &tonic::Status) -> Option<Duration> {
    grpc::Status::decode(status.details()).unwrap().retry_after
}

#[tokio::test]
async fn a_shut_door_says_when_to_come_again() {
    let rig = Rig::grpc().await;
    rig.shut(Duration::from_millis(1500));
    let status = tracer(&rig).await.export(traces()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the memory budget is spent");
    assert_eq!(retry_after(&status), Some(Duration::from_millis(1500)));
    assert_eq!(rig.failed_requests(), 0);
}

#[tokio::test]
async fn what_the_pipelines_do_not_take_is_told() {
    let rig = Rig::grpc().await;
    let refusal = Refusal::new("no answer in time", Duration::from_secs(2));
    for (outcome, code, after) in [
        (Outcome::Refused(refusal), Code::Unavailable, Some(2)),
        (Outcome::Lost, Code::Unavailable, Some(1)),
        (
            Outcome::Rejected("no such tenant".into()),
            Code::InvalidArgument,
            None,
        ),
    ] {
        rig.refuse_with(outcome);
        let status = tracer(&rig).await.export(traces()).await.unwrap_err();
        assert_eq!(status.code(), code);
        let told = (!status.details().is_empty())
            .then(|| retry_after(&status))
            .flatten();
        assert_eq!(told, after.map(Duration::from_secs));
    }
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn a_signal_without_a_pipeline_is_not_implemented() {
    let rig = Rig::start_for("{grpc: {endpoint: '127.0.0.1:0'}}", &[Signal::Logs]).await;
    let status = tracer(&rig).await.export(traces()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(rig.failed_requests(), 1);
}

#[tokio::test]
async fn a_message_past_the_limit_is_refused_for_good() {
    let rig = Rig::start("{grpc: {endpoint: '127.0.0.1:0', max_recv_msg_size_mib: 1}}").await;
    let request = traces_with(vec![attribute("long", &"x".repeat(1 << 20))]);
    let status = tracer(&rig)
        .await
        .export(request.clone())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.details().is_empty());
    let mut client = tracer(&rig)
        .await
        .send_compressed(CompressionEncoding::Gzip);
    let status = client.export(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(rig.failed_requests(), 2);
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let rig = Rig::grpc().await;
    let client = tracer(&rig).await;
    let calls = (0..300).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { client.export(traces()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(rig.taken().len(), 300);
}

#[tokio::test]
async fn metadata_is_kept_where_it_is_asked_for() {
    for (keys, expected) in [("", None), (", include_metadata: true", Some("acme"))] {
        let rig = Rig::start(&format!("{{grpc: {{endpoint: '127.0.0.1:0'{keys}}}}}")).await;
        let mut request = tonic::Request::new(traces());
        request
            .metadata_mut()
            .insert("x-tenant", "acme".parse().unwrap());
        tracer(&rig).await.export(request).await.unwrap();
        let (_, context) = rig.taken().remove(0);
        assert_eq!(context.metadata("x-tenant").next(), expected);
        assert_eq!(context.metadata("te").next(), None);
        let host = expected.map(|_| rig.address().to_string());
        assert_eq!(context.metadata(":authority").next(), host.as_deref());
        let peer = context.peer().unwrap();
        assert!(peer.ip().is_loopback());
    }
}

#[tokio::test]
async fn a_panic_in_a_pipeline_is_an_internal_error() {
    let rig = Rig::grpc().await;
    let mut client = tracer(&rig).await;
    rig.pipeline.panics.store(true, Relaxed);
    let status = client.export(traces()).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    client.export(traces()).await.unwrap();
    assert_eq!(rig.failed_requests(), 1);
}

#[tokio::test]
async fn clients_come_over_tls_and_prove_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let (cert_file, key_file) = (write("cert.pem", &certificate), write("key.pem", &key));
    let rig = Rig::start(&format!(
        "{{grpc: {{endpoint: '127.0.0.1:0', tls: {{cert_file: '{cert_file}', key_file: '{key_file}'}}}}}}"
    ))
    .await;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&certificate))
        .domain_name("localhost");
    let endpoint = Endpoint::try_from(format!("https://{}", rig.address())).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    TraceServiceClient::new(channel)
        .export(traces())
        .await
        .unwrap();
    assert_eq!(rig.only(), traces().encode_to_vec());
    // Without TLS nobody gets in.
    let plain = Endpoint::try_from(format!("http://{}", rig.address())).unwrap();
    let channel = plain.connect_lazy();
    assert!(
        TraceServiceClient::new(channel)
            .export(traces())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn stopping_ends_connections_and_frees_the_port() {
    let mut rig = Rig::grpc().await;
    let mut client = tracer(&rig).await;
    client.export(traces()).await.unwrap();
    let address = rig.address();
    rig.otlp.stop().await;
    assert!(client.export(traces()).await.is_err());
    tokio::net::TcpListener::bind(address).await.unwrap();
}
