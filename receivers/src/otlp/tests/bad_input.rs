//! What clients get for input that is wrong, and that nothing else suffers from it.

use prost::Message;
use tidegate_transport::compression::{Codec, Level, compress};
use tidegate_transport::grpc::{Code, Status};

use super::*;

fn post(encoding: &str) -> String {
    format!("POST /v1/traces HTTP/1.1\r\ncontent-type: {PROTOBUF}\r\ncontent-encoding: {encoding}")
}

fn packed(codec: Codec, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(codec, Level::Default, [body], &mut out).unwrap();
    out
}

/// The status and the message of an error in protobuf.
fn told(answer: &Answer) -> (u16, String) {
    let status = Status::decode(&answer.body).unwrap();
    (answer.status, status.message.into_owned())
}

#[tokio::test]
async fn wrong_requests_are_named_as_the_collector_names_them() {
    let rig = Rig::start_for("{http: {endpoint: '127.0.0.1:0'}}", &[Signal::Traces]).await;
    let kind = format!("content-type: {PROTOBUF}");
    for (head, status, content_type, body) in [
        (
            format!("GET /v1/traces HTTP/1.1\r\n{kind}"),
            405,
            "text/plain",
            "405 method not allowed, supported: [POST]",
        ),
        (
            format!("PUT /v1/traces HTTP/1.1\r\n{kind}"),
            405,
            "text/plain",
            "405 method not allowed, supported: [POST]",
        ),
        (
            format!("POST /nowhere HTTP/1.1\r\n{kind}"),
            404,
            "text/plain; charset=utf-8",
            "404 page not found",
        ),
        (
            format!("POST /v1/logs HTTP/1.1\r\n{kind}"),
            404,
            "text/plain; charset=utf-8",
            "404 page not found",
        ),
        (
            "POST /v1/traces HTTP/1.1\r\ncontent-type: text/xml".to_owned(),
            415,
            "text/plain",
            "415 unsupported media type, supported: [application/json, application/x-protobuf]",
        ),
        (
            "POST /v1/traces HTTP/1.1".to_owned(),
            415,
            "text/plain",
            "415 unsupported media type, supported: [application/json, application/x-protobuf]",
        ),
    ] {
        let answer = rig.send(&head, &traces().encode_to_vec()).await;
        assert_eq!(answer.status, status, "{head}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{head}");
        assert_eq!(answer.text(), body, "{head}");
        let allow = (status == 405).then_some("POST");
        assert_eq!(answer.header("allow"), allow);
    }
    assert!(rig.taken().is_empty());
    assert_eq!(rig.failed_requests(), 6);
}

#[tokio::test]
async fn wrong_encodings_are_named() {
    let rig = Rig::http().await;
    let answer = rig.send(&post("br"), b"x").await;
    assert_eq!(
        told(&answer),
        (400, "unsupported Content-Encoding: br".to_owned())
    );
    for (encoding, message) in [
        ("gzip", "gzip: invalid header"),
        ("zstd", "zstd: invalid header"),
    ] {
        let answer = rig.send(&post(encoding), &traces().encode_to_vec()).await;
        assert_eq!(told(&answer), (400, message.to_owned()));
    }
    for encoding in ["zlib", "deflate", "snappy", "x-snappy-framed", "lz4"] {
        let answer = rig.send(&post(encoding), &traces().encode_to_vec()).await;
        assert_eq!(told(&answer).0, 400, "{encoding}");
    }
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn a_bomb_is_refused_at_the_limit() {
    let rig = Rig::start("{http: {endpoint: '127.0.0.1:0', max_request_body_size: 1000000}}").await;
    for (encoding, codec) in [
        ("gzip", Codec::Gzip),
        ("zstd", Codec::Zstd),
        ("deflate", Codec::Zlib),
        ("snappy", Codec::SnappyFramed),
        ("lz4", Codec::Lz4),
    ] {
        let bomb = packed(codec, &vec![0; 8 << 20]);
        let answer = rig.send(&post(encoding), &bomb).await;
        let message = "the body is larger than 1000000 bytes after decompression";
        assert_eq!(told(&answer), (400, message.to_owned()), "{encoding}");
    }
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn an_oversized_body_is_refused_whether_its_length_is_told_or_not() {
    let rig = Rig::start("{http: {endpoint: '127.0.0.1:0', max_request_body_size: 100000}}").await;
    let body = vec![0x0a; 150_000];
    let answer = rig.post("/v1/traces", PROTOBUF, &body).await;
    let message = "the body is larger than 100000 bytes".to_owned();
    assert_eq!(told(&answer), (400, message.clone()));

    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {PROTOBUF}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"249f0\r\n").await.unwrap();
    let _ = stream.write_all(&body).await;
    let _ = stream.write_all(b"\r\n0\r\n\r\n").await;
    assert_eq!(told(&Answer::read(&mut stream).await), (400, message));
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn malformed_protobuf_is_named_by_field_and_byte() {
    let rig = Rig::http().await;
    let whole = traces().encode_to_vec();
    let answer = rig
        .post("/v1/traces", PROTOBUF, &whole[..whole.len() - 1])
        .await;
    let (status, message) = told(&answer);
    assert_eq!(status, 400);
    assert!(
        message.starts_with("the request is not OTLP: "),
        "{message}"
    );
    for body in [
        &b"\xff"[..],
        b"\x0a\xff",
        b"\x08\x01",
        b"\x0b",
        b"not protobuf",
    ] {
        assert_eq!(rig.post("/v1/traces", PROTOBUF, body).await.status, 400);
    }
    assert!(rig.taken().is_empty());
    assert_eq!(rig.pipeline.budget.used(), 0);
    assert_eq!(rig.failed_requests(), 6);
}

#[tokio::test]
async fn malformed_json_is_answered_in_json() {
    let rig = Rig::http().await;
    for body in ["", "{", "[]", "null", r#"{"resourceSpans":7}"#] {
        let answer = rig.post("/v1/traces", JSON, body.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some(JSON)),
            "{body}"
        );
        let status: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(status["code"], Code::InvalidArgument as u8);
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with("the body is not OTLP/JSON: "),
            "{message}"
        );
    }
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test]
async fn a_gigantic_attribute_and_very_many_are_taken() {
    let rig = Rig::http().await;
    let gigantic = traces_with(vec![attribute("key", &"x".repeat(10 << 20))]);
    let many = (0..100_000)
        .map(|at| attribute(&at.to_string(), "v"))
        .collect();
    for request in [gigantic, traces_with(many)] {
        let body = request.encode_to_vec();
        assert_eq!(rig.post("/v1/traces", PROTOBUF, &body).await.status, 200);
        assert_eq!(rig.only(), body);
        let text = serde_json::to_vec(&request).unwrap();
        assert_eq!(rig.post("/v1/traces", JSON, &text).await.status, 200);
        assert_eq!(rig.only(), body);
    }
}

#[tokio::test]
async fn what_does_not_fit_the_budget_is_refused_for_now() {
    let rig = Rig::http().await;
    let _most = rig.pipeline.budget.overdraw((64 << 20) - 100_000);
    let body = traces_with(vec![attribute("key", &"x".repeat(1 << 20))]).encode_to_vec();
    let answer = rig.post("/v1/traces", PROTOBUF, &body).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("1"));
    // Small as it comes, large when it is unpacked.
    let answer = rig.send(&post("gzip"), &packed(Codec::Gzip, &body)).await;
    assert_eq!(answer.status, 429);
    assert_eq!(rig.pipeline.budget.used(), (64 << 20) - 100_000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_cut_with_a_status() {
    let rig = Rig::http().await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    let trickle = async {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        _ = from.read_to_end(&mut answer) => {}
        () = trickle => {}
    }
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(text.contains("the body came too slowly: "), "{text}");
    assert_eq!(rig.pipeline.budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn headers_that_trickle_in_are_cut() {
    let rig = Rig::http().await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream
        .write_all(b"POST /v1/traces HTTP/1.1\r\nhost: ")
        .await
        .unwrap();
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    let trickle = async {
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        _ = from.read_to_end(&mut answer) => {}
        () = trickle => {}
    }
    assert!(answer.is_empty());
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let rig = Rig::http().await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(TcpStream::connect(rig.address()).await.unwrap());
    }
    let body = traces().encode_to_vec();
    assert_eq!(rig.post("/v1/traces", PROTOBUF, &body).await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_leaves_nothing_behind() {
    let rig = Rig::http().await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 1000\r\n\r\nhalf"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    while rig.pipeline.budget.used() == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while rig.pipeline.budget.used() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.failed_requests(), 1);
}
