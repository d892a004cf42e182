//! OTLP over gRPC.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{AnyExporter, BuildContext, BuildError, ComponentConfig, Stability};
use tidegate_transport::client::{GrpcClient, GrpcCompression};

use crate::otlp::GrpcExporter;

/// Sends telemetry over OTLP/gRPC to anything that takes it: another collector, or a backend.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Config(pub GrpcClient);

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "otlp_grpc";
    const STABILITY: Stability = Stability::Beta;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults::GRPC);

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let settings = self.0.build_with(&cx.extensions, GrpcCompression::Gzip)?;
        Ok(AnyExporter::Remote(Arc::new(GrpcExporter::new(settings))))
    }
}
