//! Clients on the generated OTLP services: they send numbered items until told to stop, keep what was
//! acknowledged, and send nothing twice.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::books::Books;
use crate::support::http;
use crate::wire::{Items, Signal};
use crate::{RUNTIME, rpc};

/// How long a client waits for an answer.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How the clients of a scenario send.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Clients at a time, each on a connection of its own.
    pub lanes: usize,
    /// Items of a request.
    pub items: u64,
    /// Bytes beside each number.
    pub padding: usize,
    /// Time between two requests of a client.
    pub pace: Duration,
    /// Whether every fourth client speaks HTTP.
    pub http: bool,
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            lanes: 6,
            items: 10,
            padding: 20,
            pace: Duration::from_millis(5),
            http: true,
        }
    }
}

/// What an answer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken, but for so many.
    Taken { rejected: i64 },
    /// Not taken; come again, with the wait that it named.
    Refused {
        status: String,
        after: Option<Duration>,
    },
    /// Not taken, for good.
    Rejected(String),
    /// None: the connection broke, or time ran out.
    Broken(String),
}

/// Counts of answers that the sets do not tell.
#[derive(Default)]
pub struct Tally {
    /// Requests that got an answer.
    pub answered: AtomicU64,
    pub refusals: AtomicU64,
    /// Refusals that named no time to come again.
    pub bare: AtomicU64,
    pub broken: AtomicU64,
    /// Connections that were refused, among these.
    pub unreachable: AtomicU64,
    pub rejections: AtomicU64,
}

impl Tally {
    pub fn of(&self, count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }

    /// Keeps what was said of the items with these numbers.
    pub fn note(&self, books: &Books, numbers: Range<u64>, answer: &Answer) {
        let add = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        match answer {
            Answer::Taken { rejected: 0 } => books.acknowledge(numbers),
            // Which of them were not taken, it does not say.
            Answer::Taken { .. } => {}
            Answer::Refused { after, .. } => {
                books.refuse(numbers);
                add(&self.refusals);
                if after.is_none() {
                    add(&self.bare);
                }
            }
            Answer::Rejected(_) => {
                books.refuse(numbers);
                add(&self.rejections);
            }
            Answer::Broken(told) => {
                add(&self.broken);
                if told.to_ascii_lowercase().contains("connection refused") {
                    add(&self.unreachable);
                }
                return;
            }
        }
        add(&self.answered);
    }
}

/// Clients that run until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    lanes: Vec<JoinHandle<()>>,
    pub tally: Arc<Tally>,
}

impl Load {
    pub fn start(books: &Arc<Books>, grpc: &str, http: &str, pattern: &Pattern) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tally = Arc::new(Tally::default());
        let lanes = (0..pattern.lanes).map(|number| {
            let lane = Lane {
                signal: Signal::ALL[number % 3],
                client: Client::new(grpc, (pattern.http && number % 4 == 3).then_some(http)),
                books: Arc::clone(books),
                pattern: pattern.clone(),
                tally: Arc::clone(&tally),
                stop: Arc::clone(&stop),
            };
            RUNTIME.spawn(lane.run())
        });
        let lanes = lanes.collect();
        Self { stop, lanes, tally }
    }

    /// Lets every client finish the request that is under way.
    pub fn stop(self) -> Arc<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        RUNTIME.block_on(async {
            for lane in self.lanes {
                lane.await.expect("no client panics");
            }
        });
        self.tally
    }
}

struct Lane {
    signal: Signal,
    client: Client,
    books: Arc<Books>,
    pattern: Pattern,
    tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
}

impl Lane {
    async fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let items = Items {
                first: self.books.issue(self.pattern.items),
                count: self.pattern.items,
                padding: self.pattern.padding,
            };
            let answer = self.client.send(self.signal, items).await;
            self.tally.note(&self.books, items.numbers(), &answer);
            tokio::time::sleep(self.pause(&answer)).await;
        }
    }

    /// How long to wait before the next request.
    fn pause(&self, answer: &Answer) -> Duration {
        match answer {
            // As asked, but not for longer than a scenario has.
            Answer::Refused { after, .. } => {
                let after = after.unwrap_or(self.pattern.pace);
                after.min(Duration::from_millis(200))
            }
            Answer::Broken(_) => Duration::from_millis(20),
            Answer::Taken { .. } | Answer::Rejected(_) => self.pattern.pace,
        }
    }
}

/// One client: gRPC, or HTTP where it has an address of that.
#[derive(Clone)]
pub struct Client {
    traces: TraceServiceClient<Channel>,
    logs: LogsServiceClient<Channel>,
    metrics: MetricsServiceClient<Channel>,
    http: Option<String>,
}

impl Client {
    pub fn new(grpc: &str, http: Option<&str>) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{grpc}")).expect("an address");
        // Connects when the first request is sent, and again after a break.
        let channel = {
            let _inside = RUNTIME.enter();
            endpoint
                .connect_timeout(Duration::from_secs(2))
                .connect_lazy()
        };
        Self {
            traces: TraceServiceClient::new(channel.clone()),
            logs: LogsServiceClient::new(channel.clone()),
            metrics: MetricsServiceClient::new(channel),
            http: http.map(str::to_owned),
        }
    }

    pub async fn send(&mut self, signal: Signal, items: Items) -> Answer {
        if let Some(address) = self.http.clone() {
            let post = tokio::task::spawn_blocking(move || post(&address, signal, items));
            return post.await.expect("no request panics");
        }
        let rejected = match signal {
            Signal::Traces => {
                let answer = self.traces.export(timed(items.traces())).await;
                let answer = answer.map(|answer| answer.into_inner().partial_success);
                answer.map(|partial| partial.map_or(0, |partial| partial.rejected_spans))
            }
            Signal::Logs => {
                let answer = self.logs.export(timed(items.logs())).await;
                let answer = answer.map(|answer| answer.into_inner().partial_success);
                answer.map(|partial| partial.map_or(0, |partial| partial.rejected_log_records))
            }
            Signal::Metrics => {
                let answer = self.metrics.export(timed(items.metrics())).await;
                let answer = answer.map(|answer| answer.into_inner().partial_success);
                answer.map(|partial| partial.map_or(0, |partial| partial.rejected_data_points))
            }
        };
        match rejected {
            Ok(rejected) => Answer::Taken { rejected },
            Err(status) => judge(&status),
        }
    }

    /// The same for a test that is not asynchronous.
    pub fn call(&mut self, signal: Signal, items: Items) -> Answer {
        RUNTIME.block_on(self.send(signal, items))
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

/// Tells an answer of the server from what the client made of a broken connection.
pub fn judge(status: &Status) -> Answer {
    let told = format!("{:?}: {}", status.code(), status.message());
    if std::error::Error::source(status).is_some() {
        // With all that lies behind it.
        return Answer::Broken(format!("{status:?}"));
    }
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted => Answer::Refused {
            after: rpc::retry_delay(status.details()),
            status: told,
        },
        Code::InvalidArgument | Code::Unimplemented => Answer::Rejected(told),
        _ => Answer::Broken(told),
    }
}

fn post(address: &str, signal: Signal, items: Items) -> Answer {
    let line = format!("POST /v1/{} HTTP/1.1", signal.name());
    let request = format!("{line}\r\ncontent-type: application/x-protobuf");
    let (head, body) = match http(address, &request, &items.encode(signal)) {
        Ok(answer) => answer,
        Err(error) => return Answer::Broken(error.to_string()),
    };
    judge_http(&head, &body)
}

/// What an answer of HTTP says.
pub fn judge_http(head: &str, body: &[u8]) -> Answer {
    let status = head.lines().next().unwrap_or_default().to_owned();
    match status.split(' ').nth(1) {
        Some("200") => match rpc::PartialAnswer::decode(body) {
            Ok(answer) => Answer::Taken {
                rejected: answer.partial_success.map_or(0, |partial| partial.rejected),
            },
            Err(error) => Answer::Broken(error.to_string()),
        },
        Some("429" | "502" | "503" | "504") => {
            let after = head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                let retry = key.eq_ignore_ascii_case("retry-after");
                retry.then(|| value.trim().parse().ok())?
            });
            Answer::Refused {
                status,
                after: after.map(Duration::from_secs),
            }
        }
        _ => Answer::Rejected(status),
    }
}
