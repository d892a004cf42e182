//! What clients are told, and what becomes of datagrams.

use std::sync::Arc;
use std::time::Duration;

use tidegate_component::testing::FakeDoor;
use tidegate_component::{BuildContext, ComponentConfig, Shut};
use tidegate_document::{read, yaml};
use tidegate_pdata::{Outcome, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::batch::{Sample, proto, sample, thrift};
use super::*;
use crate::thrift::testing::{Wire, Writer};

struct Rig {
    jaeger: Jaeger,
    door: Arc<FakeDoor>,
    build: BuildContext,
}

fn config(protocols: &str) -> Config {
    let text = format!("{{protocols: {protocols}}}");
    read(&yaml::parse_str(&text).unwrap()).unwrap()
}

impl Rig {
    async fn start(protocols: &str) -> Self {
        let build = BuildContext::detached("receiver", "jaeger".parse().unwrap());
        let mut jaeger = config(protocols).receiver(&build).unwrap();
        let door = Arc::new(FakeDoor::default());
        jaeger.start(door.receiver(build.id.clone())).await.unwrap();
        Self {
            jaeger,
            door,
            build,
        }
    }

    /// Posts a batch and gives the status, the headers and the text of the answer.
    async fn post(&self, head: &str, body: &[u8]) -> (u16, String, String) {
        let address = self.jaeger.servers[0].address().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
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

    /// Calls `PostSpans` and gives the status and the headers that end the call.
    async fn call(&self, message: &[u8]) -> (String, ::http::HeaderMap) {
        let address = self.jaeger.servers[0].address().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let uri = format!("http://{address}/jaeger.api_v2.CollectorService/PostSpans");
        let request = ::http::Request::post(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut client = client.ready().await.unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &length, message].concat();
        body.send_data(framed.into(), true).unwrap();
        let (head, mut data) = answer.await.unwrap().into_parts();
        let status = |headers: &::http::HeaderMap| {
            let status = headers.get("grpc-status")?.to_str().ok()?;
            Some(status.to_owned())
        };
        if let Some(status) = status(&head.headers) {
            return (status, head.headers);
        }
        let mut message = Vec::new();
        while let Some(part) = data.data().await {
            message.extend(part.unwrap());
        }
        assert_eq!(message, [0; 5], "the answer is an empty message");
        let trailers = data.trailers().await.unwrap().unwrap();
        (status(&trailers).unwrap(), trailers)
    }

    /// Sends a datagram to the first of the agents.
    async fn send(&self, datagram: &[u8]) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = self.jaeger.reading[0].address();
        socket.send_to(datagram, to).await.unwrap();
    }

    /// Waits until so many spans came in.
    async fn items(&self, items: usize) {
        until(|| self.door.items() == items).await;
    }

    /// Requests that failed for their own fault, by reason.
    fn failed(&self, reason: &str) -> u64 {
        let families = self.build.metrics.registry().families();
        let family = families.get("tidegate_receiver_failed_requests");
        let series = family.into_iter().flat_map(|family| family.series.iter());
        let of = series.filter(|(labels, _)| format!("{labels:?}").contains(reason));
        let counts = of.map(|(_, series)| match series {
            tidegate_component::metrics::Series::Counter(counter) => counter.value(),
            _ => 0,
        });
        counts.sum()
    }
}

/// Waits for a condition.
async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    assert!(waited.is_ok(), "it never holds");
}

const HTTP: &str = "{thrift_http: {endpoint: '127.0.0.1:0'}}";
const GRPC: &str = "{grpc: {endpoint: '127.0.0.1:0'}}";
const POST: &str = "POST /api/traces HTTP/1.1\r\ncontent-type: application/x-thrift";

fn batch() -> Vec<u8> {
    thrift(Wire::Binary, "shop", &Vec::new(), &[sample(), sample()])
}

fn refusal() -> Refusal {
    Refusal::new("a queue is full", Duration::from_millis(2500))
}

#[tokio::test]
async fn batches_come_over_http() {
    let rig = Rig::start(HTTP).await;
    for kind in [
        "application/x-thrift",
        "application/vnd.apache.thrift.binary; charset=x",
    ] {
        let head =
            format!("POST /api/traces?format=jaeger.thrift HTTP/1.1\r\ncontent-type: {kind}");
        let (status, head, text) = rig.post(&head, &batch()).await;
        assert_eq!((status, text.as_str()), (202, ""), "{head}");
        let taken = rig.door.take();
        assert_eq!(taken[0].0.items(), 2);
        assert!(taken[0].1.peer().is_some());
    }
    assert_eq!(rig.door.budget().used(), 0);
    assert_eq!(rig.door.transports(), ["collector_http"; 3]);
}

#[tokio::test]
async fn what_is_wrong_over_http_is_told() {
    let rig = Rig::start(HTTP).await;
    for (head, body, status, told) in [
        (
            "POST /api/traces HTTP/1.1\r\ncontent-type: text/plain",
            batch(),
            400,
            "Unsupported content type: text/plain",
        ),
        (
            "POST /api/traces HTTP/1.1",
            batch(),
            400,
            "there is no content type; send application/x-thrift",
        ),
        ("POST /nowhere HTTP/1.1", batch(), 404, "404 page not found"),
        (
            "GET /api/traces HTTP/1.1",
            vec![],
            405,
            "405 method not allowed, supported: [POST]",
        ),
        (
            POST,
            b"x".to_vec(),
            400,
            "the message is no batch of Jaeger's: span 0: type 120 does not exist at byte 0",
        ),
    ] {
        let (code, _, text) = rig.post(head, &body).await;
        assert_eq!((code, text.as_str()), (status, told));
    }
    assert_eq!(rig.failed("unsupported"), 4);
    assert_eq!(rig.failed("malformed"), 1);
    rig.door.shut(Some(Shut::Refused(refusal())));
    let (status, head, text) = rig.post(POST, &batch()).await;
    assert_eq!((status, text.as_str()), (429, "a queue is full"));
    assert!(head.contains("retry-after: 3"), "{head}");
    rig.door.shut(None);
    rig.door.answer(Some(Outcome::Refused(refusal())));
    assert_eq!(rig.post(POST, &batch()).await.0, 503);
}

#[tokio::test]
async fn batches_come_over_grpc() {
    let rig = Rig::start(GRPC).await;
    let message = proto("shop", &Vec::new(), &[sample(), sample()]);
    assert_eq!(rig.call(&message).await.0, "0");
    let taken = rig.door.take();
    assert_eq!(taken[0].0.items(), 2);
    drop(taken);
    assert_eq!(rig.door.budget().used(), 0);
    assert_eq!(rig.call(b"").await.0, "0");

    let (status, headers) = rig.call(b"\x0a\xff").await;
    assert_eq!(status, "3");
    assert_eq!(
        headers["grpc-message"],
        "the message is no batch of Jaeger's: the value is cut off at byte 1"
    );
    assert_eq!(rig.failed("malformed"), 1);
    rig.door.shut(Some(Shut::Refused(refusal())));
    let (status, headers) = rig.call(&message).await;
    assert_eq!(status, "8");
    assert!(
        headers.contains_key("grpc-status-details-bin"),
        "{headers:?}"
    );
    rig.door.shut(None);
    rig.door.answer(Some(Outcome::Lost));
    assert_eq!(rig.call(&message).await.0, "14");
}

#[tokio::test]
async fn datagrams_come_in_both_protocols() {
    for (protocol, wire, transport) in [
        ("thrift_compact", Wire::Compact, "udp_thrift_compact"),
        ("thrift_binary", Wire::Binary, "udp_thrift_binary"),
    ] {
        let rig = Rig::start(&format!("{{{protocol}: {{endpoint: '127.0.0.1:0'}}}}")).await;
        let batch = thrift(wire, "shop", &Vec::new(), &[sample()]);
        let call = Writer::call(wire, "emitBatch", &batch);
        for sent in 1..=3 {
            rig.send(&call).await;
            rig.items(sent).await;
        }
        let taken = rig.door.take();
        assert!(taken[0].1.peer().is_some());
        let request = json(&taken[0].0);
        assert_eq!(
            request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"],
            "get"
        );
        drop(taken);
        assert_eq!(rig.door.transports(), [transport; 3]);
        until(|| rig.door.budget().used() == 0).await;
    }
}

#[tokio::test]
async fn datagrams_that_are_not_taken_are_counted() {
    let protocols =
        "{thrift_compact: {endpoint: '127.0.0.1:0', max_packet_size: 1000, queue_size: 2}}";
    let mut rig = Rig::start(protocols).await;
    rig.send(b"garbage").await;
    until(|| rig.failed("malformed") == 1).await;
    rig.send(&[0; 1001]).await;
    until(|| rig.failed("too_large") == 1).await;
    rig.send(&Writer::call(Wire::Compact, "emitZipkinBatch", &[0]))
        .await;
    until(|| rig.failed("unsupported") == 1).await;

    // Nobody answers: two wait, and a third finds no place.
    rig.door.answer(None);
    let one = Sample {
        trace_id: 1,
        id: 1,
        ..Sample::default()
    };
    let batch = thrift(Wire::Compact, "shop", &Vec::new(), &[one]);
    let call = Writer::call(Wire::Compact, "emitBatch", &batch);
    for items in 1..=2 {
        rig.send(&call).await;
        rig.items(items).await;
    }
    rig.send(&call).await;
    until(|| rig.failed("queue_full") == 1).await;
    assert_eq!(rig.door.items(), 2);
    rig.jaeger.reading.clear();
    rig.jaeger.stop().await;
}

#[tokio::test]
async fn a_stop_frees_every_port() {
    let all = "{grpc: {endpoint: '127.0.0.1:0'}, thrift_http: {endpoint: '127.0.0.1:0'}, \
               thrift_compact: {endpoint: '127.0.0.1:0'}, thrift_binary: {endpoint: '127.0.0.1:0'}}";
    let mut rig = Rig::start(all).await;
    let streams: Vec<_> = rig
        .jaeger
        .servers
        .iter()
        .map(|server| server.address().unwrap())
        .collect();
    let datagrams: Vec<_> = rig.jaeger.reading.iter().map(udp::Agent::address).collect();
    assert_eq!((streams.len(), datagrams.len()), (2, 2));
    let taken = format!("{{thrift_compact: {{endpoint: '{}'}}}}", datagrams[0]);
    let mut second = config(&taken).receiver(&rig.build).unwrap();
    let error = second
        .start(rig.door.receiver(rig.build.id.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.message, format!("cannot listen on {}", datagrams[0]));
    rig.jaeger.stop().await;
    for address in streams {
        std::net::TcpListener::bind(address).unwrap();
    }
    for address in datagrams {
        std::net::UdpSocket::bind(address).unwrap();
    }
}

#[test]
fn wrong_keys_are_named() {
    for (protocols, path) in [
        ("{}", "protocols"),
        (
            "{thrift_compact: {endpoint: localhost}}",
            "protocols::thrift_compact::endpoint",
        ),
        (
            "{thrift_binary: {workers: 0}}",
            "protocols::thrift_binary::workers",
        ),
        (
            "{thrift_binary: {queue_size: 0}}",
            "protocols::thrift_binary::queue_size",
        ),
        (
            "{thrift_binary: {max_packet_size: 0}}",
            "protocols::thrift_binary::max_packet_size",
        ),
        ("{grpc: {endpoint: localhost}}", "protocols::grpc::endpoint"),
        (
            "{thrift_http: {auth: {authenticator: oidc}}}",
            "protocols::thrift_http::auth::authenticator",
        ),
    ] {
        let cx = BuildContext::detached("receiver", "jaeger".parse().unwrap());
        let error = config(protocols).build(&cx).err().unwrap();
        assert_eq!(error.path, path);
    }
    let all = config("{grpc: , thrift_http: , thrift_compact: , thrift_binary: }");
    let addresses: Vec<_> = all
        .listens()
        .into_iter()
        .map(|(_, address)| address)
        .collect();
    assert_eq!(
        addresses,
        [
            "localhost:14250",
            "localhost:14268",
            "udp:localhost:6831",
            "udp:localhost:6832"
        ]
    );
}
