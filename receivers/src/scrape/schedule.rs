//! When a receiver scrapes.

use std::time::Duration as StdDuration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Duration;

/// The longest that a scraper is waited for where no `timeout` says otherwise.
const PATIENCE: StdDuration = StdDuration::from_secs(10);

/// When a receiver scrapes: a layer of its keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Schedule {
    /// How often it scrapes.
    collection_interval: Duration,
    /// How long after its start it scrapes for the first time.
    initial_delay: Duration,
    /// How long one scraper may take; the interval, but no more than 10s, where it is `0`.
    timeout: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            collection_interval: Duration::from_secs(60),
            initial_delay: Duration::from_secs(1),
            timeout: Duration::default(),
        }
    }
}

impl Schedule {
    /// A schedule for a receiver that has the keys among its own, as their defaults differ.
    pub(crate) const fn new(interval: Duration, delay: Duration, timeout: Duration) -> Self {
        Self {
            collection_interval: interval,
            initial_delay: delay,
            timeout,
        }
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.interval().is_zero() {
            return Err(
                BuildError::at("collection_interval", "the interval cannot be 0")
                    .remedy("write for example \"1m\""),
            );
        }
        Ok(())
    }

    /// The time from one scrape to the next.
    pub(crate) const fn interval(&self) -> StdDuration {
        self.collection_interval.0
    }

    /// The time before the first.
    pub(crate) const fn delay(&self) -> StdDuration {
        self.initial_delay.0
    }

    /// How long one scraper is waited for.
    pub(crate) fn limit(&self) -> StdDuration {
        match self.timeout.0 {
            StdDuration::ZERO => self.interval().min(PATIENCE),
            limit => limit,
        }
    }
}
