//! Hands entries from whoever puts them to a fixed number of consumers, without a lock.
//!
//! One word counts the entries that wait and the consumers that work. An entry that finds a
//! consumer idle is claimed for one as it is announced, so each hand-over wakes one consumer at
//! the most, and a consumer that is done claims the next entry without going to sleep. Two
//! rules keep the counts true: an entry lies in its queue before it is announced, and a consumer
//! sits down on its bench before it stops counting as one that works. Whoever holds a claim
//! therefore always finds an entry, and whoever claims for another always finds a seat.

use std::sync::Arc;

use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, Queue, WakerCell, spin};

/// One waiting entry in the word; the lower half counts consumers at work.
const PENDING: u64 = 1 << 32;

/// Entries on their way to consumers.
#[derive(Debug)]
pub(super) struct Handover<T> {
    word: AtomicU64,
    limit: u64,
    again: Queue<T>,
    fresh: Queue<T>,
    benches: Box<[Bench]>,
    closed: AtomicBool,
}

/// The consumers of one worker.
#[derive(Debug)]
struct Bench {
    idle: Queue<Arc<Seat>>,
    /// Consumers that were not needed yet and do not exist.
    unborn: AtomicUsize,
}

/// Where one consumer waits.
#[derive(Debug)]
pub(super) struct Seat {
    worker: usize,
    called: AtomicBool,
    waker: WakerCell,
}

impl Seat {
    /// The worker that its consumer runs on.
    pub(super) const fn worker(&self) -> usize {
        self.worker
    }

    fn call(&self) {
        self.called.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn called(&self) {
        std::future::poll_fn(|cx| {
            // Registering comes before the last look, so that a call in between is seen.
            self.waker.register(cx.waker());
            if self.called.load(Ordering::Acquire) {
                // A seat that is called is on no bench, so nobody calls it again meanwhile.
                self.called.store(false, Ordering::Relaxed);
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

impl<T> Handover<T> {
    /// A hand-over to `consumers` in all, spread over `workers` from worker `first` on.
    ///
    /// A consumer comes into being when it is first needed.
    pub(super) fn new(consumers: usize, workers: usize, first: usize) -> Self {
        let consumers = consumers.clamp(1, u32::MAX as usize / 2);
        let workers = workers.max(1);
        let benches = (0..workers)
            .map(|worker| {
                let place = (worker + workers - first % workers) % workers;
                let share = consumers / workers + usize::from(place < consumers % workers);
                Bench {
                    idle: Queue::new(),
                    unborn: AtomicUsize::new(share),
                }
            })
            .collect();
        Self {
            word: AtomicU64::new(0),
            limit: consumers as u64,
            again: Queue::new(),
            fresh: Queue::new(),
            benches,
            closed: AtomicBool::new(false),
        }
    }

    /// Puts a new entry; a seat that comes back wants a consumer, which the caller starts.
    ///
    /// `near` is the worker whose consumers are asked first.
    #[must_use = "a new seat needs its consumer"]
    pub(super) fn put(&self, entry: T, near: usize) -> Option<Arc<Seat>> {
        self.fresh.push(entry);
        self.announce(near)
    }

    /// Puts an entry before all new ones, as one that comes back.
    #[must_use = "a new seat needs its consumer"]
    pub(super) fn put_again(&self, entry: T, near: usize) -> Option<Arc<Seat>> {
        self.again.push(entry);
        self.announce(near)
    }

    /// Takes away the oldest entry that no consumer has claimed.
    pub(super) fn withdraw(&self) -> Option<T> {
        self.claim().then(|| self.take())
    }

    /// The first entry of a consumer that was just born.
    pub(super) fn first(&self) -> T {
        self.take()
    }

    /// The next entry for the consumer of this seat, which is done with the one before.
    ///
    /// None once the hand-over is closed. `start` gets a new seat that wants a consumer.
    pub(super) async fn next(&self, seat: &Arc<Seat>, start: impl FnOnce(Arc<Seat>)) -> Option<T> {
        if self.claim() {
            return Some(self.take());
        }
        self.benches[seat.worker].idle.push(Arc::clone(seat));
        if let Some(new) = self.leave(seat.worker) {
            start(new);
        }
        if !self.is_closed() {
            seat.called().await;
        }
        (!self.is_closed()).then(|| self.take())
    }

    /// Sends the consumers home. Nothing may be in the queue or be put any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // A consumer that sits down changes the word too: either it is seen on its bench below,
        // or it comes after this and sees that all is closed.
        self.word.fetch_add(0, Ordering::AcqRel);
        for bench in &self.benches {
            while let Some(seat) = bench.idle.pop() {
                seat.call();
            }
        }
    }

    /// Takes what is left, once no consumer is.
    pub(super) fn left(&self) -> Option<T> {
        self.again.pop().or_else(|| self.fresh.pop())
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn announce(&self, near: usize) -> Option<Arc<Seat>> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let idle = word % PENDING < self.limit;
            let next = word + if idle { 1 } else { PENDING };
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if idle => return self.call(near),
                Ok(_) => return None,
                Err(now) => word = now,
            }
        }
    }

    /// Stops counting the consumer that has just sat down, or calls one for what came meanwhile.
    ///
    /// The one called may be another: this one's seat is on the bench for all to take.
    fn leave(&self, near: usize) -> Option<Arc<Seat>> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let waiting = word >= PENDING;
            let next = word - if waiting { PENDING } else { 1 };
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if waiting => return self.call(near),
                Ok(_) => return None,
                Err(now) => word = now,
            }
        }
    }

    fn claim(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word >= PENDING {
            match self.word.compare_exchange_weak(
                word,
                word - PENDING,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Finds a consumer for a claim: one that is idle nearby, a new one, or one further off.
    fn call(&self, near: usize) -> Option<Arc<Seat>> {
        let workers = self.benches.len();
        loop {
            for worker in (0..workers).map(|step| (near + step) % workers) {
                let bench = &self.benches[worker];
                if let Some(seat) = bench.idle.pop() {
                    seat.call();
                    return None;
                }
                if bench.bear() {
                    return Some(Arc::new(Seat {
                        worker,
                        called: AtomicBool::new(false),
                        waker: WakerCell::new(),
                    }));
                }
            }
            // Seats moved from bench to bench under this look: one is there.
            spin();
        }
    }

    /// Takes the entry that the caller's claim stands for.
    fn take(&self) -> T {
        loop {
            if let Some(entry) = self.again.pop().or_else(|| self.fresh.pop()) {
                return entry;
            }
            spin();
        }
    }
}

impl Bench {
    fn bear(&self) -> bool {
        let mut unborn = self.unborn.load(Ordering::Relaxed);
        while unborn > 0 {
            match self.unborn.compare_exchange_weak(
                unborn,
                unborn - 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => unborn = now,
            }
        }
        false
    }
}
