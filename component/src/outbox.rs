//! Where a processor or a connector puts what it is done with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;
use tidegate_pdata::{Batch, Outcome, Refusal};

use crate::metrics::Counter;

/// A reason for which items leave the way: one line of the ledger.
///
/// Made once by [`crate::BuildContext::reason`], counted on the hot path.
#[derive(Clone, Debug)]
pub struct Reason {
    name: &'static str,
    items: Counter,
    loss: bool,
}

impl Reason {
    /// A decision to drop items, counted here.
    #[must_use]
    pub const fn new(name: &'static str, items: Counter) -> Self {
        Self {
            name,
            items,
            loss: false,
        }
    }

    /// A way to lose items that nobody wanted dropped, counted here.
    #[must_use]
    pub const fn loss(name: &'static str, items: Counter) -> Self {
        Self {
            name,
            items,
            loss: true,
        }
    }

    /// Whether items are lost for it, rather than dropped by a decision.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        self.loss
    }

    /// Its name in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Counts items.
    pub fn add(&self, items: usize) {
        self.items.add(items as u64);
    }

    /// Items counted so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.items.value()
    }
}

/// The reasons of one component, each once.
#[derive(Clone, Debug, Default)]
pub struct Reasons(Arc<Mutex<Vec<Reason>>>);

impl Reasons {
    /// Adds a reason, unless it is known: instances share their counters.
    pub fn add(&self, reason: &Reason) {
        let mut reasons = self.lock();
        let known = |known: &Reason| (known.name, known.loss) == (reason.name, reason.loss);
        if !reasons.iter().any(known) {
            reasons.push(reason.clone());
        }
    }

    /// Names and counts.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let counted = |reason: &Reason| (reason.name, reason.value());
        self.lock().iter().map(counted).collect()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Reason> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reason>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what a processor emits and accounts for what it does not.
#[derive(Debug, Default)]
pub struct Outbox {
    batches: SmallVec<[Batch; 2]>,
    created: usize,
    dropped: usize,
}

impl Outbox {
    /// Passes a batch on; one without a record is settled as delivered and goes no further.
    pub fn push(&mut self, batch: Batch) {
        if batch.payload().is_empty() {
            batch.into_parts().2.settle(&Outcome::Delivered);
        } else {
            self.batches.push(batch);
        }
    }

    /// Turns a batch away that may come again later.
    pub fn refuse(&mut self, batch: Batch, reason: &Reason, refusal: Refusal) {
        self.end(batch, reason, &Outcome::Refused(refusal));
    }

    /// Turns a batch away for good.
    pub fn reject(&mut self, batch: Batch, reason: &Reason, message: Arc<str>) {
        self.end(batch, reason, &Outcome::Rejected(message));
    }

    /// Drops a whole batch by a decision, which the sender need not know.
    pub fn discard(&mut self, batch: Batch, reason: &Reason) {
        self.end(batch, reason, &Outcome::Delivered);
    }

    /// Tells that single items were taken out of what is passed on.
    pub fn dropped(&mut self, reason: &Reason, items: usize) {
        reason.add(items);
        self.dropped += items;
    }

    /// Tells that items come out that did not come in.
    pub const fn created(&mut self, items: usize) {
        self.created += items;
    }

    /// Takes the batches out, in order.
    pub fn take(&mut self) -> SmallVec<[Batch; 2]> {
        std::mem::take(&mut self.batches)
    }

    /// Takes the counts of created and dropped items since the last call.
    pub const fn take_counts(&mut self) -> (usize, usize) {
        let counts = (self.created, self.dropped);
        self.created = 0;
        self.dropped = 0;
        counts
    }

    fn end(&mut self, batch: Batch, reason: &Reason, outcome: &Outcome) {
        self.dropped(reason, batch.items());
        batch.into_parts().2.settle(outcome);
    }
}
