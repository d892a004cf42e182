//! A peer that takes everything over OTLP, gRPC or HTTP, and counts the items.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tidegate_component::testing::HereWorkers;
use tidegate_pdata::{Budget, Context, Refusal, Reservation, Signal, canonical_items};
use tidegate_transport::grpc::Status;
use tidegate_transport::server::{
    Address, Call, Grpc, Pace, Peer as Client, Protocol, Reply, Response, Server, Service,
    Settings, Unary,
};
use tokio::time::Instant;

/// The largest message taken.
const MOST: usize = 64 << 20;

/// A peer; it ends with the process.
pub(crate) struct Peer {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    taken: Taken,
}

impl Peer {
    pub(crate) fn grpc() -> Self {
        Self::start(Protocol::Http2, |taken| {
            Grpc::new(taken, MOST, Pace::default())
        })
    }

    pub(crate) fn http() -> Self {
        Self::start(Protocol::Any, |taken| taken)
    }

    /// Items that it has taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.items.load(SeqCst)
    }

    fn start<S: Service>(protocol: Protocol, service: impl FnOnce(Taken) -> S) -> Self {
        let taken = Taken {
            items: Arc::default(),
            budget: Budget::new(usize::MAX),
        };
        let service = service(taken.clone());
        let (sender, address) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let address = Address::parse("127.0.0.1:0", "tcp").unwrap();
                let settings = Settings::new(address, protocol);
                let workers = HereWorkers::workers();
                let server = Server::start(settings, service, &workers).await.unwrap();
                sender.send(server.to_string()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        let address = address.recv().unwrap();
        Self { address, taken }
    }
}

#[derive(Clone)]
struct Taken {
    items: Arc<AtomicUsize>,
    budget: Arc<Budget>,
}

impl Taken {
    fn take(&self, signal: Signal, message: &[u8]) {
        let items = canonical_items(signal, message).expect("what is exported is OTLP");
        self.items.fetch_add(items, SeqCst);
    }
}

/// The signal of a method or a path.
fn signal(path: &str) -> Option<Signal> {
    let path = path.to_ascii_lowercase();
    let named = |(word, signal)| path.contains(word).then_some(signal);
    let words = [
        ("trace", Signal::Traces),
        ("metrics", Signal::Metrics),
        ("logs", Signal::Logs),
    ];
    words.into_iter().find_map(named)
}

impl Unary for Taken {
    type Method = Signal;

    fn method(&self, path: &str) -> Option<Signal> {
        signal(path)
    }

    fn greet(&self, _: Option<SocketAddr>) -> Context {
        Context::default()
    }

    fn sender(&self, client: &Client, _: &HeaderMap, _: Option<&Authority>) -> Context {
        client.context.clone()
    }

    async fn admit(
        &self,
        _: Signal,
        bytes: usize,
        _: &Context,
        _: Option<Instant>,
    ) -> Result<Reservation, Refusal> {
        Ok(self.budget.try_reserve(bytes).unwrap())
    }

    async fn call(&self, call: Call<Signal>) -> Result<Bytes, Status> {
        self.take(call.method, &call.message);
        Ok(Bytes::new())
    }

    fn failed(&self, _: Option<Signal>, status: &Status) {
        panic!("the exporter's call is faulty: {status:?}");
    }
}

impl Service for Taken {
    async fn call(&self, request: Request<Incoming>, _: &Arc<Client>) -> Response {
        let signal = signal(request.uri().path()).unwrap();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        self.take(signal, &body);
        Reply::text(StatusCode::OK, "")
    }

    fn panicked(&self) -> Response {
        Reply::text(StatusCode::BAD_REQUEST, "a fault")
    }
}
