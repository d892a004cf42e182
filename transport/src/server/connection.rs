//! One connection, from its handshake to its end.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::io::{Sniffed, Version};
use super::watch::{Activity, Due, Watch};
use super::{Peer, Protocol, Response, Service, Settings};

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

/// Bytes that an HTTP/2 client may send ahead on one stream: a large request without a stop.
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes that it may send ahead on all of them.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The largest frame taken; most clients send 16 KiB whatever is offered.
const MAX_FRAME: u32 = 1 << 20;
/// Bytes that hyper buffers of an HTTP/1 connection.
const HTTP1_BUFFER: usize = 128 << 10;

/// Serves a connection to its end.
pub(super) async fn serve<S, T>(
    stream: T,
    peer: Peer,
    settings: &Settings,
    service: &Arc<S>,
    phase: watch::Receiver<Phase>,
) where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = &settings.tls else {
        return begin(stream, peer, settings, service, phase).await;
    };
    let acceptor = TlsAcceptor::from(tls.current());
    match timeout(settings.handshake_timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => begin(stream, peer, settings, service, phase).await,
        Ok(Err(error)) => tracing::debug!(peer = ?peer.address, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(peer = ?peer.address, "TLS handshake timed out"),
    }
}

async fn begin<S, T>(
    stream: T,
    peer: Peer,
    settings: &Settings,
    service: &Arc<S>,
    phase: watch::Receiver<Phase>,
) where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Arc::new(peer);
    let Ok(Ok((version, stream))) =
        timeout(settings.handshake_timeout, Sniffed::sniff(stream)).await
    else {
        tracing::debug!(peer = ?peer.address, "connection closed before its first bytes");
        return;
    };
    let activity = Arc::new(Activity::new());
    let wrong = version == Version::Http1 && settings.protocol == Protocol::Http2;
    let service = service_fn(|request: Request<Incoming>| {
        let (service, peer) = (Arc::clone(service), Arc::clone(&peer));
        let open = Arc::clone(&activity).begin();
        async move {
            let _open = open;
            Ok::<_, io::Error>(if wrong {
                service.wrong_protocol()
            } else {
                guarded(&*service, request, &peer).await
            })
        }
    });
    let result = match version {
        Version::Http1 => {
            let mut builder = http1::Builder::new();
            let connection = builder
                .keep_alive(settings.keep_alives && !wrong)
                .half_close(true)
                // Ours counts from the first byte; hyper's would cut idle connections too.
                .header_read_timeout(None)
                .max_buf_size(HTTP1_BUFFER.max(settings.max_header_bytes as usize))
                .serve_connection(TokioIo::new(stream.note(&activity)), service);
            drive(
                connection,
                http1::Connection::graceful_shutdown,
                settings,
                &activity,
                phase,
            )
            .await
        }
        Version::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            let connection = builder
                .timer(TokioTimer::new())
                .auto_date_header(settings.protocol == Protocol::Any)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_frame_size(MAX_FRAME)
                .max_concurrent_streams(settings.max_concurrent_streams)
                .max_header_list_size(settings.max_header_bytes)
                .keep_alive_interval(settings.ping_interval)
                .keep_alive_timeout(settings.ping_timeout)
                .serve_connection(TokioIo::new(stream), service);
            drive(
                connection,
                http2::Connection::graceful_shutdown,
                settings,
                &activity,
                phase,
            )
            .await
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = ?peer.address, %error, "connection broke");
    }
}

/// Calls the service; a panic ends the request, not the connection.
async fn guarded<S: Service>(
    service: &S,
    request: Request<Incoming>,
    peer: &Arc<Peer>,
) -> Response {
    let call = AssertUnwindSafe(service.call(request, peer)).catch_unwind();
    call.await.unwrap_or_else(|_| service.panicked())
}

/// Drives a connection to its end, which comes by itself, by the watch or by the server's stop.
async fn drive<C, E>(
    connection: C,
    graceful: impl Fn(Pin<&mut C>),
    settings: &Settings,
    activity: &Arc<Activity>,
    mut phase: watch::Receiver<Phase>,
) -> Result<(), E>
where
    C: Future<Output = Result<(), E>>,
{
    let mut connection = pin!(connection);
    let mut watch = Watch::new(
        activity,
        settings.idle_timeout,
        settings.header_timeout,
        settings.max_age.map(spread),
    );
    let mut stop = pin!(phase.wait_for(|phase| *phase != Phase::Running).fuse());
    loop {
        let within = tokio::select! {
            biased;
            result = connection.as_mut() => return result,
            due = &mut watch => match due {
                Due::Cut => return Ok(()),
                Due::Idle => Some(settings.drain),
                Due::Old => settings.max_age_grace,
            },
            _ = stop.as_mut() => Some(settings.drain),
        };
        graceful(connection.as_mut());
        watch.leaving(within);
    }
}

/// A tenth more or less, so that connections made together do not end together.
fn spread(age: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0) % 2001;
    age.mul_f64(0.9 + random as f64 / 10_000.0)
}
