//! More than there is room for: who is refused, what they are told, and that nothing else is lost.

// What the tests share is public for all of them.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use support::sink::Sink;
use support::{PATIENCE, Tidegate, free_port};

/// A request of one span for each KiB.
fn spans(kib: usize) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "n".repeat(990),
        ..Span::default()
    };
    let scope = ScopeSpans {
        spans: vec![span; kib],
        ..ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![scope],
            ..ResourceSpans::default()
        }],
    }
}

/// An HTTP answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(mut stream: &TcpStream) -> Self {
        let mut whole = Vec::new();
        let _ = stream.read_to_end(&mut whole);
        let end = whole.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {whole:?}"));
        let head = String::from_utf8_lossy(&whole[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.expect("a status"),
            body: whole[end + 4..].to_vec(),
            head,
        }
    }

    /// The seconds after which the client may come again.
    fn retry_after(&self) -> Option<u64> {
        let line = |line: &str| line.strip_prefix("retry-after: ")?.parse().ok();
        self.head.lines().find_map(line)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A connection from an address of this machine's loopback.
fn connect(from: &str, to: &str) -> TcpStream {
    let stream = runtime().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        let from = format!("{from}:0").parse().expect("an address");
        socket.bind(from).expect("the loopback has it");
        let to = to.parse().expect("an address");
        let stream = socket.connect(to).await.expect("it listens");
        stream.into_std().expect("it can be taken")
    });
    stream.set_nonblocking(false).expect("it can wait");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("it can be set");
    stream
}

/// Sends one request with these headers, each ending its line.
fn post(from: &str, to: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = connect(from, to);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         content-type: application/x-protobuf\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    // It may be answered before it has all been read.
    let _ = stream.write_all(body);
    Answer::read(&stream)
}

fn address() -> String {
    format!("127.0.0.1:{}", free_port())
}

#[test]
fn one_client_that_floods_does_not_keep_others_out() {
    let sink = Sink::slow(PATIENCE);
    let http = address();
    let yaml = format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{http}'}}}}}}}}
processors: {{memory_limiter: {{check_interval: 1s, limit_mib: 48, spike_limit_mib: 30}}}}
exporters:
  otlp_http: {{endpoint: 'http://{}', compression: none, sending_queue: {{queue_size: 100000}}}}
service:
  shutdown_timeout: 1s
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp_http]}}}}
",
        sink.address()
    );
    let tidegate = Tidegate::start(&yaml, &[&http]);
    let large = spans(256).encode_to_vec();
    let flood = || post("127.0.0.1", &http, "", &large);
    let refused = (0..1000)
        .map(|_| flood())
        .find(|answer| answer.status != 200);
    let refused = refused.expect("there is not room for 250 MB");
    assert_eq!(refused.status, 429, "{refused:?}");
    assert_eq!(refused.retry_after(), Some(1));
    let small = spans(16).encode_to_vec();
    for last in 2..30 {
        let answer = post(&format!("127.0.0.{last}"), &http, "", &small);
        assert_eq!(answer.status, 200, "{last}: {answer:?}");
        assert_eq!(flood().status, 429);
    }
    drop(tidegate);
}

/// Kilobytes of a process that are in memory.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kilobytes.expect("a number of kilobytes")
}

#[test]
fn under_four_times_its_load_it_stays_small_and_loses_nothing_that_it_took() {
    const REQUEST: usize = 256;
    // Ten consumers at a time: at most 50 MiB/s.
    let sink = Sink::slow(Duration::from_millis(50));
    let http = address();
    let yaml = format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{http}'}}}}}}}}
processors: {{memory_limiter: {{check_interval: 100ms, limit_mib: 64}}}}
exporters: {{otlp_http: {{endpoint: 'http://{}', compression: none}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp_http]}}}}
",
        sink.address()
    );
    let tidegate = Tidegate::start(&yaml, &[&http]);
    let body = spans(REQUEST).encode_to_vec();
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    let mut peak = 0;
    std::thread::scope(|scope| {
        for client in 1..9 {
            let (accepted, refused, over) = (&accepted, &refused, &over);
            let (http, body) = (&http, &body);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    let answer = post(&format!("127.0.0.{client}"), http, "", body);
                    if answer.status == 200 {
                        accepted.fetch_add(1, Relaxed);
                    } else {
                        assert!(matches!(answer.status, 429 | 503), "{answer:?}");
                        assert!(answer.retry_after().is_some(), "{answer:?}");
                        refused.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        let start = Instant::now();
        // As long as it takes to fill it, and a little longer.
        while refused.load(Relaxed) < 200 && start.elapsed() < PATIENCE {
            peak = peak.max(resident(tidegate.process.id()));
            std::thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Relaxed);
    });
    assert!(refused.load(Relaxed) >= 200);
    assert!(peak < 160 << 10, "{peak} KiB");
    let log = tidegate.stop();
    assert!(!log.contains("items ended here"), "{log}");
    assert_eq!(sink.received().items(), accepted.load(Relaxed) * REQUEST);
}

#[test]
fn tenant_over_its_quota_is_told_so_by_name_and_others_go_on() {
    let sink = Sink::start();
    let [grpc, http] = [(); 2].map(|()| address());
    let yaml = format!(
        "
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '{grpc}', include_metadata: true}}
      http: {{endpoint: '{http}', include_metadata: true}}
processors: {{ratelimit: {{metadata_keys: [x-tenant], strategy: bytes, rate: 1}}}}
exporters: {{otlp_http: {{endpoint: 'http://{}', compression: none}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [ratelimit], exporters: [otlp_http]}}}}
",
        sink.address()
    );
    let tidegate = Tidegate::start(&yaml, &[&grpc, &http]);
    let body = spans(1).encode_to_vec();
    let send = |tenant: &str| {
        let header = format!("x-tenant: {tenant}\r\n");
        post("127.0.0.1", &http, &header, &body)
    };
    assert_eq!(send("acme").status, 200);
    let refused = send("acme");
    assert_eq!(refused.status, 429, "{refused:?}");
    // A kilobyte is paid off in about as many seconds.
    let after = refused.retry_after().expect("a time to come again");
    assert!((500..=1100).contains(&after), "{after}");
    let said = String::from_utf8_lossy(&refused.body);
    assert!(
        said.contains("x-tenant \"acme\": over the limit of 1 bytes a second"),
        "{said}"
    );
    assert_eq!(send("other").status, 200);
    let call = |tenant: &'static str| {
        runtime().block_on(async {
            let mut client = TraceServiceClient::connect(format!("http://{grpc}"))
                .await
                .expect("it listens");
            let mut request = tonic::Request::new(spans(1));
            let value = tonic::metadata::MetadataValue::from_static(tenant);
            request.metadata_mut().insert("x-tenant", value);
            client.export(request).await
        })
    };
    // The quota is one, whatever is spoken.
    let status = call("acme").expect_err("it is over its quota");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().contains("\"acme\""), "{status}");
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo"), "{details}");
    call("third").expect("it has sent nothing yet");
    tidegate.stop();
    assert_eq!(sink.received().items(), 3);
}

#[test]
fn no_listener_can_be_taken_by_one_client() {
    let [http, page, health, admin, own] = [(); 5].map(|()| address());
    let (own_host, own_port) = own.split_once(':').expect("a host and a port");
    let yaml = format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{http}'}}}}}}}}
exporters: {{prometheus: {{endpoint: '{page}'}}}}
extensions: {{health_check: {{endpoint: '{health}'}}, admin: {{endpoint: '{admin}'}}}}
service:
  extensions: [health_check, admin]
  telemetry:
    metrics:
      readers: [{{pull: {{exporter: {{prometheus: {{host: {own_host}, port: {own_port}}}}}}}}}]
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheus]}}}}
"
    );
    let listeners = [&*http, &page, &health, &admin, &own];
    let tidegate = Tidegate::start(&yaml, &listeners);
    for listener in listeners {
        let bomb = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
            "a".repeat(1 << 20)
        );
        let mut stream = connect("127.0.0.1", listener);
        let _ = stream.write_all(bomb.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{listener}: {answer}"
        );
        // More than a small listener takes, each with half a request.
        let mut silent = Vec::new();
        for _ in 0..300 {
            let mut stream = connect("127.0.0.1", listener);
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost:");
            silent.push(stream);
        }
        let mut other = connect("127.0.0.2", listener);
        let request = b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        other.write_all(request).expect("it is open");
        let answer = Answer::read(&other);
        assert!(
            matches!(answer.status, 200 | 404 | 405),
            "{listener}: {answer:?}"
        );
        drop(silent);
    }
    drop(tidegate);
}
