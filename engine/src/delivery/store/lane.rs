//! How batches pass from a lane to its log, and back.

use std::sync::Arc;

use tidegate_journal::{Position, Refused};
use tokio::time::Instant;

use super::reader::PROBE_EVERY;
use super::{Gate, Outlet, Rest, Share, Store};
use crate::delivery::attempt::chain;
use crate::delivery::books::Why;
use crate::delivery::entrance::Entrance;
use crate::delivery::health::Health;
use crate::delivery::job::Job;
use crate::delivery::lane::Lane;
use crate::delivery::waiting::For;

impl Lane {
    /// Writes a batch down before it is delivered, or while it is: whichever comes first answers its
    /// sender.
    pub(in crate::delivery) fn store_first(&self, store: &Arc<Store>, mut job: Job) {
        let near = self.near();
        let settings = &self.entrance.settings;
        // Who waits for the delivery is answered by nothing else, and what is delivered while it is
        // written could overtake what is being written first.
        let may = !settings.carries && !settings.ordered;
        let goes_on = may && store.takes(job.size(), self.breaker.is_closed());
        let Some(lane) = self.itself() else {
            return;
        };
        if let (true, Some(log)) = (goes_on, store.log()) {
            let refused = move || lane.hand_back_refused();
            store.append_meanwhile(log, &mut job, &self.health, refused);
            self.ready(job, near);
            return;
        }
        store.append(job, move |job, told| lane.stored(job, told, near));
    }

    /// Delivers a batch that is on disk, where it stays in memory as well.
    fn stored(&self, job: Job, told: Result<Position, Refused>, near: usize) {
        if let Some(job) = arrived(self, job, told) {
            self.ready(job, near);
        }
    }

    /// Lets go what waits for another attempt and is not on disk: its senders send it again.
    pub(in crate::delivery) fn hand_back_refused(&self) {
        for job in self.waiting.take_refused() {
            job.leave(None);
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
        if job.is_refused() {
            // Its sender sends it again, and nothing but memory holds it here.
            job.leave(None);
            return None;
        }
        // Where the order counts there is one that waits, and others must not go before it.
        let in_turn = self.entrance.settings.ordered && !self.is_draining();
        let stays = in_turn || job.is_awaited() || job.share().is_some_and(Share::is_suspect);
        if stays || !self.is_draining() && !store.is_crowded() {
            return Some(job);
        }
        // A record that waits for the breaker goes on as soon as the peer is back.
        let failures = job.failures;
        let rest = (reason == For::Backoff).then_some(Rest { due, failures });
        job.leave(rest);
        None
    }
}

impl Outlet for Lane {
    fn name(&self) -> &str {
        &self.name
    }

    fn health(&self) -> &Health {
        &self.health
    }

    fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    fn is_there(&self) -> bool {
        self.breaker.is_closed()
    }

    fn gate(&self, now: Instant) -> Gate {
        let tries = self.is_draining() || self.entrance.settings.retry.is_none();
        if tries || self.breaker.is_closed() {
            return Gate::Open;
        }
        if self.breaker.may_probe(now) {
            return Gate::Probe;
        }
        Gate::Until(now + self.breaker.rest(now).max(PROBE_EVERY))
    }

    fn take(&self, job: Job) {
        self.ready(job, self.near());
    }
}

/// What follows when a batch is on disk, or could not be put there; gives it back where it may
/// go on from memory.
pub(in crate::delivery) fn arrived(
    outlet: &dyn Outlet,
    mut job: Job,
    told: Result<Position, Refused>,
) -> Option<Job> {
    let store = outlet.entrance().store.as_ref()?;
    let position = match told {
        Ok(position) => position,
        Err(refused) => {
            let error = chain(&refused);
            if matches!(refused, Refused::Full(_)) {
                // The reader drops the oldest, where that is wanted.
                store.call();
            } else {
                tracing::debug!(exporter = outlet.name(), error, "a batch was not written");
            }
            job.dropped(why(&refused), &error, outlet.health());
            return None;
        }
    };
    if !outlet.entrance().settings.carries {
        job.settle(&outlet.entrance().stored());
    }
    store.keep(job, position, outlet.is_there())
}

/// What it means for the books that the log did not take a batch.
pub(super) const fn why(refused: &Refused) -> Why {
    match refused {
        Refused::Full(_) => Why::QueueFull,
        Refused::TooLarge(_) => Why::Permanent,
        Refused::Gone | Refused::Failed(_) | Refused::Closed => Why::Storage,
    }
}
