//! Zipkin over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::header::CONTENT_TYPE;
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tidegate_component::metrics::Metrics;
use tidegate_component::{ReceiverContext, Unauthenticated};
use tidegate_pdata::{Context, Payload, Signal};
use tidegate_transport::compression::Codec;
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::{BodyError, Peer, Response, Service, discard};

use super::{Format, Stop};
use crate::doors::Doors;
use crate::grouped::{Grouped, payload};
use crate::web::{Refused, Taken, Web, accepted, body_status, refusal, wrong_method};

/// The service.
pub(super) struct Http {
    /// A door for each format, which the ledger tells apart.
    doors: [Doors; Format::ALL.len()],
    web: Web,
    parse_string_tags: bool,
}

impl Http {
    pub(super) fn new(
        cx: &ReceiverContext,
        metrics: &Metrics,
        web: Web,
        parse_string_tags: bool,
    ) -> Self {
        Self {
            doors: Format::ALL.map(|format| Doors::new(cx, format.transport(), metrics)),
            web,
            parse_string_tags,
        }
    }

    fn doors(&self, format: Format) -> &Doors {
        &self.doors[format as usize]
    }

    async fn answer(&self, parts: &Parts, body: Incoming, peer: &Peer) -> Response {
        let format = format(parts.uri.path(), &parts.headers);
        let codec = self.web.codec(&parts.headers);
        let turned_away = match codec {
            _ if parts.method != Method::POST => wrong_method(),
            Err(name) => {
                let text = format!("unsupported Content-Encoding: {name}");
                let status = Status::new(Code::InvalidArgument, text);
                refusal(StatusCode::BAD_REQUEST, &status)
            }
            Ok(codec) => {
                return match self.take(format, codec, parts, body, peer).await {
                    Ok(()) => accepted(),
                    Err((code, status)) => refusal(code, &status),
                };
            }
        };
        let status = Status::new(Code::Unimplemented, "");
        self.doors(format).failed(Some(Signal::Traces), &status);
        discard(parts.version, body);
        turned_away
    }

    /// Reads a request and brings it in.
    async fn take(
        &self,
        format: Format,
        codec: Option<Codec>,
        parts: &Parts,
        body: Incoming,
        peer: &Peer,
    ) -> Result<(), Refused> {
        let doors = self.doors(format);
        let place = (doors, Signal::Traces);
        let read = self.web.read(place, codec, parts, body, peer).await;
        let read = read.and_then(|taken| self.translate(format, taken));
        let (payload, sender) =
            read.inspect_err(|(_, status)| doors.failed(Some(Signal::Traces), status))?;
        let brought = doors.bring(payload, sender, None).await;
        brought.map_err(|status| (status.code.to_http(), status))
    }

    /// The spans of a body as OTLP.
    fn translate(&self, format: Format, taken: Taken) -> Result<(Payload, Context), Refused> {
        let Taken {
            body,
            mut hold,
            sender,
        } = taken;
        let mut room = |bytes: usize| hold.try_resize(body.len() + bytes);
        let mut spans = Grouped::new(&mut room);
        let read = format.translate(&body, self.parse_string_tags, &mut spans);
        read.map_err(|stop| match stop {
            Stop::NoRoom => body_status(BodyError::no_room()),
            Stop::Malformed(what) => {
                let text = format!("the body is not {}: {what}", format.name());
                let status = Status::new(Code::InvalidArgument, text);
                (StatusCode::BAD_REQUEST, status)
            }
        })?;
        let request = spans.finish();
        drop(body);
        let payload = payload(request, hold);
        let payload = payload.map_err(|status| (status.code.to_http(), status))?;
        Ok((payload, sender))
    }
}

/// How a request is written, by its path and its type: JSON unless it says something else.
///
/// As the original does it takes any path, so that one that a proxy put a prefix before is taken too.
fn format(path: &str, headers: &HeaderMap) -> Format {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match (path.contains("api/v1/spans"), kind) {
        (true, Some(b"application/x-thrift")) => Format::V1Thrift,
        (true, _) => Format::V1Json,
        (false, Some(b"application/x-protobuf")) => Format::V2Protobuf,
        (false, _) => Format::V2Json,
    }
}

impl Service for Http {
    async fn call(&self, request: Request<Incoming>, peer: &Arc<Peer>) -> Response {
        let (parts, body) = request.into_parts();
        match self.web.preflight(&parts) {
            Some(answer) => answer,
            None => {
                let answer = self.answer(&parts, body, peer).await;
                self.web.finish(&parts, answer)
            }
        }
    }

    fn greet(&self, address: Option<SocketAddr>) -> Context {
        self.doors(Format::V2Json).greet(address)
    }

    fn is_open(&self, request: &Parts) -> bool {
        self.web.is_open(request)
    }

    fn unauthenticated(&self, request: &Parts, fault: &Unauthenticated) -> Response {
        let status = Status::new(Code::Unauthenticated, fault.0.clone());
        let format = format(request.uri.path(), &request.headers);
        self.doors(format).failed(Some(Signal::Traces), &status);
        self.web
            .finish(request, refusal(status.code.to_http(), &status))
    }

    fn panicked(&self) -> Response {
        let status = Status::new(Code::Internal, "the request made the server panic");
        self.doors(Format::V2Json).failed(None, &status);
        refusal(status.code.to_http(), &status)
    }
}
