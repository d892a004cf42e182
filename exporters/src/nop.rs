//! Takes everything and keeps nothing.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Delivered, ExportError, InlineExporter,
    Stability, async_trait,
};
use tidegate_pdata::Batch;

/// Takes everything and keeps nothing: for trying the rest of a configuration.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "nop";
    const STABILITY: Stability = Stability::Stable;

    fn build(&self, _: &BuildContext) -> Result<AnyExporter, BuildError> {
        Ok(AnyExporter::Inline(Arc::new(Nop)))
    }
}

struct Nop;

#[async_trait]
impl InlineExporter for Nop {
    fn apply(&self, _: &Batch) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}
