//! Dealing records over workers, so that each instance of a stateful node owns its share.

use std::num::NonZeroUsize;

use smallvec::SmallVec;
use tidegate_component::Partition;
use tidegate_pdata::{Batch, Outcome, Payload};
use xxhash_rust::xxh3::xxh3_64;

/// Deals a batch over the workers and gives each its share, which answers for itself.
pub(super) fn deal(
    partition: Partition,
    batch: Batch,
    workers: usize,
    mut give: impl FnMut(usize, Batch),
) {
    let (payload, context, receipt) = batch.into_parts();
    let mut shares = shares(partition, payload, workers);
    let Some((last, payload)) = shares.pop() else {
        return receipt.settle(&Outcome::Delivered);
    };
    for (worker, payload) in shares {
        give(worker, Batch::new(payload, context.clone(), receipt.fork()));
    }
    give(last, Batch::new(payload, context, receipt));
}

/// The share of each worker that has one.
///
/// Traces are dealt by their IDs, data points by their series. Nothing deals tenants yet: one worker
/// owns them all.
fn shares(
    partition: Partition,
    payload: Payload,
    workers: usize,
) -> SmallVec<[(usize, Payload); 8]> {
    let shares = match (partition, NonZeroUsize::new(workers)) {
        (Partition::TraceId, Some(workers)) => payload.partition_by_trace(workers, xxh3_64),
        (Partition::Series, Some(workers)) => payload.partition_by_series(workers, xxh3_64),
        _ => return SmallVec::from_iter([(0, payload)]),
    };
    let shares = shares.into_iter().enumerate();
    shares.filter(|(_, share)| !share.is_empty()).collect()
}
