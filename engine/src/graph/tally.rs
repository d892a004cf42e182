//! Counts of what passed a point of the graph: a cell per worker, so that counting costs a plain
//! addition; whoever reads adds them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one worker counted. Only that worker writes.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Tally {
    came: AtomicU64,
    created: AtomicU64,
    went: AtomicU64,
    consumed: AtomicU64,
    held: AtomicU64,
    held_bytes: AtomicU64,
}

/// The counts of all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) came: u64,
    pub(crate) created: u64,
    pub(crate) went: u64,
    pub(crate) consumed: u64,
    pub(crate) held: u64,
    pub(crate) held_bytes: u64,
}

// There is one writer, so no other can come between the load and the store.
fn bump(cell: &AtomicU64, by: usize) {
    cell.store(cell.load(Relaxed) + by as u64, Relaxed);
}

impl Tally {
    pub(crate) fn came(&self, items: usize) {
        bump(&self.came, items);
    }

    pub(crate) fn created(&self, items: usize) {
        bump(&self.created, items);
    }

    pub(crate) fn went(&self, items: usize) {
        bump(&self.went, items);
    }

    pub(crate) fn consumed(&self, items: usize) {
        bump(&self.consumed, items);
    }

    pub(crate) fn holds(&self, items: usize, bytes: usize) {
        self.held.store(items as u64, Relaxed);
        self.held_bytes.store(bytes as u64, Relaxed);
    }
}

/// The tallies of every worker at one point.
#[derive(Clone, Debug)]
pub(crate) struct Tallies(Arc<[Tally]>);

impl Tallies {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Tally::default()).collect())
    }

    /// The tally that this worker writes.
    pub(crate) fn of(&self, worker: usize) -> &Tally {
        &self.0[worker]
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut all = Totals::default();
        for tally in &*self.0 {
            all.came += tally.came.load(Relaxed);
            all.created += tally.created.load(Relaxed);
            all.went += tally.went.load(Relaxed);
            all.consumed += tally.consumed.load(Relaxed);
            all.held += tally.held.load(Relaxed);
            all.held_bytes += tally.held_bytes.load(Relaxed);
        }
        all
    }
}
