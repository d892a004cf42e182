//! Records that need not be written after all, as they were delivered before their turn came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::AcqRel, Ordering::Acquire};
use std::time::{Duration, Instant};

const WAITS: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// The longest that a record is held for its delivery, however slow the disk is.
const MOST_HELD: Duration = Duration::from_millis(50);

/// Takes a record back that was given to [`crate::Log::append_unless_withdrawn`].
#[derive(Clone, Debug)]
pub struct Withdrawal(Arc<AtomicU8>);

impl Withdrawal {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(WAITS)))
    }

    /// Takes the record back, unless it is being written: then it tells false, and the owner hears
    /// what becomes of it. Of one that was taken back the owner hears nothing.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.turn(WITHDRAWN)
    }

    /// Says that the record is being written, unless it was taken back.
    pub(crate) fn take(&self) -> bool {
        self.turn(TAKEN)
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        self.0.load(Acquire) == WITHDRAWN
    }

    fn turn(&self, to: u8) -> bool {
        self.0.compare_exchange(WAITS, to, AcqRel, Acquire).is_ok()
    }
}

/// How long a record that is being delivered is held before it is written.
///
/// As long as to write it takes, window included: whatever its delivery does, its sender then waits at
/// most twice as long as without (the rule of renting until the rent would have bought). Where
/// deliveries usually take longer than that, to hold would only cost time.
#[derive(Debug)]
pub(crate) struct Patience {
    window: Duration,
    /// What a group takes from its first byte to its sync; an average that follows.
    cost: Duration,
}

impl Patience {
    pub(crate) const fn new(window: Duration) -> Self {
        Self {
            window,
            cost: Duration::ZERO,
        }
    }

    /// Learns how long a group took.
    pub(crate) fn learn(&mut self, took: Duration) {
        self.cost = (self.cost * 7 + took.min(MOST_HELD)) / 8;
    }

    /// Until when a record is held that usually takes so long to be delivered.
    pub(crate) fn until(&self, now: Instant, usual: Duration) -> Instant {
        let most = (self.window + self.cost).min(MOST_HELD);
        if usual <= most { now + most } else { now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_either_written_or_withdrawn() {
        let (first, second) = (Withdrawal::new(), Withdrawal::new());
        assert!(first.take() && !first.withdraw() && !first.is_withdrawn());
        assert!(second.withdraw() && !second.take() && second.is_withdrawn());
    }

    #[test]
    fn holds_as_long_as_writing_takes_and_not_for_slow_deliveries() {
        let now = Instant::now();
        let mut patience = Patience::new(Duration::from_millis(1));
        for _ in 0..100 {
            patience.learn(Duration::from_millis(3));
        }
        let held = patience.until(now, Duration::from_millis(2)) - now;
        assert!(held > Duration::from_millis(3) && held <= Duration::from_millis(4));
        assert_eq!(patience.until(now, Duration::from_millis(5)), now);
        patience.learn(Duration::from_secs(3600));
        assert!(patience.until(now, Duration::ZERO) - now <= MOST_HELD);
    }
}
