//! Sockets that outlive a process: those that it was given at its start, and those that
//! it can give to the one that follows.
//!
//! Sockets come from whoever started the process (systemd) or from the process before it. A server
//! that is to listen on the address of one uses it in place of a new one, so that connections
//! which came meanwhile wait in the socket's backlog and none is refused.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{SockRef, Type};

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The same, for datagrams.
    Udp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that was given and that no server has asked for yet.
#[derive(Debug)]
struct Given {
    local: Local,
    /// Who gave it, for the log.
    origin: String,
    socket: OwnedFd,
}

/// The sockets of a process.
#[derive(Clone, Debug, Default)]
pub struct Sockets(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    given: Mutex<Vec<Given>>,
    listening: Mutex<Listening>,
    left: AtomicBool,
}

/// Those that are listened on now, each with a number of its own.
#[derive(Debug, Default)]
struct Listening {
    sockets: Vec<(u64, Local, OwnedFd)>,
    next: u64,
}

/// A listening socket's entry, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    sockets: Sockets,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let number = self.number;
        let mut listening = lock(&self.sockets.0.listening);
        listening.sockets.retain(|(known, ..)| *known != number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sockets {
    /// The sockets of this process.
    #[must_use]
    pub fn of_process() -> &'static Self {
        static PROCESS: std::sync::LazyLock<Sockets> = std::sync::LazyLock::new(Sockets::default);
        &PROCESS
    }

    /// Keeps a socket for the server that will listen on its address.
    ///
    /// # Errors
    /// When it is neither a stream socket that listens on an IP address or a path nor one for datagrams.
    pub fn give(&self, socket: OwnedFd, origin: impl Into<String>) -> io::Result<Local> {
        let local = examine(socket.as_fd())?;
        SockRef::from(&socket).set_nonblocking(true)?;
        lock(&self.0.given).push(Given {
            local: local.clone(),
            origin: origin.into(),
            socket,
        });
        Ok(local)
    }

    /// Takes the socket of an address out of those that were given.
    pub(crate) fn claim(&self, local: &Local) -> Option<OwnedFd> {
        let mut given = lock(&self.0.given);
        let at = given.iter().position(|given| given.local == *local)?;
        let Given { origin, socket, .. } = given.swap_remove(at);
        drop(given);
        tracing::info!(address = %local, origin, "listens on a socket that was handed over");
        Some(socket)
    }

    /// Whether the socket of an address was given and is not in use yet.
    pub(crate) fn has(&self, local: &Local) -> bool {
        lock(&self.0.given)
            .iter()
            .any(|given| given.local == *local)
    }

    /// Closes what was given and nobody asked for, and says what that was.
    pub fn close_unclaimed(&self) -> Vec<(Local, String)> {
        let given = std::mem::take(&mut *lock(&self.0.given));
        let closed = given.into_iter();
        closed.map(|given| (given.local, given.origin)).collect()
    }

    /// Enters a socket as listened on, until what this returns is dropped.
    pub(crate) fn enter(&self, socket: OwnedFd, local: Local) -> Entry {
        let mut listening = lock(&self.0.listening);
        let number = listening.next;
        listening.next += 1;
        listening.sockets.push((number, local, socket));
        Entry {
            sockets: self.clone(),
            number,
        }
    }

    /// Duplicates of all that are listened on now.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn listening(&self) -> io::Result<Vec<(Local, OwnedFd)>> {
        let listening = lock(&self.0.listening);
        let sockets = listening.sockets.iter();
        sockets
            .map(|(_, local, socket)| Ok((local.clone(), socket.try_clone()?)))
            .collect()
    }

    /// Tells that another process listens on all of them from here on, so that paths stay.
    pub fn leave(&self) {
        self.0.left.store(true, Release);
    }

    /// Whether another process listens on them.
    pub(crate) fn are_left(&self) -> bool {
        self.0.left.load(Acquire)
    }
}

/// Where a socket listens, if it is one that connections or datagrams come in on.
fn examine(socket: BorrowedFd<'_>) -> io::Result<Local> {
    let seen = SockRef::from(&socket);
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let kind = seen.r#type()?;
    if kind == Type::DGRAM {
        let address = seen.local_addr()?.as_socket();
        let address = address.filter(|address| address.port() != 0);
        return match address {
            Some(address) => Ok(Local::Udp(address)),
            None => Err(wrong("it takes datagrams on no port")),
        };
    }
    if kind != Type::STREAM {
        return Err(wrong("it is no stream socket"));
    }
    if !rustix::net::sockopt::socket_acceptconn(socket)? {
        return Err(wrong("it does not listen"));
    }
    let address = seen.local_addr()?;
    if let Some(address) = address.as_socket() {
        return Ok(Local::Tcp(address));
    }
    match address.as_pathname() {
        Some(path) => Ok(Local::Unix(path.to_owned())),
        None => Err(wrong("it has neither an IP address nor a path")),
    }
}

/// A TCP socket that was given for an address.
pub(crate) fn claim_tcp(sockets: &Sockets, address: SocketAddr) -> Option<TcpListener> {
    sockets.claim(&Local::Tcp(address)).map(TcpListener::from)
}

/// A socket for datagrams that was given for an address.
pub(crate) fn claim_udp(sockets: &Sockets, address: SocketAddr) -> Option<UdpSocket> {
    sockets.claim(&Local::Udp(address)).map(UdpSocket::from)
}

/// A unix socket that was given for a path.
pub(crate) fn claim_unix(sockets: &Sockets, path: &std::path::Path) -> Option<UnixListener> {
    let local = Local::Unix(path.to_owned());
    sockets.claim(&local).map(UnixListener::from)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[test]
    fn socket_is_claimed_once_by_its_address() {
        let sockets = Sockets::default();
        let (socket, address) = listener();
        let local = sockets.give(socket.into(), "test").unwrap();
        assert_eq!(local, Local::Tcp(address));
        let other = SocketAddr::from(([127, 0, 0, 2], address.port()));
        assert!(claim_tcp(&sockets, other).is_none());
        let claimed = claim_tcp(&sockets, address).unwrap();
        assert_eq!(claimed.local_addr().unwrap(), address);
        assert!(claim_tcp(&sockets, address).is_none());
        assert_eq!(sockets.close_unclaimed(), []);
    }

    #[test]
    fn what_nobody_claims_is_told_and_closed() {
        let sockets = Sockets::default();
        let (socket, address) = listener();
        sockets.give(socket.into(), "test").unwrap();
        let closed = sockets.close_unclaimed();
        assert_eq!(closed, [(Local::Tcp(address), "test".to_owned())]);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn only_sockets_that_something_comes_in_on_are_taken() {
        let sockets = Sockets::default();
        let (datagrams, _) = UnixDatagram::pair().unwrap();
        let error = sockets.give(datagrams.into(), "test").unwrap_err();
        assert_eq!(error.to_string(), "it takes datagrams on no port");
        let (listener, address) = listener();
        let stream = TcpStream::connect(address).unwrap();
        let error = sockets.give(stream.into(), "test").unwrap_err();
        assert_eq!(error.to_string(), "it does not listen");
        drop(listener);
    }

    #[test]
    fn listening_sockets_are_listed_until_they_are_closed() {
        let sockets = Sockets::default();
        let (socket, address) = listener();
        let entry = sockets.enter(socket.try_clone().unwrap().into(), Local::Tcp(address));
        let listed = sockets.listening().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].0, Local::Tcp(address));
        drop((socket, entry));
        assert_eq!(sockets.listening().unwrap().len(), 0);
        // The duplicate keeps the backlog open for whoever has it.
        assert!(TcpStream::connect(address).is_ok());
        drop(listed);
        assert!(TcpStream::connect(address).is_err());
    }
}
