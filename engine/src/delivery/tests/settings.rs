//! The keys: their defaults, and what is refused.

use tidegate_component::delivery::{OnOverflow, QueueBatch, QueuePartition, Retry, Sizer};
use tidegate_document::Duration;

use super::*;
use crate::delivery::settings::{Overflow, Settings};

fn read(keys: &Keys) -> Settings {
    Settings::new(keys, DeliveryDefaults::GRPC, true).unwrap()
}

/// The paths and messages of what is wrong.
fn faults(keys: &Keys) -> Vec<String> {
    let errors = Settings::new(keys, DeliveryDefaults::GRPC, true).unwrap_err();
    let line = |error: &tidegate_component::BuildError| format!("{}: {error}", error.path);
    errors.iter().map(line).collect()
}

fn retry(change: impl FnOnce(&mut Retry)) -> Keys {
    let mut retry = Retry::default();
    change(&mut retry);
    Keys {
        retry_on_failure: Some(retry),
        ..Keys::default()
    }
}

fn batch(change: impl FnOnce(&mut QueueBatch)) -> Keys {
    let mut batch = QueueBatch::default();
    change(&mut batch);
    queue(|queue| queue.batch = Some(batch))
}

#[test]
fn defaults_are_the_collectors() {
    let settings = read(&keys());
    assert_eq!(settings.timeout, Some(secs(5)));
    assert_eq!((settings.consumers, settings.capacity), (10, 1000));
    assert_eq!((settings.sizer, settings.carries), (Sizer::Requests, false));
    let retry = settings.retry.unwrap();
    assert_eq!((retry.initial, retry.longest), (secs(5), secs(30)));
    assert_eq!(retry.total, Some(secs(300)));
    assert_eq!((retry.multiplier, retry.randomization), (1.5, 0.5));
    assert_eq!(settings.batch, None);
    let batch = read(&batch(|_| ())).batch.unwrap();
    assert_eq!(
        (batch.min, batch.max, batch.sizer),
        (8192, None, Sizer::Items)
    );
    assert_eq!(batch.flush.as_millis(), 200);
}

#[test]
fn section_that_is_written_is_on_where_the_exporter_has_none() {
    let defaults = DeliveryDefaults {
        timeout_ms: 0,
        queue: false,
        retry: false,
        ..DeliveryDefaults::UNTIMED
    };
    let bare = Settings::new(&keys(), defaults, true).unwrap();
    assert_eq!((bare.timeout, bare.retry, bare.carries), (None, None, true));
    let written = Keys {
        sending_queue: Some(SendingQueue::default()),
        ..retry(|_| ())
    };
    let settings = Settings::new(&written, defaults, true).unwrap();
    assert!(settings.retry.is_some() && !settings.carries);
}

#[test]
fn overflow_follows_the_place_in_the_pipeline_unless_it_is_written() {
    let overflow = |keys: &Keys, alone| {
        let settings = Settings::new(keys, DeliveryDefaults::GRPC, alone);
        settings.unwrap().overflow
    };
    assert_eq!(overflow(&keys(), true), Overflow::Refuse);
    assert_eq!(overflow(&keys(), false), Overflow::DropNew);
    let refuse = queue(|queue| queue.on_overflow = Some(OnOverflow::Refuse));
    assert_eq!(overflow(&refuse, false), Overflow::Refuse);
    let oldest = queue(|queue| queue.on_overflow = Some(OnOverflow::DropOldest));
    assert_eq!(overflow(&oldest, true), Overflow::DropOldest);
    let block = queue(|queue| queue.block_on_overflow = true);
    assert_eq!(overflow(&block, false), Overflow::Wait);
}

#[test]
fn batch_is_sized_as_the_queue_is_unless_it_is_written() {
    let sized = |sizer| {
        let mut keys = batch(|_| ());
        let queue = keys.sending_queue.as_mut().unwrap();
        (queue.sizer, queue.queue_size) = (sizer, Some(10_000));
        read(&keys).batch.unwrap().sizer
    };
    assert_eq!(sized(Sizer::Bytes), Sizer::Bytes);
    assert_eq!(sized(Sizer::Requests), Sizer::Items);
}

#[test]
fn every_fault_is_told_with_its_key() {
    let queue = queue(|queue| {
        queue.num_consumers = 0;
        queue.queue_size = Some(0);
    });
    assert_eq!(
        faults(&queue),
        [
            "sending_queue::num_consumers: must be at least 1",
            "sending_queue::queue_size: must be at least 1",
        ]
    );
    let retry = retry(|retry| {
        retry.randomization_factor = 1.5;
        retry.multiplier = 0.0;
        retry.max_elapsed_time = Duration::from_secs(1);
    });
    assert_eq!(
        faults(&retry),
        [
            "retry_on_failure::randomization_factor: must lie between 0 and 1",
            "retry_on_failure::multiplier: must be above 0",
            "retry_on_failure::max_elapsed_time: must not be less than initial_interval",
            "retry_on_failure::max_elapsed_time: must not be less than max_interval",
        ]
    );
}

#[test]
fn batch_that_cannot_be_is_refused() {
    let path = "sending_queue::batch";
    let flush = batch(|batch| batch.flush_timeout = Duration::from_secs(0));
    assert_eq!(
        faults(&flush),
        [format!("{path}::flush_timeout: must be above 0")]
    );
    let sizer = batch(|batch| batch.sizer = Some(Sizer::Requests));
    assert_eq!(
        faults(&sizer)[0],
        format!("{path}::sizer: must be items or bytes")
    );
    let max = batch(|batch| batch.max_size = 100);
    assert_eq!(
        faults(&max),
        [format!("{path}::max_size: must not be less than min_size")]
    );
    let mut min = batch(|batch| batch.min_size = 2000);
    min.sending_queue.as_mut().unwrap().sizer = Sizer::Items;
    assert!(faults(&min)[0].starts_with(&format!("{path}::min_size: must not be more")));
    let twice = batch(|batch| {
        batch.partition = QueuePartition {
            metadata_keys: vec!["Tenant".to_owned(), "tenant".to_owned()],
        };
    });
    assert!(faults(&twice)[0].starts_with(&format!("{path}::partition::metadata_keys: names")));
}
