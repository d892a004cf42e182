//! Rates that all workers share.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bits of a window that count spans; those above hold the second.
const COUNT_BITS: u32 = 40;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// A point in time as rates see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Nanoseconds since 1970.
    pub(super) nanos: i64,
}

impl Moment {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.map_or(0, |since| since.as_nanos());
        Self {
            nanos: i64::try_from(nanos).unwrap_or(i64::MAX),
        }
    }

    const fn second(self) -> u64 {
        (self.nanos / 1_000_000_000) as u64
    }
}

/// The state of all rates of a processor.
#[derive(Debug, Default)]
pub(super) struct Limits {
    windows: Box<[AtomicU64]>,
    buckets: Box<[AtomicI64]>,
}

impl Limits {
    pub(super) fn new(windows: usize, buckets: usize) -> Self {
        Self {
            windows: (0..windows).map(|_| AtomicU64::new(0)).collect(),
            buckets: (0..buckets).map(|_| AtomicI64::new(i64::MIN)).collect(),
        }
    }

    /// Counts spans into the second at hand, unless there would be more than `most`.
    pub(super) fn count(&self, at: usize, spans: u64, most: i64, now: Moment) -> bool {
        let (Some(window), Ok(most)) = (self.windows.get(at), u64::try_from(most)) else {
            return false;
        };
        let second = now.second() << COUNT_BITS;
        let counted = window.fetch_update(Relaxed, Relaxed, |window| {
            let before = if window & !COUNT == second {
                window & COUNT
            } else {
                0
            };
            let after = before.saturating_add(spans);
            (after <= most.min(COUNT)).then_some(second | after)
        });
        counted.is_ok()
    }

    /// Takes bytes out of a bucket that fills at `rate` bytes a second up to `burst`, if it has so many.
    ///
    /// What is kept is when the bucket was empty last, as it would be at this rate.
    pub(super) fn take(&self, at: usize, bytes: usize, rate: i64, burst: i64, now: Moment) -> bool {
        let Some(bucket) = self.buckets.get(at) else {
            return false;
        };
        let Some(cost) = nanos(bytes as i128, rate) else {
            return false;
        };
        let full = nanos(i128::from(burst), rate).unwrap_or(0);
        let taken = bucket.fetch_update(Relaxed, Relaxed, |empty| {
            let empty = empty.max(now.nanos.saturating_sub(full));
            let empty = empty.saturating_add(cost);
            (empty <= now.nanos).then_some(empty)
        });
        taken.is_ok()
    }
}

/// How long it takes until so many bytes have come at a rate.
fn nanos(bytes: i128, rate: i64) -> Option<i64> {
    if rate <= 0 {
        return None;
    }
    let nanos = bytes.saturating_mul(1_000_000_000) / i128::from(rate);
    Some(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Moment {
        Moment {
            nanos: 1_700_000_000_000_000_000 + millis * 1_000_000,
        }
    }

    #[test]
    fn a_window_begins_anew_each_second() {
        let limits = Limits::new(1, 0);
        assert!(limits.count(0, 6, 10, at(0)));
        assert!(!limits.count(0, 5, 10, at(500)));
        assert!(limits.count(0, 4, 10, at(999)));
        assert!(!limits.count(0, 1, 10, at(999)));
        assert!(limits.count(0, 10, 10, at(1000)));
        assert!(!limits.count(0, 0, -1, at(1000)));
    }

    #[test]
    fn a_bucket_fills_with_time() {
        let limits = Limits::new(0, 1);
        assert!(limits.take(0, 200, 100, 200, at(0)));
        assert!(!limits.take(0, 1, 100, 200, at(0)));
        assert!(limits.take(0, 50, 100, 200, at(500)));
        assert!(!limits.take(0, 201, 100, 200, at(60_000)));
        assert!(limits.take(0, 200, 100, 200, at(60_000)));
        assert!(!limits.take(0, 1, 0, 200, at(60_000)));
    }
}
