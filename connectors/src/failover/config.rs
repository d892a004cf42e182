//! The settings of `failover`, and which of the pipelines behind stands at which level.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::{QueueBatch, Sizer};
use tidegate_component::{BuildContext, BuildError, ComponentId};
use tidegate_document::Duration as GoDuration;
use tidegate_pdata::Signal;

/// What the Collector waits before it tries the higher levels again.
const RETRY_INTERVAL: Duration = Duration::from_secs(600);
/// As many levels as there are bits to mark those that were tried.
pub(super) const MOST_LEVELS: usize = 64;

/// Passes data to the first level that works, and comes back to a higher one by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Pipelines by priority, the highest level first. All pipelines of a level get the data;
    /// the level fails when one of them does. Each signal uses the pipelines of its own.
    pub(super) priority_levels: Vec<Vec<String>>,
    /// How long a level that failed is left alone before data is passed to it again; 10m unless
    /// told.
    retry_interval: Option<GoDuration>,
    /// The way of choosing a level.
    #[serde(default)]
    #[allow(dead_code, reason = "there is one")]
    strategy: Strategy,
    /// Settings of the `standard` strategy, which win over those beside it.
    #[serde(default)]
    standard: Standard,
    /// Takes data over in memory at once, if it is set and enabled; without it, answers come from
    /// the exporters. Its size bounds what waits while no level works.
    #[serde(default)]
    pub(super) sending_queue: Option<Queue>,
    /// The wait between two levels that are tried.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = "all higher levels are tried with one batch; remove it"))]
    #[allow(dead_code, reason = "accepted for the sake of older configurations")]
    retry_gap: Option<GoDuration>,
    /// How often a level is tried before it is given up.
    #[serde(default)]
    #[schemars(extend("x-no-effect" = "no level is given up for good; remove it"))]
    #[allow(dead_code, reason = "accepted for the sake of older configurations")]
    max_retries: Option<u64>,
}

/// `strategy`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Strategy {
    /// The highest level that works.
    #[default]
    Standard,
}

/// `standard`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Standard {
    /// How long a level that failed is left alone before data is passed to it again.
    retry_interval: Option<GoDuration>,
}

/// `sending_queue`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Queue {
    /// Whether data is taken over in memory at once.
    pub(super) enabled: bool,
    /// How much may wait while no level works, counted as `sizer` says; when it is full, the door
    /// is shut.
    #[schemars(range(min = 1))]
    pub(super) queue_size: usize,
    /// What `queue_size` counts.
    pub(super) sizer: Sizer,
    /// Answers clients only when an exporter has delivered.
    pub(super) wait_for_result: bool,
    /// Deliveries at a time.
    #[schemars(extend("x-no-effect" = "batches go to the exporters' own queues; set it there"))]
    #[allow(
        dead_code,
        reason = "accepted for the sake of the Collector's configurations"
    )]
    num_consumers: Option<usize>,
    /// Makes senders wait while the queue is full.
    #[schemars(extend("x-no-effect" = "senders are told to come again; remove it"))]
    #[allow(
        dead_code,
        reason = "accepted for the sake of the Collector's configurations"
    )]
    block_on_overflow: Option<bool>,
    /// Collects batches before they are sent.
    #[schemars(extend("x-no-effect" = "batches go on as they come; set it on the exporters"))]
    #[allow(
        dead_code,
        reason = "accepted for the sake of the Collector's configurations"
    )]
    batch: Option<QueueBatch>,
    /// Keeps the queue on disk; refused here.
    storage: Option<ComponentId>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            enabled: true,
            queue_size: 1000,
            sizer: Sizer::default(),
            wait_for_result: false,
            num_consumers: None,
            block_on_overflow: None,
            batch: None,
            storage: None,
        }
    }
}

impl Config {
    /// How long a level that failed is left alone.
    pub(super) fn retry_interval(&self) -> Result<Duration, BuildError> {
        let zero = |path: &str| {
            BuildError::at(path, "must be above 0")
                .remedy("it is the time after which a level that failed is tried again")
        };
        match (self.standard.retry_interval, self.retry_interval) {
            (Some(inner), _) if inner.is_zero() => Err(zero("standard::retry_interval")),
            (_, Some(outer)) if outer.is_zero() => Err(zero("retry_interval")),
            (Some(chosen), _) | (None, Some(chosen)) => Ok(chosen.into()),
            (None, None) => Ok(RETRY_INTERVAL),
        }
    }

    /// The queue's settings, checked.
    pub(super) fn queue(&self) -> Result<Option<&Queue>, BuildError> {
        let Some(queue) = &self.sending_queue else {
            return Ok(None);
        };
        if queue.queue_size == 0 {
            return Err(BuildError::at(
                "sending_queue::queue_size",
                "must be at least 1",
            ));
        }
        if queue.enabled && queue.storage.is_some() {
            let error = BuildError::at(
                "sending_queue::storage",
                "a failover connector keeps nothing on disk",
            );
            return Err(error.remedy("set `storage` on the `sending_queue` of the exporters"));
        }
        Ok(Some(queue))
    }

    /// The positions of the pipelines at each level that has any of the connector's signal.
    pub(super) fn levels(&self, cx: &BuildContext) -> Result<Vec<Vec<usize>>, BuildError> {
        let signal = cx.signal.unwrap_or(Signal::Traces);
        self.check_names(cx)?;
        let mut levels = Vec::new();
        let mut placed = BTreeSet::new();
        for (at, names) in self.priority_levels.iter().enumerate() {
            let mut level = Vec::new();
            for (place, name) in names.iter().enumerate() {
                if signal_of(name) != Some(signal) {
                    continue;
                }
                let route = cx.routes.iter().position(|route| route.pipeline == *name);
                let Some(route) = route else {
                    let message =
                        format!("the pipeline `{name}` does not receive from `{}`", cx.id);
                    let remedy = format!(
                        "name `{}` in `service::pipelines::{name}::receivers`, or take the pipeline out here",
                        cx.id
                    );
                    return Err(BuildError::at(key(at, place), message).remedy(remedy));
                };
                placed.insert(route);
                level.push(route);
            }
            if !level.is_empty() {
                levels.push(level);
            }
        }
        let mut routes = cx.routes.iter().enumerate();
        if let Some((_, idle)) = routes.find(|(at, _)| !placed.contains(at)) {
            let message = format!(
                "the pipeline `{}` receives from `{}` and stands at no level, so nothing would ever reach it",
                idle.pipeline, cx.id
            );
            let remedy = "name it in a level, or take the connector out of its `receivers`";
            return Err(BuildError::at("priority_levels", message).remedy(remedy));
        }
        if levels.is_empty() {
            let message = format!("no level has a pipeline of {signal}, which this connector gets");
            return Err(BuildError::at("priority_levels", message));
        }
        Ok(levels)
    }

    /// Checks what does not depend on the pipelines that there are.
    fn check_names(&self, cx: &BuildContext) -> Result<(), BuildError> {
        let count = self.priority_levels.len();
        if count == 0 {
            let error = BuildError::at("priority_levels", "has no level");
            return Err(error.remedy("write for example `[[traces/first], [traces/second]]`"));
        }
        if count > MOST_LEVELS {
            let message = format!("has {count} levels; {MOST_LEVELS} is the most");
            return Err(BuildError::at("priority_levels", message));
        }
        let mut seen = BTreeSet::new();
        for (at, level) in self.priority_levels.iter().enumerate() {
            if level.is_empty() {
                let path = format!("priority_levels::{at}");
                let error = BuildError::at(path, "has no pipeline");
                return Err(error.remedy("name one, or take the level out"));
            }
            for (place, name) in level.iter().enumerate() {
                let Some(signal) = signal_of(name) else {
                    let message = format!("`{name}` is no pipeline's name");
                    let remedy = "it begins with `traces`, `metrics` or `logs`, as `traces/first`";
                    return Err(BuildError::at(key(at, place), message).remedy(remedy));
                };
                if !cx.signals.has(signal) {
                    let message = format!("no pipeline of {signal} exports to `{}`", cx.id);
                    let remedy = format!(
                        "name `{}` in the `exporters` of one, or take `{name}` out here",
                        cx.id
                    );
                    return Err(BuildError::at(key(at, place), message).remedy(remedy));
                }
                if !seen.insert(name) {
                    let message = format!("`{name}` stands at two places");
                    return Err(BuildError::at(key(at, place), message).remedy("take one out"));
                }
            }
        }
        Ok(())
    }
}

fn key(level: usize, place: usize) -> String {
    format!("priority_levels::{level}::{place}")
}

/// The signal of a pipeline, by its name.
fn signal_of(pipeline: &str) -> Option<Signal> {
    let word = pipeline.split('/').next().unwrap_or_default();
    Signal::ALL.into_iter().find(|signal| signal.name() == word)
}
