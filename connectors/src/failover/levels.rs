//! Which level is in use: one state for all workers of a signal.

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};
use std::time::Duration;

use tidegate_component::metrics::{Counter, Gauge};
use tidegate_component::{BuildContext, Gate};
use tidegate_pdata::{Context, Refusal, Signal};
use tokio::time::Instant;

/// What is said while no level works.
pub(super) const NO_LEVEL: &str = "no failover level takes data";
/// When a sender should come again to whom that was said.
pub(super) const COME_AGAIN: Duration = Duration::from_secs(1);

/// The levels of one signal, the highest being 0.
#[derive(Debug)]
pub(super) struct Levels {
    connector: String,
    signal: &'static str,
    count: usize,
    current: AtomicUsize,
    interval: Duration,
    base: Instant,
    /// Milliseconds from `base` at which the levels above the current one are tried next.
    retry_at: AtomicU64,
    /// Whether all levels failed since one worked.
    down: AtomicBool,
    /// What waits on all workers for a level to work.
    waiting: AtomicUsize,
    capacity: usize,
    active: Gauge,
    /// Times that each level was left.
    left: Vec<Counter>,
}

impl Levels {
    /// The highest level in use; `capacity` bounds what waits while none works.
    pub(super) fn new(
        cx: &BuildContext,
        count: usize,
        interval: Duration,
        capacity: usize,
    ) -> Self {
        let signal = cx.signal.map_or("", Signal::name);
        let counter = |level: usize| {
            let level = level.to_string();
            cx.metrics.counter(
                "otelcol_connector_failover_count",
                "Times that a level failed and was left for another.",
                &[("signal", signal), ("level", &level)],
            )
        };
        Self {
            connector: cx.id.to_string(),
            signal,
            count,
            current: AtomicUsize::new(0),
            interval,
            base: Instant::now(),
            retry_at: AtomicU64::new(0),
            down: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            capacity,
            active: cx.metrics.gauge(
                "otelcol_connector_failover_active_level",
                "The level in use, 0 being the highest; -1 while none works.",
                &[("signal", signal)],
            ),
            left: (0..count).map(counter).collect(),
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The level in use.
    pub(super) fn current(&self) -> usize {
        self.current.load(Acquire)
    }

    /// The level at which a batch begins: the one in use, or at times the highest.
    pub(super) fn pick(&self) -> usize {
        let current = self.current();
        if current == 0 {
            return 0;
        }
        let now = self.millis(Instant::now());
        let due = self.retry_at.load(Acquire);
        let next = now.saturating_add(millis(self.interval));
        let chosen = now >= due
            && self
                .retry_at
                .compare_exchange(due, next, AcqRel, Relaxed)
                .is_ok();
        if chosen { 0 } else { current }
    }

    /// Tells that a level kept a batch; `deliberate` that it was tried though it lay above the
    /// one in use.
    pub(super) fn well(&self, level: usize, deliberate: bool) {
        // What was sent before its level failed may be kept late: that tells nothing new.
        if deliberate {
            let up = |current| (level < current).then_some(level);
            if let Ok(from) = self.current.fetch_update(AcqRel, Acquire, up) {
                self.active.set(gauged(level));
                let (connector, signal) = (self.connector.as_str(), self.signal);
                tracing::info!(
                    connector,
                    signal,
                    from,
                    to = level,
                    "a higher level works again"
                );
            }
        }
        if self.down.load(Relaxed) && self.down.swap(false, AcqRel) {
            self.active.set(gauged(self.current()));
            let (connector, signal) = (self.connector.as_str(), self.signal);
            tracing::info!(connector, signal, level, "a level works again");
        }
    }

    /// Tells that a level did not keep a batch. It is left if it is the one in use.
    pub(super) fn failed(&self, level: usize) {
        let next = (level + 1) % self.count;
        if self
            .current
            .compare_exchange(level, next, AcqRel, Acquire)
            .is_err()
        {
            return;
        }
        if level == 0 {
            let due = self
                .millis(Instant::now())
                .saturating_add(millis(self.interval));
            self.retry_at.store(due, Release);
        }
        // While none works every batch goes round; that is said and counted once.
        let known = match next {
            0 => self.down.swap(true, AcqRel),
            _ => self.down.load(Acquire),
        };
        if known {
            return;
        }
        self.left[level].add(1);
        let (connector, signal) = (self.connector.as_str(), self.signal);
        if next == 0 {
            self.active.set(-1);
            tracing::warn!(connector, signal, "no level works");
        } else {
            self.active.set(gauged(next));
            tracing::warn!(connector, signal, from = level, to = next, "a level fails");
        }
    }

    /// Makes room for a batch that waits, if there is any.
    pub(super) fn admit(&self, size: usize) -> bool {
        let fits = |waiting: usize| {
            let more = waiting.saturating_add(size);
            (waiting == 0 || more <= self.capacity).then_some(more)
        };
        self.waiting.fetch_update(AcqRel, Relaxed, fits).is_ok()
    }

    /// Gives the room of a batch back.
    pub(super) fn leave(&self, size: usize) {
        self.waiting.fetch_sub(size, AcqRel);
    }

    fn millis(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.base))
    }
}

/// While what waits fills its room, the door is shut.
impl Gate for Levels {
    fn refusal(&self, _: usize, _: &Context) -> Option<Refusal> {
        let full = self.waiting.load(Relaxed) >= self.capacity;
        full.then(|| Refusal::new(NO_LEVEL, COME_AGAIN))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn gauged(level: usize) -> i64 {
    i64::try_from(level).unwrap_or(i64::MAX)
}
