//! An OTLP/HTTP server that keeps every request, for whatever exports to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// Everything that arrived, in order.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub traces: Vec<ExportTraceServiceRequest>,
    pub metrics: Vec<ExportMetricsServiceRequest>,
    pub logs: Vec<ExportLogsServiceRequest>,
    /// The heads of the requests: request line and headers.
    pub heads: Vec<String>,
}

impl Received {
    /// Spans, data points and log records.
    pub fn items(&self) -> usize {
        let spans = self.traces.iter().flat_map(|r| &r.resource_spans);
        let spans = spans.flat_map(|r| &r.scope_spans).map(|s| s.spans.len());
        let metrics = self.metrics.iter().flat_map(|r| &r.resource_metrics);
        let metrics = metrics.flat_map(|r| &r.scope_metrics);
        let points = metrics.flat_map(|s| &s.metrics).map(super::normal::points);
        let logs = self.logs.iter().flat_map(|r| &r.resource_logs);
        let logs = logs
            .flat_map(|r| &r.scope_logs)
            .map(|s| s.log_records.len());
        spans.sum::<usize>() + points.sum::<usize>() + logs.sum::<usize>()
    }
}

/// The server; its threads end with the process.
pub struct Sink {
    address: String,
    received: Arc<Mutex<Received>>,
}

impl Sink {
    /// Listens on a free loopback port.
    pub fn start() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// The same, but each request is answered after a while.
    pub fn slow(pause: Duration) -> Self {
        Self::at("127.0.0.1:0", pause)
    }

    /// The same at an address of loopback, which nobody else has.
    pub fn at(address: &str, pause: Duration) -> Self {
        let listener = TcpListener::bind(address).expect("a loopback port");
        let address = listener.local_addr().expect("a bound address").to_string();
        let received = Arc::new(Mutex::new(Received::default()));
        let shared = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let _ = serve(&stream, &shared, pause);
                });
            }
        });
        Self { address, received }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A copy of what arrived so far.
    pub fn received(&self) -> Received {
        self.received
            .lock()
            .expect("no server thread panics")
            .clone()
    }
}

fn serve(stream: &TcpStream, received: &Mutex<Received>, pause: Duration) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = request(&mut reader)? {
        std::thread::sleep(pause);
        let known = {
            let mut received = received.lock().expect("no server thread panics");
            let known = keep(&mut received, &head, &body);
            received.heads.push(head);
            known
        };
        let status = if known { "200 OK" } else { "400 Bad Request" };
        write!(
            &mut &*stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        )?;
    }
    Ok(())
}

fn keep(received: &mut Received, head: &str, body: &[u8]) -> bool {
    let path = head.split_whitespace().nth(1).unwrap_or_default();
    match path {
        "/v1/traces" => decode(body, &mut received.traces),
        "/v1/metrics" => decode(body, &mut received.metrics),
        "/v1/logs" => decode(body, &mut received.logs),
        _ => false,
    }
}

fn decode<M: Message + Default>(body: &[u8], into: &mut Vec<M>) -> bool {
    M::decode(body).map(|message| into.push(message)).is_ok()
}

/// Reads one request; none at the end of the connection.
fn request(reader: &mut impl BufRead) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if let Some(length) = header(&lower, "content-length") {
        let length = length.parse().map_err(std::io::Error::other)?;
        reader.take(length).read_to_end(&mut body)?;
    } else if header(&lower, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        chunks(reader, &mut body)?;
    }
    Ok(Some((head, body)))
}

fn chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        reader.take(size).read_to_end(body)?;
        line.clear();
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == name).then(|| value.trim())
    })
}
