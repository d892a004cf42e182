//! Servers against raw clients over real sockets.

mod crowd;
mod limits;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use h2::client::SendRequest;
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode};
use tidegate_component::Workers;
use tidegate_pdata::{Budget, Refusal, Reservation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;
use crate::compression::{Codec, Level, compress};
use crate::grpc::{Code, Prefix, Status};

/// Workers that are tasks of the test's runtime.
struct Tasks;

impl tidegate_component::WorkerPool for Tasks {
    fn count(&self) -> usize {
        1
    }

    fn spawn(&self, _: usize, task: tidegate_component::Task) {
        tokio::spawn(task);
    }

    fn current(&self) -> Option<usize> {
        Some(0)
    }

    fn next(&self) -> usize {
        0
    }
}

fn workers() -> Workers {
    Workers::new(Arc::new(Tasks))
}

/// Answers a message with itself; some messages make it do something else.
struct Echo {
    budget: Arc<Budget>,
    failed: Mutex<Vec<Code>>,
    largest: AtomicUsize,
}

impl Unary for Arc<Echo> {
    type Method = ();

    fn method(&self, path: &str) -> Option<()> {
        (path == "/test.Echo/Say").then_some(())
    }

    fn greet(&self, _: Option<SocketAddr>) -> Context {
        Context::default()
    }

    fn sender(&self, peer: &Peer, _: &HeaderMap, _: Option<&Authority>) -> Context {
        peer.context.clone()
    }

    async fn admit(
        &self,
        (): (),
        bytes: usize,
        _: &Context,
        _: Option<Instant>,
    ) -> Result<Reservation, Refusal> {
        self.largest.fetch_max(bytes, Relaxed);
        self.budget
            .try_reserve(bytes)
            .ok_or(Refusal::new("full", Duration::from_millis(2500)))
    }

    async fn call(&self, call: Call<()>) -> Result<Bytes, Status> {
        assert_eq!(call.hold.bytes(), call.message.len());
        match &*call.message {
            b"panic" => panic!("as asked"),
            b"fail" => Err(Status::new(Code::Unavailable, "50% of naïve\nattempts")),
            b"deadline" => {
                let left = call.until.map(|until| until - Instant::now());
                let left = left.map(|left| left.as_secs().div_ceil(100) * 100);
                Ok(Bytes::from(format!("{left:?}")))
            }
            b"hang" => std::future::pending().await,
            _ => Ok(call.message),
        }
    }

    fn failed(&self, _: Option<()>, status: &Status) {
        self.failed.lock().unwrap().push(status.code);
    }
}

struct Running {
    server: Server,
    echo: Arc<Echo>,
    budget: Arc<Budget>,
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.address().unwrap())
            .await
            .unwrap()
    }

    async fn client(&self) -> SendRequest<Bytes> {
        let (client, connection) = h2::client::handshake(self.connect().await).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

const MAX: usize = 100_000;

async fn start(change: impl FnOnce(&mut Settings), pace: Pace) -> Running {
    let address = Address::parse("127.0.0.1:0", "tcp").unwrap();
    let mut settings = Settings::new(address, Protocol::Http2);
    settings.drain = Duration::from_secs(5);
    change(&mut settings);
    let budget = Budget::new(MAX * 2);
    let echo = Arc::new(Echo {
        budget: Arc::clone(&budget),
        failed: Mutex::default(),
        largest: AtomicUsize::new(0),
    });
    let service = Grpc::new(Arc::clone(&echo), MAX, pace);
    let server = Server::start(settings, service, &workers()).await.unwrap();
    Running {
        server,
        echo,
        budget,
    }
}

async fn started() -> Running {
    start(|_| {}, Pace::default()).await
}

fn message(flags: u8, body: &[u8]) -> Bytes {
    let length = u32::try_from(body.len()).unwrap();
    let mut bytes = Prefix { flags, length }.bytes().to_vec();
    bytes.extend_from_slice(body);
    Bytes::from(bytes)
}

fn request() -> http::request::Builder {
    http::Request::post("http://localhost/test.Echo/Say")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

#[derive(Debug)]
struct Answer {
    http: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Answer {
    /// The status, wherever it stands.
    fn status(&self) -> Status {
        let trailers = self.trailers.as_ref().unwrap_or(&self.headers);
        Status::from_headers(trailers).unwrap()
    }
}

/// Sends a request in pieces and reads the answer.
async fn exchange(
    client: SendRequest<Bytes>,
    request: http::request::Builder,
    pieces: &[Bytes],
) -> Answer {
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client
        .send_request(request.body(()).unwrap(), pieces.is_empty())
        .unwrap();
    for (at, piece) in pieces.iter().enumerate() {
        // The server may have answered and turned the rest away.
        let _ = body.send_data(piece.clone(), at + 1 == pieces.len());
    }
    let (head, mut body) = answer.await.unwrap().into_parts();
    let mut whole = Vec::new();
    while let Some(data) = body.data().await {
        whole.extend_from_slice(&data.unwrap());
    }
    Answer {
        http: head.status,
        headers: head.headers,
        body: whole,
        trailers: body.trailers().await.unwrap(),
    }
}

async fn say(running: &Running, body: &[u8]) -> Answer {
    exchange(running.client().await, request(), &[message(0, body)]).await
}

#[tokio::test]
async fn a_message_comes_and_goes_with_its_status_in_the_trailers() {
    let running = started().await;
    let answer = say(&running, b"hello").await;
    assert_eq!(answer.http, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/grpc");
    assert_eq!(answer.body, message(0, b"hello"));
    assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    assert_eq!(running.budget.used(), 0);
}

#[tokio::test]
async fn the_prefix_and_the_message_may_come_in_any_pieces() {
    let running = started().await;
    let client = running.client().await;
    let whole = message(0, &vec![7; 40_000]);
    for cuts in [
        vec![1, 2, 5, 6],
        vec![3, 4, 30_000],
        vec![5],
        vec![0, 40_004],
    ] {
        let mut pieces = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([whole.len()]) {
            pieces.push(whole.slice(from..to));
            from = to;
        }
        let answer = exchange(client.clone(), request(), &pieces).await;
        assert_eq!(answer.body, whole);
    }
}

#[tokio::test]
async fn an_error_is_in_the_headers_alone_and_escaped() {
    let running = started().await;
    let answer = say(&running, b"fail").await;
    assert_eq!(answer.http, StatusCode::OK);
    assert!(answer.body.is_empty() && answer.trailers.is_none());
    assert_eq!(answer.headers["grpc-status"], "14");
    assert_eq!(
        answer.headers["grpc-message"],
        "50%25 of na%C3%AFve%0Aattempts"
    );
}

#[tokio::test]
async fn compressed_messages_are_read() {
    let running = started().await;
    let body = vec![3; 50_000];
    for (name, codec) in [
        ("gzip", Codec::Gzip),
        ("zstd", Codec::Zstd),
        ("snappy", Codec::SnappyFramed),
    ] {
        let mut packed = Vec::new();
        compress(codec, Level::Default, [&*body], &mut packed).unwrap();
        let request = request().header("grpc-encoding", name);
        let pieces = [message(1, &packed)];
        let answer = exchange(running.client().await, request, &pieces).await;
        assert_eq!(answer.body, message(0, &body), "{name}");
    }
    assert_eq!(running.budget.used(), 0);
}

#[tokio::test]
async fn a_message_need_not_be_compressed_where_it_might() {
    let running = started().await;
    for name in ["gzip", "identity"] {
        let request = request().header("grpc-encoding", name);
        let answer = exchange(running.client().await, request, &[message(0, b"x")]).await;
        assert_eq!(answer.status().code, Code::Ok);
    }
}

#[tokio::test]
async fn an_unknown_encoding_is_told_those_that_are_known() {
    let running = started().await;
    let request = request().header("grpc-encoding", "br");
    let answer = exchange(running.client().await, request, &[message(1, b"x")]).await;
    assert_eq!(answer.status().code, Code::Unimplemented);
    assert_eq!(
        answer.headers["grpc-accept-encoding"],
        "identity,gzip,zstd,snappy"
    );
}

#[tokio::test]
async fn a_message_past_the_limit_is_refused_before_it_is_read() {
    let running = started().await;
    let prefix = message(0, &vec![0; MAX + 1]).slice(..5);
    let answer = exchange(running.client().await, request(), &[prefix]).await;
    assert_eq!(answer.status().code, Code::ResourceExhausted);
    assert_eq!(
        answer.status().message,
        "the message of 100001 bytes is larger than the limit of 100000"
    );
    assert_eq!(answer.status().retry_after, None);
    assert_eq!(running.echo.largest.load(Relaxed), 0);
}

#[tokio::test]
async fn a_bomb_is_refused_at_the_limit() {
    let running = started().await;
    let mut packed = Vec::new();
    compress(
        Codec::Gzip,
        Level::Default,
        [&*vec![0; MAX * 100]],
        &mut packed,
    )
    .unwrap();
    let request = request().header("grpc-encoding", "gzip");
    let answer = exchange(running.client().await, request, &[message(1, &packed)]).await;
    assert_eq!(answer.status().code, Code::ResourceExhausted);
    assert_eq!(running.budget.used(), 0);
}

#[tokio::test]
async fn a_refusal_says_when_to_come_again() {
    let running = started().await;
    let hold = running.budget.overdraw(MAX * 2);
    let status = say(&running, b"hello").await.status();
    assert_eq!(status.code, Code::ResourceExhausted);
    assert_eq!(status.retry_after, Some(Duration::from_millis(2500)));
    drop(hold);
    assert_eq!(say(&running, b"hello").await.status().code, Code::Ok);
}

#[tokio::test]
async fn what_is_no_unary_message_is_named() {
    let running = started().await;
    let two = [message(0, b"one"), message(0, b"two")].concat();
    for (pieces, code, text) in [
        (vec![], Code::Internal, "the request has no message"),
        (
            vec![message(0, b"x").slice(..3)],
            Code::Internal,
            "the request has no message",
        ),
        (
            vec![message(0, b"hello").slice(..7)],
            Code::Internal,
            "the message is cut off: 2 bytes came of 5",
        ),
        (
            vec![Bytes::from(two)],
            Code::Internal,
            "a unary request has one message, and more came",
        ),
        (
            vec![message(1, b"x")],
            Code::Internal,
            "the message is marked as compressed without a grpc-encoding",
        ),
        (
            vec![message(7, b"x")],
            Code::Internal,
            "the message has the unknown flags 7",
        ),
    ] {
        let answer = exchange(running.client().await, request(), &pieces).await;
        assert_eq!(
            (answer.status().code, &*answer.status().message),
            (code, text)
        );
    }
    let request = request().header("grpc-encoding", "gzip");
    let answer = exchange(running.client().await, request, &[message(1, b"no gzip")]).await;
    assert_eq!(answer.status().code, Code::Internal);
    assert_eq!(running.budget.used(), 0);
    assert_eq!(running.echo.failed.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn what_is_not_grpc_is_turned_away() {
    let running = started().await;
    let client = running.client().await;
    let plain = http::Request::post("http://localhost/test.Echo/Say")
        .header("content-type", "application/grpcish");
    let answer = exchange(client.clone(), plain, &[message(0, b"x")]).await;
    assert_eq!(answer.http, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let put = request().method(Method::PUT);
    let answer = exchange(client.clone(), put, &[message(0, b"x")]).await;
    assert_eq!(answer.http, StatusCode::METHOD_NOT_ALLOWED);
    let other = request().uri("http://localhost/test.Echo/Shout");
    let answer = exchange(client, other, &[message(0, b"x")]).await;
    assert_eq!(answer.status().code, Code::Unimplemented);
    assert_eq!(
        answer.status().message,
        "there is no method /test.Echo/Shout"
    );
}

#[tokio::test]
async fn content_types_may_have_a_subtype_or_parameters() {
    let running = started().await;
    for kind in ["application/grpc+proto", "application/grpc;charset=utf-8"] {
        let request =
            http::Request::post("http://localhost/test.Echo/Say").header("content-type", kind);
        let answer = exchange(running.client().await, request, &[message(0, b"x")]).await;
        assert_eq!(answer.status().code, Code::Ok, "{kind}");
    }
}

#[tokio::test]
async fn an_answer_is_due_within_four_fifths_of_the_deadline() {
    let running = started().await;
    let timed = request().header("grpc-timeout", "1000S");
    let answer = exchange(running.client().await, timed, &[message(0, b"deadline")]).await;
    assert_eq!(answer.body, message(0, b"Some(800)"));
    let malformed = request().header("grpc-timeout", "soon");
    let answer = exchange(running.client().await, malformed, &[message(0, b"x")]).await;
    assert_eq!(answer.status().code, Code::Internal);
}

#[tokio::test]
async fn a_deadline_that_passes_while_the_body_comes_ends_the_call() {
    let running = started().await;
    let mut client = running.client().await.ready().await.unwrap();
    let timed = request().header("grpc-timeout", "50m").body(()).unwrap();
    let (answer, mut body) = client.send_request(timed, false).unwrap();
    body.send_data(message(0, b"hello").slice(..6), false)
        .unwrap();
    let answer = answer.await.unwrap();
    let status = Status::from_headers(answer.headers()).unwrap();
    assert_eq!(status.code, Code::DeadlineExceeded);
    assert_eq!(running.budget.used(), 0);
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut() {
    let pace = Pace {
        grace: Duration::from_millis(50),
        rate: 1 << 20,
        total: None,
    };
    let running = start(|_| {}, pace).await;
    let mut client = running.client().await.ready().await.unwrap();
    let (answer, mut body) = client
        .send_request(request().body(()).unwrap(), false)
        .unwrap();
    body.send_data(message(0, b"hello").slice(..6), false)
        .unwrap();
    let answer = answer.await.unwrap();
    let status = Status::from_headers(answer.headers()).unwrap();
    assert_eq!(status.code, Code::DeadlineExceeded);
    assert_eq!(status.message, "the body came too slowly: 6 bytes in 0 s");
}

#[tokio::test]
async fn a_panic_ends_the_request_and_not_the_connection() {
    let running = started().await;
    let client = running.client().await;
    let answer = exchange(client.clone(), request(), &[message(0, b"panic")]).await;
    assert_eq!(answer.status().code, Code::Internal);
    let answer = exchange(client, request(), &[message(0, b"hello")]).await;
    assert_eq!(answer.status().code, Code::Ok);
    assert_eq!(*running.echo.failed.lock().unwrap(), [Code::Internal]);
}

#[tokio::test]
async fn http1_is_told_where_it_is() {
    let running = started().await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("this endpoint speaks gRPC over HTTP/2"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut() {
    let running = start(
        |settings| settings.handshake_timeout = Duration::from_millis(50),
        Pace::default(),
    )
    .await;
    let mut stream = running.connect().await;
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_go() {
    let running = start(
        |settings| settings.idle_timeout = Some(Duration::from_millis(50)),
        Pace::default(),
    )
    .await;
    let (client, connection) = h2::client::handshake(running.connect().await)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let answer = exchange(client.clone(), request(), &[message(0, b"x")]).await;
    assert_eq!(answer.status().code, Code::Ok);
    // GOAWAY without an error, then the end.
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_old_connection_is_cut_after_its_grace() {
    let running = start(
        |settings| {
            settings.max_age = Some(Duration::from_millis(50));
            settings.max_age_grace = Some(Duration::from_millis(50));
        },
        Pace::default(),
    )
    .await;
    let (client, connection) = h2::client::handshake(running.connect().await)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client
        .send_request(request().body(()).unwrap(), false)
        .unwrap();
    body.send_data(message(0, b"hang"), true).unwrap();
    assert!(answer.await.is_err());
    let _ = connection.await.unwrap();
}

#[tokio::test]
async fn pings_are_answered() {
    let running = started().await;
    let (client, mut connection) = h2::client::handshake(running.connect().await)
        .await
        .unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    for _ in 0..20 {
        pings.ping(h2::Ping::opaque()).await.unwrap();
    }
    let answer = exchange(client, request(), &[message(0, b"x")]).await;
    assert_eq!(answer.status().code, Code::Ok);
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_cut_if_it_does_not_answer() {
    let running = start(
        |settings| {
            settings.ping_interval = Some(Duration::from_millis(50));
            settings.ping_timeout = Duration::from_millis(50);
        },
        Pace::default(),
    )
    .await;
    let mut stream = running.connect().await;
    // The preface and empty settings, and then nothing.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut sent = Vec::new();
    let _ = stream.read_to_end(&mut sent).await;
    // A PING frame: eight bytes of type 6 on stream 0.
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0];
    assert!(sent.windows(9).any(|frame| frame == ping));
}

#[tokio::test]
async fn connections_past_the_limit_are_closed() {
    let running = start(|settings| settings.max_connections = 1, Pace::default()).await;
    let first = running.client().await;
    assert_eq!(
        exchange(first.clone(), request(), &[message(0, b"x")])
            .await
            .status()
            .code,
        Code::Ok
    );
    let mut second = running.connect().await;
    assert_eq!(second.read(&mut [0; 8]).await.unwrap_or(0), 0);
    let answer = exchange(first, request(), &[message(0, b"x")]).await;
    assert_eq!(answer.status().code, Code::Ok);
}

#[tokio::test]
async fn stopping_lets_open_requests_end() {
    let running = started().await;
    let (client, connection) = h2::client::handshake(running.connect().await)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client
        .send_request(request().body(()).unwrap(), false)
        .unwrap();
    body.send_data(message(0, b"hello").slice(..6), false)
        .unwrap();
    while running.echo.largest.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let address = running.server.address().unwrap();
    let stopped = tokio::spawn(running.server.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    body.send_data(message(0, b"hello").slice(6..), true)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    stopped.await.unwrap();
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end() {
    let running = start(
        |settings| settings.drain = Duration::from_millis(100),
        Pace::default(),
    )
    .await;
    let mut client = running.client().await.ready().await.unwrap();
    let (answer, mut body) = client
        .send_request(request().body(()).unwrap(), false)
        .unwrap();
    body.send_data(message(0, b"hang"), true).unwrap();
    while running.echo.largest.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    running.server.stop().await;
    assert!(answer.await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let running = started().await;
    let taken = running.server.to_string();
    let address = Address::parse(&taken, "tcp").unwrap();
    let settings = Settings::new(address, Protocol::Http2);
    let service = Grpc::new(Arc::clone(&running.echo), MAX, Pace::default());
    let error = Server::start(settings, service, &workers())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {taken}"));
    assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_unix_socket_is_served_and_taken_away_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    // What a process that died left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let running = start(
        |settings| settings.address = Address::Unix(path.clone()),
        Pace::default(),
    );
    let running = running.await;
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let answer = exchange(client, request(), &[message(0, b"hello")]).await;
    assert_eq!(answer.body, message(0, b"hello"));
    running.server.stop().await;
    assert!(!path.exists());
}
