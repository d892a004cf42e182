//! Dealing records over workers, so that each instance of a stateful node owns its share.

use smallvec::SmallVec;
use tidegate_component::Partition;
use tidegate_pdata::{Batch, Outcome, Payload};

/// Deals a batch over the workers and gives each its share, which answers for itself.
pub(super) fn deal(
    partition: Partition,
    batch: Batch,
    workers: usize,
    mut give: impl FnMut(usize, Batch),
) {
    let Some(shares) = shares(partition, batch.payload(), workers) else {
        return give(0, batch);
    };
    let (_, context, receipt) = batch.into_parts();
    let mut shares: SmallVec<[(usize, Payload); 8]> = shares
        .into_iter()
        .enumerate()
        .filter(|(_, payload)| !payload.is_empty())
        .collect();
    let Some((last, payload)) = shares.pop() else {
        return receipt.settle(&Outcome::Delivered);
    };
    for (worker, payload) in shares {
        give(worker, Batch::new(payload, context.clone(), receipt.fork()));
    }
    give(last, Batch::new(payload, context, receipt));
}

/// The share of each worker; none where one worker owns everything, as it does while nothing
/// deals the records of a partition finer than that.
fn shares(partition: Partition, payload: &Payload, workers: usize) -> Option<Vec<Payload>> {
    let _ = (partition, payload, workers);
    None
}
