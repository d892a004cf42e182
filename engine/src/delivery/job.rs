//! A batch on its way to an exporter, with what is owed for it and charged for it.

use std::time::Duration;

use tidegate_component::Delivered;
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Refusal};
use tokio::time::Instant;

use super::books::{Beyond, Charge, End, Why};
use super::health::Health;
use super::store::{Rest, Share};
use crate::sink::Depth;

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
    /// Its part of the record that keeps it on disk.
    share: Option<Share>,
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
            share: None,
            failures: 0,
            began: None,
            calls: EXTRA_CALLS,
        }
    }

    pub(super) const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether it goes elsewhere where it is not delivered.
    pub(super) fn has_recourse(&self) -> bool {
        self.batch.receipt().has_recourse()
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

    /// What it weighs.
    pub(super) const fn size(&self) -> Depth {
        self.charge.size()
    }

    /// Has it weigh what its record will weigh when it is read back.
    pub(super) fn reweigh(&mut self) {
        self.charge.reweigh(self.batch.payload().bytes());
    }

    /// Ties it to a record on disk, which stands for it from here on.
    pub(super) fn store(&mut self, share: Share) {
        self.charge.store();
        self.share = Some(share);
    }

    /// Its part of the record that keeps it on disk.
    pub(super) const fn share(&self) -> Option<&Share> {
        self.share.as_ref()
    }

    /// Says that the process has outlived an attempt.
    pub(super) fn outlived(&self) {
        if let Some(share) = &self.share {
            share.outlived();
        }
    }

    /// Whether the log did not take its record, while it was on its way already.
    pub(super) fn is_refused(&self) -> bool {
        self.share.as_ref().is_some_and(Share::is_refused)
    }

    /// Whether its record stays on disk if it is left, and no sender waits.
    pub(super) fn stays_on_disk(&self) -> bool {
        self.share.is_some() && !self.is_awaited()
    }

    /// Whether a sender waits for what becomes of it.
    pub(super) fn is_awaited(&self) -> bool {
        !self.batch.receipt().is_none()
    }

    /// Takes what is owed for it; nobody waits for it here from now on.
    pub(super) fn take_receipt(&mut self) -> Receipt {
        std::mem::take(self.batch.receipt_mut())
    }

    /// Settles what is owed for it, before it has ended.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        self.batch.receipt_mut().settle_in_place(outcome);
    }

    /// Lets it go, as its record is on disk alone from here on.
    pub(super) fn forget(self) {
        self.charge.forget();
    }

    /// Leaves it on disk, to come back as `rest` says, or with those that have not been tried.
    ///
    /// No sender may wait for it.
    pub(super) fn leave(self, rest: Option<Rest>) {
        debug_assert!(!self.is_awaited());
        if let (Some(share), Some(rest)) = (&self.share, rest) {
            share.rest(rest);
        }
        // Books and record learn of it as the rest is dropped.
    }

    /// Ends it as delivered, but for what the peer rejected.
    pub(super) fn delivered(self, delivered: &Delivered, health: &Health) {
        health.rejected(delivered);
        let size = self.size();
        self.charge.end(End::Delivered {
            rejected: delivered.rejected,
        });
        if let Some(share) = self.share {
            share.end(size, true);
        }
        self.batch.into_parts().2.settle(&Outcome::Delivered);
    }

    /// Ends it as dropped; `error` is what the log and a sender that still waits are told.
    ///
    /// What goes elsewhere then is no loss.
    pub(super) fn dropped(self, why: Why, error: &str, health: &Health) {
        if self.stays_on_disk() && matches!(why, Why::Shutdown | Why::Lost) {
            self.leave(None);
            return;
        }
        self.into_ending().2.dropped(why, error, health);
    }

    /// Its data, and what is to be ended once it is known what becomes of that elsewhere.
    pub(super) fn into_ending(self) -> (Payload, Context, Ending) {
        let (payload, context, receipt) = self.batch.into_parts();
        let ending = Ending {
            charge: self.charge,
            share: self.share,
            receipt,
        };
        (payload, context, ending)
    }

    /// Cuts off a part with the first items, which shares receipt and history.
    ///
    /// The payloads are what the batch's own payload was cut into.
    pub(super) fn cut(&mut self, front: Payload, rest: Payload) -> Self {
        let part = Self {
            charge: self.charge.split_off(front.items()),
            share: self.share.as_ref().map(Share::part),
            batch: Batch::new(
                front,
                self.batch.context().clone(),
                self.batch.receipt().fork(),
            ),
            failures: self.failures,
            began: self.began,
            calls: self.calls,
        };
        self.batch.set_payload(rest);
        part
    }

    /// Lets its bytes go, as they are in open objects; what is owed for it stays.
    pub(super) fn into_open(self) -> (Receipt, Beyond, Option<Share>) {
        let receipt = self.batch.into_parts().2;
        if let Some(share) = &self.share {
            share.let_bytes_go();
        }
        (receipt, self.charge.leave_queue(), self.share)
    }

    /// Takes it apart to be merged with others.
    pub(super) fn into_parts(self) -> (Payload, Context, Receipt, Charge) {
        let (payload, context, receipt) = self.batch.into_parts();
        (payload, context, receipt, self.charge)
    }
}

/// What is owed for a batch and charged for it, without its data.
#[derive(Debug)]
pub(super) struct Ending {
    charge: Charge,
    share: Option<Share>,
    receipt: Receipt,
}

impl Ending {
    /// What is owed for a record that is not in memory and not on disk.
    pub(super) const fn of(charge: Charge, receipt: Receipt) -> Self {
        Self {
            charge,
            share: None,
            receipt,
        }
    }

    /// Items that it stands for.
    pub(super) const fn items(&self) -> usize {
        self.charge.items()
    }

    /// Whether its senders were all told to send again.
    pub(super) fn is_expired(&self) -> bool {
        self.receipt.is_expired()
    }

    /// Ends it as dropped; what goes elsewhere then is no loss.
    pub(super) fn dropped(self, why: Why, error: &str, health: &Health) {
        let end = if self.receipt.has_recourse() {
            End::Returned(Why::HandedBack)
        } else {
            health.lost(why, self.items(), error);
            End::dropped(why, &self.receipt)
        };
        self.end(end, &outcome(why, error));
    }

    /// Ends it as given up here, while another exporter answers for it as the outcome says.
    pub(super) fn passed_on(self, why: Why, outcome: &Outcome) {
        self.end(End::PassedOn(why), outcome);
    }

    /// Leaves it on disk, from where it comes again; gives it back where it is not there, or
    /// where a sender waits.
    pub(super) fn leave(self) -> Result<(), Self> {
        if self.share.is_none() || !self.receipt.is_none() {
            return Err(self);
        }
        // Books and record learn of it as the rest is dropped.
        Ok(())
    }

    fn end(self, end: End, outcome: &Outcome) {
        let size = self.charge.size();
        self.charge.end(end);
        if let Some(share) = self.share {
            share.end(size, false);
        }
        self.receipt.settle(outcome);
    }
}

/// What a sender hears of a batch that was dropped while it waited for the result.
pub(super) fn outcome(why: Why, error: &str) -> Outcome {
    let refused = |reason| Outcome::Refused(Refusal::new(reason, COME_AGAIN));
    match why {
        Why::Permanent | Why::RejectedByPeer | Why::Panic | Why::Damaged => {
            Outcome::Rejected(error.into())
        }
        Why::QueueFull => refused(QUEUE_FULL),
        Why::RetryExhausted | Why::RetryOff => refused("the exporter cannot deliver"),
        Why::Storage => refused("the disk queue cannot be written"),
        Why::Expired | Why::TooOld => refused("the time for an answer is over"),
        Why::Shutdown => refused(SHUTTING_DOWN),
        Why::HandedBack => refused("it goes elsewhere"),
        Why::Lost => Outcome::Lost,
    }
}
