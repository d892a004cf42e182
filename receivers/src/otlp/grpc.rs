//! OTLP over gRPC: three services with one method each.

use bytes::Bytes;
use tidegate_pdata::{Refusal, Reservation, Signal};
use tidegate_transport::grpc::Status;
use tidegate_transport::server::{Call, Unary};
use tokio::time::Instant;

use super::export::{Export, context};
use super::reply::ACCEPTED;

/// The calls of the export services.
pub(super) struct Calls {
    export: Export,
    include_metadata: bool,
}

impl Calls {
    pub(super) const fn new(export: Export, include_metadata: bool) -> Self {
        Self {
            export,
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
        self.export.takes(signal).then_some(signal)
    }

    async fn admit(
        &self,
        signal: Signal,
        bytes: usize,
        until: Option<Instant>,
    ) -> Result<Reservation, Refusal> {
        self.export.admit(signal, bytes, until).await
    }

    async fn call(&self, call: Call<Signal>) -> Result<Bytes, Status> {
        let headers = self.include_metadata.then(|| {
            let host = call.authority.as_ref().map(http::uri::Authority::as_str);
            (&call.headers, host)
        });
        let context = context(&call.peer, headers);
        self.export
            .deliver(call.method, call.message, call.hold, context, call.until)
            .await?;
        Ok(ACCEPTED)
    }

    fn failed(&self, signal: Option<Signal>, status: &Status) {
        self.export.failed(signal, status);
    }
}
