//! The settings with which the engine wraps an exporter: queue, retry, timeout, breaker.
//!
//! Keys and defaults are the Collector's `exporterhelper`; `on_overflow` and `on_permanent_error`
//! are ours.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_document::{ComponentId, Duration};

/// The defaults of an exporter that has a queue.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryDefaults {
    /// `timeout` of one attempt, in milliseconds; 0 means none.
    pub timeout_ms: u64,
    /// `sending_queue.enabled`.
    pub queue: bool,
    /// `retry_on_failure.enabled`.
    pub retry: bool,
    /// What the other keys of `retry_on_failure` are where the section is not written.
    pub pace: Pace,
    /// Whether batches are delivered one at a time, in the order in which they came: what has to
    /// be tried again holds up what came after it.
    pub ordered: bool,
}

/// How fast a failed attempt is repeated, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// `initial_interval`.
    pub initial_ms: u64,
    /// `max_interval`.
    pub longest_ms: u64,
    /// `max_elapsed_time`.
    pub total_ms: u64,
}

impl Pace {
    /// That of most exporters: from 5 s to 30 s, for 5 minutes.
    pub const USUAL: Self = Self {
        initial_ms: 5_000,
        longest_ms: 30_000,
        total_ms: 300_000,
    };
}

impl DeliveryDefaults {
    /// As the Collector's `otlp` exporter: 5 s, queue and retry on.
    pub const GRPC: Self = Self {
        timeout_ms: 5_000,
        queue: true,
        retry: true,
        pace: Pace::USUAL,
        ordered: false,
    };
    /// As the Collector's `otlp_http` exporter: 30 s, queue and retry on.
    pub const HTTP: Self = Self {
        timeout_ms: 30_000,
        queue: true,
        retry: true,
        pace: Pace::USUAL,
        ordered: false,
    };
    /// No limit on an attempt, queue and retry on: for ends that bound themselves.
    pub const UNTIMED: Self = Self {
        timeout_ms: 0,
        queue: true,
        retry: true,
        pace: Pace::USUAL,
        ordered: false,
    };
}

/// The keys that an exporter with a queue takes beside its own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Time for one attempt; `0s` sets no limit.
    pub timeout: Option<Duration>,
    /// The queue before the exporter.
    pub sending_queue: Option<SendingQueue>,
    /// What is done when an attempt fails in a way that another may not.
    pub retry_on_failure: Option<Retry>,
    /// The exporter that keeps what this one gives up for good: what the peer rejects, record by
    /// record where it can be told which, and what retries end without a delivery. None loses it.
    pub on_permanent_error: Option<ComponentId>,
}

impl Delivery {
    /// The time for one attempt, where there is a limit.
    #[must_use]
    pub fn attempt_timeout(&self, defaults: DeliveryDefaults) -> Option<std::time::Duration> {
        let timeout = self.timeout.map_or(
            std::time::Duration::from_millis(defaults.timeout_ms),
            std::time::Duration::from,
        );
        (!timeout.is_zero()).then_some(timeout)
    }
}

/// What a queue's size counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Batches as they were put in.
    #[default]
    Requests,
    /// Spans, data points, log records.
    Items,
    /// Bytes of OTLP.
    Bytes,
}

/// What a full queue does with what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnOverflow {
    /// The door shuts: receivers refuse before they read. The default with storage, or for a
    /// pipeline's only exporter.
    Refuse,
    /// This exporter's copy of the new batch is dropped and counted. The default of a memory
    /// queue beside siblings.
    DropNew,
    /// The oldest batch in the queue is dropped and counted.
    DropOldest,
}

/// `sending_queue`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SendingQueue {
    /// Whether there is a queue; without one, a delivery is waited for.
    pub enabled: Option<bool>,
    /// Deliveries at a time.
    #[schemars(range(min = 1))]
    pub num_consumers: usize,
    /// How much the queue holds, counted as `sizer` says: 1000 unless told, but without a bound of its own where
    /// there is a `storage`, which has one.
    #[schemars(range(min = 1))]
    pub queue_size: Option<usize>,
    /// What `queue_size` counts.
    pub sizer: Sizer,
    /// Makes the door wait while the queue is full, instead of what `on_overflow` says.
    pub block_on_overflow: bool,
    /// What a full queue does.
    pub on_overflow: Option<OnOverflow>,
    /// Answers clients only when the exporter has delivered.
    pub wait_for_result: bool,
    /// A storage extension that keeps the queue on disk.
    pub storage: Option<ComponentId>,
    /// Collects batches in the queue before they are sent.
    pub batch: Option<QueueBatch>,
}

impl SendingQueue {
    /// `queue_size` of a queue in memory where nothing is written.
    pub const SIZE: usize = 1000;
}

impl Default for SendingQueue {
    fn default() -> Self {
        Self {
            enabled: None,
            num_consumers: 10,
            queue_size: None,
            sizer: Sizer::default(),
            block_on_overflow: false,
            on_overflow: None,
            wait_for_result: false,
            storage: None,
            batch: None,
        }
    }
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueBatch {
    /// How long a batch may wait for more.
    pub flush_timeout: Duration,
    /// The size from which a batch is sent at once.
    pub min_size: usize,
    /// The size that no batch passes; 0 sets no limit.
    pub max_size: usize,
    /// What the sizes count; items unless told.
    pub sizer: Option<Sizer>,
    /// Collects batches apart by these client metadata keys.
    pub partition: QueuePartition,
}

impl Default for QueueBatch {
    fn default() -> Self {
        Self {
            flush_timeout: Duration::from_millis(200),
            min_size: 8192,
            max_size: 0,
            sizer: None,
            partition: QueuePartition::default(),
        }
    }
}

/// `sending_queue.batch.partition`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueuePartition {
    /// Keys of the client's metadata.
    pub metadata_keys: Vec<String>,
}

/// `retry_on_failure`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Whether a failed attempt is repeated.
    pub enabled: Option<bool>,
    /// The wait after the first failure.
    pub initial_interval: Duration,
    /// The share by which each wait is varied at random, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub randomization_factor: f64,
    /// What each wait is multiplied by.
    #[schemars(range(min = 1.0))]
    pub multiplier: f64,
    /// The longest wait.
    pub max_interval: Duration,
    /// How long a batch is tried; `0s` is for ever.
    pub max_elapsed_time: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: None,
            initial_interval: Duration::from_millis(Pace::USUAL.initial_ms),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_millis(Pace::USUAL.longest_ms),
            max_elapsed_time: Duration::from_millis(Pace::USUAL.total_ms),
        }
    }
}

impl Retry {
    /// What holds where nothing is written and an exporter has a pace of its own.
    #[must_use]
    pub fn at(pace: Pace) -> Self {
        Self {
            initial_interval: Duration::from_millis(pace.initial_ms),
            max_interval: Duration::from_millis(pace.longest_ms),
            max_elapsed_time: Duration::from_millis(pace.total_ms),
            ..Self::default()
        }
    }
}
