//! Bodies: segments one after the other out, and a bounded buffer in.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use smallvec::SmallVec;

use crate::client::pieces::joined;

/// A request's body: pieces sent one after the other, their length known.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    pieces: SmallVec<[Bytes; 4]>,
    next: usize,
    left: u64,
}

impl Pieces {
    /// A body of these pieces, small ones copied together; cloning it copies no bytes.
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces = joined(&[], pieces);
        Self {
            left: pieces.iter().map(|piece| piece.len() as u64).sum(),
            next: 0,
            pieces,
        }
    }

    /// The pieces.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Bytes> + Clone {
        self.pieces.iter()
    }

    /// The bytes that are left to send.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.left
    }

    /// Whether nothing is left to send.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self::new([bytes])
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.next;
        let Some(piece) = self.pieces.get(next).cloned() else {
            return Poll::Ready(None);
        };
        self.next += 1;
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads a body up to `max` bytes and as far as there is `room`; says whether that was all of it.
///
/// # Errors
/// When the body breaks off.
pub(super) async fn read<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    max: usize,
    room: &mut (dyn FnMut(usize) -> bool + Send),
) -> Result<(Bytes, bool), B::Error> {
    let mut whole = Read::default();
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame?.into_data() else {
            continue;
        };
        let left = max - whole.len();
        let fits = data.len() <= left;
        data.truncate(left);
        let fits = fits && room(whole.len() + data.len());
        whole.push(data);
        if !fits {
            return Ok((whole.bytes(), false));
        }
    }
    Ok((whole.bytes(), true))
}

/// What was read: one piece as it came, or several joined.
#[derive(Default)]
pub(in crate::client) struct Read {
    first: Bytes,
    joined: BytesMut,
}

impl Read {
    pub(in crate::client) fn len(&self) -> usize {
        self.first.len().max(self.joined.len())
    }

    pub(in crate::client) fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&piece);
    }

    pub(in crate::client) fn bytes(self) -> Bytes {
        match self.joined.is_empty() {
            true => self.first,
            false => self.joined.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_knows_its_length_and_gives_its_pieces_in_order() {
        let body = Pieces::new(["ab", "", "cde"].map(Bytes::from));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcde");
        assert!(Pieces::default().is_end_stream());
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit() {
        let body = || Pieces {
            pieces: ["abc", "def", "ghi"].map(Bytes::from).into_iter().collect(),
            next: 0,
            left: 9,
        };
        assert_eq!(
            read(body(), 100, &mut |_| true).await.unwrap(),
            ("abcdefghi".into(), true)
        );
        assert_eq!(
            read(body(), 9, &mut |_| true).await.unwrap(),
            ("abcdefghi".into(), true)
        );
        assert_eq!(
            read(body(), 7, &mut |_| true).await.unwrap(),
            ("abcdefg".into(), false)
        );
        assert_eq!(
            read(body(), 2, &mut |_| true).await.unwrap(),
            ("ab".into(), false)
        );
        let mut room = |bytes| bytes < 6;
        assert_eq!(
            read(body(), 9, &mut room).await.unwrap(),
            ("abcdef".into(), false)
        );
    }
}
