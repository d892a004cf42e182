//! HTTP, against raw requests.

use prost::Message;
use serde_json::json;
use tidegate_transport::compression::{Codec, Level, compress};

use super::*;

fn packed(codec: Codec, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, Level::Default, [body], &mut out).unwrap();
    out
}

#[tokio::test]
async fn every_signal_comes_in_as_protobuf_and_as_json() {
    let rig = Rig::http().await;
    let requests = [
        (
            "/v1/traces",
            traces().encode_to_vec(),
            serde_json::to_vec(&traces()).unwrap(),
        ),
        (
            "/v1/metrics",
            metrics().encode_to_vec(),
            serde_json::to_vec(&metrics()).unwrap(),
        ),
        (
            "/v1/logs",
            logs().encode_to_vec(),
            serde_json::to_vec(&logs()).unwrap(),
        ),
    ];
    for (path, protobuf, text) in requests {
        let answer = rig.post(path, PROTOBUF, &protobuf).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(PROTOBUF))
        );
        assert_eq!(answer.body, [0x0a, 0]);
        assert_eq!(rig.only(), protobuf);

        let answer = rig.post(path, JSON, &text).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(JSON))
        );
        assert_eq!(answer.text(), r#"{"partialSuccess":{}}"#);
        assert_eq!(rig.only(), protobuf);
    }
    assert_eq!(rig.pipeline.budget.used(), 0);
    assert_eq!(rig.failed_requests(), 0);
}

#[tokio::test]
async fn every_encoding_is_taken() {
    let rig = Rig::http().await;
    let body = traces_with(vec![attribute("long", &"x".repeat(300_000))]).encode_to_vec();
    for (name, codec) in [
        ("gzip", Codec::Gzip),
        ("zstd", Codec::Zstd),
        ("zlib", Codec::Zlib),
        ("deflate", Codec::Zlib),
        ("snappy", Codec::Snappy),
        ("snappy", Codec::SnappyFramed),
        ("x-snappy-framed", Codec::SnappyFramed),
        ("lz4", Codec::Lz4),
    ] {
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\ncontent-type: {PROTOBUF}\r\ncontent-encoding: {name}"
        );
        let answer = rig.send(&head, &packed(codec, &body)).await;
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(rig.only(), body, "{name}");
    }
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn a_body_may_come_in_chunks_and_requests_one_after_the_other() {
    let rig = Rig::http().await;
    let body = traces_with(vec![attribute("long", &"x".repeat(60_000))]).encode_to_vec();
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    for last in [false, true] {
        let connection = if last { "close" } else { "keep-alive" };
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: {PROTOBUF}\r\n\
             connection: {connection}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for chunk in body.chunks(25_000) {
            let size = format!("{:x}\r\n", chunk.len());
            stream.write_all(size.as_bytes()).await.unwrap();
            stream.write_all(chunk).await.unwrap();
            stream.write_all(b"\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
    let answer = Answer::read(&mut stream).await;
    assert_eq!(answer.status, 200);
    let taken = rig.taken();
    assert_eq!(taken.len(), 2);
    for (payload, _) in &taken {
        assert_eq!(payload.segments()[0].bytes(), &body);
    }
    assert_eq!(rig.pipeline.budget.used(), 2 * body.len());
}

#[tokio::test]
async fn http2_is_spoken_too() {
    let rig = Rig::http().await;
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request = ::http::Request::post("http://otlp.test/v1/traces")
        .header("content-type", PROTOBUF)
        .body(())
        .unwrap();
    let (answer, mut body) = client.send_request(request, false).unwrap();
    body.send_data(traces().encode_to_vec().into(), true)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    assert_eq!(rig.only(), traces().encode_to_vec());
}

#[tokio::test]
async fn a_shut_door_says_when_to_come_again() {
    let rig = Rig::http().await;
    rig.shut(Duration::from_millis(1500));
    let answer = rig.post("/v1/traces", JSON, b"{}").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("2"));
    let status: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = json!({"code": 8, "message": "the memory budget is spent", "details": [{
        "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}]});
    assert_eq!(status, expected);
}

#[tokio::test]
async fn a_large_request_is_answered_though_the_door_is_shut() {
    let rig = Rig::http().await;
    rig.shut(Duration::from_secs(1));
    let body = traces_with(vec![attribute("long", &"x".repeat(200_000))]).encode_to_vec();
    let answer = rig.post("/v1/traces", PROTOBUF, &body).await;
    assert_eq!(answer.status, 429);
}

#[tokio::test]
async fn what_the_pipelines_do_not_take_is_told() {
    let rig = Rig::http().await;
    let refusal = Refusal::new("no answer in time", Duration::from_secs(2));
    for (outcome, code, after) in [
        (Outcome::Refused(refusal), 503, Some("2")),
        (Outcome::Lost, 503, Some("1")),
        (Outcome::Rejected("no such tenant".into()), 400, None),
    ] {
        rig.refuse_with(outcome);
        let answer = rig
            .post("/v1/logs", PROTOBUF, &logs().encode_to_vec())
            .await;
        assert_eq!((answer.status, answer.header("retry-after")), (code, after));
    }
}

#[tokio::test]
async fn paths_are_configurable() {
    let rig = Rig::start(
        "{http: {endpoint: '127.0.0.1:0', traces_url_path: 'my/traces', logs_url_path: /logs/}}",
    )
    .await;
    let body = traces().encode_to_vec();
    for (path, status) in [
        ("/my/traces", 200),
        ("/v1/traces", 404),
        ("/my/traces/", 404),
        ("/logs/any/depth", 200),
        ("/logs", 404),
        ("/v1/metrics?x=y", 200),
    ] {
        let empty = path.contains("logs") || path.contains("metrics");
        let body = if empty { &[][..] } else { &body };
        assert_eq!(
            rig.post(path, PROTOBUF, body).await.status,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_signal_without_a_pipeline_is_not_found() {
    let rig = Rig::start_for("{http: {endpoint: '127.0.0.1:0'}}", &[Signal::Logs]).await;
    assert_eq!(rig.post("/v1/traces", JSON, b"{}").await.status, 404);
    assert_eq!(rig.post("/v1/logs", JSON, b"{}").await.status, 200);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_send() {
    let rig = Rig::start(
        "{http: {endpoint: '127.0.0.1:0', cors: {allowed_origins: ['https://*.shop.test'],
          allowed_headers: [X-Tenant], max_age: 60}}}",
    )
    .await;
    let preflight = "OPTIONS /v1/traces HTTP/1.1\r\norigin: https://www.shop.test\r\n\
                     access-control-request-method: POST\r\naccess-control-request-headers: x-tenant";
    let answer = rig.send(preflight, b"").await;
    assert_eq!(answer.status, 204);
    let allowed = "access-control-allow-origin";
    assert_eq!(answer.header(allowed), Some("https://www.shop.test"));
    assert_eq!(answer.header("access-control-max-age"), Some("60"));
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\norigin: https://www.shop.test\r\ncontent-type: {JSON}"
    );
    let answer = rig.send(&head, b"{}").await;
    assert_eq!(
        (answer.status, answer.header(allowed)),
        (200, Some("https://www.shop.test"))
    );
    let answer = rig.send(&head.replace("www.shop", "evil"), b"{}").await;
    assert_eq!((answer.status, answer.header(allowed)), (200, None));
}

#[tokio::test]
async fn without_cors_a_preflight_is_any_wrong_method() {
    let rig = Rig::http().await;
    let preflight = "OPTIONS /v1/traces HTTP/1.1\r\norigin: https://a.b\r\n\
                     access-control-request-method: POST";
    assert_eq!(rig.send(preflight, b"").await.status, 405);
}

#[tokio::test]
async fn every_answer_carries_the_configured_headers() {
    let rig =
        Rig::start("{http: {endpoint: '127.0.0.1:0', response_headers: {X-Served-By: tidegate}}}")
            .await;
    for (path, status) in [("/v1/traces", 200), ("/nowhere", 404)] {
        let answer = rig.post(path, JSON, b"{}").await;
        assert_eq!(
            (answer.status, answer.header("x-served-by")),
            (status, Some("tidegate"))
        );
    }
}

#[tokio::test]
async fn headers_are_kept_where_it_is_asked_for() {
    for (keys, expected) in [("", None), (", include_metadata: true", Some("acme"))] {
        let rig = Rig::start(&format!("{{http: {{endpoint: '127.0.0.1:0'{keys}}}}}")).await;
        let head =
            format!("POST /v1/traces HTTP/1.1\r\ncontent-type: {PROTOBUF}\r\nX-Tenant: acme");
        rig.send(&head, &traces().encode_to_vec()).await;
        let (_, context) = rig.taken().remove(0);
        assert_eq!(context.metadata("x-tenant").next(), expected);
        assert_eq!(
            context.metadata("host").next(),
            expected.map(|_| "otlp.test")
        );
        assert!(context.peer().unwrap().ip().is_loopback());
    }
}

#[tokio::test]
async fn a_panic_in_a_pipeline_is_an_internal_error() {
    let rig = Rig::http().await;
    rig.pipeline.panics.store(true, Relaxed);
    let answer = rig
        .post("/v1/traces", PROTOBUF, &traces().encode_to_vec())
        .await;
    assert_eq!(answer.status, 500);
    let answer = rig
        .post("/v1/traces", PROTOBUF, &traces().encode_to_vec())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(rig.failed_requests(), 1);
}
