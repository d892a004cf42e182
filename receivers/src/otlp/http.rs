//! OTLP over HTTP: a path per signal, protobuf or JSON.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::request::Parts;
use ::http::{Method, Request, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use tidegate_component::Unauthenticated;
use tidegate_pdata::json::{JsonError, from_json};
use tidegate_pdata::{Context, Reservation, Signal};
use tidegate_transport::compression::Codec;
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::{BodyError, Peer, Response, Service, discard};

use super::reply::{self, Format};
use crate::doors::Doors;
use crate::web::{Refused, Web, body_status, wrong_method};

/// What is configured of the protocol.
#[derive(Clone, Debug)]
pub(super) struct HttpSettings {
    pub(super) paths: [String; 3],
    pub(super) web: Web,
}

/// The service.
pub(super) struct Http {
    doors: Doors,
    settings: HttpSettings,
}

impl Http {
    pub(super) const fn new(doors: Doors, settings: HttpSettings) -> Self {
        Self { doors, settings }
    }

    /// The signal that is sent to a path.
    ///
    /// As in Go a path that ends in a slash stands for all below it.
    fn route(&self, path: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| {
            let own = &self.settings.paths[signal.index()];
            let matches = path == own || own.ends_with('/') && path.starts_with(own);
            matches && self.doors.takes(*signal)
        })
    }

    async fn answer(&self, parts: &Parts, body: Incoming, peer: &Arc<Peer>) -> Response {
        let codec = self.settings.web.codec(&parts.headers);
        let signal = self.route(parts.uri.path());
        let format = Format::of(&parts.headers);
        let turned_away = match (codec, signal, format) {
            (Err(name), ..) => unsupported_encoding(format, &name),
            (_, None, _) => reply::no_such_path(),
            _ if parts.method != Method::POST => wrong_method(),
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
        self.doors.failed(signal, &status);
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
        let doors = (&self.doors, signal);
        let web = &self.settings.web;
        let read = web.read(doors, codec, parts, body, peer).await;
        let read = read.and_then(|taken| {
            let (message, hold) = match format {
                Format::Protobuf => (taken.body, taken.hold),
                Format::Json => from_text(signal, &taken.body, taken.hold)?,
            };
            Ok((message, hold, taken.sender))
        });
        let (message, hold, sender) =
            read.inspect_err(|(_, status)| self.doors.failed(Some(signal), status))?;
        self.doors
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

impl Service for Http {
    async fn call(&self, request: Request<Incoming>, peer: &Arc<Peer>) -> Response {
        let (parts, body) = request.into_parts();
        let web = &self.settings.web;
        match web.preflight(&parts) {
            Some(answer) => answer,
            None => web.finish(&parts, self.answer(&parts, body, peer).await),
        }
    }

    fn greet(&self, address: Option<SocketAddr>) -> Context {
        self.doors.greet(address)
    }

    // A browser's preflight carries no credentials.
    fn is_open(&self, request: &Parts) -> bool {
        self.settings.web.is_open(request)
    }

    fn unauthenticated(&self, request: &Parts, fault: &Unauthenticated) -> Response {
        let status = Status::new(Code::Unauthenticated, fault.0.clone());
        self.doors.failed(self.route(request.uri.path()), &status);
        let format = Format::of(&request.headers).unwrap_or(Format::Json);
        let answer = reply::refused(format, status.code.to_http(), &status);
        self.settings.web.finish(request, answer)
    }

    fn panicked(&self) -> Response {
        let status = Status::new(Code::Internal, "the request made the server panic");
        self.doors.failed(None, &status);
        reply::refused(Format::Json, status.code.to_http(), &status)
    }
}
