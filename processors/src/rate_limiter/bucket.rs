//! A token bucket in one number.
//!
//! Instead of tokens it keeps the time at which it will be full again ("theoretical arrival time" of the
//! generic cell rate algorithm, ITU-T I.371): taking moves that time on by what was taken, and
//! nothing has to be done while time passes. So a bucket is one atomic, and a full one is the same as
//! none at all.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How fast a bucket fills, and how much is in a full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// Tokens a second, more than 0.
    pub(super) rate: u64,
    /// Tokens in a full bucket, more than 0.
    pub(super) burst: u64,
}

impl Limit {
    /// The nanoseconds in which so many tokens come in.
    fn price(self, tokens: u64) -> u64 {
        // Rounded down, so that the tokens of a burst can be had one by one; but none is for nothing.
        let nanos = (u128::from(tokens) * 1_000_000_000 / u128::from(self.rate)).max(1);
        // A bucket in debt for a century is as good as one for ever, and sums do not overflow.
        u64::try_from(nanos).unwrap_or(u64::MAX).min(u64::MAX / 8)
    }
}

/// A bucket; times are nanoseconds since any moment that stays the same.
#[derive(Debug)]
pub(super) struct Bucket {
    limit: Limit,
    full_at: AtomicU64,
}

impl Bucket {
    /// A full bucket.
    pub(super) const fn new(limit: Limit) -> Self {
        Self {
            limit,
            full_at: AtomicU64::new(0),
        }
    }

    pub(super) const fn limit(&self) -> Limit {
        self.limit
    }

    /// Whether it is full.
    pub(super) fn is_full(&self, now: u64) -> bool {
        self.full_at.load(Relaxed) <= now
    }

    /// How long until so many tokens are there, or as many as fit in; nothing if they are.
    pub(super) fn wait(&self, tokens: u64, now: u64) -> Option<Duration> {
        self.lack(self.limit.price(tokens), self.full_at.load(Relaxed), now)
    }

    /// Takes tokens. Who wants more than a full bucket has, gets them from a full one and leaves it in debt:
    /// so nothing is too large for ever, and the rate holds.
    ///
    /// # Errors
    /// How long it takes until they are there; nothing is taken then.
    pub(super) fn take(&self, tokens: u64, now: u64) -> Result<(), Duration> {
        let price = self.limit.price(tokens);
        let mut full_at = self.full_at.load(Relaxed);
        loop {
            if let Some(wait) = self.lack(price, full_at, now) {
                return Err(wait);
            }
            let then = full_at.max(now).saturating_add(price);
            match (self.full_at).compare_exchange_weak(full_at, then, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => full_at = other,
            }
        }
    }

    /// Gives tokens back that were taken before.
    pub(super) fn give_back(&self, tokens: u64) {
        let price = self.limit.price(tokens);
        let less = |full_at: u64| Some(full_at.saturating_sub(price));
        let _ = self.full_at.fetch_update(Relaxed, Relaxed, less);
    }

    fn lack(&self, price: u64, full_at: u64, now: u64) -> Option<Duration> {
        let whole = self.limit.price(self.limit.burst);
        let empty_for = full_at.saturating_sub(now).saturating_add(price.min(whole));
        let lack = empty_for.saturating_sub(whole);
        (lack > 0).then(|| Duration::from_nanos(lack))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn bucket(rate: u64, burst: u64) -> Bucket {
        Bucket::new(Limit { rate, burst })
    }

    #[test]
    fn gives_a_burst_and_then_the_rate() {
        let bucket = bucket(10, 20);
        let now = 5 * SECOND;
        for _ in 0..20 {
            assert_eq!(bucket.take(1, now), Ok(()));
        }
        assert_eq!(bucket.take(1, now), Err(Duration::from_millis(100)));
        assert_eq!(bucket.wait(5, now), Some(Duration::from_millis(500)));
        let later = now + SECOND / 2;
        assert_eq!(bucket.take(5, later), Ok(()));
        assert_eq!(bucket.wait(1, later), Some(Duration::from_millis(100)));
        assert!(!bucket.is_full(now + 2 * SECOND));
        assert!(bucket.is_full(now + 3 * SECOND));
    }

    #[test]
    fn a_burst_can_be_had_one_by_one_whatever_the_rate() {
        for rate in [3, 7, 333, 999_999_937] {
            let bucket = bucket(rate, 7);
            let taken = (0..8).take_while(|_| bucket.take(1, SECOND).is_ok());
            assert_eq!(taken.count(), 7, "{rate}");
        }
    }

    #[test]
    fn what_is_larger_than_the_bucket_waits_for_a_full_one_and_pays() {
        let bucket = bucket(10, 10);
        assert_eq!(bucket.take(50, SECOND), Ok(()));
        assert_eq!(bucket.take(1, SECOND), Err(Duration::from_millis(4100)));
        assert_eq!(bucket.take(50, 5 * SECOND), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(50, 6 * SECOND), Ok(()));
    }

    #[test]
    fn takes_back_what_it_is_given() {
        let bucket = bucket(1, 2);
        bucket.take(2, SECOND).unwrap();
        bucket.give_back(2);
        assert_eq!(bucket.take(2, SECOND), Ok(()));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let bucket = bucket(1, u64::MAX);
        assert_eq!(bucket.take(u64::MAX, SECOND), Ok(()));
        assert!(bucket.take(u64::MAX, SECOND).is_err());
        let fast = Bucket::new(Limit {
            rate: u64::MAX,
            burst: 1,
        });
        assert_eq!(fast.take(1, 0), Ok(()));
    }

    proptest::proptest! {
        /// Over any time, no more goes out than a burst and what comes in, but for the last to go out.
        #[test]
        fn never_gives_more_than_burst_and_rate(
            rate in 1..10_000_u64,
            burst in 1..10_000_u64,
            asked in proptest::collection::vec((0..SECOND, 1..1_000_u64), 1..200),
        ) {
            let bucket = bucket(rate, burst);
            let (mut now, mut given, mut largest) = (SECOND, 0, 0);
            for (pause, tokens) in asked {
                now += pause;
                match bucket.take(tokens, now) {
                    Ok(()) => {
                        given += tokens;
                        largest = largest.max(tokens);
                    }
                    // What it says is enough, and to the nanosecond.
                    Err(wait) => {
                        let wait = u64::try_from(wait.as_nanos()).unwrap();
                        proptest::prop_assert_eq!(bucket.wait(tokens, now + wait), None);
                        proptest::prop_assert!(bucket.wait(tokens, now + wait - 1).is_some());
                    }
                }
            }
            let came = u128::from(now - SECOND) * u128::from(rate) / u128::from(SECOND);
            proptest::prop_assert!(u128::from(given) <= came + u128::from(burst + largest) + 1);
        }
    }
}
