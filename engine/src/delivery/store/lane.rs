//! How batches pass from a lane to its log, and back.

use std::sync::Arc;

use tidegate_journal::{Position, Refused};
use tokio::time::Instant;

use super::{Rest, Store};
use crate::delivery::attempt::chain;
use crate::delivery::books::Why;
use crate::delivery::job::Job;
use crate::delivery::lane::Lane;
use crate::delivery::waiting::For;

impl Lane {
    /// Writes a batch down before it is delivered.
    pub(in crate::delivery) fn store_first(&self, store: &Arc<Store>, job: Job) {
        let Some(lane) = self.itself() else {
            return;
        };
        let near = self.near();
        store.append(job, move |job, told| lane.stored(job, told, near));
    }

    /// What follows when a batch is on disk, or could not be put there.
    fn stored(&self, mut job: Job, told: Result<Position, Refused>, near: usize) {
        let Some(store) = &self.entrance.store else {
            return;
        };
        let position = match told {
            Ok(position) => position,
            Err(refused) => {
                let error = chain(&refused);
                if !matches!(refused, Refused::Full(_)) {
                    tracing::debug!(exporter = %self.name, error, "a batch was not written");
                }
                job.dropped(why(&refused), &error, &self.health);
                return;
            }
        };
        if !self.entrance.settings.carries {
            job.settle(&self.entrance.stored());
        }
        if let Some(job) = store.keep(job, position, self.breaker.is_closed()) {
            self.ready(job, near);
        }
    }

    /// Lets a batch go that would have to wait in memory; gives it back where it may.
    pub(in crate::delivery) fn set_aside(
        &self,
        job: Job,
        due: Instant,
        reason: For,
    ) -> Option<Job> {
        let Some(store) = &self.entrance.store else {
            return Some(job);
        };
        if job.is_awaited() || !self.is_draining() && !store.is_crowded() {
            return Some(job);
        }
        // A record that waits for the breaker goes on as soon as the peer is back.
        let failures = job.failures;
        let rest = (reason == For::Backoff).then_some(Rest { due, failures });
        job.leave(rest);
        None
    }
}

/// What it means for the books that the log did not take a batch.
const fn why(refused: &Refused) -> Why {
    match refused {
        Refused::Full(_) => Why::QueueFull,
        Refused::TooLarge(_) => Why::Permanent,
        Refused::Gone | Refused::Failed(_) | Refused::Closed => Why::Storage,
    }
}
