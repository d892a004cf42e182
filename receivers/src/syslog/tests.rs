//! What comes in over sockets, and what becomes of it.

use std::net::SocketAddr;
use std::time::Duration as Time;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tidegate_component::testing::FakeDoor;
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::{Outcome, Refusal};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;

fn build(yaml: &str) -> Result<Box<dyn Receiver>, tidegate_component::BuildError> {
    let node = tidegate_document::yaml::parse_str(yaml).unwrap();
    let cx = BuildContext::detached("receiver", Config::TYPE.parse().unwrap());
    tidegate_document::read::<Config>(&node).unwrap().build(&cx)
}

/// A receiver that runs.
struct Rig {
    receiver: Syslog,
    door: Arc<FakeDoor>,
}

impl Rig {
    async fn start(yaml: &str) -> Self {
        let node = tidegate_document::yaml::parse_str(yaml).unwrap();
        let cx = BuildContext::detached("receiver", Config::TYPE.parse().unwrap());
        let config: Config = tidegate_document::read(&node).unwrap();
        let mut receiver = Syslog::new(config.settings(&cx).unwrap());
        let door = Arc::new(FakeDoor::default());
        let cx = door.receiver(Config::TYPE.parse().unwrap());
        receiver.start(cx).await.unwrap();
        Self { receiver, door }
    }

    fn address(&self) -> SocketAddr {
        self.receiver.running.as_ref().unwrap().0.address()
    }

    /// The records that have come, once there are so many, with the addresses of their senders.
    async fn records(&self, count: usize) -> Vec<(LogRecord, Option<SocketAddr>)> {
        let mut all = Vec::new();
        while all.len() < count {
            for (payload, context) in self.door.take() {
                for segment in payload.segments() {
                    let request = ExportLogsServiceRequest::decode(&**segment.bytes()).unwrap();
                    let scopes = request
                        .resource_logs
                        .into_iter()
                        .flat_map(|one| one.scope_logs);
                    let records = scopes.flat_map(|one| one.log_records);
                    all.extend(records.map(|record| (record, context.peer())));
                }
            }
            tokio::time::sleep(Time::from_millis(2)).await;
        }
        assert_eq!(all.len(), count);
        all
    }
}

fn text(value: Option<&any_value::Value>) -> String {
    match value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn body(record: &LogRecord) -> String {
    text(record.body.as_ref().and_then(|body| body.value.as_ref()))
}

fn attribute(record: &LogRecord, key: &str) -> String {
    let is = |one: &&KeyValue| one.key == key;
    let found = record.attributes.iter().find(is);
    text(found.and_then(|one| one.value.as_ref()?.value.as_ref()))
}

const MESSAGE: &str = "<34>1 2024-01-02T03:04:05Z host app 7 - - it works";

#[tokio::test]
async fn lines_of_a_connection_are_parsed_and_their_sender_is_known() {
    let mut rig = Rig::start(
        "{tcp: {listen_address: '127.0.0.1:0', add_attributes: true}, protocol: rfc5424, attributes: {from: test}}",
    )
    .await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let local = stream.local_addr().unwrap();
    let two = format!("{MESSAGE}\r\n{MESSAGE}");
    for piece in two.as_bytes().chunks(30) {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Time::from_millis(1)).await;
    }
    drop(stream);
    for (record, peer) in rig.records(2).await {
        assert_eq!(body(&record), MESSAGE);
        assert_eq!(record.severity_number, 18);
        assert_eq!(record.time_unix_nano, 1_704_164_645_000_000_000);
        assert_eq!(attribute(&record, "message"), "it works");
        assert_eq!(attribute(&record, "appname"), "app");
        assert_eq!(attribute(&record, "from"), "test");
        assert_eq!(attribute(&record, "net.transport"), "IP.TCP");
        assert_eq!(
            attribute(&record, "net.peer.port"),
            local.port().to_string()
        );
        assert_eq!(peer, Some(local));
    }
    rig.receiver.stop().await;
}

#[tokio::test]
async fn messages_come_with_their_length_or_a_trailer() {
    let first = MESSAGE.replace("it works", "two\nlines");
    let counted = format!("{} {first}{} {MESSAGE}", first.len(), MESSAGE.len());
    let trailed = format!("{first}\0{MESSAGE}\0");
    for (key, sent) in [
        ("enable_octet_counting: true", counted),
        ("non_transparent_framing_trailer: NUL", trailed),
    ] {
        let yaml = format!("{{tcp: {{listen_address: '127.0.0.1:0'}}, protocol: rfc5424, {key}}}");
        let mut rig = Rig::start(&yaml).await;
        let mut stream = TcpStream::connect(rig.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let records = rig.records(2).await;
        assert_eq!(attribute(&records[0].0, "message"), "two\nlines");
        assert_eq!(body(&records[1].0), MESSAGE);
        rig.receiver.stop().await;
    }
}

#[tokio::test]
async fn a_length_beyond_the_limit_closes_the_connection() {
    let mut rig = Rig::start(
        "{tcp: {listen_address: '127.0.0.1:0'}, protocol: rfc5424, enable_octet_counting: true, max_octets: 100}",
    )
    .await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream.write_all(b"1000 x").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert_eq!(closed.unwrap_or(0), 0);
    rig.receiver.stop().await;
}

#[tokio::test]
async fn datagrams_are_messages_and_go_through_operators() {
    let mut rig = Rig::start(
        "{udp: {listen_address: '127.0.0.1:0', add_attributes: true}, protocol: rfc3164, location: Europe/Berlin, \
         operators: [{type: move, from: attributes.message, to: body}, {type: filter, expr: 'body == \"noise\"'}]}",
    )
    .await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for message in ["one: a\nb", "two: noise", "three: c"] {
        let datagram = format!("<13>Jan  2 03:04:05 host {message}");
        socket
            .send_to(datagram.as_bytes(), rig.address())
            .await
            .unwrap();
    }
    let records = rig.records(2).await;
    assert_eq!(body(&records[0].0), "a\nb");
    assert_eq!(body(&records[1].0), "c");
    let port = rig.address().port().to_string();
    assert_eq!(attribute(&records[0].0, "net.host.port"), port);
    assert_eq!(records[0].1, Some(socket.local_addr().unwrap()));
    rig.receiver.stop().await;
}

#[tokio::test]
async fn what_cannot_be_parsed_passes_or_is_dropped() {
    for (key, count) in [("on_error: send", 2), ("on_error: drop", 1)] {
        let yaml = format!("{{tcp: {{listen_address: '127.0.0.1:0'}}, protocol: rfc5424, {key}}}");
        let mut rig = Rig::start(&yaml).await;
        let mut stream = TcpStream::connect(rig.address()).await.unwrap();
        let sent = format!("\x01\x02 rubbish\n{MESSAGE}\n");
        stream.write_all(sent.as_bytes()).await.unwrap();
        let records = rig.records(count).await;
        assert_eq!(body(&records[count - 1].0), MESSAGE);
        rig.receiver.stop().await;
    }
}

#[tokio::test]
async fn what_is_refused_is_offered_again_while_the_sender_waits() {
    let mut rig = Rig::start(
        "{tcp: {listen_address: '127.0.0.1:0'}, protocol: rfc5424, retry_on_failure: {initial_interval: 1ms, max_interval: 2ms}}",
    )
    .await;
    let refusal = Refusal::new("full", Time::from_millis(1));
    rig.door.answer(Some(Outcome::Refused(refusal)));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream
        .write_all(format!("{MESSAGE}\n").as_bytes())
        .await
        .unwrap();
    let mut offered = 0;
    while offered < 2 {
        tokio::time::sleep(Time::from_millis(2)).await;
        offered += rig.door.take().len();
    }
    rig.door.answer(Some(Outcome::TakenOver));
    stream.write_all(b"<34>1 - - - - - - last\n").await.unwrap();
    loop {
        let taken = rig.door.take();
        let last = taken.iter().any(|(payload, _)| {
            payload
                .segments()
                .iter()
                .any(|segment| String::from_utf8_lossy(segment.bytes()).contains("last"))
        });
        if last {
            break;
        }
        tokio::time::sleep(Time::from_millis(2)).await;
    }
    rig.receiver.stop().await;
    assert_eq!(rig.door.failed(), 0);
}

#[tokio::test]
async fn what_operators_hold_goes_in_time_and_at_the_end() {
    let mut rig = Rig::start(
        "{tcp: {listen_address: '127.0.0.1:0'}, protocol: rfc5424, operators: \
         [{type: recombine, combine_field: body, is_first_entry: 'body contains \"first\"', force_flush_period: 300ms}]}",
    )
    .await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream
        .write_all(b"<34>1 - - - - - - first\n<34>1 - - - - - - more\n")
        .await
        .unwrap();
    let records = rig.records(1).await;
    assert!(body(&records[0].0).ends_with("more"), "{records:?}");
    rig.receiver.stop().await;
}

#[tokio::test]
async fn messages_come_over_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let yaml = format!(
        "{{tcp: {{listen_address: '127.0.0.1:0', tls: {{cert_file: '{}', key_file: '{}'}}}}, protocol: rfc5424}}",
        write("cert.pem", &certificate),
        write("key.pem", &key)
    );
    let mut rig = Rig::start(&yaml).await;
    // Whoever speaks no TLS is not heard.
    let mut plain = TcpStream::connect(rig.address()).await.unwrap();
    plain
        .write_all(format!("{MESSAGE}\n").as_bytes())
        .await
        .unwrap();
    let address = rig.address();
    let sent = tokio::task::spawn_blocking(move || {
        let mut child = std::process::Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &address.to_string()])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .ok()?;
        use std::io::Write;
        let mut input = child.stdin.take()?;
        input.write_all(format!("{MESSAGE}\n").as_bytes()).ok()?;
        Some((child, input))
    });
    let Some((mut child, input)) = sent.await.unwrap() else {
        // There is no client on this machine; the handshake is transport's, and tested there.
        rig.receiver.stop().await;
        return;
    };
    let records = rig.records(1).await;
    assert_eq!(body(&records[0].0), MESSAGE);
    drop(input);
    let _ = child.kill();
    let _ = child.wait();
    rig.receiver.stop().await;
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let tcp = "tcp: {listen_address: '127.0.0.1:0'}";
    let udp = "udp: {listen_address: '127.0.0.1:0'}";
    for (keys, path) in [
        ("protocol: rfc5424".to_owned(), "tcp"),
        (format!("{tcp}, {udp}, protocol: rfc5424"), "udp"),
        (
            "tcp: {}, protocol: rfc5424".to_owned(),
            "tcp::listen_address",
        ),
        (
            format!("{tcp}, protocol: rfc3164, enable_octet_counting: true"),
            "enable_octet_counting",
        ),
        (
            format!(
                "{tcp}, protocol: rfc5424, enable_octet_counting: true, non_transparent_framing_trailer: LF"
            ),
            "non_transparent_framing_trailer",
        ),
        (
            format!(
                "{tcp}, protocol: rfc5424, enable_octet_counting: true, allow_skip_pri_header: true"
            ),
            "allow_skip_pri_header",
        ),
        (
            format!("{udp}, protocol: rfc5424, enable_octet_counting: true"),
            "udp",
        ),
        (
            format!("{tcp}, protocol: rfc3164, location: Atlantis"),
            "location",
        ),
        (
            "tcp: {listen_address: 'a:1', encoding: klingon}, protocol: rfc3164".to_owned(),
            "tcp::encoding",
        ),
        (
            "tcp: {listen_address: 'a:1', multiline: {}}, protocol: rfc3164".to_owned(),
            "tcp::multiline",
        ),
        (
            format!("{tcp}, protocol: rfc3164, operators: [{{type: move, from: a, to: ''}}]"),
            "operators::0",
        ),
    ] {
        let error = build(&format!("{{{keys}}}")).err().unwrap();
        assert!(error.path.starts_with(path), "{keys}: {error}");
    }
}
