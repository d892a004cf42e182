//! Processors change batches on their way.

use tidegate_pdata::Batch;
use tokio::time::Instant;

use crate::{Outbox, Promise};

/// How records are dealt over workers so that each instance of a stateful processor owns its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Wherever they arrived.
    Any,
    /// All spans of a trace to one worker.
    TraceId,
    /// All points of a series to one worker.
    Series,
    /// All data of a tenant (the values of these metadata keys) to one worker.
    Tenant,
}

/// Changes batches. One worker owns each instance: no locks, no waiting.
///
/// A panic is caught at the batch: the instance is built anew and the batch is counted.
pub trait Processor {
    /// How records must be dealt over workers so that each instance owns its share.
    fn partition(&self) -> Partition {
        Partition::Any
    }

    /// What a kept outcome is worth before this processor, where `behind` is what it is worth
    /// behind it: a processor that takes over in memory says so here.
    fn promise(&self, behind: Promise) -> Promise {
        behind
    }

    /// Takes one batch and emits any number into the outbox.
    ///
    /// A batch that is not passed on is given to [`Outbox::refuse`], [`Outbox::reject`] or
    /// [`Outbox::discard`]; single records that were taken out are told to [`Outbox::dropped`].
    fn process(&mut self, batch: Batch, out: &mut Outbox);

    /// When `flush` must next run, if this processor holds data.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Emits what is due; at shutdown `now` lies past every deadline.
    fn flush(&mut self, _now: Instant, _out: &mut Outbox) {}

    /// Items and bytes held between calls, for the ledger.
    fn held(&self) -> (usize, usize) {
        (0, 0)
    }
}
