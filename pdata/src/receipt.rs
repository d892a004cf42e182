//! Receipts: the answer to a batch, travelling inside it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release,
};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::Notify;

/// Why a batch was not taken, when the same batch may be taken later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was full or away, as a short reason for clients.
    pub reason: Cow<'static, str>,
    /// When to try again.
    pub after: Duration,
}

impl Refusal {
    /// A refusal for a reason that is always the same.
    #[must_use]
    pub const fn new(reason: &'static str, after: Duration) -> Self {
        Self {
            reason: Cow::Borrowed(reason),
            after,
        }
    }
}

/// How a batch ended for the one who sent it, from best to worst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The far end has it.
    Delivered,
    /// It is on disk.
    Durable,
    /// A component holds it in memory and answers for it from here on.
    TakenOver,
    /// Nothing holds it; the sender may send it again.
    Refused(Refusal),
    /// It will never be taken as it is.
    Rejected(Arc<str>),
    /// It was dropped without an outcome: always a counted loss.
    Lost,
}

impl Outcome {
    /// Whether somebody answers for the batch.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        matches!(self, Self::Delivered | Self::Durable | Self::TakenOver)
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Delivered => 0,
            Self::Durable => 1,
            Self::TakenOver => 2,
            Self::Refused(_) => 3,
            Self::Rejected(_) => 4,
            Self::Lost => 5,
        }
    }
}

#[derive(Debug)]
struct Cell {
    /// Shares without an outcome yet.
    open: AtomicUsize,
    /// The worst rank so far.
    worst: AtomicU8,
    /// What a refusal or a rejection said; untouched when all goes well.
    failure: Mutex<Option<Outcome>>,
    /// Whether the sender has been answered without an outcome.
    expired: AtomicBool,
    done: Notify,
}

impl Cell {
    fn settle(&self, outcome: Outcome) {
        let rank = outcome.rank();
        if rank >= 3 {
            let mut failure = self.failure.lock().unwrap_or_else(|e| e.into_inner());
            if failure.as_ref().is_none_or(|held| held.rank() < rank) {
                *failure = Some(outcome);
            }
        }
        self.worst.fetch_max(rank, AcqRel);
        if self.open.fetch_sub(1, AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    fn outcome(&self) -> Outcome {
        match self.worst.load(Acquire) {
            0 => Outcome::Delivered,
            1 => Outcome::Durable,
            2 => Outcome::TakenOver,
            _ => self
                .failure
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .clone()
                .unwrap_or(Outcome::Lost),
        }
    }
}

/// A share of one request's receipt; dropping it unresolved settles it as lost.
#[derive(Debug)]
struct Share(Option<Arc<Cell>>);

impl Share {
    fn fork(&self) -> Self {
        if let Some(cell) = &self.0 {
            cell.open.fetch_add(1, AcqRel);
        }
        Self(self.0.clone())
    }

    fn settle(mut self, outcome: Outcome) {
        if let Some(cell) = self.0.take() {
            cell.settle(outcome);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.settle(Outcome::Lost);
        }
    }
}

/// What a batch owes to those who sent it: a share in the receipt of every request it has data of.
///
/// It is settled at the first take-over on every branch. When all shares of a request are
/// settled, its sender sees the worst of their outcomes.
#[derive(Debug, Default)]
pub struct Receipt(SmallVec<[Share; 1]>);

/// The sender's end of a receipt.
#[derive(Debug)]
pub struct Pending(Arc<Cell>);

impl Receipt {
    /// A receipt for one request, and the end on which its sender waits.
    #[must_use]
    pub fn new() -> (Self, Pending) {
        let cell = Arc::new(Cell {
            open: AtomicUsize::new(1),
            worst: AtomicU8::new(0),
            failure: Mutex::new(None),
            expired: AtomicBool::new(false),
            done: Notify::new(),
        });
        let mut shares = SmallVec::new();
        shares.push(Share(Some(Arc::clone(&cell))));
        (Self(shares), Pending(cell))
    }

    /// Adds a share for whoever passes the batch on and wants to see when it is answered for.
    ///
    /// It is no sender: what the senders do decides whether the batch expires. None where there
    /// is no sender.
    pub fn watch(&mut self) -> Option<Pending> {
        if self.is_none() {
            return None;
        }
        let (own, pending) = Self::new();
        pending.expire();
        self.append(own);
        Some(pending)
    }

    /// A receipt that nobody waits for.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether nobody waits for it any more.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there were senders and each has been told, for want of time, to send again.
    ///
    /// Whoever is not delivering such a batch just now may discard it, and counts it.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        let expired = |share: &Share| {
            share
                .0
                .as_ref()
                .is_none_or(|cell| cell.expired.load(Acquire))
        };
        !self.0.is_empty() && self.0.iter().all(expired)
    }

    /// Another share of the same requests, for a branch or a piece of the batch.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(self.0.iter().map(Share::fork).collect())
    }

    /// Adds the shares of another batch, merged into this one.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Settles every share.
    pub fn settle(self, outcome: &Outcome) {
        for share in self.0 {
            share.settle(outcome.clone());
        }
    }

    /// Settles and leaves a receipt that nobody waits for, as whatever takes over does on entry.
    pub fn settle_in_place(&mut self, outcome: &Outcome) {
        std::mem::take(self).settle(outcome);
    }
}

impl Pending {
    /// The outcome, if every share is settled already.
    #[must_use]
    pub fn now(&self) -> Option<Outcome> {
        (self.0.open.load(Acquire) == 0).then(|| self.0.outcome())
    }

    /// Tells those who hold the batch that its sender waits no longer and sends it again.
    pub fn expire(&self) {
        self.0.expired.store(true, Release);
    }

    /// Waits until every share is settled.
    pub async fn outcome(&self) -> Outcome {
        while self.0.open.load(Acquire) != 0 {
            self.0.done.notified().await;
        }
        self.0.outcome()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_outcome_of_all_branches_wins() {
        let (receipt, pending) = Receipt::new();
        let branch = receipt.fork();
        receipt.settle(&Outcome::Durable);
        assert_eq!(pending.now(), None);
        branch.settle(&Outcome::TakenOver);
        assert_eq!(pending.now(), Some(Outcome::TakenOver));
    }

    #[test]
    fn dropped_receipt_is_a_loss() {
        let (receipt, pending) = Receipt::new();
        let branch = receipt.fork();
        branch.settle(&Outcome::Delivered);
        drop(receipt);
        assert_eq!(pending.now(), Some(Outcome::Lost));
    }

    #[test]
    fn merged_batches_settle_every_sender() {
        let (mut first, one) = Receipt::new();
        let (second, two) = Receipt::new();
        first.append(second);
        let refusal = Refusal::new("queue full", Duration::from_secs(1));
        first.settle(&Outcome::Refused(refusal.clone()));
        assert_eq!(one.now(), Some(Outcome::Refused(refusal.clone())));
        assert_eq!(two.now(), Some(Outcome::Refused(refusal)));
    }

    #[test]
    fn merged_batch_expires_with_the_last_of_its_senders() {
        let (mut first, one) = Receipt::new();
        let (second, two) = Receipt::new();
        first.append(second);
        one.expire();
        assert!(!first.is_expired());
        two.expire();
        assert!(first.is_expired());
        assert!(!Receipt::none().is_expired());
    }

    #[test]
    fn watcher_sees_the_answer_and_keeps_nothing_from_expiring() {
        let (mut receipt, sender) = Receipt::new();
        let watcher = receipt.watch().unwrap();
        assert!(!receipt.is_expired());
        sender.expire();
        assert!(receipt.is_expired());
        assert_eq!(watcher.now(), None);
        receipt.settle(&Outcome::Durable);
        assert_eq!(watcher.now(), Some(Outcome::Durable));
        assert!(Receipt::none().watch().is_none());
    }

    #[tokio::test]
    async fn waits_for_a_settlement_on_another_thread() {
        let (receipt, pending) = Receipt::new();
        let thread = std::thread::spawn(move || receipt.settle(&Outcome::Delivered));
        assert_eq!(pending.outcome().await, Outcome::Delivered);
        thread.join().unwrap();
    }
}
