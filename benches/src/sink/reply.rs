//! The sink's answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Frame;

use super::faults::Failure;

/// The framed empty message that answers a gRPC call.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// `google.rpc.Status{8, "", [RetryInfo{1 s}]}` in base64.
const RETRY_IN_A_SECOND: &str =
    "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ";

/// A body of one piece, with trailers where gRPC wants them.
pub(super) struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }
}

/// An empty export response.
pub(super) fn taken(grpc: bool) -> Response<Reply> {
    if !grpc {
        return http(StatusCode::OK, "application/x-protobuf", Bytes::new());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response = Response::new(Reply {
        data: Some(Bytes::from_static(EMPTY_MESSAGE)),
        trailers: Some(trailers),
    });
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

/// The answer to a request that fails on purpose, or (as [`Failure::Invalid`]) cannot be read.
pub(super) fn failed(grpc: bool, failure: Failure) -> Response<Reply> {
    let (status, code) = match failure {
        Failure::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "14"),
        Failure::Exhausted => (StatusCode::TOO_MANY_REQUESTS, "8"),
        Failure::Invalid => (StatusCode::BAD_REQUEST, "3"),
    };
    if !grpc {
        let mut response = http(
            status,
            "text/plain",
            Bytes::from_static(b"failed on purpose"),
        );
        if failure == Failure::Exhausted {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, second);
        }
        return response;
    }
    let mut response = Response::new(Reply {
        data: None,
        trailers: None,
    });
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert("grpc-status", HeaderValue::from_static(code));
    headers.insert(
        "grpc-message",
        HeaderValue::from_static("failed by the sink"),
    );
    if failure == Failure::Exhausted {
        let details = HeaderValue::from_static(RETRY_IN_A_SECOND);
        headers.insert("grpc-status-details-bin", details);
    }
    response
}

pub(super) fn http(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply {
        data: (!body.is_empty()).then_some(body),
        trailers: None,
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
