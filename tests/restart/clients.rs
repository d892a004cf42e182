//! Clients that never stop sending while processes come and go, and what they have seen.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tonic::Code;

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(3);

/// What all clients have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The records that were acknowledged.
    pub accepted: BTreeSet<String>,
    /// Answers that asked to send again.
    pub retried: usize,
    /// Whatever else went wrong: none may.
    pub failures: Vec<String>,
}

/// How a request went.
enum Sent {
    Accepted,
    Again,
    Failed(String),
}

/// The clients at work.
pub struct Clients {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Starts one client that connects anew for each request, one that keeps its HTTP/1.1
    /// connection as long as it may, and one that keeps an HTTP/2 connection.
    pub fn start(http: &str, grpc: &str) -> Self {
        let mut clients = Self {
            stop: Arc::default(),
            seen: Arc::default(),
            threads: Vec::new(),
        };
        let address = http.to_owned();
        clients.spawn("new", move |record| post(&connect(&address)?, record));
        let (address, mut kept) = (http.to_owned(), None);
        clients.spawn("kept", move |record| {
            let stream = match kept.take() {
                Some(stream) => stream,
                None => connect(&address)?,
            };
            let (sent, keep) = converse(&stream, record, true)?;
            kept = keep.then_some(stream);
            Ok(sent)
        });
        let mut rpc = Rpc::new(grpc);
        clients.spawn("grpc", move |record| Ok(rpc.export(record)));
        clients
    }

    fn spawn(
        &mut self,
        name: &'static str,
        mut send: impl FnMut(&str) -> std::io::Result<Sent> + Send + 'static,
    ) {
        let (stop, seen) = (Arc::clone(&self.stop), Arc::clone(&self.seen));
        self.threads.push(std::thread::spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                let record = format!("{name}-{number}");
                let sent = send(&record).unwrap_or_else(|error| Sent::Failed(error.to_string()));
                let mut seen = seen.lock().expect("no client panics");
                match sent {
                    Sent::Accepted => {
                        seen.accepted.insert(record);
                        number += 1;
                    }
                    Sent::Again => seen.retried += 1,
                    Sent::Failed(error) => seen.failures.push(format!("{record}: {error}")),
                }
                drop(seen);
                std::thread::sleep(PAUSE);
            }
        }));
    }

    /// What they have seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no client panics").clone()
    }

    /// Ends them.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no client panics");
        }
        let seen = self.seen.lock().expect("no client panics");
        seen.clone()
    }
}

/// A request of one log record with this text.
fn request(record: &str) -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 1,
        body: Some(AnyValue {
            value: Some(Value::StringValue(record.to_owned())),
        }),
        ..LogRecord::default()
    };
    let scope = ScopeLogs {
        log_records: vec![record],
        ..ScopeLogs::default()
    };
    let resource = ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![resource],
    }
}

/// The texts of a request's records.
pub fn records(request: &ExportLogsServiceRequest) -> Vec<String> {
    let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
    let records = scopes.flat_map(|scope| &scope.log_records);
    let texts = records.filter_map(|record| match &record.body.as_ref()?.value {
        Some(Value::StringValue(text)) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(crate::support::PATIENCE))?;
    Ok(stream)
}

/// Sends a record on a connection that is closed after it.
fn post(stream: &TcpStream, record: &str) -> std::io::Result<Sent> {
    converse(stream, record, false).map(|(sent, _)| sent)
}

/// Sends a record and says how it went, and whether the connection may be used again.
fn converse(stream: &TcpStream, record: &str, keep: bool) -> std::io::Result<(Sent, bool)> {
    let body = request(record).encode_to_vec();
    let mut text = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\nconnection: {}\r\n\
         content-length: {}\r\n\r\n",
        if keep { "keep-alive" } else { "close" },
        body.len()
    )
    .into_bytes();
    text.extend(body);
    (&mut &*stream).write_all(&text)?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::Error::other(
                "the connection ended without an answer",
            ));
        }
    }
    let head = head.to_ascii_lowercase();
    let header = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let length = header("content-length").and_then(|value| value.parse().ok());
    reader
        .by_ref()
        .take(length.unwrap_or(0))
        .read_to_end(&mut Vec::new())?;
    let sent = match head.split_whitespace().nth(1) {
        Some("200") => Sent::Accepted,
        Some("429" | "502" | "503" | "504") => Sent::Again,
        _ => Sent::Failed(head.clone()),
    };
    Ok((sent, header("connection") != Some("close")))
}

/// A client of gRPC over one channel, which connects anew by itself.
struct Rpc {
    runtime: tokio::runtime::Runtime,
    client: LogsServiceClient<tonic::transport::Channel>,
}

impl Rpc {
    fn new(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let endpoint = tonic::transport::Endpoint::try_from(format!("http://{address}"));
        let channel = {
            let _inside = runtime.enter();
            endpoint.expect("an endpoint").connect_lazy()
        };
        Self {
            runtime,
            client: LogsServiceClient::new(channel),
        }
    }

    fn export(&mut self, record: &str) -> Sent {
        let answer = self.runtime.block_on(self.client.export(request(record)));
        match answer {
            Ok(_) => Sent::Accepted,
            // With a refused connection the channel says so as well, which must not be.
            Err(status) if status.code() == Code::Unavailable && !refused(&status) => Sent::Again,
            // By OTLP's specification only with a RetryInfo.
            Err(status) if status.code() == Code::ResourceExhausted && asks_again(&status) => {
                Sent::Again
            }
            Err(status) => Sent::Failed(format!("{status:?}")),
        }
    }
}

fn asks_again(status: &tonic::Status) -> bool {
    let details = String::from_utf8_lossy(status.details());
    details.contains("google.rpc.RetryInfo")
}

fn refused(status: &tonic::Status) -> bool {
    format!("{status:?}")
        .to_ascii_lowercase()
        .contains("refused")
}
