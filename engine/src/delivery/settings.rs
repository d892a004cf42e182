//! The keys of a delivery, checked and completed with what holds where they are not written.

use std::collections::HashSet;
use std::time::Duration;

use tidegate_component::BuildError;
use tidegate_component::delivery::{
    Delivery as Keys, DeliveryDefaults, OnOverflow, Pace, QueueBatch, Retry, SendingQueue, Sizer,
};

use super::backoff::Backoff;

/// Deliveries at a time where there is no queue to hold back the others.
const UNQUEUED_CONSUMERS: usize = 256;

/// What a full queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// The door waits.
    Wait,
    /// The door is shut.
    Refuse,
    /// What comes is dropped.
    DropNew,
    /// What has waited longest is dropped.
    DropOldest,
}

/// How an exporter is delivered to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Time for one attempt.
    pub(super) timeout: Option<Duration>,
    /// Deliveries at a time.
    pub(super) consumers: usize,
    /// How much the queue holds, counted by `sizer`.
    pub(super) capacity: usize,
    pub(super) sizer: Sizer,
    pub(super) overflow: Overflow,
    /// Whether receipts are settled by the delivery; else the queue takes over on entry.
    pub(super) carries: bool,
    /// Whether the configuration asks for that.
    pub(super) binds: bool,
    pub(super) retry: Option<Backoff>,
    /// Whether retries are asked for, so that they are made though a batch could go elsewhere.
    pub(super) insists: bool,
    pub(super) batch: Option<Batching>,
    /// Whether no batch overtakes another.
    pub(super) ordered: bool,
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batching {
    /// The longest that a batch waits for more.
    pub(super) flush: Duration,
    /// The size from which a batch is sent at once.
    pub(super) min: usize,
    /// The size that no batch passes.
    pub(super) max: Option<usize>,
    /// What the sizes count: items or bytes.
    pub(super) sizer: Sizer,
    /// Client metadata by which batches are kept apart, in lower case.
    pub(super) keys: Box<[String]>,
}

impl Settings {
    /// Checks the keys; `alone` tells that some pipeline has no other end.
    pub(super) fn new(
        keys: &Keys,
        defaults: DeliveryDefaults,
        alone: bool,
    ) -> Result<Self, Vec<BuildError>> {
        let mut errors = Vec::new();
        let written = keys.sending_queue.clone();
        let enabled = written
            .as_ref()
            .and_then(|queue| queue.enabled)
            .unwrap_or(defaults.queue || written.is_some());
        let queue = written.unwrap_or_default();
        let insists = keys.retry_on_failure.is_some();
        let retry = retry(
            keys.retry_on_failure.clone(),
            (defaults.retry, defaults.pace),
            &mut errors,
        );
        let mut settings = Self {
            timeout: keys.attempt_timeout(defaults),
            consumers: UNQUEUED_CONSUMERS,
            capacity: usize::MAX,
            sizer: Sizer::Requests,
            overflow: Overflow::Refuse,
            carries: true,
            binds: false,
            retry,
            insists,
            batch: None,
            ordered: defaults.ordered,
        };
        if enabled {
            settings.queue(&queue, alone, &mut errors);
        }
        if settings.ordered {
            settings.consumers = 1;
        }
        if errors.is_empty() {
            Ok(settings)
        } else {
            Err(errors)
        }
    }

    fn queue(&mut self, queue: &SendingQueue, alone: bool, errors: &mut Vec<BuildError>) {
        let mut positive = |key: &str, value: usize| {
            if value == 0 {
                let path = format!("sending_queue::{key}");
                errors.push(BuildError::at(path, "must be at least 1"));
            }
        };
        positive("num_consumers", queue.num_consumers);
        // A storage has a bound of its own, in what matters to a disk.
        let unset = match queue.storage {
            Some(_) => usize::MAX,
            None => SendingQueue::SIZE,
        };
        let size = queue.queue_size.unwrap_or(unset);
        positive("queue_size", size);
        self.consumers = queue.num_consumers;
        self.capacity = size;
        self.sizer = queue.sizer;
        self.carries = queue.wait_for_result;
        self.binds = queue.wait_for_result;
        self.overflow = match (queue.block_on_overflow, queue.on_overflow) {
            (true, _) => Overflow::Wait,
            (false, Some(OnOverflow::Refuse)) => Overflow::Refuse,
            (false, Some(OnOverflow::DropNew)) => Overflow::DropNew,
            (false, Some(OnOverflow::DropOldest)) => Overflow::DropOldest,
            (false, None) if alone || queue.storage.is_some() => Overflow::Refuse,
            (false, None) => Overflow::DropNew,
        };
        self.batch = queue
            .batch
            .as_ref()
            .map(|batch| batching(batch, (queue.sizer, size), errors));
        if let (Some(_), Some(retry)) = (&queue.storage, &mut self.retry) {
            // What is on disk is kept until the storage's own bounds, however long the peer is away.
            retry.total = None;
        }
    }
}

fn retry(
    written: Option<Retry>,
    (default, pace): (bool, Pace),
    errors: &mut Vec<BuildError>,
) -> Option<Backoff> {
    let enabled = written
        .as_ref()
        .and_then(|retry| retry.enabled)
        .unwrap_or(default || written.is_some());
    let retry = written.unwrap_or_else(|| Retry::at(pace));
    if !enabled {
        return None;
    }
    let mut check = |key: &str, holds: bool, message: &str| {
        if !holds {
            let path = format!("retry_on_failure::{key}");
            errors.push(BuildError::at(path, message));
        }
    };
    check(
        "randomization_factor",
        (0.0..=1.0).contains(&retry.randomization_factor),
        "must lie between 0 and 1",
    );
    check(
        "multiplier",
        retry.multiplier > 0.0 && retry.multiplier.is_finite(),
        "must be above 0",
    );
    let total = Duration::from(retry.max_elapsed_time);
    let (initial, longest) = (
        Duration::from(retry.initial_interval),
        Duration::from(retry.max_interval),
    );
    if !total.is_zero() {
        check(
            "max_elapsed_time",
            total >= initial,
            "must not be less than initial_interval",
        );
        check(
            "max_elapsed_time",
            total >= longest,
            "must not be less than max_interval",
        );
    }
    Some(Backoff {
        initial,
        randomization: retry.randomization_factor,
        multiplier: retry.multiplier,
        longest,
        total: (!total.is_zero()).then_some(total),
    })
}

fn batching(
    batch: &QueueBatch,
    (sizer_of_queue, queue_size): (Sizer, usize),
    errors: &mut Vec<BuildError>,
) -> Batching {
    let mut check = |key: &str, holds: bool, message: &str| {
        if !holds {
            let path = format!("sending_queue::batch::{key}");
            errors.push(BuildError::at(path, message));
        }
    };
    let flush = Duration::from(batch.flush_timeout);
    let sizer = batch.sizer.unwrap_or(match sizer_of_queue {
        Sizer::Requests => Sizer::Items,
        same => same,
    });
    check("flush_timeout", !flush.is_zero(), "must be above 0");
    check("sizer", sizer != Sizer::Requests, "must be items or bytes");
    check(
        "max_size",
        batch.max_size == 0 || batch.max_size >= batch.min_size,
        "must not be less than min_size",
    );
    check(
        "min_size",
        sizer != sizer_of_queue || batch.min_size <= queue_size,
        "must not be more than queue_size: the queue could never hold that much",
    );
    let keys: Box<[String]> = batch
        .partition
        .metadata_keys
        .iter()
        .map(|key| key.to_ascii_lowercase())
        .collect();
    let distinct: HashSet<&String> = keys.iter().collect();
    check(
        "partition::metadata_keys",
        distinct.len() == keys.len(),
        "names a key twice; case does not matter",
    );
    Batching {
        flush,
        min: batch.min_size,
        max: (batch.max_size > 0).then_some(batch.max_size),
        sizer,
        keys,
    }
}
