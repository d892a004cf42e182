//! A circuit breaker: stops calling a peer that fails most calls, and probes until it is back.
//!
//! Batches in backoff hold no consumer, so without it every batch of a long queue would call a
//! dead peer again and again.

use std::sync::atomic::{
    AtomicU8, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_component::metrics::Gauge;
use tokio::time::Instant;

/// Seconds that the window covers, one slot each.
const SLOTS: u64 = 10;
/// Calls in the window below which nothing is concluded.
const FEWEST_CALLS: u64 = 20;
/// Percent of calls that must fail.
const FAILING_PERCENT: u64 = 60;
/// How long an open breaker lets no call through.
const OPEN_FOR: Duration = Duration::from_secs(3);

const CLOSED: u8 = 0;
const HALF_OPEN: u8 = 1;
const OPEN: u8 = 2;

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Go ahead.
    Call,
    /// Go ahead alone: what becomes of it decides for all.
    Probe,
    /// Not before then.
    Wait(Instant),
}

/// Closed, open or half-open over a sliding window of ten seconds.
///
/// A call in the closed state costs two atomic operations.
#[derive(Debug)]
pub(super) struct Breaker {
    base: Instant,
    state: AtomicU8,
    /// Milliseconds from `base` at which the next probe may go.
    until: AtomicU64,
    /// Per second of the window: its number from `base`, calls, failures.
    slots: [AtomicU64; SLOTS as usize],
    /// Where its state is shown: 0 closed, 1 half-open, 2 open.
    gauges: Mutex<Vec<Gauge>>,
}

/// The parts of a slot in one word.
#[derive(Clone, Copy)]
struct Slot {
    second: u64,
    calls: u64,
    failures: u64,
}

impl Slot {
    const fn unpack(word: u64) -> Self {
        Self {
            second: word >> 40,
            calls: (word >> 20) & 0xf_ffff,
            failures: word & 0xf_ffff,
        }
    }

    const fn pack(self) -> u64 {
        (self.second & 0xff_ffff) << 40 | self.calls << 20 | self.failures
    }
}

impl Breaker {
    /// A closed breaker.
    pub(super) fn new() -> Self {
        Self {
            base: Instant::now(),
            state: AtomicU8::new(CLOSED),
            until: AtomicU64::new(0),
            slots: [const { AtomicU64::new(0) }; SLOTS as usize],
            gauges: Mutex::default(),
        }
    }

    /// Has it shown on one more gauge.
    pub(super) fn show_on(&self, gauge: Gauge) {
        gauge.set(i64::from(self.state.load(Acquire)));
        self.gauges().push(gauge);
    }

    fn gauges(&self) -> MutexGuard<'_, Vec<Gauge>> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its state, as it is shown.
    pub(super) fn state(&self) -> &'static str {
        match self.state.load(Relaxed) {
            CLOSED => "closed",
            HALF_OPEN => "half_open",
            _ => "open",
        }
    }

    /// Asks for leave to call the peer.
    pub(super) fn leave(&self, now: Instant) -> Leave {
        match self.state.load(Acquire) {
            CLOSED => Leave::Call,
            OPEN if self.millis(now) >= self.until.load(Acquire) => {
                if self.change(OPEN, HALF_OPEN) {
                    Leave::Probe
                } else {
                    Leave::Wait(now + OPEN_FOR)
                }
            }
            OPEN => Leave::Wait(self.base + Duration::from_millis(self.until.load(Acquire))),
            _ => Leave::Wait(now + OPEN_FOR),
        }
    }

    /// Whether calls are made as they come.
    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Acquire) == CLOSED
    }

    /// Whether the next call that asks would be a probe.
    pub(super) fn may_probe(&self, now: Instant) -> bool {
        self.state.load(Acquire) == OPEN && self.rest(now).is_zero()
    }

    /// How long no call will be made yet.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        if self.state.load(Acquire) != OPEN {
            return Duration::ZERO;
        }
        let until = self.until.load(Acquire);
        Duration::from_millis(until.saturating_sub(self.millis(now)))
    }

    /// Tells that the peer answered. True where this closed the breaker.
    pub(super) fn answered(&self, now: Instant) -> bool {
        if self.state.load(Acquire) == CLOSED {
            self.count(now, false);
            return false;
        }
        for slot in &self.slots {
            slot.store(0, Relaxed);
        }
        self.change(HALF_OPEN, CLOSED) || self.change(OPEN, CLOSED)
    }

    /// Tells that the peer failed, and how long it asked to be left alone.
    pub(super) fn failed(&self, now: Instant, asked: Option<Duration>) {
        let state = self.state.load(Acquire);
        if state == CLOSED {
            self.count(now, true);
            if !self.failing(now) {
                return;
            }
        } else if state == OPEN {
            return;
        }
        let rest = OPEN_FOR.max(asked.unwrap_or_default());
        let until = now.checked_add(rest).unwrap_or(now + OPEN_FOR);
        self.until.store(self.millis(until), Relaxed);
        self.change(state, OPEN);
    }

    /// Gives a probe's leave back that told nothing about the peer.
    pub(super) fn undecided(&self) {
        self.change(HALF_OPEN, OPEN);
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .state
            .compare_exchange(from, to, AcqRel, Acquire)
            .is_ok();
        if changed {
            for gauge in &*self.gauges() {
                gauge.set(i64::from(to));
            }
        }
        changed
    }

    fn count(&self, now: Instant, failed: bool) {
        let second = self.millis(now) / 1000;
        let _ = self.slots[(second % SLOTS) as usize].fetch_update(Relaxed, Relaxed, |word| {
            let mut slot = Slot::unpack(word);
            if slot.second != second & 0xff_ffff {
                slot = Slot {
                    second,
                    calls: 0,
                    failures: 0,
                };
            }
            // A slot that is full to the brim has long told what there is to tell.
            if slot.calls < 0xf_ffff {
                slot.calls += 1;
                slot.failures += u64::from(failed);
            }
            Some(slot.pack())
        });
    }

    fn failing(&self, now: Instant) -> bool {
        let second = self.millis(now) / 1000;
        let oldest = (second + 1).saturating_sub(SLOTS);
        let (mut calls, mut failures) = (0, 0);
        for slot in &self.slots {
            let slot = Slot::unpack(slot.load(Relaxed));
            if (oldest..=second).any(|s| s & 0xff_ffff == slot.second) {
                calls += slot.calls;
                failures += slot.failures;
            }
        }
        calls >= FEWEST_CALLS && failures * 100 >= calls * FAILING_PERCENT
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn breaker() -> (Breaker, Gauge) {
        let gauge = Gauge::default();
        let breaker = Breaker::new();
        breaker.show_on(gauge.clone());
        (breaker, gauge)
    }

    fn fail(breaker: &Breaker, times: usize) {
        for _ in 0..times {
            breaker.failed(Instant::now(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_when_most_of_twenty_calls_failed() {
        let (breaker, gauge) = breaker();
        for _ in 0..8 {
            breaker.answered(Instant::now());
        }
        fail(&breaker, 11);
        assert_eq!(breaker.leave(Instant::now()), Leave::Call);
        fail(&breaker, 1);
        let until = Instant::now() + OPEN_FOR;
        assert_eq!(breaker.leave(Instant::now()), Leave::Wait(until));
        assert_eq!(gauge.value(), i64::from(OPEN));
        assert_eq!(breaker.state(), "open");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_leave_the_window_after_ten_seconds() {
        let (breaker, _) = breaker();
        fail(&breaker, 19);
        advance(Duration::from_secs(10)).await;
        fail(&breaker, 19);
        assert_eq!(breaker.leave(Instant::now()), Leave::Call);
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_goes_and_its_answer_closes() {
        let (breaker, gauge) = breaker();
        fail(&breaker, 20);
        advance(OPEN_FOR).await;
        assert_eq!(breaker.leave(Instant::now()), Leave::Probe);
        assert!(matches!(breaker.leave(Instant::now()), Leave::Wait(_)));
        assert_eq!(breaker.state(), "half_open");
        assert!(breaker.answered(Instant::now()));
        assert_eq!(breaker.state(), "closed");
        assert_eq!(breaker.leave(Instant::now()), Leave::Call);
        assert_eq!(gauge.value(), i64::from(CLOSED));
        fail(&breaker, 19);
        assert_eq!(breaker.leave(Instant::now()), Leave::Call);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_probe_opens_for_as_long_as_the_peer_asked() {
        let (breaker, _) = breaker();
        fail(&breaker, 20);
        advance(OPEN_FOR).await;
        assert_eq!(breaker.leave(Instant::now()), Leave::Probe);
        let asked = Duration::from_secs(60);
        breaker.failed(Instant::now(), Some(asked));
        let until = Instant::now() + asked;
        assert_eq!(breaker.leave(Instant::now()), Leave::Wait(until));
    }

    #[tokio::test(start_paused = true)]
    async fn undecided_probe_lets_the_next_one_go() {
        let (breaker, _) = breaker();
        fail(&breaker, 20);
        advance(OPEN_FOR).await;
        assert_eq!(breaker.leave(Instant::now()), Leave::Probe);
        breaker.undecided();
        assert_eq!(breaker.leave(Instant::now()), Leave::Probe);
    }
}
