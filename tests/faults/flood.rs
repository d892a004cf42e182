//! As many requests a second as are asked for, whatever becomes of those before: prepared bytes, into which
//! the numbers are written, so that sending more than a collector takes costs little.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::books::Books;
use crate::clients::{Answer, DEADLINE, Tally, judge, judge_http};
use crate::wire::{Items, Signal};
use crate::{RUNTIME, rpc};

/// Connections of gRPC, and requests that may wait for their answers at a time.
const CONNECTIONS: usize = 12;
const WAITING: usize = 3_000;
/// What numbers of a template begin with: found nowhere else in it.
const MARK: u64 = 0x5ea1_ed0c_ab00_0000;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub requests_a_second: u64,
    /// Items of a request.
    pub items: u64,
    /// Bytes beside each number.
    pub padding: usize,
}

/// A request of a signal but for its numbers.
struct Template {
    signal: Signal,
    bytes: Vec<u8>,
    /// Where the number of which item stands, and whether its lowest byte comes first.
    places: Vec<(usize, u64, bool)>,
}

impl Template {
    fn new(signal: Signal, flow: Flow) -> Self {
        let items = Items {
            first: MARK,
            count: flow.items,
            padding: flow.padding,
        };
        let bytes = items.encode(signal);
        let mut places = Vec::new();
        for (at, eight) in bytes.windows(8).enumerate() {
            let eight = eight.try_into().expect("eight bytes");
            for (number, is_little) in [
                (u64::from_be_bytes(eight), false),
                (u64::from_le_bytes(eight), true),
            ] {
                if items.numbers().contains(&number) {
                    places.push((at, number - MARK, is_little));
                }
            }
        }
        assert!(places.len() as u64 >= flow.items, "each number is found");
        Self {
            signal,
            bytes,
            places,
        }
    }

    /// The request whose items are numbered from `first`.
    fn with(&self, first: u64) -> Bytes {
        let mut bytes = self.bytes.clone();
        for (at, item, is_little) in &self.places {
            let number = first + item;
            let number = match is_little {
                true => number.to_le_bytes(),
                false => number.to_be_bytes(),
            };
            bytes[*at..at + 8].copy_from_slice(&number);
        }
        bytes.into()
    }
}

/// Requests that are under way.
pub struct Flood {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
    pub tally: Arc<Tally>,
    since: Instant,
    items: u64,
}

struct Source {
    books: Arc<Books>,
    tally: Arc<Tally>,
    channels: Vec<Channel>,
    http: String,
    templates: [Template; 3],
    flow: Flow,
}

impl Flood {
    pub fn start(books: &Arc<Books>, grpc: &str, http: &str, flow: Flow) -> Self {
        let (stop, tally) = (Arc::<AtomicBool>::default(), Arc::<Tally>::default());
        let channel = || {
            let _inside = RUNTIME.enter();
            let endpoint = Endpoint::from_shared(format!("http://{grpc}")).expect("an address");
            endpoint.connect_lazy()
        };
        let source = Arc::new(Source {
            books: Arc::clone(books),
            tally: Arc::clone(&tally),
            channels: (0..CONNECTIONS).map(|_| channel()).collect(),
            http: http.to_owned(),
            templates: Signal::ALL.map(|signal| Template::new(signal, flow)),
            flow,
        });
        let task = RUNTIME.spawn(run(source, Arc::clone(&stop)));
        let (since, items) = (Instant::now(), flow.items);
        Self {
            stop,
            task,
            tally,
            since,
            items,
        }
    }

    /// Items a second that got an answer, of whatever kind.
    pub fn answered_a_second(&self) -> f64 {
        let answered = self.tally.of(&self.tally.answered) * self.items;
        answered as f64 / self.since.elapsed().as_secs_f64()
    }

    /// Sends no more, and waits for the answers that are to come.
    pub fn stop(self) -> Arc<Tally> {
        self.stop.store(true, Relaxed);
        RUNTIME.block_on(self.task).expect("no request panics");
        self.tally
    }
}

async fn run(source: Arc<Source>, stop: Arc<AtomicBool>) {
    let pace = Duration::from_secs(1) / u32::try_from(source.flow.requests_a_second).unwrap_or(1);
    let mut times = tokio::time::interval(pace);
    // What was late is caught up with.
    times.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let waiting = Arc::new(Semaphore::new(WAITING));
    for number in 0.. {
        times.tick().await;
        if stop.load(Relaxed) {
            break;
        }
        let permit = Arc::clone(&waiting).acquire_owned().await;
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            source.send(number).await;
            drop(permit);
        });
    }
    // All permits are back when all have been answered.
    let all = u32::try_from(WAITING).expect("not that many");
    let _all = waiting.acquire_many(all).await;
}

impl Source {
    async fn send(&self, number: usize) {
        let template = &self.templates[number % self.templates.len()];
        let count = self.flow.items;
        let first = self.books.issue(count);
        let body = template.with(first);
        let answer = match number % 4 {
            3 => post(&self.http, template.signal, body).await,
            _ => {
                let channel = self.channels[number % self.channels.len()].clone();
                call(channel, template.signal, body).await
            }
        };
        self.tally.note(&self.books, first..first + count, &answer);
    }
}

/// Bytes as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

async fn call(channel: Channel, signal: Signal, body: Bytes) -> Answer {
    let mut client = tonic::client::Grpc::new(channel);
    if let Err(error) = client.ready().await {
        return Answer::Broken(error.to_string());
    }
    let mut request = Request::new(body);
    request.set_timeout(DEADLINE);
    let path = http::uri::PathAndQuery::from_static(signal.grpc_path());
    match client.unary(request, path, Raw).await {
        Err(status) => judge(&status),
        Ok(answer) => match rpc::PartialAnswer::decode(answer.into_inner()) {
            Ok(answer) => Answer::Taken {
                rejected: answer.partial_success.map_or(0, |partial| partial.rejected),
            },
            Err(error) => Answer::Broken(error.to_string()),
        },
    }
}

async fn post(address: &str, signal: Signal, body: Bytes) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let (name, length) = (signal.name(), body.len());
        let head = format!(
            "POST /v1/{name} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-protobuf\r\n\
             connection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        // A refusal may come before all is sent, and closes the connection.
        let sent = stream.write_all(&body).await;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer).await {
            Err(error) if answer.is_empty() => return Err(error),
            _ if answer.is_empty() => sent?,
            _ => {}
        }
        std::io::Result::Ok(answer)
    };
    let answer = match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Answer::Broken(error.to_string()),
        Err(_) => return Answer::Broken("no answer in time".to_owned()),
    };
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return Answer::Broken("half an answer".to_owned());
    };
    let (head, body) = answer.split_at(end);
    judge_http(&String::from_utf8_lossy(head), &body[4..])
}

#[test]
fn numbers_are_written_into_every_signal() {
    let flow = Flow {
        requests_a_second: 1,
        items: 5,
        padding: 30,
    };
    for signal in Signal::ALL {
        let template = Template::new(signal, flow);
        for first in [1, 70_000] {
            let read = crate::wire::numbers(signal, &template.with(first)).expect("a request");
            assert_eq!(read, (first..first + 5).collect::<Vec<_>>());
        }
    }
}
