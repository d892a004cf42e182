//! `memory_limiter`: shuts the door of a pipeline while memory is short.
//!
//! All data inside the process is counted in one byte budget as it arrives, so this needs no measuring
//! to know what telemetry holds: the soft limit, `limit − spike limit`, is a ceiling for what the door lets in,
//! when a request begins and as it inflates.
//! What the budget does not count (buffers of libraries, builders, the allocator's own) shows in the
//! resident set, which is looked at every `check_interval`: from the hard limit on the door is shut
//! until all that is counted has left. With nothing counted inside, refusing would free nothing, and
//! what the allocator keeps serves the next request.
//!
//! Several limiters are thresholds per pipeline over the same budget. Nothing is refused past the door.

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate_component::metrics::Counter;
use tidegate_component::{Ceiling, Gate, Outbox, Processor};
use tidegate_pdata::{Batch, Budget, Context, Refusal};
use tokio::time::Instant;

pub use config::Config;

/// When a client may try again: by then what was inside has mostly been delivered.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// From where on data is refused, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    hard: usize,
    soft: usize,
}

/// The threshold that one limiter sets, for all its workers.
struct Threshold {
    budget: Arc<Budget>,
    limits: Limits,
    check_interval: Duration,
    /// Reads the resident set; another in tests.
    resident: fn() -> Option<u64>,
    since: Instant,
    /// When the resident set is to be looked at again, in milliseconds since `since`.
    next_check: AtomicU64,
    /// Whether the resident set was past the hard limit when it was last looked at.
    over: AtomicBool,
}

impl Threshold {
    fn new(
        budget: Arc<Budget>,
        limits: Limits,
        check_interval: Duration,
        resident: fn() -> Option<u64>,
    ) -> Self {
        Self {
            budget,
            limits,
            check_interval,
            resident,
            since: Instant::now(),
            next_check: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Whether the resident set is past the hard limit; whoever comes when it is time looks anew.
    fn is_over(&self) -> bool {
        let now = millis(self.since.elapsed());
        let next = self.next_check.load(Relaxed);
        let then = now + millis(self.check_interval).max(1);
        let is_due = now >= next;
        if is_due
            && (self
                .next_check
                .compare_exchange(next, then, Relaxed, Relaxed))
            .is_ok()
        {
            let hard = self.limits.hard as u64;
            let over = (self.resident)().is_some_and(|resident| resident >= hard);
            self.over.store(over, Relaxed);
        }
        self.over.load(Relaxed)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Gate for Threshold {
    fn refusal(&self, _: usize, _: &Context) -> Option<Refusal> {
        const REASON: &str = "the process holds more than memory_limiter's limit";
        let is_over = self.is_over() && self.budget.used() > 0;
        is_over.then_some(Refusal::new(REASON, COME_AGAIN))
    }

    fn ceiling(&self) -> Option<Ceiling> {
        Some(Ceiling {
            bytes: self.limits.soft,
            reason: "the soft limit of memory_limiter is reached",
        })
    }
}

/// Counts what comes in; its threshold stands at the door.
struct MemoryLimiter {
    accepted: Counter,
}

impl Processor for MemoryLimiter {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        self.accepted.add(batch.items() as u64);
        out.push(batch);
    }
}
