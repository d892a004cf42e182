//! Spans for Jaeger.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{AnyExporter, BuildContext, BuildError, ComponentConfig, Stability};
use tidegate_pdata::Signals;
use tidegate_transport::client::{GrpcClient, GrpcCompression};
use tidegate_transport::tls::ClientTls;

use crate::otlp::GrpcExporter;

/// Where a Jaeger that runs beside us is told to listen, as port 4317 is ours.
const ENDPOINT: &str = "127.0.0.1:14317";

/// Sends spans to a Jaeger collector of version 1.35 or later, 2.x included, by the OTLP/gRPC that
/// it takes. The keys are those of `otlp_grpc`; two defaults differ: `endpoint` is
/// `127.0.0.1:14317`, and plaintext is spoken unless the endpoint begins with `https://` or `tls`
/// names something. Jaeger's own port 14250 does not take OTLP: use the one that it calls
/// `collector.otlp.grpc`, 4317 unless told otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Config(pub GrpcClient);

impl Config {
    fn client(&self) -> GrpcClient {
        let mut client = self.0.clone();
        let endpoint = client.endpoint.filter(|endpoint| !endpoint.is_empty());
        client.endpoint = Some(endpoint.unwrap_or_else(|| ENDPOINT.to_owned()));
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

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let settings = self
            .client()
            .build_with(&cx.extensions, GrpcCompression::Gzip)?;
        Ok(AnyExporter::Remote(Arc::new(GrpcExporter::new(settings))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> GrpcClient {
        let node = tidegate_document::yaml::parse_str(yaml).unwrap();
        tidegate_document::read::<Config>(&node).unwrap().client()
    }

    #[test]
    fn without_a_key_it_speaks_plaintext_to_a_jaeger_beside_us() {
        let client = config("{}");
        assert_eq!(client.endpoint.as_deref(), Some(ENDPOINT));
        assert!(client.tls.is_plaintext());
        assert!(config("{endpoint: 'jaeger:4317'}").tls.is_plaintext());
    }

    #[test]
    fn what_tls_names_is_kept() {
        let client = config("{endpoint: 'jaeger:4317', tls: {ca_file: ca.pem}}");
        assert!(!client.tls.is_plaintext());
    }
}
