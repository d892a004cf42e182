//! Jaeger over UDP, as clients send to an agent: each datagram is a call in thrift, and nobody is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tidegate_component::metrics::Metrics;
use tidegate_component::{ReceiverContext, StartError};
use tidegate_pdata::{Context, Signal};
use tidegate_transport::datagrams::Datagrams;
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::Address;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Stop, received, thrift};
use crate::doors::Doors;
use crate::grouped::Grouped;
use crate::thrift::{Binary, Compact};

/// How datagrams are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Compact,
    Binary,
}

impl Encoding {
    /// What the ledger calls it.
    const fn transport(self) -> &'static str {
        match self {
            Self::Compact => "udp_thrift_compact",
            Self::Binary => "udp_thrift_binary",
        }
    }

    fn translate(self, datagram: &[u8], out: &mut Grouped<'_>) -> Result<(), Stop> {
        match self {
            Self::Compact => thrift::translate_call(Compact::new(datagram), out),
            Self::Binary => thrift::translate_call(Binary::new(datagram), out),
        }
    }
}

/// What is configured of an agent's socket.
#[derive(Clone, Debug)]
pub(super) struct UdpSettings {
    pub(super) address: Address,
    pub(super) encoding: Encoding,
    /// Datagrams that each reader has taken in and not brought to their end.
    pub(super) queue_size: usize,
    pub(super) max_packet_size: usize,
    /// Tasks that read.
    pub(super) readers: usize,
    pub(super) socket_buffer: Option<usize>,
}

/// A socket that is read.
pub(super) struct Agent {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

/// What every reader of a socket has.
struct Shared {
    doors: Doors,
    settings: UdpSettings,
    receiver: String,
}

impl Agent {
    /// Begins to read.
    pub(super) async fn start(
        settings: &UdpSettings,
        cx: &ReceiverContext,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let failed =
            |address: &str, source| StartError::new(format!("cannot listen on {address}"), source);
        let bound = Datagrams::bind(&settings.address, settings.socket_buffer).await;
        let datagrams = bound.map_err(|error| failed(&error.address, error.source))?;
        let address = datagrams.address();
        let datagrams = Arc::new(datagrams);
        let transport = settings.encoding.transport();
        let shared = Arc::new(Shared {
            doors: Doors::new(cx, transport, metrics),
            settings: settings.clone(),
            receiver: cx.id.to_string(),
        });
        let (stop, stopped) = watch::channel(false);
        for _ in 0..settings.readers.clamp(1, cx.workers.count()) {
            let socket = datagrams.share();
            let socket = socket.map_err(|source| failed(&address.to_string(), source))?;
            let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
            // The socket is among those that can be handed over as long as one reads it.
            let datagrams = Arc::clone(&datagrams);
            cx.workers.spawn(cx.workers.next(), async move {
                shared.run(socket, stopped).await;
                drop(datagrams);
            });
        }
        tracing::info!(receiver = %cx.id, protocol = transport, endpoint = %address, "listening");
        Ok(Self { address, stop })
    }

    /// The address that senders reach.
    #[cfg(test)]
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops reading, and returns when what has been read is brought to its end.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        self.stop.closed().await;
        tracing::debug!(endpoint = %self.address, "no longer listening");
    }
}

impl Shared {
    async fn run(&self, socket: std::net::UdpSocket, mut stopped: watch::Receiver<bool>) {
        let mut complaints = Complaints::default();
        let socket = match UdpSocket::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "cannot read datagrams"),
        };
        // One byte more than is taken tells what is too large.
        let mut buffer = vec![0; self.settings.max_packet_size + 1];
        let mut open = FuturesUnordered::new();
        let mut sender: Option<(SocketAddr, Context)> = None;
        loop {
            let received = tokio::select! {
                biased;
                Some(ended) = open.next(), if !open.is_empty() => {
                    self.note(ended, &mut complaints);
                    continue;
                }
                _ = stopped.wait_for(|stopped| *stopped) => break,
                received = socket.recv_from(&mut buffer) => received,
            };
            let (size, from) = match received {
                Ok(received) => received,
                Err(error) => {
                    self.complain(&error.to_string(), &mut complaints);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let turned_away = if size > self.settings.max_packet_size {
                let text = format!("the datagram is larger than {}", size - 1);
                Some(Status::new(Code::ResourceExhausted, text))
            } else if open.len() >= self.settings.queue_size {
                Some(Status::new(Code::Aborted, "too many datagrams wait"))
            } else {
                None
            };
            if let Some(status) = turned_away {
                self.doors.failed(Some(Signal::Traces), &status);
                self.complain(&status.message, &mut complaints);
                continue;
            }
            let context = match &sender {
                Some((known, context)) if *known == from => context.clone(),
                _ => {
                    let context = self.doors.greet(Some(from));
                    sender.insert((from, context)).1.clone()
                }
            };
            let datagram = Bytes::copy_from_slice(&buffer[..size]);
            open.push(self.take(datagram, context));
        }
        while let Some(ended) = open.next().await {
            self.note(ended, &mut complaints);
        }
    }

    /// Brings a datagram in.
    async fn take(&self, datagram: Bytes, context: Context) -> Result<(), Status> {
        let size = datagram.len();
        let hold = self
            .doors
            .admit(Signal::Traces, size, &context, None)
            .await?;
        let encoding = self.settings.encoding;
        let payload = received(&datagram, hold, |datagram: &[u8], out: &mut Grouped<'_>| {
            encoding.translate(datagram, out)
        });
        let payload =
            payload.inspect_err(|status| self.doors.failed(Some(Signal::Traces), status))?;
        drop(datagram);
        self.doors.bring(payload, context, None).await
    }

    fn note(&self, ended: Result<(), Status>, complaints: &mut Complaints) {
        if let Err(status) = ended {
            self.complain(&status.message, complaints);
        }
    }

    fn complain(&self, what: &str, complaints: &mut Complaints) {
        if let Some(datagrams) = complaints.due() {
            let (receiver, transport) = (&self.receiver, self.settings.encoding.transport());
            tracing::warn!(
                receiver,
                transport,
                datagrams,
                error = what,
                "datagrams were not taken"
            );
        }
    }
}

/// Says from time to time what went wrong, however often it does.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    since: u64,
}

impl Complaints {
    /// How many there were since the last time one was told, if one is to be told now.
    fn due(&mut self) -> Option<u64> {
        const PAUSE: Duration = Duration::from_secs(60);
        self.since += 1;
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn complaints_are_told_once_a_minute_with_their_number() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.due(), Some(1));
        for _ in 0..5 {
            assert_eq!(complaints.due(), None);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(complaints.due(), Some(6));
        assert_eq!(complaints.due(), None);
    }
}
