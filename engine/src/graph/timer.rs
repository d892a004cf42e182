//! The clock of a worker: runs `flush` where it is due, and sleeps while nothing is.

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;

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
