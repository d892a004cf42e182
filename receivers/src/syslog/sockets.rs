//! Where messages come in.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{Intake, ReceiverContext, StartError};
use tidegate_transport::datagrams::Datagrams;
use tidegate_transport::server::{Conversation, ListenError, Stream, StreamSettings, Streams};
use tidegate_transport::tls::ServerIdentity;
use tokio::io::AsyncReadExt;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::Hub;
use super::config::{Place, TcpPlace, UdpPlace};
use super::framing::TooLong;
use crate::operators::{Map, Text, Value};
use crate::scrape::{Running, stoppable};

/// Bytes that are read of a connection at once.
const CHUNK: usize = 64 << 10;
/// The largest datagram.
const DATAGRAM: usize = 65_535;
/// Bytes of datagrams that become one request, but for the last one.
const BATCH: usize = 256 << 10;
/// The wait after a failure that the next attempt would meet as well.
const PAUSE: Duration = Duration::from_millis(10);

/// A socket that is read.
pub(super) enum Listening {
    Tcp(Streams, Intake),
    Udp(SocketAddr, Running, Intake),
}

impl Listening {
    pub(super) async fn start(
        place: Place,
        hub: &Arc<Hub>,
        intake: &Intake,
        cx: &ReceiverContext,
    ) -> Result<Self, StartError> {
        let failed = |ListenError { address, source }: ListenError| {
            StartError::new(format!("cannot listen on {address}"), source)
        };
        let hub = Arc::clone(hub);
        match place {
            Place::Tcp(place) => {
                let intake = intake.over("tcp");
                let tls = place.tls.as_ref().map(|tls| ServerIdentity::load(tls, &[]));
                let settings = StreamSettings {
                    address: place.address.clone(),
                    tls: tls.transpose()?.map(Arc::new),
                    max_connections: place.max_connections,
                };
                let reader = Connections {
                    hub,
                    intake: intake.clone(),
                    place: *place,
                };
                let streams = Streams::start(settings, reader, &cx.workers).await;
                Ok(Self::Tcp(streams.map_err(failed)?, intake))
            }
            Place::Udp(place) => {
                let intake = intake.over("udp");
                let bound = Datagrams::bind(&place.address, None).await;
                let datagrams = bound.map_err(failed)?;
                let at = datagrams.address();
                let socket = datagrams.share();
                let socket = socket
                    .map_err(|source| StartError::new(format!("cannot listen on {at}"), source))?;
                let reader = Reader {
                    hub,
                    intake: intake.clone(),
                    place,
                    at,
                };
                let running = stoppable(&cx.workers, move |mut stop| async move {
                    let _ = stop.or(reader.run(socket)).await;
                    drop(datagrams);
                });
                Ok(Self::Udp(at, running, intake))
            }
        }
    }

    pub(super) async fn stop(self) {
        match self {
            Self::Tcp(streams, _) => streams.stop().await,
            Self::Udp(_, running, _) => running.stop().await,
        }
    }

    /// The door that what comes in goes through.
    pub(super) const fn intake(&self) -> &Intake {
        match self {
            Self::Tcp(_, intake) | Self::Udp(_, _, intake) => intake,
        }
    }

    /// The address that senders reach.
    #[cfg(test)]
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Tcp(streams, _) => streams.address().unwrap(),
            Self::Udp(address, ..) => *address,
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(streams, _) => streams.fmt(f),
            Self::Udp(address, ..) => address.fmt(f),
        }
    }
}

/// What is known of both sides, as the original's attributes.
fn addresses(transport: &'static str, peer: SocketAddr, host: Option<SocketAddr>) -> Map {
    let mut map = Map::default();
    map.insert(Text::Static("net.transport"), transport.into());
    map.insert(Text::Static("net.peer.ip"), peer.ip().to_string().into());
    map.insert(
        Text::Static("net.peer.port"),
        peer.port().to_string().into(),
    );
    if let Some(host) = host {
        let ip: Value = host.ip().to_string().into();
        map.insert(Text::Static("net.host.ip"), ip);
        map.insert(
            Text::Static("net.host.port"),
            host.port().to_string().into(),
        );
    }
    map
}

/// Reads connections.
struct Connections {
    hub: Arc<Hub>,
    intake: Intake,
    place: TcpPlace,
}

impl Conversation for Connections {
    async fn talk(
        &self,
        mut stream: Box<dyn Stream>,
        peer: Option<SocketAddr>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let attributes = match peer {
            Some(peer) if self.place.add_attributes => addresses("IP.TCP", peer, None),
            _ => Map::default(),
        };
        let context = self.hub.greet(peer);
        let mut held = Vec::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = stream.read(&mut buffer);
            let read = async {
                match self.place.idle {
                    Some(idle) => tokio::time::timeout(idle, read).await.unwrap_or(Ok(0)),
                    None => read.await,
                }
            };
            let size = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => 0,
                read = read => read.unwrap_or(0),
            };
            held.extend_from_slice(&buffer[..size]);
            let done = self.take(&held, size == 0, &attributes, &context).await;
            match done {
                Ok(done) => drop(held.drain(..done)),
                Err(TooLong(bytes)) => {
                    tracing::warn!(
                        ?peer,
                        bytes,
                        "a message is longer than max_octets; its connection is closed"
                    );
                    return;
                }
            }
            if size == 0 {
                return;
            }
        }
    }
}

impl Connections {
    /// Brings the messages in that have come, and tells how many bytes they are.
    async fn take(
        &self,
        data: &[u8],
        ends: bool,
        attributes: &Map,
        context: &tidegate_pdata::Context,
    ) -> Result<usize, TooLong> {
        let hold = self.intake.ready(data.len()).await;
        let mut done = Ok(0);
        let payload = self.hub.pipe.request(attributes, hold, |take| {
            done = self.place.framing.each(data, ends, take);
        });
        self.hub
            .hand_over(payload, context.clone(), &self.intake)
            .await;
        done
    }
}

/// Reads datagrams.
struct Reader {
    hub: Arc<Hub>,
    intake: Intake,
    place: UdpPlace,
    at: SocketAddr,
}

impl Reader {
    async fn run(&self, socket: std::net::UdpSocket) {
        let socket = match UdpSocket::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "cannot read datagrams"),
        };
        let mut buffer = vec![0; DATAGRAM];
        // A datagram of another sender, which is the first of the next request.
        let mut next: Option<(Vec<u8>, SocketAddr)> = None;
        loop {
            let (first, from) = match next.take() {
                Some(next) => next,
                None => match socket.recv_from(&mut buffer).await {
                    Ok((size, from)) => (buffer[..size].to_vec(), from),
                    Err(error) => {
                        tracing::debug!(%error, "cannot read a datagram");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let mut bytes = first.len();
            let mut datagrams = vec![first];
            while bytes < BATCH {
                match socket.try_recv_from(&mut buffer) {
                    Ok((size, other)) if other.ip() == from.ip() => {
                        bytes += size;
                        datagrams.push(buffer[..size].to_vec());
                    }
                    Ok((size, other)) => {
                        next = Some((buffer[..size].to_vec(), other));
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.take(&datagrams, bytes, from).await;
        }
    }

    async fn take(&self, datagrams: &[Vec<u8>], bytes: usize, from: SocketAddr) {
        let attributes = match self.place.add_attributes {
            true => addresses("IP.UDP", from, Some(self.at)),
            false => Map::default(),
        };
        let hold = self.intake.ready(bytes).await;
        let payload = self.hub.pipe.request(&attributes, hold, |take| {
            for datagram in datagrams {
                // Without counted lengths nothing is too long.
                let _ = self.place.framing.each(datagram, true, &mut *take);
            }
        });
        let context = self.hub.greet(Some(from));
        self.hub.hand_over(payload, context, &self.intake).await;
    }
}
