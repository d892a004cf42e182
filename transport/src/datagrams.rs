//! Sockets that datagrams come in on.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::server::{Address, Family, ListenError};
use crate::sockets::{Entry, Local, Sockets, claim_udp};

/// Begins what components call such an address, so that it is told from one of connections.
pub const PREFIX: &str = "udp:";

/// A socket that datagrams come in on.
///
/// Like one that is listened on it is among those that the process can hand over, so that what comes
/// while another process takes over waits in it.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    local: SocketAddr,
    _entry: Entry,
}

impl Datagrams {
    /// The socket that the process was given for an address, or a new one; `buffer` is how many
    /// bytes the system keeps for it.
    ///
    /// # Errors
    /// When the address cannot be had, or is none of a host and a port.
    pub async fn bind(address: &Address, buffer: Option<usize>) -> Result<Self, ListenError> {
        let bound = Self::try_bind(address, buffer).await;
        bound.map_err(|source| ListenError {
            address: address.to_string(),
            source,
        })
    }

    async fn try_bind(address: &Address, buffer: Option<usize>) -> io::Result<Self> {
        let (addresses, family) = resolve(address).await?;
        let given = Sockets::of_process();
        let mut claims = addresses.iter();
        let socket = match claims.find_map(|address| claim_udp(given, *address)) {
            Some(socket) => socket,
            None => first(&addresses, family)?,
        };
        if let Some(bytes) = buffer {
            socket2::SockRef::from(&socket).set_recv_buffer_size(bytes)?;
        }
        let local = socket.local_addr()?;
        let entry = given.enter(socket.try_clone()?.into(), Local::Udp(local));
        Ok(Self {
            socket,
            local,
            _entry: entry,
        })
    }

    /// The address that senders reach.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.local
    }

    /// Another handle to the socket, to be registered with the runtime of the worker that reads it.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn share(&self) -> io::Result<UdpSocket> {
        self.socket.try_clone()
    }
}

/// Makes sure that an address can be had: its socket was given, or one can be opened.
pub(crate) async fn check(address: &Address) -> io::Result<()> {
    let (addresses, family) = resolve(address).await?;
    let given = Sockets::of_process();
    if addresses
        .iter()
        .any(|address| given.has(&Local::Udp(*address)))
    {
        return Ok(());
    }
    first(&addresses, family).map(drop)
}

async fn resolve(address: &Address) -> io::Result<(Vec<SocketAddr>, Family)> {
    let Address::Tcp { host, port, family } = address else {
        let message = "datagrams need a host and a port";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    };
    Ok((Address::resolve(host, *port, *family).await?, *family))
}

/// A socket on the first of the addresses that can be had.
fn first(addresses: &[SocketAddr], family: Family) -> io::Result<UdpSocket> {
    let mut failure = None;
    for address in addresses {
        match open(*address, family) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

fn open(address: SocketAddr, family: Family) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        let every = address.ip().is_unspecified() && family == Family::Any;
        socket.set_only_v6(!every)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text, "tcp").unwrap()
    }

    #[tokio::test]
    async fn an_address_is_had_once_and_handed_over() {
        let socket = Datagrams::bind(&address("127.0.0.1:0"), Some(1 << 16))
            .await
            .unwrap();
        let taken = address(&socket.address().to_string());
        let error = Datagrams::bind(&taken, None).await.unwrap_err();
        assert_eq!(error.address, socket.address().to_string());
        assert!(check(&taken).await.is_err());

        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"kept", socket.address()).unwrap();
        let listening = Sockets::of_process().listening().unwrap();
        let local = Local::Udp(socket.address());
        let (_, copy) = listening
            .into_iter()
            .find(|(known, _)| *known == local)
            .unwrap();
        drop(socket);
        assert_eq!(Sockets::of_process().give(copy, "test").unwrap(), local);
        assert!(check(&taken).await.is_ok());
        let socket = Datagrams::bind(&taken, None).await.unwrap();
        let shared = tokio::net::UdpSocket::from_std(socket.share().unwrap()).unwrap();
        let mut buffer = [0; 16];
        let received = shared.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..received], b"kept");
    }
}
