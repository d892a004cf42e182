//! A batch on its way to an exporter, with what is owed for it and charged for it.

use std::time::Duration;

use tidegate_component::Delivered;
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Refusal};
use tokio::time::Instant;

use super::books::{Charge, End, Why};
use super::health::Health;

/// Calls that the isolation of bad records may cost a batch, beyond its first.
pub(super) const EXTRA_CALLS: u32 = 64;

/// How long a sender should wait whose batch was held and then given back.
pub(super) const COME_AGAIN: Duration = Duration::from_secs(1);

/// What is said of a queue that has no room.
pub(super) const QUEUE_FULL: &str = "the sending queue is full";

/// What is said to those whose data is cut off at the end.
pub(super) const SHUTTING_DOWN: &str = "shutting down";

/// A batch that somebody must end.
#[derive(Debug)]
pub(super) struct Job {
    batch: Batch,
    charge: Charge,
    /// Attempts that failed in a way that another may not.
    pub(super) failures: u32,
    /// When it was first tried.
    pub(super) began: Option<Instant>,
    /// Calls that it may still cost to isolate bad records.
    pub(super) calls: u32,
}

impl Job {
    pub(super) const fn new(batch: Batch, charge: Charge) -> Self {
        Self {
            batch,
            charge,
            failures: 0,
            began: None,
            calls: EXTRA_CALLS,
        }
    }

    pub(super) const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Items that it is charged for.
    pub(super) const fn items(&self) -> usize {
        self.charge.items()
    }

    /// Rises from batch to batch as they were put.
    pub(super) const fn number(&self) -> u64 {
        self.charge.number()
    }

    /// Marks the first attempt and tells when it was.
    pub(super) fn begin(&mut self, now: Instant) -> Instant {
        self.charge.fly();
        *self.began.get_or_insert(now)
    }

    /// Ends it as delivered, but for what the peer rejected.
    pub(super) fn delivered(self, delivered: &Delivered, health: &Health) {
        health.rejected(delivered);
        self.charge.end(End::Delivered {
            rejected: delivered.rejected,
        });
        self.batch.into_parts().2.settle(&Outcome::Delivered);
    }

    /// Ends it as dropped; `error` is what the log and a sender that still waits are told.
    pub(super) fn dropped(self, why: Why, error: &str, health: &Health) {
        health.lost(why, self.items(), error);
        self.charge.end(End::dropped(why, self.batch.receipt()));
        self.batch.into_parts().2.settle(&outcome(why, error));
    }

    /// Cuts off a part with the first items, which shares receipt and history.
    ///
    /// The payloads are what the batch's own payload was cut into.
    pub(super) fn cut(&mut self, front: Payload, rest: Payload) -> Self {
        let part = Self {
            charge: self.charge.split_off(front.items()),
            batch: Batch::new(
                front,
                self.batch.context().clone(),
                self.batch.receipt().fork(),
            ),
            ..*self
        };
        self.batch.set_payload(rest);
        part
    }

    /// Takes it apart to be merged with others.
    pub(super) fn into_parts(self) -> (Payload, Context, Receipt, Charge) {
        let (payload, context, receipt) = self.batch.into_parts();
        (payload, context, receipt, self.charge)
    }
}

/// What a sender hears of a batch that was dropped while it waited for the result.
pub(super) fn outcome(why: Why, error: &str) -> Outcome {
    let refused = |reason| Outcome::Refused(Refusal::new(reason, COME_AGAIN));
    match why {
        Why::Permanent | Why::RejectedByPeer | Why::Panic => Outcome::Rejected(error.into()),
        Why::QueueFull => refused(QUEUE_FULL),
        Why::RetryExhausted | Why::RetryOff => refused("the exporter cannot deliver"),
        Why::Expired => refused("the time for an answer is over"),
        Why::Shutdown => refused(SHUTTING_DOWN),
        Why::Lost => Outcome::Lost,
    }
}
