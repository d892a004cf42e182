//! Where batches come in: what a full queue does, and who takes over when.

use std::sync::Arc;

use tidegate_component::Promise;
use tidegate_pdata::{Batch, Outcome, Refusal};

use super::books::{Books, Why};
use super::collect::Collector;
use super::health::Health;
use super::job::{Job, QUEUE_FULL, outcome};
use super::letters::Letters;
use super::settings::{Overflow, Settings};
use super::store::Store;
use crate::sink::Room;

/// What lies behind an entrance.
pub(super) trait Next: Send + Sync {
    /// Takes a batch.
    fn submit(&self, job: Job);
    /// Gives the oldest batch back that is not being delivered.
    fn withdraw(&self) -> Option<Job>;
    /// Who tells of what is lost.
    fn health(&self) -> &Health;
    /// Whether a batch is tried as soon as its turn comes, so that one with a recourse may wait
    /// for the result.
    fn tries_soon(&self) -> bool;
}

/// The entrance for one signal's batches.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) settings: Settings,
    pub(super) books: Arc<Books>,
    pub(super) collector: Option<Collector>,
    /// What keeps the queue on disk.
    pub(super) store: Option<Arc<Store>>,
    /// Who takes what is given up.
    pub(super) letters: Option<Letters>,
}

impl Entrance {
    pub(super) fn new(
        settings: Settings,
        books: Arc<Books>,
        store: Option<Arc<Store>>,
        letters: Option<Letters>,
    ) -> Self {
        Self {
            collector: settings.batch.clone().map(|batch| {
                // Senders wait for a disk, not for somebody's interval.
                Collector::new(batch, store.is_some())
            }),
            settings,
            books,
            store,
            letters,
        }
    }

    /// Takes a batch, whatever the queue holds.
    pub(super) fn put(&self, mut batch: Batch, next: &impl Next) {
        if batch.payload().is_empty() {
            batch.into_parts().2.settle(&Outcome::Delivered);
            return;
        }
        let recourse = batch.receipt().has_recourse();
        match self.settings.overflow {
            // No door is shut before an end to which there are others.
            _ if recourse => {
                if self.books.overflows(batch.payload()) || self.is_stuck(next.health()) {
                    self.turn_away(batch, next.health());
                    return;
                }
            }
            Overflow::Refuse | Overflow::Wait => {}
            Overflow::DropNew => {
                if self.books.overflows(batch.payload()) {
                    self.turn_away(batch, next.health());
                    return;
                }
            }
            Overflow::DropOldest => self.make_room(&batch, next),
        }
        let mut charge = self.books.charge(batch.payload());
        let recourse = recourse && self.store.is_none();
        // A record on disk answers for it, but not before it is written.
        let answers = self.settings.carries || self.store.is_some();
        if !(answers || recourse && next.tries_soon()) {
            batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
        } else if recourse {
            charge.goes_elsewhere();
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
            Overflow::Refuse | Overflow::Wait if !self.is_full() => Room::Free,
            Overflow::Refuse => Room::Refused(refusal()),
            Overflow::Wait => Room::Later,
        }
    }

    /// What the queue holds and may hold, where it refuses and is in memory: whose data fills a
    /// disk, the budget cannot tell.
    pub(super) fn fill(&self) -> Option<(usize, usize)> {
        let refuses = self.settings.overflow == Overflow::Refuse && self.store.is_none();
        refuses.then(|| (self.books.size(), self.books.capacity()))
    }

    /// What a kept outcome is worth.
    pub(super) fn promise(&self) -> Promise {
        match &self.store {
            _ if self.settings.carries => Promise::Delivered,
            Some(store) => store.promise(),
            None => Promise::Memory,
        }
    }

    /// Whether the configuration asks for more than memory.
    pub(super) fn binds(&self) -> bool {
        self.promise() > Promise::Memory && (self.settings.binds || self.store.is_some())
    }

    /// What a sender is told whose data is on disk.
    pub(super) fn stored(&self) -> Outcome {
        stored(self.promise())
    }

    /// Whether the oldest give way to what is new.
    pub(super) fn drops_oldest(&self) -> bool {
        self.settings.overflow == Overflow::DropOldest
    }

    fn is_full(&self) -> bool {
        self.books.is_full() || self.store.as_ref().is_some_and(|store| !store.has_room())
    }

    /// The same for batches that go elsewhere where they are not kept.
    pub(super) fn promise_with_recourse(&self) -> Promise {
        match &self.store {
            Some(_) => self.promise(),
            None => Promise::Delivered,
        }
    }

    /// Drops the oldest batches until one more fits, or none is left that is not being delivered.
    fn make_room(&self, batch: &Batch, next: &impl Next) {
        while self.books.overflows(batch.payload()) {
            let Some(oldest) = next.withdraw() else {
                // What is on disk alone is dropped by its reader.
                if let Some(store) = &self.store {
                    store.call();
                }
                return;
            };
            oldest.dropped(Why::QueueFull, QUEUE_FULL, next.health());
        }
    }

    /// Whether a queue that answers before the delivery holds what cannot be delivered now.
    fn is_stuck(&self, health: &Health) -> bool {
        self.store.is_some() && self.books.held() > 0 && health.error().is_some()
    }

    fn turn_away(&self, batch: Batch, health: &Health) {
        let (payload, _, receipt) = batch.into_parts();
        if receipt.has_recourse() {
            self.books.turn_away(&payload, Why::HandedBack, true);
            receipt.settle(&outcome(Why::QueueFull, QUEUE_FULL));
            return;
        }
        health.lost(Why::QueueFull, payload.items(), QUEUE_FULL);
        let told = self.settings.carries && !receipt.is_none();
        self.books.turn_away(&payload, Why::QueueFull, told);
        receipt.settle(&if self.settings.carries {
            outcome(Why::QueueFull, QUEUE_FULL)
        } else {
            // The loss is this exporter's alone; a refusal would make the sender repeat what
            // the others took.
            Outcome::TakenOver
        });
    }
}

/// What a sender is told whose data is on disk, by what that promises.
pub(super) const fn stored(promise: Promise) -> Outcome {
    match promise {
        Promise::Memory => Outcome::TakenOver,
        Promise::Durable | Promise::Delivered => Outcome::Durable,
    }
}
