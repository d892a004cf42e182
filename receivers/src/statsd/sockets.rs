//! Where lines come in: datagrams, streams, and datagrams on this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{ReceiverContext, StartError};
use tidegate_pdata::{Budget, Context};
use tidegate_transport::datagrams::Datagrams;
use tidegate_transport::server::{Conversation, ListenError, Stream, StreamSettings, Streams};
use tokio::io::AsyncReadExt;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::sync::watch;

use super::Hub;
use super::config::{Place, Transport};
use crate::scrape::{Running, stoppable};

/// The largest datagram, and the longest line of a stream.
const LARGEST: usize = 65_535;
/// Streams at a time.
const STREAMS: usize = 65_536;
/// The wait after a failure that the next attempt would meet as well.
const PAUSE: Duration = Duration::from_millis(10);

/// Who sends, as far as metrics are kept apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sender {
    Address(SocketAddr),
    Ip(IpAddr),
    Local,
}

impl Sender {
    fn new(address: SocketAddr, ip_only: bool) -> Self {
        let ip = address.ip().to_canonical();
        match ip_only {
            true => Self::Ip(ip),
            false => Self::Address(SocketAddr::new(ip, address.port())),
        }
    }

    /// The context of what it sent.
    pub(super) fn context(self, budget: &Arc<Budget>) -> Context {
        let (ip, address) = match self {
            Self::Address(address) => (Some(address.ip()), Some(address)),
            Self::Ip(ip) => (Some(ip), Some(SocketAddr::new(ip, 0))),
            Self::Local => (None, None),
        };
        let context = Context::builder().client(budget.client(ip));
        match address {
            Some(address) => context.peer(address).build(),
            None => context.build(),
        }
    }
}

/// A socket that is read.
pub(super) enum Listening {
    Datagrams(SocketAddr, Running),
    Streams(Streams),
    Local(String, Running),
}

impl Listening {
    /// Begins to read.
    pub(super) async fn start(hub: &Arc<Hub>, cx: &ReceiverContext) -> Result<Self, StartError> {
        let failed = |ListenError { address, source }: ListenError| {
            StartError::new(format!("cannot listen on {address}"), source)
        };
        let shared = Arc::clone(hub);
        match (&hub.settings.place, hub.settings.transport) {
            (Place::Path(path, mode), _) => local(path, *mode, shared, cx),
            (Place::Address(address), Transport::Tcp | Transport::Tcp4 | Transport::Tcp6) => {
                let settings = StreamSettings {
                    address: address.clone(),
                    tls: None,
                    max_connections: STREAMS,
                };
                let streams = Streams::start(settings, Lines(shared), &cx.workers).await;
                streams.map(Self::Streams).map_err(failed)
            }
            (Place::Address(address), _) => {
                let bound = Datagrams::bind(address, hub.settings.buffer).await;
                let datagrams = bound.map_err(failed)?;
                let at = datagrams.address();
                let socket = datagrams.share();
                let socket = socket
                    .map_err(|source| StartError::new(format!("cannot listen on {at}"), source))?;
                let running = stoppable(&cx.workers, move |mut stop| async move {
                    let read = read(socket, shared);
                    let _ = stop.or(read).await;
                    drop(datagrams);
                });
                Ok(Self::Datagrams(at, running))
            }
        }
    }

    /// Stops reading.
    pub(super) async fn stop(self) {
        match self {
            Self::Datagrams(_, running) => running.stop().await,
            Self::Streams(streams) => streams.stop().await,
            Self::Local(path, running) => {
                running.stop().await;
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The address that senders reach.
    #[cfg(test)]
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Datagrams(address, _) => Some(*address),
            Self::Streams(streams) => streams.address(),
            Self::Local(..) => None,
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Datagrams(address, _) => address.fmt(f),
            Self::Streams(streams) => streams.fmt(f),
            Self::Local(path, _) => f.write_str(path),
        }
    }
}

async fn read(socket: std::net::UdpSocket, hub: Arc<Hub>) {
    let socket = match UdpSocket::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "cannot read datagrams"),
    };
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((size, from)) => {
                let sender = Sender::new(from, hub.settings.ip_only);
                hub.take(&buffer[..size], &sender);
            }
            Err(error) => {
                tracing::debug!(%error, "cannot read a datagram");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn local(
    path: &str,
    mode: u32,
    hub: Arc<Hub>,
    cx: &ReceiverContext,
) -> Result<Listening, StartError> {
    let failed = |source| StartError::new(format!("cannot listen on {path}"), source);
    // A process that died leaves its socket behind, which nobody reads.
    let taken = std::fs::symlink_metadata(path).is_ok();
    if taken
        && std::os::unix::net::UnixDatagram::unbound().is_ok_and(|one| one.connect(path).is_err())
    {
        std::fs::remove_file(path).map_err(failed)?;
    }
    let socket = std::os::unix::net::UnixDatagram::bind(path).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).map_err(failed)?;
    if let Some(bytes) = hub.settings.buffer {
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, bytes)
            .map_err(|error| failed(error.into()))?;
    }
    let running = stoppable(&cx.workers, move |mut stop| async move {
        let _ = stop.or(read_local(socket, hub)).await;
    });
    Ok(Listening::Local(path.to_owned(), running))
}

async fn read_local(socket: std::os::unix::net::UnixDatagram, hub: Arc<Hub>) {
    let socket = match UnixDatagram::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "cannot read datagrams"),
    };
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(size) => hub.take(&buffer[..size], &Sender::Local),
            Err(error) => {
                tracing::debug!(%error, "cannot read a datagram");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes the lines of streams.
struct Lines(Arc<Hub>);

impl Conversation for Lines {
    async fn talk(
        &self,
        mut stream: Box<dyn Stream>,
        peer: Option<SocketAddr>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let sender = peer.map_or(Sender::Local, |peer| {
            Sender::new(peer, self.0.settings.ip_only)
        });
        let mut lines = Split::default();
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                read = stream.read(&mut buffer) => read,
            };
            match read {
                Ok(0) | Err(_) => break,
                Ok(size) => lines.take(&buffer[..size], &self.0, &sender),
            }
        }
        lines.finish(&self.0, &sender);
    }
}

/// Lines as they come in pieces.
#[derive(Default)]
struct Split {
    /// A line whose end has not come.
    begun: Vec<u8>,
    /// Whether the line at hand is longer than any may be.
    passing: bool,
}

impl Split {
    fn take(&mut self, piece: &[u8], hub: &Hub, sender: &Sender) {
        let Some(end) = piece.iter().rposition(|byte| *byte == b'\n') else {
            return self.keep(piece, hub);
        };
        let (whole, rest) = piece.split_at(end + 1);
        // The first line may have begun in the piece before.
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap_or(end);
        let (first, others) = whole.split_at(first + 1);
        self.keep(first, hub);
        self.finish(hub, sender);
        hub.take(others, sender);
        self.keep(rest, hub);
    }

    fn keep(&mut self, piece: &[u8], hub: &Hub) {
        if self.passing {
            return;
        }
        if self.begun.len() + piece.len() > LARGEST {
            self.begun.clear();
            self.passing = true;
            hub.too_long();
            return;
        }
        self.begun.extend_from_slice(piece);
    }

    fn finish(&mut self, hub: &Hub, sender: &Sender) {
        if !self.passing {
            hub.take(&self.begun, sender);
        }
        self.passing = false;
        self.begun.clear();
    }
}
