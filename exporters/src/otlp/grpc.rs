//! Delivery over OTLP/gRPC.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidegate_component::{
    Delivered, ExportError, Exporter, ExporterContext, StartError, async_trait,
};
use tidegate_pdata::{Batch, ContextKeys, Segment, Signal};
use tidegate_transport::client::{CallError, GrpcChannel, GrpcSettings};
use tidegate_transport::grpc::{Code, Status};

use super::delivered;

/// Sends each batch as one call; its segments together are the request.
pub(crate) struct GrpcExporter {
    settings: GrpcSettings,
    started: OnceLock<Started>,
}

struct Started {
    channel: GrpcChannel,
    timeout: Option<Duration>,
}

impl GrpcExporter {
    pub(crate) fn new(settings: GrpcSettings) -> Self {
        Self {
            settings,
            started: OnceLock::new(),
        }
    }

    fn endpoint(&self) -> Arc<str> {
        Arc::clone(self.settings.name())
    }

    fn permanent(&self, reason: impl Into<String>, divisible: bool) -> ExportError {
        ExportError::Permanent {
            endpoint: self.endpoint(),
            reason: reason.into(),
            divisible,
        }
    }

    fn retryable(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ExportError {
        ExportError::Retryable {
            endpoint: self.endpoint(),
            source: source.into(),
        }
    }

    fn failed(&self, error: CallError, signal: Signal) -> ExportError {
        match error {
            CallError::Status(status) => self.refused(status, signal),
            other => self.retryable(other),
        }
    }

    /// What a status means, after OTLP's table as the Collector reads it.
    ///
    /// One thing is ours: a request that is too large for the peer may pass in parts, whatever
    /// code says so.
    fn refused(&self, status: Status, signal: Signal) -> ExportError {
        if is_too_large(&status) {
            return self.permanent(status.to_string(), true);
        }
        let retryable = status.code.is_retryable()
            || (status.code == Code::ResourceExhausted && status.retry_after.is_some());
        match status.retry_after {
            after @ Some(wait) if retryable && !wait.is_zero() => ExportError::Refused {
                endpoint: self.endpoint(),
                after,
            },
            _ if retryable => self.retryable(status),
            _ if status.code == Code::Unimplemented => {
                self.permanent(format!("{status}; does the peer take {signal}?"), false)
            }
            _ => {
                let divisible = status.code == Code::InvalidArgument;
                self.permanent(status.to_string(), divisible)
            }
        }
    }
}

/// How the gRPC of Go, C++, Java, Rust and our own say that a message is too large.
const TOO_LARGE: [&str; 4] = [
    "larger than max",
    "too large",
    "exceeds maximum size",
    "size limit",
];

/// Whether the peer turns the request away for its size alone.
fn is_too_large(status: &Status) -> bool {
    matches!(status.code, Code::ResourceExhausted | Code::OutOfRange)
        && TOO_LARGE.iter().any(|words| status.message.contains(words))
}

const fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

#[async_trait]
impl Exporter for GrpcExporter {
    async fn start(&self, cx: ExporterContext) -> Result<(), StartError> {
        let started = Started {
            channel: self.settings.start(Some(cx.workers))?,
            timeout: cx.timeout,
        };
        // A second start, which nobody makes, changes nothing.
        let _ = self.started.set(started);
        Ok(())
    }

    fn reads(&self) -> ContextKeys {
        self.settings.reads()
    }

    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        let Some(Started { channel, timeout }) = self.started.get() else {
            return Err(self.retryable("the exporter is not started"));
        };
        let segments = batch.payload().segments().iter().map(Segment::bytes);
        let message = channel
            .message(segments)
            .await
            .map_err(|reason| self.permanent(reason, true))?;
        let answer = channel
            .unary_for(batch.context(), method(batch.signal()), &message, *timeout)
            .await
            .map_err(|error| self.failed(error, batch.signal()))?;
        delivered(&answer).map_err(|error| self.permanent(error.to_string(), false))
    }

    async fn stop(&self) {
        if let Some(started) = self.started.get() {
            started.channel.close();
        }
    }
}
