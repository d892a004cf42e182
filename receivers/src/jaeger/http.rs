//! Jaeger over HTTP: batches in thrift's binary protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::header::CONTENT_TYPE;
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use tidegate_component::Unauthenticated;
use tidegate_pdata::{Context, Signal};
use tidegate_transport::compression::Codec;
use tidegate_transport::grpc::{Code, Status};
use tidegate_transport::server::{Peer, Reply, Response, Service, discard};

use super::{Stop, received, thrift};
use crate::doors::Doors;
use crate::grouped::Grouped;
use crate::thrift::Binary;
use crate::web::{Refused, Web, accepted, refusal, wrong_method};

const PATH: &str = "/api/traces";

/// The service.
pub(super) struct Http {
    doors: Doors,
    web: Web,
}

impl Http {
    pub(super) const fn new(doors: Doors, web: Web) -> Self {
        Self { doors, web }
    }

    async fn answer(&self, parts: &Parts, body: Incoming, peer: &Peer) -> Response {
        let turned_away = match (self.web.codec(&parts.headers), kind_fault(&parts.headers)) {
            _ if parts.uri.path() != PATH => {
                Reply::text(StatusCode::NOT_FOUND, "404 page not found")
            }
            _ if parts.method != Method::POST => wrong_method(),
            (Err(name), _) => bad(format!("unsupported Content-Encoding: {name}")),
            (_, Some(fault)) => bad(fault),
            (Ok(codec), None) => {
                return match self.take(codec, parts, body, peer).await {
                    Ok(()) => accepted(),
                    Err((code, status)) => refusal(code, &status),
                };
            }
        };
        let status = Status::new(Code::Unimplemented, "");
        self.doors.failed(Some(Signal::Traces), &status);
        discard(parts.version, body);
        turned_away
    }

    /// Reads a request and brings it in.
    async fn take(
        &self,
        codec: Option<Codec>,
        parts: &Parts,
        body: Incoming,
        peer: &Peer,
    ) -> Result<(), Refused> {
        let place = (&self.doors, Signal::Traces);
        let read = self.web.read(place, codec, parts, body, peer).await;
        let read = read.and_then(|taken| {
            let payload = received(&taken.body, taken.hold, translate);
            let payload = payload.map_err(|status| (status.code.to_http(), status))?;
            Ok((payload, taken.sender))
        });
        let (payload, sender) =
            read.inspect_err(|(_, status)| self.doors.failed(Some(Signal::Traces), status))?;
        let brought = self.doors.bring(payload, sender, None).await;
        brought.map_err(|status| (status.code.to_http(), status))
    }
}

fn translate(body: &[u8], out: &mut Grouped<'_>) -> Result<(), Stop> {
    thrift::translate(&mut Binary::new(body), out)
}

/// What is wrong with the type that a request says it has.
fn kind_fault(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let value = String::from_utf8_lossy(value.unwrap_or_default());
    let kind = value.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/x-thrift" | "application/vnd.apache.thrift.binary" => None,
        "" => Some("there is no content type; send application/x-thrift".to_owned()),
        other => Some(format!("Unsupported content type: {other}")),
    }
}

fn bad(text: String) -> Response {
    Reply::text(StatusCode::BAD_REQUEST, text)
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
        self.doors.greet(address)
    }

    fn is_open(&self, request: &Parts) -> bool {
        self.web.is_open(request)
    }

    fn unauthenticated(&self, request: &Parts, fault: &Unauthenticated) -> Response {
        let status = Status::new(Code::Unauthenticated, fault.0.clone());
        self.doors.failed(Some(Signal::Traces), &status);
        self.web
            .finish(request, refusal(status.code.to_http(), &status))
    }

    fn panicked(&self) -> Response {
        let status = Status::new(Code::Internal, "the request made the server panic");
        self.doors.failed(None, &status);
        refusal(status.code.to_http(), &status)
    }
}
