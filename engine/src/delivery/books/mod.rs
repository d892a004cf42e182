//! What an exporter's delivery holds and what became of everything it took, to the item.
//!
//! A [`Charge`] stands for items inside. It must be ended one way or the other; one that is
//! merely dropped counts as lost, so the books balance whatever happens.

mod charge;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use tidegate_component::Reason;
use tidegate_component::delivery::Sizer;
use tidegate_component::metrics::Metrics;
use tidegate_pdata::{Budget, Payload, Receipt, Signal};
use tokio::sync::Notify;

pub(super) use charge::{Beyond, Charge};

use super::meters::Meters;
use crate::sink::{Account, Depth};

/// Why items ended without having been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The queue was full.
    QueueFull,
    /// They go elsewhere: back to the connector that put them here, which knows another way.
    HandedBack,
    /// The peer failed until `max_elapsed_time` was over.
    RetryExhausted,
    /// The peer failed and `retry_on_failure` is off.
    RetryOff,
    /// The peer will never take them.
    Permanent,
    /// The peer took the batch without them.
    RejectedByPeer,
    /// The exporter panicked over them.
    Panic,
    /// Their sender, who waits for the result, gave up before they were tried.
    Expired,
    /// They were on disk for longer than the storage's `max_age`.
    TooOld,
    /// Their bytes on disk are damaged, or processes died over them; they are in quarantine.
    Damaged,
    /// The disk would not take them.
    Storage,
    /// Time was up at shutdown.
    Shutdown,
    /// They vanished without an ending, as with a runtime that is torn down.
    Lost,
}

impl Why {
    /// How many there are.
    pub(super) const COUNT: usize = 13;

    const ALL: [Self; Self::COUNT] = [
        Self::QueueFull,
        Self::HandedBack,
        Self::RetryExhausted,
        Self::RetryOff,
        Self::Permanent,
        Self::RejectedByPeer,
        Self::Panic,
        Self::Expired,
        Self::TooOld,
        Self::Damaged,
        Self::Storage,
        Self::Shutdown,
        Self::Lost,
    ];

    /// The reason of a name; those that this version does not know are lost.
    pub(super) fn of_name(name: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|why| why.name() == name).unwrap_or(Self::Lost)
    }

    /// The name in the ledger.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::HandedBack => "handed_back",
            Self::RetryExhausted => "retry_exhausted",
            Self::RetryOff => "retry_off",
            Self::Permanent => "permanent",
            Self::RejectedByPeer => "rejected_by_peer",
            Self::Panic => "panic",
            Self::Expired => "expired",
            Self::TooOld => "max_age",
            Self::Damaged => "damaged",
            Self::Storage => "storage_failed",
            Self::Shutdown => "shutdown",
            Self::Lost => "lost",
        }
    }
}

/// How items end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The far end has them, but for those that it rejected.
    Delivered {
        /// Items that the peer would not take.
        rejected: u64,
    },
    /// They are dropped, and nobody sends them again: lost.
    Dropped(Why),
    /// They are dropped, and their senders, who still wait, are told.
    Returned(Why),
    /// They were given up here, and another exporter answers for them.
    PassedOn(Why),
}

impl End {
    /// How a batch is dropped to which this receipt belongs.
    pub(super) fn dropped(why: Why, receipt: &Receipt) -> Self {
        // A fault of our own is a loss, whoever hears of it.
        let fault = matches!(why, Why::Panic | Why::Lost);
        if fault || receipt.is_none() {
            Self::Dropped(why)
        } else {
            Self::Returned(why)
        }
    }
}

/// The books of one exporter and signal.
#[derive(Debug)]
pub(super) struct Books {
    sizer: Sizer,
    capacity: usize,
    taken: AtomicU64,
    /// Items that were not put: left by former lives, or delivered again.
    created: AtomicU64,
    consumed: AtomicU64,
    lost: [AtomicU64; Why::COUNT],
    returned: [AtomicU64; Why::COUNT],
    /// Items that another exporter keeps.
    passed_on: [AtomicU64; Why::COUNT],
    requests: AtomicUsize,
    items: AtomicUsize,
    bytes: AtomicUsize,
    /// Items that have left the queue and have not ended: those in open objects.
    beyond: AtomicUsize,
    /// Whether time is up: what is dropped from here on was cut off by the shutdown.
    halted: AtomicBool,
    /// Rung when nothing is held any more.
    empty: Notify,
    losses: [Reason; Why::COUNT],
    returns: [Reason; Why::COUNT],
    meters: Meters,
    budget: Arc<Budget>,
}

impl Books {
    /// Empty books; `capacity` is the queue's, counted by `sizer`.
    pub(super) fn new(
        metrics: &Metrics,
        signal: Signal,
        sizer: Sizer,
        capacity: usize,
        budget: Arc<Budget>,
    ) -> Arc<Self> {
        let books = Arc::new(Self {
            sizer,
            capacity,
            taken: AtomicU64::new(0),
            created: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            lost: [const { AtomicU64::new(0) }; Why::COUNT],
            returned: [const { AtomicU64::new(0) }; Why::COUNT],
            passed_on: [const { AtomicU64::new(0) }; Why::COUNT],
            requests: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            beyond: AtomicUsize::new(0),
            halted: AtomicBool::new(false),
            empty: Notify::new(),
            losses: Why::ALL.map(|why| super::meters::loss(metrics, signal, why.name())),
            returns: Why::ALL.map(|why| super::meters::returned(metrics, signal, why.name())),
            meters: Meters::new(metrics, signal, capacity),
            budget,
        });
        let read = Arc::downgrade(&books);
        let size = move || read.upgrade().map_or(0, |books| books.size());
        super::meters::queue_size(metrics, signal, size);
        books
    }

    /// Takes a payload in. The charge's number rises with every call.
    pub(super) fn charge(self: &Arc<Self>, payload: &Payload) -> Charge {
        let size = Depth::of(payload);
        let number = self.taken.fetch_add(size.items as u64, Relaxed);
        self.hold(size);
        Charge::new(self, number, size)
    }

    /// Counts what was not put: a record that a former life left, or one that comes again.
    pub(super) fn create(&self, size: Depth) {
        self.created.fetch_add(size.items as u64, Relaxed);
        self.hold(size);
    }

    /// A charge for what is held already by a charge that was forgotten.
    pub(super) fn recall(self: &Arc<Self>, size: Depth) -> Charge {
        Charge::new(self, self.taken.load(Relaxed), size)
    }

    fn hold(&self, size: Depth) {
        self.requests.fetch_add(size.requests, Relaxed);
        self.items.fetch_add(size.items, Relaxed);
        self.bytes.fetch_add(size.bytes, Relaxed);
    }

    /// What the queue holds, counted by its sizer.
    pub(super) fn size(&self) -> usize {
        match self.sizer {
            Sizer::Requests => &self.requests,
            Sizer::Items => &self.items,
            Sizer::Bytes => &self.bytes,
        }
        .load(Relaxed)
    }

    /// What the queue may hold, counted by its sizer.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether nothing more fits in.
    pub(super) fn is_full(&self) -> bool {
        self.size() >= self.capacity
    }

    /// Whether more is in than there is room for.
    pub(super) fn is_over(&self) -> bool {
        self.size() > self.capacity
    }

    /// Whether a payload does not fit in any more; one that is larger than the whole queue fits
    /// where nothing else is.
    pub(super) fn overflows(&self, payload: &Payload) -> bool {
        let size = self.size();
        size > 0 && size.saturating_add(self.measure(payload)) > self.capacity
    }

    fn measure(&self, payload: &Payload) -> usize {
        match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => payload.items(),
            Sizer::Bytes => payload.bytes(),
        }
    }

    /// What is inside the queue.
    pub(super) fn depth(&self) -> Depth {
        Depth {
            requests: self.requests.load(Relaxed),
            items: self.items.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// Items that have not ended.
    pub(super) fn held(&self) -> usize {
        self.items.load(Relaxed) + self.beyond.load(Relaxed)
    }

    /// What became of everything.
    pub(super) fn account(&self) -> Account {
        let by_reason = |items: &dyn Fn(Why) -> u64| {
            let all = Why::ALL.into_iter();
            all.map(|why| (why.name().to_owned(), items(why)))
                .filter(|(_, items)| *items > 0)
                .collect::<BTreeMap<_, _>>()
        };
        Account {
            taken: self.taken.load(Relaxed),
            created: self.created.load(Relaxed),
            consumed: self.consumed.load(Relaxed),
            dropped: by_reason(&|why| self.dropped(why)),
            lost: by_reason(&|why| self.lost[why as usize].load(Relaxed)),
            dead_letters: by_reason(&|why| self.passed_on[why as usize].load(Relaxed)),
            held: self.held() as u64,
        }
    }

    /// Items dropped for this reason, lost or given back.
    pub(super) fn dropped(&self, why: Why) -> u64 {
        let why = why as usize;
        self.lost[why].load(Relaxed) + self.returned[why].load(Relaxed)
    }

    /// The series of this exporter and signal.
    pub(super) const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Counts a payload that is turned away at the entrance, and whether its sender is told.
    pub(super) fn turn_away(&self, payload: &Payload, why: Why, told: bool) {
        self.taken.fetch_add(payload.items() as u64, Relaxed);
        self.drop_items(payload.items() as u64, why, told);
    }

    /// Tells that time is up.
    pub(super) fn halt(&self) {
        self.halted.store(true, Release);
    }

    /// Waits until nothing is held, once no more is put.
    pub(super) async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            if self.held() == 0 {
                return;
            }
            empty.await;
        }
    }

    fn unended(&self) -> Why {
        if self.halted.load(Acquire) {
            Why::Shutdown
        } else {
            Why::Lost
        }
    }

    fn end(&self, items: usize, end: End) {
        let items = items as u64;
        match end {
            End::Delivered { rejected } => {
                let rejected = rejected.min(items);
                self.consumed.fetch_add(items - rejected, Relaxed);
                self.meters.sent.add(items - rejected);
                if rejected > 0 {
                    self.drop_items(rejected, Why::RejectedByPeer, false);
                }
            }
            End::Dropped(why) => self.drop_items(items, why, false),
            End::Returned(why) => self.drop_items(items, why, true),
            End::PassedOn(why) => {
                self.passed_on[why as usize].fetch_add(items, Relaxed);
                self.meters.send_failed.add(items);
            }
        }
    }

    fn drop_items(&self, items: u64, why: Why, told: bool) {
        let (counts, reasons) = if told {
            (&self.returned, &self.returns)
        } else {
            (&self.lost, &self.losses)
        };
        counts[why as usize].fetch_add(items, Relaxed);
        reasons[why as usize].add(usize::try_from(items).unwrap_or(usize::MAX));
        match why {
            Why::QueueFull => self.meters.enqueue_failed.add(items),
            _ => self.meters.send_failed.add(items),
        }
    }
}
