//! One HTTP/2 connection: made, kept alive, and driven by a task of its own.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::time::{sleep, timeout};

use super::dial::{self, Address, CONNECT_TIMEOUT, DialError};
use super::greeting::{Greeting, Peer, Watched};
use super::io::Io;
use crate::tls::ClientIdentity;

/// Answers are small; more than this unread is a peer that misbehaves.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// Headers and trailers of an answer, details of a status included.
const MAX_HEADERS: u32 = 64 << 10;

/// When a silent connection is asked whether it lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    /// The time between two pings.
    pub(super) every: Duration,
    /// How long an answer may take.
    pub(super) timeout: Duration,
    /// Also while no call is open.
    pub(super) idle: bool,
}

/// A connection that calls are made on; clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) life: Arc<Life>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.life).finish()
    }
}

/// What the calls on a connection and the task that drives it tell each other.
#[derive(Debug, Default)]
pub(super) struct Life {
    over: AtomicBool,
    calls: AtomicUsize,
}

impl Life {
    /// Takes the connection out of use; calls on it go on.
    pub(super) fn retire(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Counts a call as open until the guard goes.
    pub(super) fn call(self: &Arc<Self>) -> OpenCall {
        self.calls.fetch_add(1, Ordering::Relaxed);
        OpenCall(Arc::clone(self))
    }
}

/// A call that is open.
pub(super) struct OpenCall(Arc<Life>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How to connect.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) identity: Option<ClientIdentity>,
    /// The name that the peer's certificate must carry.
    pub(super) host: String,
    pub(super) keepalive: Option<KeepAlive>,
}

/// Connects to the first of these addresses that answers, and waits for its greeting.
pub(super) async fn connect(
    addresses: &[Address],
    recipe: &Recipe,
) -> Result<Connection, DialError> {
    let connected = dial::first(addresses, |address| connect_one(address, recipe));
    match timeout(CONNECT_TIMEOUT, connected).await {
        Ok(connected) => connected,
        Err(_) => Err(DialError::too_late()),
    }
}

async fn connect_one(address: &Address, recipe: &Recipe) -> Result<Connection, DialError> {
    let socket = dial::socket(address).await?;
    let io = dial::secure(socket, recipe.identity.as_ref(), &recipe.host).await?;
    open(io, recipe.keepalive).await
}

/// Speaks HTTP/2 over a connection.
pub(super) async fn open(io: Io, keepalive: Option<KeepAlive>) -> Result<Connection, DialError> {
    let secure = matches!(io, Io::Tls(_));
    let (io, greeting) = Watched::new(io);
    let (requests, mut driver) = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS)
        .handshake::<_, Bytes>(io)
        .await
        .map_err(|error| broken(Some(error), &greeting, secure))?;
    // Only a peer that has greeted is one to send to: this is where a plaintext client finds
    // out that it speaks to a TLS port.
    tokio::select! {
        biased;
        peer = greeting.wait() => {
            if peer != Peer::Http2 {
                return Err(broken(None, &greeting, secure));
            }
        }
        ended = &mut driver => return Err(broken(ended.err(), &greeting, secure)),
    }
    let life = Arc::new(Life::default());
    let pings = driver.ping_pong();
    let task = Arc::clone(&life);
    tokio::spawn(async move {
        let keep = keep_alive(pings, keepalive, &task);
        tokio::select! {
            ended = driver => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
            }
            () = keep => tracing::debug!("connection does not answer pings"),
        }
        task.retire();
    });
    Ok(Connection { requests, life })
}

fn broken(error: Option<h2::Error>, greeting: &Greeting, secure: bool) -> DialError {
    let peer = greeting.peer();
    let reason = match (&error, peer) {
        (Some(error), Peer::Silent | Peer::Http2) => error.to_string(),
        (None, Peer::Silent) => "the peer closed the connection".to_owned(),
        _ => "the peer's first bytes are not HTTP/2".to_owned(),
    };
    let hint = greeting
        .hint()
        .or((peer == Peer::Silent && !secure).then_some(
            "if the peer speaks TLS, take `tls.insecure` (or `http://`) away to speak it too",
        ));
    DialError::new(format!("no HTTP/2 connection: {reason}"), hint)
}

/// Pings as asked; ends when the peer does not answer.
async fn keep_alive(pings: Option<h2::PingPong>, settings: Option<KeepAlive>, life: &Life) {
    let (Some(mut pings), Some(settings)) = (pings, settings) else {
        return std::future::pending().await;
    };
    loop {
        sleep(settings.every).await;
        if !settings.idle && life.calls.load(Ordering::Relaxed) == 0 {
            continue;
        }
        if pings.send_ping(h2::Ping::opaque()).is_err() {
            return std::future::pending().await;
        }
        let answer = poll_fn(|cx| pings.poll_pong(cx));
        match timeout(settings.timeout, answer).await {
            Ok(Ok(_)) => {}
            // The driver ends by itself.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}
