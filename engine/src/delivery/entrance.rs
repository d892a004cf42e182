//! Where batches come in: what a full queue does, and who takes over when.

use std::sync::Arc;

use tidegate_component::Promise;
use tidegate_pdata::{Batch, Outcome, Refusal};

use super::books::{Books, Why};
use super::collect::Collector;
use super::health::Health;
use super::job::{Job, QUEUE_FULL, outcome};
use super::settings::{Overflow, Settings};
use crate::sink::Room;

/// What lies behind an entrance.
pub(super) trait Next: Send + Sync {
    /// Takes a batch.
    fn submit(&self, job: Job);
    /// Gives the oldest batch back that is not being delivered.
    fn withdraw(&self) -> Option<Job>;
    /// Who tells of what is lost.
    fn health(&self) -> &Health;
}

/// The entrance for one signal's batches.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) settings: Settings,
    pub(super) books: Arc<Books>,
    pub(super) collector: Option<Collector>,
}

impl Entrance {
    pub(super) fn new(settings: Settings, books: Arc<Books>) -> Self {
        Self {
            collector: settings.batch.clone().map(Collector::new),
            settings,
            books,
        }
    }

    /// Takes a batch, whatever the queue holds.
    pub(super) fn put(&self, mut batch: Batch, next: &impl Next) {
        if batch.payload().is_empty() {
            batch.into_parts().2.settle(&Outcome::Delivered);
            return;
        }
        match self.settings.overflow {
            Overflow::Refuse | Overflow::Wait => {}
            Overflow::DropNew => {
                if self.books.overflows(batch.payload()) {
                    self.turn_away(batch, next.health());
                    return;
                }
            }
            Overflow::DropOldest => self.make_room(&batch, next),
        }
        let charge = self.books.charge(batch.payload());
        if !self.settings.carries {
            batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
        }
        let job = Job::new(batch, charge);
        match &self.collector {
            Some(collector) => collector.put(job),
            None => next.submit(job),
        }
    }

    /// Whether the door may let more in.
    pub(super) fn room(&self, refusal: impl FnOnce() -> Refusal) -> Room {
        match self.settings.overflow {
            Overflow::DropNew | Overflow::DropOldest => Room::Free,
            Overflow::Refuse | Overflow::Wait if !self.books.is_full() => Room::Free,
            Overflow::Refuse => Room::Refused(refusal()),
            Overflow::Wait => Room::Later,
        }
    }

    /// What a kept outcome is worth.
    pub(super) const fn promise(&self) -> Promise {
        if self.settings.carries {
            Promise::Delivered
        } else {
            Promise::Memory
        }
    }

    /// Drops the oldest batches until one more fits, or none is left that is not being delivered.
    fn make_room(&self, batch: &Batch, next: &impl Next) {
        while self.books.overflows(batch.payload()) {
            let Some(oldest) = next.withdraw() else {
                return;
            };
            oldest.dropped(Why::QueueFull, QUEUE_FULL, next.health());
        }
    }

    fn turn_away(&self, batch: Batch, health: &Health) {
        let (payload, _, receipt) = batch.into_parts();
        health.lost(Why::QueueFull, payload.items(), QUEUE_FULL);
        self.books
            .turn_away(&payload, self.settings.carries && !receipt.is_none());
        receipt.settle(&if self.settings.carries {
            outcome(Why::QueueFull, QUEUE_FULL)
        } else {
            // The loss is this exporter's alone; a refusal would make the sender repeat what
            // the others took.
            Outcome::TakenOver
        });
    }
}
