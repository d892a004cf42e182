//! One unary call on a connection.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use h2::{Reason, RecvStream, client::ResponseFuture};
use http::{HeaderMap, Request, Response, StatusCode, header};

use super::connection::Connection;
use super::dial::DialError;
use super::http::Read;
use super::message::Message;
use crate::compression::{Codec, decompress};
use crate::grpc::{Code, PREFIX, Prefix, Status};

/// The largest answer that is read, as gRPC's clients have it.
const MAX_ANSWER: usize = 4 << 20;

/// Why a call brought no answer.
#[derive(Clone, Debug)]
pub enum CallError {
    /// There is no connection to the peer.
    Unreachable(Arc<DialError>),
    /// The connection or the stream broke off before the answer was whole; the peer may
    /// have acted on the request.
    Broken(String),
    /// The peer answered with a status that is not OK.
    Status(Status),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(f),
            Self::Broken(what) => write!(f, "the call broke off: {what}"),
            Self::Status(status) => status.fmt(f),
        }
    }
}

impl std::error::Error for CallError {}

/// How a call on one connection ended, when it did not end well.
pub(super) enum Failed {
    /// The peer has surely not acted on the request: it may be sent again at once, elsewhere.
    Unseen(CallError),
    /// Final for this attempt.
    For(CallError),
}

/// Sends a request and reads its answer.
pub(super) async fn unary(
    connection: Connection,
    request: Request<()>,
    message: &Message,
) -> Result<Bytes, Failed> {
    let Connection { requests, life } = connection;
    let mut requests = requests.ready().await.map_err(|error| {
        // The peer goes away, or went.
        life.retire();
        Failed::Unseen(broken(&error))
    })?;
    let _open = life.call();
    let (response, mut stream) = requests.send_request(request, false).map_err(|error| {
        life.retire();
        Failed::Unseen(broken(&error))
    })?;
    // All pieces are handed over at once: they are references, so what waits for the peer's
    // window holds no memory of its own.
    let last = message.pieces.len().saturating_sub(1);
    for (at, piece) in message.pieces.iter().enumerate() {
        if stream.send_data(piece.clone(), at == last).is_err() {
            // The stream has ended: the peer's answer says why.
            break;
        }
    }
    answer(response).await.inspect_err(|failed| {
        if matches!(failed, Failed::Unseen(_)) {
            life.retire();
        }
    })
}

async fn answer(response: ResponseFuture) -> Result<Bytes, Failed> {
    let response = response.await.map_err(|error| failed(&error))?;
    let (head, body) = response.into_parts();
    let head = Response::from_parts(head, ());
    // A call that ends at once has its status among the headers.
    if let Some(status) = Status::from_headers(head.headers()).filter(|s| s.code != Code::Ok) {
        return Err(Failed::For(CallError::Status(status)));
    }
    if head.status() != StatusCode::OK {
        return Err(Failed::For(CallError::Status(not_grpc(&head))));
    }
    if !is_grpc(head.headers()) {
        return Err(Failed::For(CallError::Status(not_grpc(&head))));
    }
    let (body, trailers) = read(body).await?;
    let status = trailers
        .as_ref()
        .and_then(Status::from_headers)
        .or_else(|| Status::from_headers(head.headers()))
        .unwrap_or_else(|| Status::new(Code::Internal, "the answer ended without a status"));
    if status.code != Code::Ok {
        return Err(Failed::For(CallError::Status(status)));
    }
    message(&body, head.headers()).map_err(|status| Failed::For(CallError::Status(status)))
}

/// Reads the frames of an answer, and what follows them.
async fn read(mut body: RecvStream) -> Result<(Bytes, Option<HeaderMap>), Failed> {
    let mut whole = Read::default();
    while let Some(frame) = body.data().await {
        let frame = frame.map_err(|error| failed(&error))?;
        // Cannot fail: it gives back what was just received.
        let _ = body.flow_control().release_capacity(frame.len());
        if whole.len() + frame.len() > MAX_ANSWER {
            let status = Status::new(Code::ResourceExhausted, "the answer is larger than 4 MiB");
            return Err(Failed::For(CallError::Status(status)));
        }
        whole.push(frame);
    }
    let trailers = body.trailers().await.map_err(|error| failed(&error))?;
    Ok((whole.bytes(), trailers))
}

/// The message in the body of an answer; an empty body is an empty message.
fn message(body: &Bytes, headers: &HeaderMap) -> Result<Bytes, Status> {
    let internal = |what: String| Status::new(Code::Internal, what);
    let Some((prefix, _)) = body.split_first_chunk::<PREFIX>() else {
        return match body.is_empty() {
            true => Ok(Bytes::new()),
            false => Err(internal("the answer is cut off".to_owned())),
        };
    };
    let prefix = Prefix::parse(*prefix);
    let message = body.slice(PREFIX..);
    if message.len() != prefix.length as usize {
        return Err(internal("the answer is not one whole message".to_owned()));
    }
    match prefix.flags {
        0 => Ok(message),
        1 => {
            let name = headers
                .get("grpc-encoding")
                .map_or(&b""[..], |name| name.as_bytes());
            let codec = Codec::from_grpc_encoding(name).ok_or_else(|| {
                internal(format!(
                    "the answer is compressed as \"{}\", which is not known",
                    String::from_utf8_lossy(name)
                ))
            })?;
            decompress(codec, &message, MAX_ANSWER, &mut |_| true)
                .map(Bytes::from)
                .map_err(|error| internal(format!("the answer cannot be decompressed: {error}")))
        }
        flags => Err(internal(format!("the answer has unknown flags {flags}"))),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// What an answer that is not gRPC means, after gRPC's table of HTTP statuses.
fn not_grpc(head: &Response<()>) -> Status {
    let status = head.status();
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    let kind = head
        .headers()
        .get(header::CONTENT_TYPE)
        .map_or("no content type".into(), |kind| {
            String::from_utf8_lossy(kind.as_bytes())
        });
    Status::new(
        code,
        format!(
            "the peer answered HTTP {status} with {kind}, which is not gRPC; is this the port of OTLP/gRPC?"
        ),
    )
}

fn broken(error: &h2::Error) -> CallError {
    CallError::Broken(error.to_string())
}

/// Sorts an error of a stream by whether the peer can have seen the request.
fn failed(error: &h2::Error) -> Failed {
    let unseen = error.reason() == Some(Reason::REFUSED_STREAM)
        // A stream that the peer's farewell names as not processed ends with the farewell.
        || (error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR));
    match unseen {
        true => Failed::Unseen(broken(error)),
        false => Failed::For(broken(error)),
    }
}
