//! Hand-overs between workers: lock-free, and bounded by the bytes reserved at the door.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crossbeam_queue::SegQueue;
use tidegate_pdata::Batch;
use tokio::sync::Notify;

use super::Place;

/// What is handed to one worker.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: SegQueue<(Place, Batch)>,
    wake: Notify,
}

impl Inbox {
    /// Hands a batch over; never waits.
    pub(crate) fn push(&self, place: Place, batch: Batch) {
        self.queue.push((place, batch));
        self.wake.notify_one();
    }

    /// The next batch, for the worker that owns the inbox.
    pub(crate) fn pop(&self) -> Option<(Place, Batch)> {
        self.queue.pop()
    }

    /// Wakes the worker though there is nothing, so that it sees that the graph is closed.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for a push or a wake since the last wait.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// How many hand-overs are on their way or being worked on.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    idle: Notify,
}

impl InFlight {
    pub(crate) fn begin(&self) {
        self.count.fetch_add(1, SeqCst);
    }

    pub(crate) fn end(&self) {
        if self.count.fetch_sub(1, SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.count.load(SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}
