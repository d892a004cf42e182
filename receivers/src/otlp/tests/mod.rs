//! The receiver over real sockets, against pipelines that are fakes.

mod auth;
mod bad_input;
mod config;
mod grpc;
mod http;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tidegate_component::{
    Admission, BuildContext, Extensions, Intake, IntakePort, Offered, Promise, Receiver,
    ReceiverContext, Shut, Task, WorkerPool, Workers, async_trait,
};
use tidegate_document::{read, yaml};
use tidegate_pdata::{Budget, Context, Outcome, Payload, Pending, Refusal, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Config, Otlp};

/// A pipeline that keeps what it gets and answers as it is told.
struct Pipeline {
    budget: Arc<Budget>,
    taken: Mutex<Vec<(Payload, Context)>>,
    outcome: Mutex<Outcome>,
    shut: Mutex<Option<Refusal>>,
    panics: AtomicBool,
}

#[async_trait]
impl IntakePort for Port {
    fn admit(&self, bytes: usize, _: &Context) -> Result<Admission, Shut> {
        if let Some(refusal) = self.0.shut.lock().unwrap().clone() {
            return Err(Shut::Refused(refusal));
        }
        self.0.budget.try_reserve(bytes).ok_or(Shut::Full)
    }

    async fn enter(&self, _: usize, _: &Context, _: Option<Instant>) -> Result<Admission, Refusal> {
        Err(Refusal::new(
            "the memory budget is spent",
            Duration::from_secs(1),
        ))
    }

    async fn ready(&self, bytes: usize) -> Admission {
        self.0.budget.overdraw(bytes)
    }

    fn offer(&self, payload: Payload, context: Context) -> Offered {
        assert!(!self.0.panics.swap(false, Relaxed), "as asked");
        let outcome = self.0.outcome.lock().unwrap().clone();
        if outcome.is_kept() {
            self.0.taken.lock().unwrap().push((payload, context));
        }
        Offered::Settled(outcome)
    }

    async fn wait(&self, pending: Pending, _: usize, _: Option<Instant>) -> Outcome {
        pending.outcome().await
    }

    fn promise(&self) -> Promise {
        Promise::Memory
    }

    fn failed(&self, _: usize) {}

    fn over(&self, _: &'static str) -> Arc<dyn IntakePort> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

struct Port(Arc<Pipeline>);

/// Workers that are tasks of the test's runtime.
struct Tasks;

impl WorkerPool for Tasks {
    fn count(&self) -> usize {
        1
    }

    fn spawn(&self, _: usize, task: Task) {
        tokio::spawn(task);
    }

    fn current(&self) -> Option<usize> {
        Some(0)
    }

    fn next(&self) -> usize {
        0
    }
}

/// A receiver that is running before a pipeline of each signal.
struct Rig {
    otlp: Otlp,
    pipeline: Arc<Pipeline>,
    build: BuildContext,
}

fn config(text: &str) -> Config {
    read(&yaml::parse_str(text).unwrap()).unwrap()
}

impl Rig {
    /// Starts with these keys under `protocols`, which should listen on port 0.
    async fn start(protocols: &str) -> Self {
        Self::start_for(protocols, &Signal::ALL).await
    }

    async fn start_for(protocols: &str, signals: &[Signal]) -> Self {
        Self::start_beside(Extensions::default(), protocols, signals).await
    }

    async fn start_beside(extensions: Extensions, protocols: &str, signals: &[Signal]) -> Self {
        let build = BuildContext {
            extensions,
            ..BuildContext::detached("receiver", "otlp".parse().unwrap())
        };
        let config = config(&format!("{{protocols: {protocols}}}"));
        let mut otlp = config.receiver(&build).unwrap();
        let budget = Budget::new(64 << 20);
        let pipeline = Arc::new(Pipeline {
            budget: Arc::clone(&budget),
            taken: Mutex::default(),
            outcome: Mutex::new(Outcome::TakenOver),
            shut: Mutex::default(),
            panics: AtomicBool::new(false),
        });
        let intake = |signal: Signal| {
            let port = Port(Arc::clone(&pipeline));
            signals
                .contains(&signal)
                .then(|| Intake::new(Arc::new(port)))
        };
        let cx = ReceiverContext {
            id: build.id.clone(),
            workers: Workers::new(Arc::new(Tasks)),
            budget,
            intakes: Signal::ALL.map(intake),
        };
        otlp.start(cx).await.unwrap();
        Self {
            otlp,
            pipeline,
            build,
        }
    }

    async fn http() -> Self {
        Self::start("{http: {endpoint: '127.0.0.1:0'}}").await
    }

    async fn grpc() -> Self {
        Self::start("{grpc: {endpoint: '127.0.0.1:0'}}").await
    }

    fn address(&self) -> std::net::SocketAddr {
        self.otlp.running[0].address().unwrap()
    }

    fn refuse_with(&self, outcome: Outcome) {
        *self.pipeline.outcome.lock().unwrap() = outcome;
    }

    fn shut(&self, after: Duration) {
        let refusal = Refusal::new("the memory budget is spent", after);
        *self.pipeline.shut.lock().unwrap() = Some(refusal);
    }

    /// What came in since the last call, which must have left nothing reserved.
    fn taken(&self) -> Vec<(Payload, Context)> {
        std::mem::take(&mut *self.pipeline.taken.lock().unwrap())
    }

    /// The one payload that came in, as bytes.
    fn only(&self) -> Vec<u8> {
        let mut taken = self.taken();
        assert_eq!(taken.len(), 1);
        let (payload, _) = taken.remove(0);
        assert_eq!(payload.segments().len(), 1);
        payload.segments()[0].bytes().to_vec()
    }

    fn failed_requests(&self) -> u64 {
        let families = self.build.metrics.registry().families();
        let Some(family) = families.get("tidegate_receiver_failed_requests") else {
            return 0;
        };
        let counts = family.series.values().map(|series| match series {
            tidegate_component::metrics::Series::Counter(counter) => counter.value(),
            _ => 0,
        });
        counts.sum()
    }

    /// Sends one HTTP/1 request and reads the answer.
    async fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let length = body.len();
        let head = format!(
            "{head}\r\nhost: otlp.test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may have answered and closed before all is sent.
        let _ = stream.write_all(body).await;
        Answer::read(&mut stream).await
    }

    async fn post(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: {kind}");
        self.send(&head, body).await
    }
}

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// An HTTP/1 answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut whole = Vec::new();
        let _ = stream.read_to_end(&mut whole).await;
        let end = whole
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {whole:?}"));
        let head = String::from_utf8(whole[..end].to_vec()).unwrap();
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: whole[end + 4..].to_vec(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        key_strindex: 0,
    }
}

fn traces_with(attributes: Vec<KeyValue>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![Span {
                    trace_id: vec![1; 16],
                    span_id: vec![2; 8],
                    name: "span".to_owned(),
                    attributes,
                    ..Span::default()
                }],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn traces() -> ExportTraceServiceRequest {
    traces_with(vec![attribute("key", "value")])
}

fn metrics() -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![Metric {
                    name: "metric".to_owned(),
                    data: Some(metric::Data::Gauge(Gauge {
                        data_points: vec![NumberDataPoint {
                            time_unix_nano: 1,
                            ..NumberDataPoint::default()
                        }],
                    })),
                    ..Metric::default()
                }],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn logs() -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord {
                    time_unix_nano: 1,
                    severity_text: "INFO".to_owned(),
                    ..LogRecord::default()
                }],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}
