//! OTLP over HTTP: a path per signal, protobuf or JSON.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::request::Parts;
use ::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use tidegate_pdata::json::{JsonError, from_json};
use tidegate_pdata::{Context, Reservation, Signal};
use tidegate_transport::compression::{Codec, DecompressError};
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::{
    Body, BodyError, Cors, Encodings, Pace, Peer, Response, Service, discard, read_body,
};

use super::export::{Export, context};
use super::reply::{self, Format};

/// What is configured of the protocol.
#[derive(Clone, Debug)]
pub(super) struct HttpSettings {
    pub(super) paths: [String; 3],
    pub(super) max_body: usize,
    pub(super) pace: Pace,
    pub(super) encodings: Encodings,
    pub(super) cors: Option<Cors>,
    pub(super) response_headers: HeaderMap,
    pub(super) include_metadata: bool,
}

/// The service.
pub(super) struct Http {
    export: Export,
    settings: HttpSettings,
}

/// Why a request is not taken, and in what words it is told.
type Refused = (StatusCode, Status);

impl Http {
    pub(super) const fn new(export: Export, settings: HttpSettings) -> Self {
        Self { export, settings }
    }

    /// The signal that is sent to a path.
    ///
    /// As in Go a path that ends in a slash stands for all below it.
    fn route(&self, path: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| {
            let own = &self.settings.paths[signal.index()];
            let matches = path == own || own.ends_with('/') && path.starts_with(own);
            matches && self.export.takes(*signal)
        })
    }

    async fn answer(&self, parts: &Parts, body: Incoming, peer: &Arc<Peer>) -> Response {
        let codec = self.settings.encodings.of(&parts.headers);
        let signal = self.route(parts.uri.path());
        let format = Format::of(&parts.headers);
        let turned_away = match (codec, signal, format) {
            (Err(name), ..) => unsupported_encoding(format, &name),
            (_, None, _) => reply::no_such_path(),
            _ if parts.method != Method::POST => reply::wrong_method(),
            (_, _, None) => reply::wrong_type(),
            (Ok(codec), Some(signal), Some(format)) => {
                let taken = self.take(signal, format, codec, parts, body, peer).await;
                return match taken {
                    Ok(()) => reply::accepted(format),
                    Err((code, status)) => reply::refused(format, code, &status),
                };
            }
        };
        let status = Status::new(Code::Unimplemented, "");
        self.export.failed(signal, &status);
        discard(parts.version, body);
        turned_away
    }

    /// Reads a request and brings it in.
    async fn take(
        &self,
        signal: Signal,
        format: Format,
        codec: Option<Codec>,
        parts: &Parts,
        body: Incoming,
        peer: &Arc<Peer>,
    ) -> Result<(), Refused> {
        let settings = Body {
            version: parts.version,
            codec,
            max: self.settings.max_body,
            pace: self.settings.pace,
        };
        let headers = self.settings.include_metadata.then(|| {
            let host = parts.uri.authority().map(::http::uri::Authority::as_str);
            (&parts.headers, host)
        });
        let sender = context(peer, headers);
        let admit = |bytes| self.export.admit(signal, bytes, &sender, None);
        let read = read_body(body, settings, admit).await;
        let (message, hold) = read
            .map_err(body_status)
            .and_then(|(text, hold)| match format {
                Format::Protobuf => Ok((text, hold)),
                Format::Json => from_text(signal, &text, hold),
            })
            .inspect_err(|(_, status)| self.export.failed(Some(signal), status))?;
        self.export
            .deliver(signal, message, hold, sender, None)
            .await
            .map_err(|status| (status.code.to_http(), status))
    }
}

fn unsupported_encoding(format: Option<Format>, name: &str) -> Response {
    let text = format!("unsupported Content-Encoding: {name}");
    let status = Status::new(Code::InvalidArgument, text);
    let format = format.unwrap_or(Format::Json);
    reply::refused(format, StatusCode::BAD_REQUEST, &status)
}

fn from_text(
    signal: Signal,
    text: &Bytes,
    mut hold: Reservation,
) -> Result<(Bytes, Reservation), Refused> {
    let mut room = |bytes: usize| hold.try_resize(text.len() + bytes);
    let message = from_json(signal, text, &mut room).map_err(|error| match error {
        JsonError::Malformed(_) => {
            let status = Status::new(Code::InvalidArgument, error.to_string());
            (StatusCode::BAD_REQUEST, status)
        }
        JsonError::NoRoom => body_status(BodyError::no_room()),
    })?;
    let _ = hold.try_resize(message.len());
    Ok((Bytes::from(message), hold))
}

fn body_status(error: BodyError) -> Refused {
    match error {
        // The original answers what is too large like anything else that it cannot read.
        BodyError::TooLarge { .. }
        | BodyError::Decompress(
            DecompressError::TooLarge { .. } | DecompressError::Corrupt { .. },
        ) => {
            let status = Status::new(Code::InvalidArgument, error.to_string());
            (StatusCode::BAD_REQUEST, status)
        }
        BodyError::Slow { .. } => (StatusCode::REQUEST_TIMEOUT, Status::from(error)),
        _ => {
            let status = Status::from(error);
            (status.code.to_http(), status)
        }
    }
}

impl Service for Http {
    async fn call(&self, request: Request<Incoming>, peer: &Arc<Peer>) -> Response {
        let (parts, body) = request.into_parts();
        let cors = self.settings.cors.as_ref();
        let mut response = match cors.and_then(|cors| cors.preflight(&parts)) {
            Some(preflight) => preflight,
            None => {
                let mut response = self.answer(&parts, body, peer).await;
                if let Some(cors) = cors {
                    cors.decorate(&parts.method, &parts.headers, response.headers_mut());
                }
                response
            }
        };
        for (name, value) in &self.settings.response_headers {
            let headers = response.headers_mut();
            headers.entry(name).or_insert_with(|| value.clone());
        }
        response
    }

    fn greet(&self, address: Option<SocketAddr>) -> Context {
        self.export.greet(address)
    }

    fn panicked(&self) -> Response {
        let status = Status::new(Code::Internal, "the request made the server panic");
        self.export.failed(None, &status);
        reply::refused(Format::Json, status.code.to_http(), &status)
    }
}
