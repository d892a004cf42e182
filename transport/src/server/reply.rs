//! Answers: a status, a body in one piece or many, and gRPC's trailers.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body, Frame, SizeHint};

/// An answer.
pub type Response = http::Response<Reply>;

/// Makes the pieces of a body one by one; none at its end.
type Pieces = Box<dyn FnMut() -> Option<Bytes> + Send>;

/// The body of an answer: one piece or many, and trailers.
#[derive(Default)]
pub struct Reply {
    data: Option<Bytes>,
    pieces: Option<Pieces>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    /// A body of one piece.
    #[must_use]
    pub fn data(data: Bytes) -> Self {
        Self {
            data: Some(data).filter(|data| !data.is_empty()),
            ..Self::default()
        }
    }

    /// A body whose pieces are made when the client has room for them, on the worker that owns its connection.
    #[must_use]
    pub fn pieces(next: impl FnMut() -> Option<Bytes> + Send + 'static) -> Self {
        Self {
            pieces: Some(Box::new(next)),
            ..Self::default()
        }
    }

    /// A body of one piece, and what follows it.
    #[must_use]
    pub const fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        Self {
            data: Some(data),
            pieces: None,
            trailers: Some(trailers),
        }
    }

    /// An answer in plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
        let mut response = Response::new(Self::data(text.into()));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        response
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pieces) = &mut self.pieces {
            match pieces() {
                Some(piece) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
                None => self.pieces = None,
            }
        }
        let frame = match self.data.take() {
            Some(data) => Some(Frame::data(data)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.pieces.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, &self.trailers) {
            _ if self.pieces.is_some() => SizeHint::default(),
            // Trailers end a stream of unknown length: no content-length beside them.
            (_, Some(_)) => SizeHint::default(),
            (Some(data), None) => SizeHint::with_exact(data.len() as u64),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("data", &self.data)
            .field("pieces", &self.pieces.is_some())
            .field("trailers", &self.trailers)
            .finish()
    }
}
