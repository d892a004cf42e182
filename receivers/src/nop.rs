//! Brings nothing in.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Receiver, ReceiverContext, Stability, StartError,
    async_trait,
};

/// Brings nothing in: for a pipeline that has to be named and is fed by nobody yet. Takes no settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "nop";
    const STABILITY: Stability = Stability::Stable;

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(Nop))
    }
}

struct Nop;

#[async_trait]
impl Receiver for Nop {
    async fn start(&mut self, _: ReceiverContext) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&mut self) {}
}
