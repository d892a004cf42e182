//! `forward`: passes batches on to other pipelines of the same signal, as they are.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Connector, Routes, Stability};
use tidegate_pdata::Batch;

/// Merges pipelines, or splits one into several. Takes no settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl ComponentConfig for Config {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "forward";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        Ok(Box::new(Forward))
    }
}

struct Forward;

impl Connector for Forward {
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        out.broadcast(batch);
    }
}

#[cfg(test)]
mod tests {
    use tidegate_component::testing::{ConnectorBench, Contract, realistic};
    use tidegate_pdata::Signal;

    use super::Config;

    #[test]
    fn keeps_the_contract() {
        Contract::<Config>::new("{}", &[]).connector();
    }

    #[test]
    fn every_pipeline_of_the_signal_gets_every_item() {
        let mut bench = ConnectorBench::new::<Config>("{}", Signal::Logs, &[Signal::Logs; 3]);
        bench.send(realistic(Signal::Logs, 5));
        assert_eq!(bench.items(), [5, 5, 5]);
        assert_eq!(bench.counts(), (10, 0));
    }
}
