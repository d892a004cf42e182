//! The clock of a worker: runs `flush` where it is due, and sleeps while nothing is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire};
use std::task::Wake;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{Graph, local};

/// Tells a worker's clock that something is due earlier than it thinks.
#[derive(Debug, Default)]
pub(crate) struct Timer(Notify);

impl Timer {
    pub(crate) fn wake(&self) {
        self.0.notify_one();
    }

    /// Keeps the time of one worker's part of a graph until the graph is closed.
    pub(crate) async fn keep(graph: Arc<Graph>, worker: usize) {
        let wake = &graph.timers[worker].0;
        while !graph.closed.load(Acquire) {
            let due = local(graph.id).and_then(|local| local.arm());
            let Some(due) = due else {
                wake.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = sleep_until(due) => {
                    if let Some(local) = local(graph.id) {
                        local.flush_due(Instant::now());
                    }
                }
                () = wake.notified() => {}
            }
        }
    }
}

/// Has one instance flushed soon by the clock of the worker that owns it.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: AtomicBool,
    timer: Arc<Timer>,
}

impl Bell {
    pub(crate) fn new(timer: Arc<Timer>) -> Self {
        Self {
            rung: AtomicBool::new(false),
            timer,
        }
    }

    /// Whether it has been rung since it was answered.
    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Acquire)
    }

    /// Answers it, and says whether it had been rung.
    pub(super) fn answer(&self) -> bool {
        self.is_rung() && self.rung.swap(false, AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, AcqRel) {
            self.timer.wake();
        }
    }
}
