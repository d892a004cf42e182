//! `nop`: takes everything and keeps nothing.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Delivered, ExportError, InlineExporter,
};
use tidegate_pdata::Batch;

/// Takes everything and keeps nothing.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "nop";

    fn build(&self, _cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        Ok(AnyExporter::Inline(Arc::new(Nop)))
    }
}

struct Nop;

impl InlineExporter for Nop {
    fn apply(&self, _batch: &Batch) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_pdata::{Context, Payload, Receipt, Signal};

    #[test]
    fn takes_everything() {
        let cx = BuildContext::detached("exporter", "nop".parse().unwrap());
        let Ok(AnyExporter::Inline(nop)) = Config::default().build(&cx) else {
            panic!("nop takes batches on the spot");
        };
        let batch = Batch::new(
            Payload::empty(Signal::Logs),
            Context::default(),
            Receipt::none(),
        );
        assert_eq!(nop.apply(&batch).unwrap(), Delivered::default());
    }
}
