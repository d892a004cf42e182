//! Receipts: the answer to a batch, travelling inside it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release,
};
use std::task::Waker;
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

/// Somewhere else for a batch to go: it hears how a receipt ends, in place of a sender who waits.
///
/// It is called once, on whatever thread lets go of the last share, and must not wait.
pub trait Recourse: std::fmt::Debug + Send + Sync {
    /// Takes the worst outcome of all shares.
    fn settled(self: Box<Self>, outcome: Outcome);

    /// Whether the batch is of no use to anybody any more; see [`Receipt::is_expired`].
    fn is_expired(&self) -> bool {
        false
    }

    /// Whether an early refusal is worth more to it than another attempt.
    fn hurries(&self) -> bool {
        true
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
    /// Whom to wake who watches and waits for nothing.
    watcher: Option<Waker>,
    /// Who hears the outcome where no sender waits for it here.
    recourse: Option<Box<dyn Recourse>>,
}

/// The last share is gone: this needs neither a lock nor a count of its own.
impl Drop for Cell {
    fn drop(&mut self) {
        if let Some(recourse) = self.recourse.take() {
            recourse.settled(self.outcome());
        }
    }
}

impl Cell {
    fn open(recourse: Option<Box<dyn Recourse>>, watcher: Option<Waker>) -> Self {
        Self {
            open: AtomicUsize::new(1),
            worst: AtomicU8::new(0),
            failure: Mutex::new(None),
            expired: AtomicBool::new(false),
            done: Notify::new(),
            watcher,
            recourse,
        }
    }

    fn is_expired(&self) -> bool {
        let recourse = self.recourse.as_deref();
        self.expired.load(Acquire) || recourse.is_some_and(Recourse::is_expired)
    }

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
            if let Some(watcher) = &self.watcher {
                watcher.wake_by_ref();
            }
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
        let cell = Arc::new(Cell::open(None, None));
        (Self::of(Arc::clone(&cell)), Pending(cell))
    }

    /// A receipt that somebody follows up who sends the batch elsewhere where it is not kept.
    #[must_use]
    pub fn with_recourse(recourse: Box<dyn Recourse>) -> Self {
        Self::of(Arc::new(Cell::open(Some(recourse), None)))
    }

    fn of(cell: Arc<Cell>) -> Self {
        Self(SmallVec::from_buf([Share(Some(cell))]))
    }

    /// Whether all of the batch goes elsewhere where it is not kept: an early refusal is then
    /// worth more than another attempt, and a take-over in memory would hide a failure.
    #[must_use]
    pub fn has_recourse(&self) -> bool {
        let cells = || self.0.iter().filter_map(|share| share.0.as_ref());
        let has = |cell: &Arc<Cell>| cell.recourse.as_ref().is_some_and(|one| one.hurries());
        // Who only watches, or has been told to send again, need not be waited for.
        let waits = |cell: &Arc<Cell>| cell.recourse.is_some() || !cell.expired.load(Acquire);
        cells().any(has) && cells().filter(|cell| waits(cell)).all(has)
    }

    /// Adds a share for whoever passes the batch on and wants to see when it is answered for.
    ///
    /// `waker` is woken then, on the thread that settles. It is no sender: what the senders do decides
    /// whether the batch expires. None where there is no sender.
    pub fn watch(&mut self, waker: &Waker) -> Option<Pending> {
        if self.is_none() {
            return None;
        }
        let cell = Arc::new(Cell::open(None, Some(waker.clone())));
        let pending = Pending(Arc::clone(&cell));
        pending.expire();
        self.append(Self::of(cell));
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
        let expired = |share: &Share| share.0.as_ref().is_none_or(|cell| cell.is_expired());
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
        let watcher = receipt.watch(Waker::noop()).unwrap();
        assert!(!receipt.is_expired());
        sender.expire();
        assert!(receipt.is_expired());
        assert_eq!(watcher.now(), None);
        receipt.settle(&Outcome::Durable);
        assert_eq!(watcher.now(), Some(Outcome::Durable));
        assert!(Receipt::none().watch(Waker::noop()).is_none());
    }

    #[derive(Debug)]
    struct Note(Arc<Mutex<Vec<Outcome>>>, bool);

    impl Recourse for Note {
        fn settled(self: Box<Self>, outcome: Outcome) {
            self.0.lock().unwrap().push(outcome);
        }

        fn is_expired(&self) -> bool {
            self.1
        }
    }

    fn noted(expired: bool) -> (Receipt, Arc<Mutex<Vec<Outcome>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let note = Note(Arc::clone(&heard), expired);
        (Receipt::with_recourse(Box::new(note)), heard)
    }

    #[test]
    fn recourse_hears_the_worst_outcome_once_when_the_last_share_is_gone() {
        let (receipt, heard) = noted(false);
        let branch = receipt.fork();
        receipt.settle(&Outcome::Delivered);
        assert!(heard.lock().unwrap().is_empty());
        drop(branch);
        assert_eq!(*heard.lock().unwrap(), [Outcome::Lost]);
    }

    #[test]
    fn merged_batch_has_a_recourse_where_all_of_it_has_one() {
        let (mut first, _) = noted(false);
        let (second, _) = noted(true);
        first.append(second);
        assert!(first.has_recourse() && !first.is_expired());
        let _watcher = first.watch(Waker::noop());
        assert!(first.has_recourse());
        let (sender, _pending) = Receipt::new();
        first.append(sender);
        assert!(!first.has_recourse());
        assert!(!Receipt::none().has_recourse());
        assert!(noted(true).0.is_expired());
    }

    #[tokio::test]
    async fn waits_for_a_settlement_on_another_thread() {
        let (receipt, pending) = Receipt::new();
        let thread = std::thread::spawn(move || receipt.settle(&Outcome::Delivered));
        assert_eq!(pending.outcome().await, Outcome::Delivered);
        thread.join().unwrap();
    }
}
