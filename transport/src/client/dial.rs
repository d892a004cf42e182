//! Making a connection: TCP or a Unix socket, with TLS or without.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::io::{Io, Socket};
use super::proxy::Tunnel;
use crate::tls::{self, ClientIdentity};

/// How long a connection may take until the peer has greeted, as gRPC's clients have it.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the kernel waits for a peer that acknowledges nothing.
///
/// Without it a connection whose peer vanished stays up for as long as TCP retransmits, a
/// quarter of an hour, and every attempt on it times out.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// An address that a name was resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// A host that a proxy resolves.
    Tunnel(Arc<Tunnel>),
}

/// Why there is no connection, with what a user may do about it.
#[derive(Debug)]
pub struct DialError {
    message: String,
    hint: Option<&'static str>,
}

impl DialError {
    pub(super) fn new(message: impl Into<String>, hint: Option<&'static str>) -> Self {
        Self {
            message: message.into(),
            hint,
        }
    }

    /// Nobody answered in time.
    pub(super) fn too_late() -> Self {
        Self::new(
            format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            Some("is the address right, or a firewall in between?"),
        )
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for DialError {}

/// Resolves a host through the system; every address once, in the order given.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let unknown = |message: String| {
        DialError::new(
            format!("cannot resolve \"{host}\": {message}"),
            Some("is the name in `endpoint` right, and is DNS reachable?"),
        )
    };
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| unknown(error.to_string()))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown("it has no address".to_owned()));
    }
    Ok(addresses)
}

/// How long an address may keep silent before the next one is tried beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(300);

/// Connects to a host, to whichever of its addresses answers first.
pub(super) async fn tcp(host: &str, port: u16) -> Result<Socket, DialError> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => resolve(host, port).await?,
    };
    let addresses: Vec<_> = addresses.into_iter().map(Address::Tcp).collect();
    first(&addresses, socket).await
}

/// Tries addresses one after the other, each with a head start, and takes what answers first.
pub(super) async fn first<'a, T, F, Fut>(
    addresses: &'a [Address],
    connect: F,
) -> Result<T, DialError>
where
    F: Fn(&'a Address) -> Fut,
    Fut: Future<Output = Result<T, DialError>>,
{
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut failed = DialError::new("there is no address to connect to", None);
    loop {
        if let Some(next) = waiting.next() {
            running.push(connect(next));
        }
        let ended = match waiting.len() {
            0 => running.next().await,
            _ => match timeout(HEAD_START, running.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(error)) => failed = error,
            None if waiting.len() == 0 => return Err(failed),
            None => {}
        }
    }
}

/// Connects without TLS.
pub(super) async fn socket(address: &Address) -> Result<Socket, DialError> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address)
                .await
                .map_err(|error| refused(&address.to_string(), &error))?;
            prepare(&stream).map_err(|error| refused(&address.to_string(), &error))?;
            Ok(Socket::Tcp(stream))
        }
        Address::Unix(path) => unix(path)
            .await
            .map(Socket::Unix)
            .map_err(|error| refused(&path.display().to_string(), &error)),
        // Boxed, as the way to the proxy begins here again.
        Address::Tunnel(tunnel) => Box::pin(tunnel.proxy.tunnel(&tunnel.host, tunnel.port)).await,
    }
}

fn refused(address: &str, error: &io::Error) -> DialError {
    let hint = match error.kind() {
        io::ErrorKind::ConnectionRefused => Some("is the peer running and listening there?"),
        io::ErrorKind::NotFound => Some("is the peer running? the socket does not exist"),
        io::ErrorKind::PermissionDenied => Some("may this user write to the socket?"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some("there is no route to it")
        }
        _ => None,
    };
    DialError::new(format!("cannot connect to {address}: {error}"), hint)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let every = Duration::from_secs(15);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(every).with_interval(every))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

async fn unix(path: &Path) -> io::Result<UnixStream> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.to_str().and_then(|path| path.strip_prefix('@')) {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
        stream.set_nonblocking(true)?;
        return UnixStream::from_std(stream);
    }
    UnixStream::connect(path).await
}

/// Speaks TLS over a socket, where there is an identity for it.
pub(super) async fn secure(
    socket: Socket,
    identity: Option<&ClientIdentity>,
    host: &str,
) -> Result<Io, DialError> {
    let Some(identity) = identity else {
        return Ok(Io::Plain(socket));
    };
    match identity.connect(host, socket).await {
        Ok(stream) => Ok(Io::Tls(Box::new(stream))),
        Err(error) => {
            let hint = tls::hint(&error).or_else(|| {
                (error.kind() == io::ErrorKind::UnexpectedEof).then_some(
                    "the peer closed during the handshake; if it speaks plaintext, write `tls: {insecure: true}`",
                )
            });
            Err(DialError::new(
                format!("TLS handshake failed: {error}"),
                hint,
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_connection_says_what_to_look_at() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = socket(&Address::Tcp(address)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(
            text.ends_with("is the peer running and listening there?"),
            "{text}"
        );
    }
}
