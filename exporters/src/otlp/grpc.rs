//! `otlp_grpc`: delivers over OTLP/gRPC.
//!
//! The segments of a batch are sent one after the other in one message, never concatenated.

use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Delivered, ExportError, Exporter,
    ExporterContext, Stability, StartError, async_trait,
};
use tidegate_pdata::{Batch, Segment, Signal};
use tidegate_transport::client::{GrpcChannel, GrpcClient, GrpcCompression, GrpcSettings};

use super::answer::{delivered, failed};

/// Delivers spans, data points and log records over OTLP/gRPC.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(GrpcClient);

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "otlp_grpc";
    const STABILITY: Stability = Stability::Beta;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults::GRPC);

    fn build(&self, _cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let settings = self.0.build(GrpcCompression::Gzip)?;
        Ok(AnyExporter::Remote(Arc::new(Otlp::new(settings))))
    }
}

/// A client of the three OTLP services.
pub(super) struct Otlp {
    settings: GrpcSettings,
    channel: OnceLock<GrpcChannel>,
}

impl Otlp {
    pub(super) const fn new(settings: GrpcSettings) -> Self {
        Self {
            settings,
            channel: OnceLock::new(),
        }
    }
}

#[async_trait]
impl Exporter for Otlp {
    async fn start(&self, cx: ExporterContext) -> Result<(), StartError> {
        let channel = self.settings.start(Some(cx.workers))?;
        // An exporter is started once; a second channel would have nothing to do.
        let _ = self.channel.set(channel);
        Ok(())
    }

    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        let endpoint = self.settings.name();
        let permanent = |reason: String| ExportError::Permanent {
            endpoint: Arc::clone(endpoint),
            reason,
            divisible: false,
        };
        let Some(channel) = self.channel.get() else {
            return Err(permanent("the exporter was not started".to_owned()));
        };
        let segments = batch.payload().segments().iter().map(Segment::bytes);
        let message = channel.message(segments).await.map_err(permanent)?;
        let response = channel
            .unary(path(batch.signal()), &message, None)
            .await
            .map_err(|error| failed(endpoint, error))?;
        delivered(&response)
            .map_err(|error| permanent(format!("the answer is no OTLP response: {error}")))
    }

    async fn stop(&self) {
        if let Some(channel) = self.channel.get() {
            channel.close();
        }
    }
}

const fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}
