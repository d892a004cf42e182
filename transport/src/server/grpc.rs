//! Unary gRPC calls: a message comes as one piece of bytes, an answer goes as one.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tidegate_component::Unauthenticated;
use tidegate_pdata::{Context, Refusal, Reservation};
use tokio::time::Instant;

use super::body::{Frames, inflate, no_room};
use super::{BodyError, Pace, Peer, Reply, Response, Service};
use crate::compression::{Codec, DecompressError};
use crate::grpc::{self, Code, PREFIX, Prefix, Status};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Answers unary calls.
pub trait Unary: Send + Sync + 'static {
    /// What a path names.
    type Method: Copy + Send + Sync;

    /// The method that a path names, as `/package.Service/Method`; none where there is none.
    fn method(&self, path: &str) -> Option<Self::Method>;

    /// The context of a connection's calls, made when it begins.
    fn greet(&self, address: Option<SocketAddr>) -> Context;

    /// Says who calls.
    fn sender(&self, peer: &Peer, headers: &HeaderMap, authority: Option<&Authority>) -> Context;

    /// Asks for room before a message is read, and answers by `until`.
    ///
    /// A refusal says when the client should come again.
    fn admit(
        &self,
        method: Self::Method,
        bytes: usize,
        sender: &Context,
        until: Option<Instant>,
    ) -> impl Future<Output = Result<Reservation, Refusal>> + Send;

    /// Answers one call with a message or a status.
    fn call(&self, call: Call<Self::Method>) -> impl Future<Output = Result<Bytes, Status>> + Send;

    /// Notes a call that ended before [`Unary::call`], or in a panic.
    fn failed(&self, method: Option<Self::Method>, status: &Status);
}

/// One unary call.
#[derive(Debug)]
pub struct Call<M> {
    /// The method.
    pub method: M,
    /// The message, decompressed, in a buffer of its size.
    pub message: Bytes,
    /// The room that the message takes.
    pub hold: Reservation,
    /// Who calls.
    pub sender: Context,
    /// The latest that it should be answered: four fifths of the time that the client gives.
    pub until: Option<Instant>,
}

/// Serves unary calls over HTTP/2.
#[derive(Debug)]
pub struct Grpc<U> {
    unary: U,
    max_message: usize,
    pace: Pace,
}

impl<U: Unary> Grpc<U> {
    /// A service that takes messages of at most `max_message` bytes, before and after
    /// decompression.
    pub const fn new(unary: U, max_message: usize, pace: Pace) -> Self {
        Self {
            unary,
            max_message,
            pace,
        }
    }

    async fn unary(&self, request: Request<Incoming>, peer: &Arc<Peer>) -> Result<Bytes, Status> {
        let method = self.unary.method(request.uri().path());
        let outcome = match method {
            None => Err(Status::new(
                Code::Unimplemented,
                format!("there is no method {}", request.uri().path()),
            )),
            Some(method) => self.read(method, request, peer).await,
        };
        match outcome {
            Ok(call) => self.unary.call(call).await,
            Err(status) => {
                self.unary.failed(method, &status);
                Err(status)
            }
        }
    }

    async fn read(
        &self,
        method: U::Method,
        request: Request<Incoming>,
        peer: &Arc<Peer>,
    ) -> Result<Call<U::Method>, Status> {
        let (parts, body) = request.into_parts();
        let (deadline, until) = deadline(&parts.headers)?;
        let codec = encoding(&parts.headers)?;
        let mut frames = Frames::new(body, self.pace, deadline);
        let (prefix, first) = read_prefix(&mut frames).await?;
        let codec = self.check(prefix, codec)?;
        let length = prefix.length as usize;
        let authority = parts.uri.authority();
        let sender = self.unary.sender(peer, &parts.headers, authority);
        let hold = self.unary.admit(method, length, &sender, until).await;
        let hold = hold.map_err(Status::from)?;
        let message = read_message(&mut frames, first, length).await?;
        let (message, hold) = match codec {
            None => (Bytes::from(message), hold),
            Some(codec) => inflate(codec, message, self.max_message, hold).await?,
        };
        Ok(Call {
            method,
            message,
            hold,
            sender,
            until,
        })
    }

    /// Checks what stands before a message, and says how it is compressed.
    fn check(&self, prefix: Prefix, codec: Option<Codec>) -> Result<Option<Codec>, Status> {
        let length = prefix.length as usize;
        if length > self.max_message {
            let max = self.max_message;
            let text = format!("the message of {length} bytes is larger than the limit of {max}");
            return Err(Status::new(Code::ResourceExhausted, text));
        }
        match (prefix.flags, codec) {
            (0, _) => Ok(None),
            (1, Some(codec)) => Ok(Some(codec)),
            (1, None) => Err(Status::new(
                Code::Internal,
                "the message is marked as compressed without a grpc-encoding",
            )),
            (flags, _) => Err(Status::new(
                Code::Internal,
                format!("the message has the unknown flags {flags}"),
            )),
        }
    }
}

impl<U: Unary> Service for Grpc<U> {
    async fn call(&self, request: Request<Incoming>, peer: &Arc<Peer>) -> Response {
        if !is_grpc(request.headers()) {
            let status = Status::new(Code::InvalidArgument, "the content-type is not gRPC's");
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &status);
        }
        if request.method() != Method::POST {
            let status = Status::new(Code::Internal, "gRPC is called by POST");
            return refuse(StatusCode::METHOD_NOT_ALLOWED, &status);
        }
        match self.unary(request, peer).await {
            Ok(message) => answer(&message),
            Err(status) => refuse(StatusCode::OK, &status),
        }
    }

    fn greet(&self, address: Option<SocketAddr>) -> Context {
        self.unary.greet(address)
    }

    fn unauthenticated(&self, request: &Parts, fault: &Unauthenticated) -> Response {
        let status = Status::new(Code::Unauthenticated, fault.0.clone());
        let method = self.unary.method(request.uri.path());
        self.unary.failed(method, &status);
        refuse(StatusCode::OK, &status)
    }

    fn panicked(&self) -> Response {
        let status = Status::new(Code::Internal, "the request made the server panic");
        self.unary.failed(None, &status);
        refuse(StatusCode::OK, &status)
    }

    fn wrong_protocol(&self) -> Response {
        Reply::text(
            StatusCode::BAD_REQUEST,
            "this endpoint speaks gRPC over HTTP/2; OTLP over HTTP has an endpoint of its own, \
             4318 unless configured otherwise",
        )
    }
}

/// Whether a request is gRPC's: its media type, alone or with a subtype or parameters.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().strip_prefix(grpc::CONTENT_TYPE.as_bytes()))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// When the client stops waiting, and when it should be answered at the latest.
fn deadline(headers: &HeaderMap) -> Result<(Option<Instant>, Option<Instant>), Status> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok((None, None));
    };
    let timeout = grpc::parse_timeout(value.as_bytes())
        .ok_or_else(|| Status::new(Code::Internal, "grpc-timeout is malformed"))?;
    let now = Instant::now();
    Ok((now.checked_add(timeout), now.checked_add(timeout / 5 * 4)))
}

fn encoding(headers: &HeaderMap) -> Result<Option<Codec>, Status> {
    let name = match headers.get(GRPC_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => return Ok(None),
        Some(name) => name,
    };
    let codec = Codec::from_grpc_encoding(name);
    codec.map(Some).ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        let taken = grpc::ACCEPT_ENCODING;
        let text = format!("grpc-encoding {name} is not supported; use one of {taken}");
        Status::new(Code::Unimplemented, text)
    })
}

/// Reads the five bytes before the message, and gives what of the message came with them.
async fn read_prefix(frames: &mut Frames) -> Result<(Prefix, Bytes), Status> {
    let mut head = BytesMut::new();
    while let Some(mut data) = frames.next().await? {
        if head.is_empty() && data.len() >= PREFIX {
            let bytes = data.split_to(PREFIX);
            return Ok((prefix(&bytes), data));
        }
        head.extend_from_slice(&data);
        if head.len() >= PREFIX {
            let bytes = head.split_to(PREFIX);
            return Ok((prefix(&bytes), head.freeze()));
        }
    }
    Err(Status::new(Code::Internal, "the request has no message"))
}

fn prefix(bytes: &[u8]) -> Prefix {
    Prefix::parse(bytes.try_into().expect("a prefix was split off"))
}

/// Reads the one message of a unary call to the end of the stream.
async fn read_message(frames: &mut Frames, first: Bytes, length: usize) -> Result<Vec<u8>, Status> {
    let mut message = Vec::with_capacity(length);
    let mut next = Some(first);
    while let Some(data) = next {
        if data.len() > length - message.len() {
            let text = "a unary request has one message, and more came";
            return Err(Status::new(Code::Internal, text));
        }
        message.extend_from_slice(&data);
        next = frames.next().await?;
    }
    if message.len() < length {
        let text = format!(
            "the message is cut off: {} bytes came of {length}",
            message.len()
        );
        return Err(Status::new(Code::Internal, text));
    }
    Ok(message)
}

impl From<BodyError> for Status {
    fn from(error: BodyError) -> Self {
        let code = match &error {
            BodyError::Refused(refusal) => return refusal.clone().into(),
            BodyError::Decompress(DecompressError::NoRoom) => return no_room().into(),
            BodyError::TooLarge { .. }
            | BodyError::Decompress(DecompressError::TooLarge { .. }) => Code::ResourceExhausted,
            BodyError::Slow { .. } | BodyError::Deadline => Code::DeadlineExceeded,
            BodyError::CutOff(_) => Code::Cancelled,
            BodyError::Decompress(DecompressError::Corrupt { .. }) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

fn head(status: StatusCode, headers: HeaderMap, reply: Reply) -> Response {
    let mut response = Response::new(reply);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let content_type = HeaderValue::from_static(grpc::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn answer(message: &[u8]) -> Response {
    let prefix = Prefix {
        flags: 0,
        length: u32::try_from(message.len()).expect("answers of OTLP are short"),
    };
    let mut data = BytesMut::with_capacity(PREFIX + message.len());
    data.put_slice(&prefix.bytes());
    data.put_slice(message);
    let trailers = Status::new(Code::Ok, "").headers();
    let reply = Reply::with_trailers(data.freeze(), trailers);
    head(StatusCode::OK, HeaderMap::with_capacity(2), reply)
}

/// A status alone, in the headers ("trailers-only").
fn refuse(http: StatusCode, status: &Status) -> Response {
    let mut headers = status.headers();
    if status.code == Code::Unimplemented {
        let taken = HeaderValue::from_static(grpc::ACCEPT_ENCODING);
        headers.insert(GRPC_ACCEPT_ENCODING, taken);
    }
    head(http, headers, Reply::default())
}
