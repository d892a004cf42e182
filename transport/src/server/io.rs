//! Streams: of either kind of socket, with TLS or without, beginning with bytes read before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::watch::Activity;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The protocol that a client begins to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// A stream that first gives back the bytes by which its protocol was recognised.
pub(super) struct Sniffed<T> {
    head: [u8; PREFACE.len()],
    /// The part of `head` that is not given back yet.
    left: std::ops::Range<usize>,
    inner: T,
    activity: Option<Arc<Activity>>,
}

impl<T: AsyncRead + Unpin> Sniffed<T> {
    /// Reads until it is clear what is spoken.
    ///
    /// # Errors
    /// When the client goes away before.
    pub(super) async fn sniff(mut inner: T) -> io::Result<(Version, Self)> {
        let mut head = [0; PREFACE.len()];
        let mut filled = 0;
        while filled < head.len() && head[..filled] == PREFACE[..filled] {
            match inner.read(&mut head[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        let version = match head == *PREFACE {
            true => Version::Http2,
            false => Version::Http1,
        };
        let stream = Self {
            head,
            left: 0..filled,
            inner,
            activity: None,
        };
        Ok((version, stream))
    }

    /// Tells where reads are noted, for the timeout on headers.
    pub(super) fn note(mut self, activity: &Arc<Activity>) -> Self {
        self.activity = Some(Arc::clone(activity));
        self
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Sniffed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.left.is_empty() {
            std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        } else {
            let end = self.left.end.min(self.left.start + buf.remaining());
            buf.put_slice(&self.head[self.left.start..end]);
            self.left.start = end;
        }
        if let Some(activity) = &self.activity
            && buf.filled().len() > before
        {
            activity.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Sniffed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sniffed(sent: &'static [u8]) -> (Version, Vec<u8>) {
        let (version, mut stream) = Sniffed::sniff(sent).await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        (version, read)
    }

    #[tokio::test]
    async fn recognises_the_protocol_and_loses_no_byte() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsettings";
        assert_eq!(sniffed(preface).await, (Version::Http2, preface.to_vec()));
        for request in [&b"POST /v1/traces HTTP/1.1\r\n"[..], b"x"] {
            assert_eq!(sniffed(request).await, (Version::Http1, request.to_vec()));
        }
        assert!(Sniffed::sniff(&b"PRI"[..]).await.is_err());
    }
}
