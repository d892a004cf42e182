//! Zipkin: spans of its clients, in both of its formats, over HTTP.
//!
//! A body is read span by span: what JSON, protobuf or thrift say fills one span that borrows from the
//! body, and that is written as OTLP where its resource and scope are collected.

mod config;
mod exported;
mod http;
mod json;
mod names;
mod protobuf;
mod span;
mod translate;
mod v1;
mod value;

#[cfg(test)]
mod tests;

use tidegate_component::metrics::Metrics;
use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_transport::server::Server;
use tidegate_transport::server::config::Prepared;

pub use config::Config;

use crate::grouped::{Grouped, NoRoom};
use crate::servers::listen;
use crate::web::Web;
use http::Http;

/// Why a body is not read to its end.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// It is not what it should be; the text says where.
    Malformed(String),
    NoRoom,
}

impl From<NoRoom> for Stop {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

/// How spans are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    V1Thrift,
    V1Json,
    V2Json,
    V2Protobuf,
}

impl Format {
    const ALL: [Self; 4] = [Self::V1Thrift, Self::V1Json, Self::V2Json, Self::V2Protobuf];

    /// What the ledger calls it.
    const fn transport(self) -> &'static str {
        match self {
            Self::V1Thrift => "http_v1_thrift",
            Self::V1Json => "http_v1_json",
            Self::V2Json => "http_v2_json",
            Self::V2Protobuf => "http_v2_proto",
        }
    }

    /// What a body is called in an answer.
    const fn name(self) -> &'static str {
        match self {
            Self::V1Thrift => "Zipkin's first format in thrift",
            Self::V1Json => "Zipkin's first format in JSON",
            Self::V2Json => "Zipkin's second format in JSON",
            Self::V2Protobuf => "Zipkin's second format in protobuf",
        }
    }

    /// Writes the spans of a body as OTLP.
    fn translate(self, body: &[u8], parse: bool, out: &mut Grouped<'_>) -> Result<(), Stop> {
        let mut v1 = v1::Translator::new(parse, self == Self::V1Json);
        let mut v2 = translate::Translator::new(parse);
        match self {
            Self::V1Thrift => v1::read_thrift(body, &mut |span| v1.translate(span, out)),
            Self::V1Json => v1::read_json(body, &mut |span| v1.translate(span, out)),
            Self::V2Json => json::read(body, &mut |span| v2.translate(span, out)),
            Self::V2Protobuf => protobuf::read(body, &mut |span| v2.translate(span, out)),
        }
    }
}

/// Reads bytes in one of the formats.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn read(way: u8, bytes: &[u8], out: &mut Grouped<'_>) -> Result<(), impl Sized> {
    let format = Format::ALL[usize::from(way) % Format::ALL.len()];
    format.translate(bytes, way & 0x80 > 0, out)
}

/// The receiver.
struct Zipkin {
    prepared: Prepared,
    web: Web,
    parse_string_tags: bool,
    metrics: Metrics,
    running: Option<Server>,
}

impl Zipkin {
    const fn new(prepared: Prepared, web: Web, parse_string_tags: bool, metrics: Metrics) -> Self {
        Self {
            prepared,
            web,
            parse_string_tags,
            metrics,
            running: None,
        }
    }
}

#[async_trait]
impl Receiver for Zipkin {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let service = Http::new(&cx, &self.metrics, self.web.clone(), self.parse_string_tags);
        self.running = Some(listen(&self.prepared, service, &cx, "http").await?);
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some(server) = self.running.take() {
            server.stop().await;
        }
    }
}
