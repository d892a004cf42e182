//! Listening, and dealing connections over the workers.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol as Transport, SockAddr, Socket, TcpKeepalive, Type};
use tidegate_component::Workers;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use super::connection::{Connection, Phase};
use super::{Address, Family, Peer, Service, Settings};
use crate::crowd::{Crowd, Place};
use crate::datagrams;
use crate::sockets::{Entry, Local, Sockets, claim_tcp, claim_unix};

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Silence on a TCP connection after which the system asks whether the peer is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// Where.
    pub address: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A server that is listening.
#[derive(Debug)]
pub struct Server {
    local: Local,
    phase: watch::Sender<Phase>,
    drain: Duration,
}

struct Shared<S> {
    settings: Settings,
    service: Arc<S>,
    connections: Arc<Crowd>,
    handshakes: Arc<Crowd>,
}

impl Server {
    /// Begins to listen; connections are accepted from here on.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start<S: Service>(
        settings: Settings,
        service: S,
        workers: &Workers,
    ) -> Result<Self, ListenError> {
        let listener = Listener::bind(&settings.address).await;
        let failed = |source| ListenError {
            address: settings.address.to_string(),
            source,
        };
        let listener = listener.map_err(failed)?;
        let local = listener.local().map_err(failed)?;
        let entry = listener.enter(&local).map_err(failed)?;
        let (phase, watched) = watch::channel(Phase::Running);
        let drain = settings.drain;
        let shared = Arc::new(Shared {
            connections: Crowd::new("connections", settings.max_connections),
            handshakes: Crowd::new("handshakes", settings.max_handshakes),
            settings,
            service: Arc::new(service),
        });
        let dealt = workers.clone();
        workers.spawn(workers.next(), async move {
            accept(listener, shared, dealt, watched).await;
            drop(entry);
        });
        Ok(Self {
            local,
            phase,
            drain,
        })
    }

    /// The address that clients reach; none for a unix socket.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match self.local {
            Local::Tcp(address) => Some(address),
            Local::Udp(_) | Local::Unix(_) => None,
        }
    }

    /// Stops listening, lets open requests end within the settings' time, and returns when no
    /// connection is left.
    pub async fn stop(self) {
        self.phase.send_replace(Phase::Draining);
        if tokio::time::timeout(self.drain, self.phase.closed())
            .await
            .is_err()
        {
            self.phase.send_replace(Phase::Cut);
            self.phase.closed().await;
        }
        if let Local::Unix(path) = &self.local
            && !Sockets::of_process().are_left()
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Makes sure that a server can listen on an endpoint, a host and a port, after `udp:` where
/// datagrams come in: that its socket was given, or that a new one can be opened. It is closed again.
///
/// # Errors
/// When the address cannot be had.
pub async fn check(endpoint: &str) -> Result<(), ListenError> {
    let datagrams = endpoint.strip_prefix(datagrams::PREFIX);
    let checked = match Address::parse(datagrams.unwrap_or(endpoint), "tcp") {
        Ok(address) if datagrams.is_some() => datagrams::check(&address).await,
        Ok(address) => Listener::check(&address).await,
        // The path of a unix socket, which the process before may still listen on.
        Err(_) if endpoint.contains('/') => Ok(()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
    };
    checked.map_err(|source| ListenError {
        address: endpoint.to_owned(),
        source,
    })
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.local {
            Local::Tcp(address) | Local::Udp(address) => address.fmt(f),
            Local::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A socket that listens, not yet bound to a runtime.
pub(crate) enum Listener {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

/// A socket that listens, in the runtime of the worker that accepts.
pub(super) enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection, in no runtime.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(StdUnixStream),
}

impl Listener {
    /// The socket that the process was given for an address, or a new one.
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        let given = Sockets::of_process();
        match address {
            Address::Unix(path) => match claim_unix(given, path) {
                Some(listener) => Ok(Self::Unix(listener)),
                None => bind_unix(path).map(Self::Unix),
            },
            Address::Tcp { host, port, family } => {
                let addresses = Address::resolve(host, *port, *family).await?;
                let mut claims = addresses.iter();
                if let Some(listener) = claims.find_map(|address| claim_tcp(given, *address)) {
                    return Ok(Self::Tcp(listener));
                }
                let mut failure = None;
                for address in addresses {
                    match bind_tcp(address, *family) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => failure = failure.or(Some(error)),
                    }
                }
                Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
            }
        }
    }

    /// Makes sure that an address can be listened on: its socket was given, or one can be opened.
    async fn check(address: &Address) -> io::Result<()> {
        let Address::Tcp { host, port, family } = address else {
            return Ok(());
        };
        let given = Sockets::of_process();
        let addresses = Address::resolve(host, *port, *family).await?;
        let mut locals = addresses.into_iter().map(Local::Tcp);
        if locals.any(|local| given.has(&local)) {
            return Ok(());
        }
        Self::bind(address).await.map(drop)
    }

    /// Enters it among those that the process can hand over.
    pub(crate) fn enter(&self, local: &Local) -> io::Result<Entry> {
        let socket = match self {
            Self::Tcp(listener) => listener.try_clone()?.into(),
            Self::Unix(listener) => listener.try_clone()?.into(),
        };
        Ok(Sockets::of_process().enter(socket, local.clone()))
    }

    pub(crate) fn local(&self) -> io::Result<Local> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Local::Tcp),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().map(Path::to_path_buf);
                Ok(Local::Unix(path.unwrap_or_default()))
            }
        }
    }

    pub(super) fn register(self) -> io::Result<Accepting> {
        match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(Accepting::Tcp),
            Self::Unix(listener) => UnixListener::from_std(listener).map(Accepting::Unix),
        }
    }
}

fn bind_tcp(address: SocketAddr, family: Family) -> io::Result<StdTcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Transport::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        let every = address.ip().is_unspecified() && family == Family::Any;
        socket.set_only_v6(!every)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<StdUnixListener> {
    let listener = match StdUnixListener::bind(path) {
        // A process that died leaves its socket behind, which nobody answers on.
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse
                && StdUnixStream::connect(path).is_err_and(is_refused) =>
        {
            std::fs::remove_file(path)?;
            StdUnixListener::bind(path)?
        }
        other => other?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_refused(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

impl Accepting {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream.into_std()?, peer))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(stream.into_std()?))
            }
        }
    }
}

async fn accept<S: Service>(
    listener: Listener,
    shared: Arc<Shared<S>>,
    workers: Workers,
    mut phase: watch::Receiver<Phase>,
) {
    /// The wait after an error that the next attempt would meet as well.
    const PAUSE: Duration = Duration::from_millis(100);
    let listener = match listener.register() {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot accept connections"),
    };
    let mut well = true;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Running) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                well = true;
                deal(accepted, &shared, &workers, phase.clone());
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if well {
                    tracing::warn!(%error, "cannot accept connections; trying on");
                }
                well = false;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether accepting failed for the sake of the connection, not of the listener.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Hands a connection to the next worker, or closes it where there are too many.
fn deal<S: Service>(
    accepted: Accepted,
    shared: &Arc<Shared<S>>,
    workers: &Workers,
    phase: watch::Receiver<Phase>,
) {
    let address = match &accepted {
        Accepted::Tcp(_, address) => Some(address.ip()),
        Accepted::Unix(_) => None,
    };
    let place = shared.connections.enter(address);
    let places = place.and_then(|place| Some((place, shared.handshakes.enter(address)?)));
    let Some((place, greeting)) = places else {
        return;
    };
    let shared = Arc::clone(shared);
    workers.spawn(workers.next(), async move {
        let _place = place;
        if let Err(error) = run(accepted, &shared, phase, greeting).await {
            tracing::debug!(%error, "connection lost before it began");
        }
    });
}

async fn run<S: Service>(
    accepted: Accepted,
    shared: &Arc<Shared<S>>,
    phase: watch::Receiver<Phase>,
    greeting: Place,
) -> io::Result<()> {
    let connection = |peer| Connection {
        greeting: Some(greeting),
        peer: Arc::new(peer),
        settings: &shared.settings,
        service: &shared.service,
        phase,
    };
    match accepted {
        Accepted::Tcp(stream, address) => {
            keep_alive(&stream);
            stream.set_nodelay(true)?;
            let stream = TcpStream::from_std(stream)?;
            let address = canonical(address);
            let peer = Peer {
                address: Some(address),
                context: shared.service.greet(Some(address)),
            };
            connection(peer).serve(stream).await;
        }
        Accepted::Unix(stream) => {
            let stream = UnixStream::from_std(stream)?;
            let peer = Peer {
                address: None,
                context: shared.service.greet(None),
            };
            connection(peer).serve(stream).await;
        }
    }
    Ok(())
}

/// Has the system find clients that vanish without a word.
pub(super) fn keep_alive(stream: &std::net::TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(TCP_KEEPALIVE)
        .with_interval(TCP_KEEPALIVE);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// The address as IPv4 where it is one in IPv6's clothes.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
