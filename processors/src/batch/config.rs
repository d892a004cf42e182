//! The keys of `batch`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_document::Duration;

use super::{Batcher, Limits};

/// Collects spans, data points or log records into larger batches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long items wait for others; `0s` sends everything at once.
    timeout: Duration,
    /// Items from which a batch is sent before its time is up; `0` sends everything at once.
    send_batch_size: u32,
    /// Items that no batch passes; `0` sets no limit. At least `send_batch_size`.
    send_batch_max_size: u32,
    /// Client metadata keys whose values keep batches apart.
    metadata_keys: Vec<String>,
    /// How many combinations of those values are batched apart; more are rejected. `0` sets no limit.
    metadata_cardinality_limit: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(200),
            send_batch_size: 8192,
            send_batch_max_size: 0,
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: 1000,
        }
    }
}

impl Config {
    pub(super) fn limits(&self, carries: bool) -> Limits {
        Limits {
            size: self.send_batch_size as usize,
            max: self.send_batch_max_size as usize,
            timeout: self.timeout.into(),
            carries,
        }
    }

    /// The keys as metadata spells them.
    pub(super) fn metadata_keys(&self) -> Vec<String> {
        let lower = |key: &String| key.to_ascii_lowercase();
        self.metadata_keys.iter().map(lower).collect()
    }

    pub(super) const fn metadata_cardinality_limit(&self) -> usize {
        self.metadata_cardinality_limit as usize
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "batch";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        if self.send_batch_max_size > 0 && self.send_batch_max_size < self.send_batch_size {
            return Err(BuildError::at(
                "send_batch_max_size",
                format!(
                    "{} is less than send_batch_size, {}",
                    self.send_batch_max_size, self.send_batch_size
                ),
            )
            .remedy("raise it to send_batch_size, or lower send_batch_size"));
        }
        let mut keys = self.metadata_keys();
        keys.sort();
        if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(BuildError::at(
                "metadata_keys",
                format!(
                    "{:?} is there twice (keys differ by more than case)",
                    pair[0]
                ),
            )
            .remedy("name each key once"));
        }
        Ok(Box::new(Batcher::new(self, cx)))
    }
}
