//! What a peer's first bytes tell: whether it speaks the protocol that it is spoken to in.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::io::{Io, write_to_io};
use crate::tls;

/// What a peer's first bytes tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Peer {
    /// Nothing came yet.
    Silent = 0,
    /// A SETTINGS frame, as HTTP/2 begins.
    Http2,
    /// A record of TLS.
    Tls,
    /// A status line of HTTP/1.
    Http1,
    /// Something else.
    Other,
}

impl Peer {
    /// What five first bytes mean.
    fn of(first: [u8; 5]) -> Self {
        match first {
            [0x14..=0x17, 3, ..] => Self::Tls,
            [b'H', b'T', b'T', b'P', b'/'] => Self::Http1,
            // A length of three bytes, the type SETTINGS, and no flag.
            [0, _, _, 4, 0] => Self::Http2,
            _ => Self::Other,
        }
    }

    pub(super) const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Tls => {
                Some("the peer speaks TLS; take `tls.insecure` (or `http://`) away to speak it too")
            }
            Self::Http1 => Some(
                "the peer speaks HTTP/1 and not gRPC; is this the port of OTLP/HTTP? then use `otlp_http`",
            ),
            Self::Other => Some("the peer does not speak HTTP/2; is this the port of OTLP/gRPC?"),
            Self::Silent | Self::Http2 => None,
        }
    }
}

/// Tells when the peer's first bytes have come.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    peer: AtomicU8,
    came: Notify,
    broke: OnceLock<&'static str>,
}

impl Greeting {
    /// What the peer said so far.
    pub(super) fn peer(&self) -> Peer {
        match self.peer.load(Ordering::Acquire) {
            0 => Peer::Silent,
            1 => Peer::Http2,
            2 => Peer::Tls,
            3 => Peer::Http1,
            _ => Peer::Other,
        }
    }

    /// What a user may do about the error that ended the connection; HTTP/2 would not hand
    /// the error itself on.
    pub(super) fn hint(&self) -> Option<&'static str> {
        self.broke.get().copied().or_else(|| self.peer().hint())
    }

    /// Waits until the peer has said something.
    pub(super) async fn wait(&self) -> Peer {
        loop {
            let came = self.came.notified();
            if self.peer() != Peer::Silent {
                return self.peer();
            }
            came.await;
        }
    }
}

/// A connection whose first bytes are looked at as they pass.
#[derive(Debug)]
pub(super) struct Watched {
    io: Io,
    first: [u8; 5],
    seen: u8,
    greeting: Arc<Greeting>,
}

impl Watched {
    pub(super) fn new(io: Io) -> (Self, Arc<Greeting>) {
        let greeting = Arc::new(Greeting::default());
        let watched = Self {
            io,
            first: [0; 5],
            seen: 0,
            greeting: Arc::clone(&greeting),
        };
        (watched, greeting)
    }

    fn look(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let at = usize::from(self.seen);
            let Some(place) = self.first.get_mut(at) else {
                break;
            };
            *place = *byte;
            self.seen += 1;
        }
        if usize::from(self.seen) == self.first.len() {
            let peer = Peer::of(self.first);
            self.greeting.peer.store(peer as u8, Ordering::Release);
            self.greeting.came.notify_waiters();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) if usize::from(this.seen) < this.first.len() => {
                this.look(&buf.filled()[before..]);
            }
            Poll::Ready(Err(error)) => {
                if let Some(hint) = tls::hint(error) {
                    // Only the first error tells; later ones follow from it.
                    let _ = this.greeting.broke.set(hint);
                }
            }
            _ => {}
        }
        polled
    }
}

write_to_io!(Watched);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_peer_speaks() {
        assert_eq!(Peer::of([0, 0, 18, 4, 0]), Peer::Http2);
        assert_eq!(Peer::of([0x15, 3, 1, 0, 2]), Peer::Tls);
        assert_eq!(Peer::of(*b"HTTP/"), Peer::Http1);
        assert_eq!(Peer::of(*b"220 f"), Peer::Other);
    }
}
