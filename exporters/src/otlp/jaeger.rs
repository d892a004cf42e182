//! `jaeger`: spans to a Jaeger collector, 1.35 or later, over the OTLP that it takes.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{AnyExporter, BuildContext, BuildError, ComponentConfig, Stability};
use tidegate_pdata::Signals;
use tidegate_transport::client::{GrpcClient, GrpcCompression};
use tidegate_transport::tls::ClientTls;

use super::grpc::Otlp;

/// Where `pipeline.yaml` expects Jaeger: beside Tidegate, whose own receiver has 4317.
const ENDPOINT: &str = "127.0.0.1:14317";

/// Delivers spans to Jaeger: `otlp_grpc` with Jaeger's defaults.
///
/// Without `endpoint` and `tls` it speaks plaintext to 127.0.0.1:14317.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(GrpcClient);

impl Config {
    fn client(&self) -> GrpcClient {
        let mut client = self.0.clone();
        client.endpoint.get_or_insert_with(|| ENDPOINT.to_owned());
        if client.tls == ClientTls::default() {
            client.tls.insecure = true;
        }
        client
    }
}

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "jaeger";
    const SIGNALS: Signals = Signals::TRACES;
    const STABILITY: Stability = Stability::Beta;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults::GRPC);

    fn build(&self, _cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let settings = self.client().build(GrpcCompression::None)?;
        Ok(AnyExporter::Remote(Arc::new(Otlp::new(settings))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_plaintext_to_a_jaeger_beside_it_unless_told() {
        let client = Config::default().client();
        assert_eq!(client.endpoint.as_deref(), Some(ENDPOINT));
        assert!(client.tls.is_plaintext());
    }
}
