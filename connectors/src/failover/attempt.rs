//! A batch that was passed to a level, and the way back for one that the level did not keep.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};
use std::task::Waker;

use crossbeam_queue::SegQueue;
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Recourse};
use tokio::time::Instant;

use super::levels::Levels;

/// A batch while levels are tried with it: its bytes are shared with what was passed on.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) payload: Payload,
    pub(super) context: Context,
    /// What is owed to the sender.
    pub(super) receipt: Receipt,
    /// The levels that did not keep it, a bit each.
    pub(super) tried: u64,
    /// Whether one of them may keep it later.
    pub(super) refused: bool,
    /// The first level that will never take it as it is.
    pub(super) rejected_by: Option<usize>,
    /// When all levels had failed for the first time.
    pub(super) since: Option<Instant>,
}

impl Held {
    pub(super) fn new(batch: Batch) -> Self {
        let (payload, context, receipt) = batch.into_parts();
        Self {
            payload,
            context,
            receipt,
            tried: 0,
            refused: false,
            rejected_by: None,
            since: None,
        }
    }

    /// The level to try behind this one: the next lower, then the higher ones from the top.
    pub(super) fn next(&self, level: usize, count: usize) -> Option<usize> {
        let untried = |level: &usize| self.tried & (1 << level) == 0;
        (level + 1..count).chain(0..level).find(untried)
    }

    /// Forgets the levels that were tried.
    pub(super) const fn begin_anew(&mut self) {
        self.tried = 0;
        self.refused = false;
        self.rejected_by = None;
    }
}

/// A batch that a level did not keep.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) held: Held,
    pub(super) level: usize,
    /// Whether the level will never take it as it is.
    pub(super) rejected: bool,
}

/// Where batches come back to: one worker's instance.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) levels: Arc<Levels>,
    pub(super) returned: SegQueue<Returned>,
    /// Batches passed on that have neither been kept nor taken back.
    pub(super) open: AtomicUsize,
    /// Whether batches wait here for a level to work.
    pub(super) crowded: AtomicBool,
    /// Whether a level has kept something while batches waited.
    pub(super) relief: AtomicBool,
    pub(super) waker: Waker,
}

impl Home {
    pub(super) fn new(levels: Arc<Levels>, waker: Waker) -> Self {
        Self {
            levels,
            returned: SegQueue::new(),
            open: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
            relief: AtomicBool::new(false),
            waker,
        }
    }

    /// Takes back what came last.
    pub(super) fn take_back(&self) -> Option<Returned> {
        let returned = self.returned.pop();
        if returned.is_some() {
            self.open.fetch_sub(1, AcqRel);
        }
        returned
    }
}

/// What hears how a level deals with a batch.
#[derive(Debug)]
pub(super) struct Attempt {
    held: Held,
    level: usize,
    /// Whether the level was tried though it lay above the one in use.
    deliberate: bool,
    home: Arc<Home>,
}

impl Attempt {
    /// The receipt with which a batch goes to a level.
    pub(super) fn receipt(held: Held, level: usize, home: &Arc<Home>) -> Receipt {
        home.open.fetch_add(1, AcqRel);
        Receipt::with_recourse(Box::new(Self {
            deliberate: level < home.levels.current(),
            held,
            level,
            home: Arc::clone(home),
        }))
    }
}

impl Recourse for Attempt {
    fn settled(self: Box<Self>, outcome: Outcome) {
        let Self {
            held,
            level,
            deliberate,
            home,
        } = *self;
        if outcome.is_kept() {
            home.levels.well(level, deliberate);
            held.receipt.settle(&outcome);
            home.open.fetch_sub(1, AcqRel);
            if home.crowded.load(Acquire) && !home.relief.swap(true, AcqRel) {
                home.waker.wake_by_ref();
            }
            return;
        }
        home.returned.push(Returned {
            held,
            level,
            rejected: matches!(outcome, Outcome::Rejected(_)),
        });
        home.waker.wake_by_ref();
    }

    fn is_expired(&self) -> bool {
        self.held.receipt.is_expired()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let left = self.open.load(Relaxed);
        if left > 0 {
            tracing::debug!(left, "batches came back to a connector that was gone");
        }
    }
}
