//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::io::{Sniffed, Version};
use super::watch::{Activity, Due, Watch};
use super::{Authentication, Peer, Protocol, Response, Service, Settings, discard};
use crate::crowd::Place;

/// What the server asks of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Running,
    /// To take no new requests and end.
    Draining,
    /// To end at once.
    Cut,
}

/// How long a server that stops still waits for the request that may be on its way: on a connection
/// that is new, or on one of HTTP/1, which has no word of farewell but the answer to a request.
const LAST_CALL: Duration = Duration::from_secs(1);
/// Bytes that an HTTP/2 client may send ahead on one stream: a large request without a stop.
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes that it may send ahead on all of them.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The largest frame taken; most clients send 16 KiB whatever is offered.
const MAX_FRAME: u32 = 1 << 20;
/// Bytes that hyper buffers of an HTTP/1 connection.
const HTTP1_BUFFER: usize = 128 << 10;

/// One side of a connection, and what is to be done on it.
pub(super) struct Connection<'a, S> {
    /// Its place among those who have not said anything yet.
    pub(super) greeting: Option<Place>,
    pub(super) peer: Arc<Peer>,
    pub(super) settings: &'a Settings,
    pub(super) service: &'a Arc<S>,
    pub(super) phase: watch::Receiver<Phase>,
}

// Each step is boxed, so that a connection that waits takes the memory of the step that it is in
// and no more. Most of what is left is h2's, which sets 28 KiB aside for each connection; what of
// it is not written to takes no memory while pages are small.
impl<S: Service> Connection<'_, S> {
    /// Serves a connection to its end.
    pub(super) async fn serve<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(tls) = &self.settings.tls else {
            return self.begin(stream).await;
        };
        let handshake = Box::pin(TlsAcceptor::from(tls.current()).accept(stream));
        match self.soon(handshake).await {
            Ok(stream) => Box::pin(self.begin(stream)).await,
            Err(error) => lost(&self.peer, "TLS handshake failed", &error),
        }
    }

    async fn begin<T>(mut self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begun = Box::pin(self.soon(Sniffed::sniff(stream))).await;
        self.greeting = None;
        match begun {
            Ok((Version::Http1, stream)) => Box::pin(self.http1(stream)).await,
            Ok((Version::Http2, stream)) => Box::pin(self.http2(stream)).await,
            Err(error) => lost(
                &self.peer,
                "connection closed before its first bytes",
                &error,
            ),
        }
    }

    /// Waits for a step of the handshake, while there is time and the server runs.
    async fn soon<T>(&mut self, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let last_call = self.last_call();
        let stopped = async {
            let _ = self.phase.wait_for(|phase| *phase != Phase::Running).await;
            tokio::time::sleep(last_call).await;
        };
        tokio::select! {
            biased;
            result = timeout(self.settings.handshake_timeout, step) => result?,
            () = stopped => Err(io::Error::other("the server stops")),
        }
    }

    /// At most half of the time that connections have to end.
    fn last_call(&self) -> Duration {
        LAST_CALL.min(self.settings.drain / 2)
    }

    async fn http1<T>(self, stream: Sniffed<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::new());
        let wrong = self.settings.protocol == Protocol::Http2;
        let io = TokioIo::new(stream.note(&activity));
        let connection = http1::Builder::new()
            .keep_alive(self.settings.keep_alives && !wrong)
            .half_close(true)
            // Ours counts from the first byte; hyper's would cut idle connections too.
            .header_read_timeout(None)
            .max_buf_size(HTTP1_BUFFER.max(self.settings.max_header_bytes as usize))
            .serve_connection(io, self.answers(&activity, wrong));
        let last_call = self.last_call();
        self.drive(
            Box::pin(connection),
            http1::Connection::graceful_shutdown,
            &activity,
            last_call,
        )
        .await;
    }

    async fn http2<T>(self, stream: Sniffed<T>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::new());
        let settings = self.settings;
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .auto_date_header(settings.protocol == Protocol::Any)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .max_concurrent_streams(settings.max_concurrent_streams)
            .max_header_list_size(settings.max_header_bytes)
            .keep_alive_interval(settings.ping_interval)
            .keep_alive_timeout(settings.ping_timeout)
            .serve_connection(TokioIo::new(stream), self.answers(&activity, false));
        self.drive(
            Box::pin(connection),
            http2::Connection::graceful_shutdown,
            &activity,
            Duration::ZERO,
        )
        .await;
    }

    /// What answers each request of the connection.
    fn answers(&self, activity: &Arc<Activity>, wrong_protocol: bool) -> Answers<S> {
        Answers {
            service: Arc::clone(self.service),
            peer: Arc::clone(&self.peer),
            activity: Arc::clone(activity),
            authentication: self.settings.authentication.clone(),
            wrong_protocol,
        }
    }

    /// Drives a connection to its end, which comes by itself, by the watch or by the server's stop;
    /// in this case it may bring another request within the last call.
    async fn drive<C, E>(
        mut self,
        mut connection: Pin<Box<C>>,
        graceful: impl Fn(Pin<&mut C>),
        activity: &Arc<Activity>,
        last_call: Duration,
    ) where
        C: Future<Output = Result<(), E>>,
        E: Display,
    {
        let settings = self.settings;
        let mut watch = Watch::new(
            activity,
            settings.idle_timeout,
            settings.header_timeout,
            settings.max_age.map(spread),
        );
        let stop = async {
            let _ = self.phase.wait_for(|phase| *phase != Phase::Running).await;
            activity.part();
            tokio::time::sleep(last_call).await;
        };
        let mut stop = pin!(stop.fuse());
        loop {
            let within = tokio::select! {
                biased;
                result = connection.as_mut() => return match result {
                    Ok(()) => (),
                    Err(error) => lost(&self.peer, "connection broke", &error),
                },
                due = &mut watch => match due {
                    Due::Cut => return,
                    Due::Idle => Some(settings.drain),
                    Due::Old => settings.max_age_grace,
                },
                () = stop.as_mut() => Some(settings.drain - last_call),
            };
            graceful(connection.as_mut());
            watch.leaving(within);
        }
    }
}

fn lost(peer: &Peer, what: &str, error: &impl Display) {
    tracing::debug!(peer = ?peer.address, %error, "{what}");
}

/// Answers the requests of one connection.
struct Answers<S> {
    service: Arc<S>,
    peer: Arc<Peer>,
    activity: Arc<Activity>,
    authentication: Option<Authentication>,
    wrong_protocol: bool,
}

impl<S: Service> hyper::service::Service<Request<Incoming>> for Answers<S> {
    type Response = Response;
    type Error = Infallible;
    // Boxed, since hyper moves it about, and keeps a place for it while a connection is idle.
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (service, peer) = (Arc::clone(&self.service), Arc::clone(&self.peer));
        let activity = Arc::clone(&self.activity);
        let open = Arc::clone(&activity).begin();
        let is_http1 = request.version() < http::Version::HTTP_2;
        let wrong_protocol = self.wrong_protocol;
        let authentication = self.authentication.clone();
        Box::pin(async move {
            let _open = open;
            if wrong_protocol {
                return Ok(service.wrong_protocol());
            }
            // A panic ends the request, not the connection.
            let answer = answer(&*service, request, &peer, authentication.as_ref());
            let call = AssertUnwindSafe(answer).catch_unwind();
            let mut answer = call.await.unwrap_or_else(|_| service.panicked());
            if is_http1 && activity.is_parting() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            Ok(answer)
        })
    }
}

/// Answers a request, once it is known who sends it.
async fn answer<S: Service>(
    service: &S,
    request: Request<Incoming>,
    peer: &Arc<Peer>,
    authentication: Option<&Authentication>,
) -> Response {
    let Some(authentication) = authentication else {
        return service.call(request, peer).await;
    };
    let (parts, body) = request.into_parts();
    if service.is_open(&parts) {
        return service.call(Request::from_parts(parts, body), peer).await;
    }
    match authentication.identify(&parts, peer).await {
        Ok(sender) => {
            service
                .call(Request::from_parts(parts, body), &sender)
                .await
        }
        Err(fault) => {
            let answer = service.unauthenticated(&parts, &fault);
            discard(parts.version, body);
            answer
        }
    }
}

/// A tenth more or less, so that connections made together do not end together.
fn spread(age: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0) % 2001;
    age.mul_f64(0.9 + random as f64 / 10_000.0)
}
