//! OTLP over gRPC: three services with one method each.

use std::net::SocketAddr;

use ::http::HeaderMap;
use ::http::uri::Authority;
use bytes::Bytes;
use tidegate_pdata::{Context, Refusal, Reservation, Signal};
use tidegate_transport::grpc::Status;
use tidegate_transport::server::{Call, Peer, Unary};
use tokio::time::Instant;

use super::reply::ACCEPTED;
use crate::doors::{Doors, context};

/// The calls of the export services.
pub(super) struct Calls {
    doors: Doors,
    include_metadata: bool,
}

impl Calls {
    pub(super) const fn new(doors: Doors, include_metadata: bool) -> Self {
        Self {
            doors,
            include_metadata,
        }
    }
}

impl Unary for Calls {
    type Method = Signal;

    fn method(&self, path: &str) -> Option<Signal> {
        let signal = match path {
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
            _ => return None,
        };
        self.doors.takes(signal).then_some(signal)
    }

    fn greet(&self, address: Option<SocketAddr>) -> Context {
        self.doors.greet(address)
    }

    fn sender(&self, peer: &Peer, headers: &HeaderMap, authority: Option<&Authority>) -> Context {
        let kept = self.include_metadata;
        context(
            peer,
            kept.then(|| (headers, authority.map(Authority::as_str))),
        )
    }

    async fn admit(
        &self,
        signal: Signal,
        bytes: usize,
        sender: &Context,
        until: Option<Instant>,
    ) -> Result<Reservation, Refusal> {
        self.doors.admit(signal, bytes, sender, until).await
    }

    async fn call(&self, call: Call<Signal>) -> Result<Bytes, Status> {
        self.doors
            .deliver(
                call.method,
                call.message,
                call.hold,
                call.sender,
                call.until,
            )
            .await?;
        Ok(ACCEPTED)
    }

    fn failed(&self, signal: Option<Signal>, status: &Status) {
        self.doors.failed(signal, status);
    }
}
