//! A backend that does as it is told: OTLP over gRPC and HTTP on one port, that can be slow, refuse, take
//! a part, answer nonsense, break connections, be away and come back.
//!
//! It speaks in frames of its own, not through a library's services, so that it can say what they would not.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::books::Books;
use crate::support::free_port;
use crate::wire::{self, Signal};
use crate::{RUNTIME, rpc};

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What the backend does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Take,
    /// Takes it, and says so late.
    Slow(Duration),
    /// UNAVAILABLE or 503; come again.
    Unavailable(Option<Duration>),
    /// RESOURCE_EXHAUSTED or 429; come again.
    Exhausted(Option<Duration>),
    /// Takes the even numbers and rejects the odd ones: partial success.
    EvenOnly,
    /// INVALID_ARGUMENT or 400 for the whole, taking nothing.
    Invalid,
    /// Takes nothing and breaks every connection.
    Reset,
    /// Takes it and breaks every connection before the answer.
    TakeThenReset,
    /// Takes nothing and answers what is no answer.
    Garbage,
    /// Takes nothing and never answers.
    Silent,
}

/// A request as the script sees it.
pub struct Call<'a> {
    /// Which it is since the script began, from 0.
    pub index: u64,
    pub numbers: &'a [u64],
}

type Script = Box<dyn FnMut(&Call<'_>) -> Answer + Send>;

struct Shared {
    books: Arc<Books>,
    script: Mutex<(u64, Script)>,
    /// Whether new connections get noise instead of a server.
    noise: AtomicBool,
    /// Rises when every connection is to break.
    cut: watch::Sender<u64>,
}

/// The backend; its listener and connections end with it.
pub struct Sink {
    port: u16,
    shared: Arc<Shared>,
    listener: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Sink {
    /// Listens on a free loopback port and takes everything.
    pub fn start(books: &Arc<Books>) -> Self {
        let sink = Self::away(books);
        sink.up();
        sink
    }

    /// Has a port, and nothing listens there yet.
    pub fn away(books: &Arc<Books>) -> Self {
        let shared = Shared {
            books: Arc::clone(books),
            script: Mutex::new((0, Box::new(|_| Answer::Take))),
            noise: AtomicBool::new(false),
            cut: watch::Sender::new(0),
        };
        Self {
            port: free_port(),
            shared: Arc::new(shared),
            listener: Mutex::new(None),
        }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Does as this says from now on.
    pub fn script(&self, script: impl FnMut(&Call<'_>) -> Answer + Send + 'static) {
        let mut held = lock(&self.shared.script);
        *held = (0, Box::new(script));
    }

    pub fn always(&self, answer: Answer) {
        self.script(move |_| answer);
    }

    /// Comes (back) up.
    pub fn up(&self) {
        let address = self.address();
        let shared = Arc::clone(&self.shared);
        let listener = RUNTIME.block_on(async {
            let start = std::time::Instant::now();
            loop {
                match TcpListener::bind(&address).await {
                    Ok(listener) => return listener,
                    Err(error) if start.elapsed() > Duration::from_secs(10) => {
                        panic!("cannot listen on {address}: {error}")
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
        };
        let before = lock(&self.listener).replace(RUNTIME.spawn(accept));
        assert!(before.is_none(), "it is up already");
    }

    /// Goes down as a process does that is killed: no listener, every connection broken.
    pub fn down(&self) {
        if let Some(listener) = lock(&self.listener).take() {
            listener.abort();
            let _ = RUNTIME.block_on(listener);
        }
        self.cut();
    }

    /// Breaks every connection.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|times| *times += 1);
    }

    /// Answers new connections with noise, or no longer.
    pub fn noise(&self, noise: bool) {
        self.shared.noise.store(noise, Ordering::Relaxed);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(listener) = lock(&self.listener).take() {
            listener.abort();
        }
        self.cut();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    if shared.noise.load(Ordering::Relaxed) {
        let noise: [u8; 64] = rand::random();
        let _ = stream.writable().await;
        let _ = stream.try_write(&noise);
        return;
    }
    let _ = stream.set_nodelay(true);
    let mut cut = shared.cut.subscribe();
    let socket = rustix::io::dup(&stream);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = &mut serving => {}
        _ = cut.changed() => {
            // With no time to linger, closing is a reset.
            if let Ok(socket) = socket {
                let _ = rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
            }
        }
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let Some((signal, grpc)) = Signal::of_path(request.uri().path()) else {
            return http(StatusCode::NOT_FOUND, Bytes::new());
        };
        let Ok(body) = request.into_body().collect().await else {
            return http(StatusCode::BAD_REQUEST, Bytes::new());
        };
        let mut body = body.to_bytes();
        if grpc {
            body = body.slice(5.min(body.len())..);
        }
        let Ok(numbers) = wire::numbers(signal, &body) else {
            // What nobody sent.
            self.books.arrive(&[0]);
            return refusal(grpc, 3, None);
        };
        self.act(grpc, &numbers).await
    }

    async fn act(&self, grpc: bool, numbers: &[u64]) -> Reply {
        let answer = {
            let mut script = lock(&self.script);
            let index = script.0;
            script.0 += 1;
            (script.1)(&Call { index, numbers })
        };
        match answer {
            Answer::Take => self.books.arrive(numbers),
            Answer::Slow(delay) => {
                let (books, numbers) = (Arc::clone(&self.books), numbers.to_vec());
                // A task of its own, which goes on when the caller has gone.
                let taking = tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    books.arrive(&numbers);
                });
                let _ = taking.await;
            }
            Answer::Unavailable(after) => return refusal(grpc, 14, after),
            Answer::Exhausted(after) => {
                // By OTLP, a call that is refused so may be made again only where it is told when.
                if grpc && after.is_none() {
                    self.books.reject(numbers);
                }
                return refusal(grpc, 8, after);
            }
            Answer::Invalid => {
                self.books.reject(numbers);
                return refusal(grpc, 3, None);
            }
            Answer::EvenOnly => return self.take_even(grpc, numbers),
            Answer::Garbage => {
                // By OTLP's table neither may be sent again: a rejection in odd words.
                self.books.reject(numbers);
                return garbage(grpc);
            }
            Answer::Reset | Answer::TakeThenReset => {
                if answer == Answer::TakeThenReset {
                    self.books.arrive(numbers);
                }
                self.cut.send_modify(|times| *times += 1);
                std::future::pending::<()>().await;
            }
            Answer::Silent => std::future::pending::<()>().await,
        }
        taken(grpc, &rpc::PartialAnswer::default())
    }

    fn take_even(&self, grpc: bool, numbers: &[u64]) -> Reply {
        let (even, odd): (Vec<_>, Vec<_>) = numbers.iter().partition(|&number| number % 2 == 0);
        self.books.arrive(&even);
        self.books.reject(&odd);
        let partial = rpc::Partial {
            rejected: i64::try_from(odd.len()).unwrap_or(i64::MAX),
            message: "odd".to_owned(),
        };
        let answer = rpc::PartialAnswer {
            partial_success: Some(partial),
        };
        taken(grpc, &answer)
    }
}

fn taken(grpc: bool, answer: &rpc::PartialAnswer) -> Reply {
    let message = answer.encode_to_vec();
    if !grpc {
        return http(StatusCode::OK, message.into());
    }
    let length = u32::try_from(message.len()).expect("a short answer");
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame.into()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed_unsync());
    typed(&mut response, "application/grpc");
    response
}

fn refusal(grpc: bool, code: i32, after: Option<Duration>) -> Reply {
    if !grpc {
        let status = match code {
            3 => StatusCode::BAD_REQUEST,
            8 => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = http(status, Bytes::new());
        if let Some(after) = after {
            let seconds = after.as_secs().max(1);
            response.headers_mut().insert("retry-after", seconds.into());
        }
        return response;
    }
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    typed(&mut response, "application/grpc");
    let headers = response.headers_mut();
    headers.insert("grpc-status", code.into());
    if after.is_some() {
        let details = rpc::status(code, after).encode_to_vec();
        let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
        let details = HeaderValue::from_str(&details).expect("base64 is a header's value");
        headers.insert("grpc-status-details-bin", details);
    }
    response
}

/// A gRPC answer whose message is cut and that has no status; an HTTP status that there is not.
fn garbage(grpc: bool) -> Reply {
    if !grpc {
        let status = StatusCode::from_u16(599).expect("three digits");
        return http(status, Bytes::from_static(b"<html>\xff"));
    }
    let cut = Bytes::from_static(&[0, 0, 0, 0, 9, 0xff, 0x17]);
    let mut response = Response::new(Full::new(cut).boxed_unsync());
    typed(&mut response, "application/grpc");
    response
}

fn http(status: StatusCode, body: Bytes) -> Reply {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    typed(&mut response, "application/x-protobuf");
    response
}

fn typed(response: &mut Reply, kind: &'static str) {
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert("content-type", kind);
}
