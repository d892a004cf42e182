//! What clients are told.

use std::sync::Arc;
use std::time::Duration;

use tidegate_component::testing::FakeDoor;
use tidegate_component::{BuildContext, ComponentConfig, Receiver, Shut};
use tidegate_document::{read, yaml};
use tidegate_pdata::{Outcome, Refusal};
use tidegate_transport::compression::{Codec, Level, compress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Config, Zipkin};
use super::*;

struct Rig {
    zipkin: Zipkin,
    door: Arc<FakeDoor>,
    build: BuildContext,
}

impl Rig {
    async fn start(keys: &str) -> Self {
        Self::before(FakeDoor::default(), keys).await
    }

    async fn before(door: FakeDoor, keys: &str) -> Self {
        let text = format!("{{endpoint: '127.0.0.1:0'{keys}}}");
        let config: Config = read(&yaml::parse_str(&text).unwrap()).unwrap();
        let build = BuildContext::detached("receiver", "zipkin".parse().unwrap());
        let mut zipkin = config.receiver(&build).unwrap();
        let door = Arc::new(door);
        zipkin.start(door.receiver(build.id.clone())).await.unwrap();
        Self {
            zipkin,
            door,
            build,
        }
    }

    /// Sends a request and gives the status, the headers and the text of the answer.
    async fn send(&self, head: &str, body: &[u8]) -> (u16, String, String) {
        let server = self.zipkin.running.as_ref().unwrap();
        let mut stream = TcpStream::connect(server.address().unwrap()).await.unwrap();
        let length = body.len();
        let head =
            format!("{head}\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may have answered and closed before all is sent.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), text.to_owned())
    }

    async fn post(&self, path: &str, kind: &str, body: &[u8]) -> (u16, String, String) {
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: {kind}");
        self.send(&head, body).await
    }

    /// Requests that failed for their own fault, by transport and reason.
    fn failed(&self) -> Vec<(String, String, u64)> {
        let families = self.build.metrics.registry().families();
        let Some(family) = families.get("tidegate_receiver_failed_requests") else {
            return Vec::new();
        };
        let of = |labels: &[(String, String)], name: &str| {
            let found = labels.iter().find(|(label, _)| label == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let series = family.series.iter().map(|(labels, series)| {
            let tidegate_component::metrics::Series::Counter(counter) = series else {
                panic!("it is a counter");
            };
            let labels: Vec<_> = labels
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            (
                of(&labels, "transport"),
                of(&labels, "reason"),
                counter.value(),
            )
        });
        series.collect()
    }
}

const JSON: &str = "application/json";
const SAMPLE: &[u8] = include_bytes!("samples/v2.json");

#[tokio::test]
async fn every_format_is_accepted_at_its_path() {
    let rig = Rig::start("").await;
    for (path, kind, body) in [
        ("/api/v2/spans", JSON, SAMPLE.to_vec()),
        (
            "/api/v2/spans",
            "application/x-protobuf",
            protobuf::list(&[1; 16]),
        ),
        (
            "/api/v1/spans",
            JSON,
            include_bytes!("samples/v1.json").to_vec(),
        ),
        ("/api/v1/spans", "application/x-thrift", v1::thrift()),
        (
            "/prefix/api/v1/spans?x=1",
            JSON,
            include_bytes!("samples/v1.json").to_vec(),
        ),
        // Clients are known to send to the root.
        ("/", "text/plain", SAMPLE.to_vec()),
    ] {
        let (status, head, text) = rig.post(path, kind, &body).await;
        assert_eq!((status, text.as_str()), (202, ""), "{path}: {head}");
        let taken = rig.door.take();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].0.items(), 1);
        assert!(taken[0].1.peer().is_some());
        drop(taken);
        assert_eq!(rig.door.budget().used(), 0);
    }
    let transports = [
        "http_v1_thrift",
        "http_v1_json",
        "http_v2_json",
        "http_v2_proto",
    ];
    for transport in transports {
        assert!(rig.door.transports().contains(&transport));
    }
    // What a reporter sends to see whether anybody is there.
    assert_eq!(rig.post("/api/v2/spans", JSON, b"[]").await.0, 202);
    assert!(rig.door.take().is_empty());
    assert_eq!(rig.failed(), []);
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let rig = Rig::start("").await;
    for (name, codec) in [
        ("gzip", Codec::Gzip),
        ("deflate", Codec::Zlib),
        ("zstd", Codec::Zstd),
    ] {
        let mut packed = Vec::new();
        compress(codec, Level::Default, [SAMPLE], &mut packed).unwrap();
        let head = format!("POST /api/v2/spans HTTP/1.1\r\ncontent-encoding: {name}");
        assert_eq!(rig.send(&head, &packed).await.0, 202, "{name}");
    }
    assert_eq!(rig.door.items(), 3);
    let head = "POST /api/v2/spans HTTP/1.1\r\ncontent-encoding: br";
    let (status, _, text) = rig.send(head, SAMPLE).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "unsupported Content-Encoding: br")
    );
    let bomb = "POST /api/v2/spans HTTP/1.1\r\ncontent-encoding: gzip";
    let mut packed = Vec::new();
    compress(
        Codec::Gzip,
        Level::Default,
        [&vec![b' '; 30 << 20][..]],
        &mut packed,
    )
    .unwrap();
    let (status, _, text) = rig.send(bomb, &packed).await;
    assert_eq!(
        (status, text.as_str()),
        (
            400,
            "the body is larger than 20971520 bytes after decompression"
        )
    );
}

#[tokio::test]
async fn what_is_malformed_is_named_and_counted() {
    let rig = Rig::start("").await;
    let (status, head, text) = rig
        .post("/api/v2/spans", JSON, br#"[{"traceId":"x"}]"#)
        .await;
    assert_eq!(status, 400);
    assert!(head.contains("content-type: text/plain"), "{head}");
    let fault = "the body is not Zipkin's second format in JSON: span 0: traceId: \"x\" is no ID of 128 bits at line 1";
    assert!(text.starts_with(fault), "{text}");
    let (status, head, _) = rig.send("GET /api/v2/spans HTTP/1.1", b"").await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: POST"), "{head}");
    let mut failed = rig.failed();
    failed.sort();
    let one = |reason: &str| ("http_v2_json".to_owned(), reason.to_owned(), 1);
    assert_eq!(failed, [one("malformed"), one("unsupported")]);
    assert_eq!(rig.door.budget().used(), 0);
}

#[tokio::test]
async fn refusals_say_when_to_come_again() {
    let rig = Rig::start("").await;
    let refusal = || Refusal::new("a queue is full", Duration::from_millis(2500));
    rig.door.shut(Some(Shut::Refused(refusal())));
    let (status, head, text) = rig.post("/api/v2/spans", JSON, SAMPLE).await;
    assert_eq!((status, text.as_str()), (429, "a queue is full"));
    assert!(head.contains("retry-after: 3"), "{head}");
    rig.door.shut(None);
    rig.door.answer(Some(Outcome::Refused(refusal())));
    let (status, head, _) = rig.post("/api/v2/spans", JSON, SAMPLE).await;
    assert_eq!(status, 503);
    assert!(head.contains("retry-after: 3"), "{head}");
    rig.door
        .answer(Some(Outcome::Rejected("no such tenant".into())));
    let (status, head, text) = rig.post("/api/v2/spans", JSON, SAMPLE).await;
    assert_eq!((status, text.as_str()), (400, "no such tenant"));
    assert!(!head.contains("retry-after"), "{head}");
    rig.door.answer(Some(Outcome::Lost));
    assert_eq!(rig.post("/api/v2/spans", JSON, SAMPLE).await.0, 503);
}

#[tokio::test]
async fn spans_that_outgrow_the_room_are_refused_for_now() {
    let rig = Rig::before(FakeDoor::within(200_000), "").await;
    let span = r#"{"traceId":"1","id":"1","name":"n"}"#;
    let body = format!("[{}]", vec![span; 4000].join(","));
    let (status, head, _) = rig.post("/api/v2/spans", JSON, body.as_bytes()).await;
    assert_eq!(status, 429, "{head}");
    assert_eq!(rig.door.budget().used(), 0);
    assert_eq!(rig.post("/api/v2/spans", JSON, SAMPLE).await.0, 202);
}

#[tokio::test]
async fn keys_of_the_server_act() {
    let rig = Rig::start(
        ", max_request_body_size: 100, parse_string_tags: true, response_headers: {x-served-by: t},
           cors: {allowed_origins: ['https://shop.test']}",
    )
    .await;
    let (status, head, text) = rig.post("/api/v2/spans", JSON, SAMPLE).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "the body is larger than 100 bytes")
    );
    assert!(head.contains("x-served-by: t"), "{head}");
    let head = "POST /api/v2/spans HTTP/1.1\r\norigin: https://shop.test";
    let body = br#"[{"traceId":"1","id":"1","tags":{"n":"7"}}]"#;
    let (status, head, _) = rig.send(head, body).await;
    assert_eq!(status, 202);
    assert!(
        head.contains("access-control-allow-origin: https://shop.test"),
        "{head}"
    );
    let (payload, _) = rig.door.take().remove(0);
    let request = ExportTraceServiceRequest::decode(&payload.segments()[0].bytes()[..]).unwrap();
    let request = serde_json::to_value(request).unwrap();
    let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(
        attributes(span)[0],
        ("n".to_owned(), serde_json::json!("7"))
    );
}

#[test]
fn wrong_keys_are_named() {
    for (text, path) in [
        ("{endpoint: localhost}", "endpoint"),
        ("{compression_algorithms: [br]}", "compression_algorithms"),
        ("{auth: {authenticator: oidc}}", "auth::authenticator"),
        ("{tls: {cert_file: a}}", "tls"),
    ] {
        let config: Config = read(&yaml::parse_str(text).unwrap()).unwrap();
        let cx = BuildContext::detached("receiver", "zipkin".parse().unwrap());
        let error = config.build(&cx).err().unwrap();
        assert!(error.path.starts_with(path), "{text}: {}", error.path);
    }
    let config: Config = read(&yaml::parse_str("").unwrap()).unwrap();
    assert_eq!(
        config.listens(),
        [("endpoint".to_owned(), "localhost:9411".to_owned())]
    );
}
