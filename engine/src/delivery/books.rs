//! What an exporter's delivery holds and what became of everything it took, to the item.
//!
//! A [`Charge`] stands for items inside. It must be ended one way or the other; one that is
//! merely dropped counts as lost, so the books balance whatever happens.

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
        self.charge_for(number, size)
    }

    /// Counts what was not put: a record that a former life left, or one that comes again.
    pub(super) fn create(&self, size: Depth) {
        self.created.fetch_add(size.items as u64, Relaxed);
        self.hold(size);
    }

    /// A charge for what is held already by a charge that was forgotten.
    pub(super) fn recall(self: &Arc<Self>, size: Depth) -> Charge {
        self.charge_for(self.taken.load(Relaxed), size)
    }

    fn hold(&self, size: Depth) {
        self.requests.fetch_add(size.requests, Relaxed);
        self.items.fetch_add(size.items, Relaxed);
        self.bytes.fetch_add(size.bytes, Relaxed);
    }

    fn charge_for(self: &Arc<Self>, number: u64, size: Depth) -> Charge {
        Charge {
            books: Arc::clone(self),
            number,
            requests: size.requests,
            items: size.items,
            bytes: size.bytes,
            flying: false,
            on_disk: false,
            elsewhere: false,
        }
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

/// Items inside, until they end.
#[derive(Debug)]
pub(super) struct Charge {
    books: Arc<Books>,
    number: u64,
    requests: usize,
    items: usize,
    bytes: usize,
    flying: bool,
    /// Whether a record on disk stands for the items: they outlive the charge.
    on_disk: bool,
    /// Whether the items go elsewhere if this is dropped without an end.
    elsewhere: bool,
}

impl Charge {
    /// Tells that the items go elsewhere where they are not delivered.
    pub(super) const fn goes_elsewhere(&mut self) {
        self.elsewhere = true;
    }

    /// Rises with every payload taken in; a part keeps the number of the whole.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Items that it stands for.
    pub(super) const fn items(&self) -> usize {
        self.items
    }

    /// Cuts off a charge for `items` of its items; bytes are dealt by the items.
    pub(super) fn split_off(&mut self, items: usize) -> Self {
        debug_assert!(
            items <= self.items,
            "a part has no more items than the whole"
        );
        let items = items.min(self.items);
        let bytes = if self.items == 0 {
            0
        } else {
            (self.bytes as u128 * items as u128 / self.items as u128) as usize
        };
        self.items -= items;
        self.bytes -= bytes;
        Self {
            books: Arc::clone(&self.books),
            number: self.number,
            requests: 0,
            items,
            bytes,
            flying: false,
            on_disk: self.on_disk,
            elsewhere: self.elsewhere,
        }
    }

    /// Adds what another charge of the same books stands for.
    pub(super) fn merge(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.books, &other.books));
        self.number = self.number.min(other.number);
        self.elsewhere &= other.elsewhere;
        self.requests += std::mem::take(&mut other.requests);
        self.items += std::mem::take(&mut other.items);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Has it stand for one request of so many bytes, whatever it was merged and cut from.
    pub(super) fn reweigh(&mut self, bytes: usize) {
        // What is new is added first, so that the sums never fall below what is inside.
        self.books.requests.fetch_add(1, Relaxed);
        self.books.bytes.fetch_add(bytes, Relaxed);
        self.books.requests.fetch_sub(self.requests, Relaxed);
        self.books.bytes.fetch_sub(self.bytes, Relaxed);
        (self.requests, self.bytes) = (1, bytes);
    }

    /// Counts it among the requests in flight, from its first attempt to its end.
    pub(super) fn fly(&mut self) {
        if !self.flying {
            self.flying = true;
            self.books.meters.in_flight.add(1);
            self.books.meters.batch_size.observe(self.items as f64);
        }
    }

    /// Makes room in the queue while the items stay inside, in an open object.
    pub(super) fn leave_queue(mut self) -> Beyond {
        self.books.beyond.fetch_add(self.items, Relaxed);
        let on_disk = std::mem::take(&mut self.on_disk);
        Beyond {
            items: self.vacate(),
            books: Arc::clone(&self.books),
            on_disk,
        }
    }

    /// What it stands for.
    pub(super) const fn size(&self) -> Depth {
        Depth {
            requests: self.requests,
            items: self.items,
            bytes: self.bytes,
        }
    }

    /// Tells that the items are on disk: they stay in the books if this is dropped without an end.
    pub(super) const fn store(&mut self) {
        self.on_disk = true;
    }

    /// Leaves the items in the books, which a record on disk stands for.
    pub(super) fn forget(mut self) {
        self.leave();
    }

    fn leave(&mut self) {
        (self.requests, self.items, self.bytes) = (0, 0, 0);
        if std::mem::take(&mut self.flying) {
            self.books.meters.in_flight.add(-1);
        }
    }

    /// Ends the items.
    pub(super) fn end(mut self, end: End) {
        self.books.end(self.items, end);
        self.vacate();
    }

    /// Gives its place in the queue back and tells how many items had it.
    fn vacate(&mut self) -> usize {
        let books = &*self.books;
        let (requests, items, bytes) = (
            std::mem::take(&mut self.requests),
            std::mem::take(&mut self.items),
            std::mem::take(&mut self.bytes),
        );
        let before = (
            books.requests.fetch_sub(requests, Relaxed),
            books.items.fetch_sub(items, Relaxed),
            books.bytes.fetch_sub(bytes, Relaxed),
        );
        let (size_before, size) = match books.sizer {
            Sizer::Requests => (before.0, requests),
            Sizer::Items => (before.1, items),
            Sizer::Bytes => (before.2, bytes),
        };
        if std::mem::take(&mut self.flying) {
            books.meters.in_flight.add(-1);
        }
        if before.1 == items && items > 0 {
            books.empty.notify_waiters();
        }
        if size_before >= books.capacity && size_before - size < books.capacity {
            books.budget.ring();
        }
        items
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.on_disk {
            self.leave();
        } else if self.items + self.requests + self.bytes > 0 || self.flying {
            let end = match self.elsewhere {
                true => End::Returned(Why::HandedBack),
                false => End::Dropped(self.books.unended()),
            };
            self.books.end(self.items, end);
            self.vacate();
        }
    }
}

/// Items beyond the queue, until they end.
#[derive(Debug)]
pub(super) struct Beyond {
    books: Arc<Books>,
    items: usize,
    /// Whether a record on disk stands for the items: they outlive this.
    on_disk: bool,
}

impl Beyond {
    /// Items that have not ended.
    pub(super) const fn items(&self) -> usize {
        self.items
    }

    /// Ends some of the items.
    pub(super) fn end(&mut self, items: usize, end: End) {
        let items = items.min(self.items);
        self.items -= items;
        self.books.end(items, end);
        if self.books.beyond.fetch_sub(items, Relaxed) == items {
            self.books.empty.notify_waiters();
        }
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        if self.items > 0 && !self.on_disk {
            self.end(self.items, End::Dropped(self.books.unended()));
        }
    }
}
