//! How long a failed batch waits: exponential, varied at random, bounded.

use std::time::Duration;

use tokio::time::Instant;

/// `retry_on_failure`, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backoff {
    /// The wait after the first failure.
    pub(super) initial: Duration,
    /// The share by which each wait is varied at random, 0 to 1.
    pub(super) randomization: f64,
    /// What each wait is multiplied by.
    pub(super) multiplier: f64,
    /// The longest wait before it is varied.
    pub(super) longest: Duration,
    /// How long a batch is tried, from its first attempt on; none means for ever.
    pub(super) total: Option<Duration>,
}

impl Backoff {
    /// The wait after `failures` failed attempts, `random` lying in 0 to 1.
    ///
    /// As in the Collector the bound holds before the variation, so that waits at the bound
    /// still spread.
    pub(super) fn wait(&self, failures: u32, random: f64) -> Duration {
        if self.initial.is_zero() {
            return Duration::ZERO;
        }
        let steps = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.longest.as_secs_f64();
        let plain = (self.initial.as_secs_f64() * self.multiplier.powi(steps)).min(longest);
        let varied = plain * (1.0 + self.randomization * (2.0 * random - 1.0));
        Duration::try_from_secs_f64(varied).unwrap_or(self.longest)
    }

    /// When to try again after a failure at `now`; none where the time for it is over.
    ///
    /// A wait that the peer asked for counts where it is the longer one.
    pub(super) fn next(
        &self,
        failures: u32,
        asked: Option<Duration>,
        began: Instant,
        now: Instant,
    ) -> Option<Instant> {
        let wait = self.wait(failures, rand::random());
        let at = now.checked_add(wait.max(asked.unwrap_or_default()))?;
        self.allows(began, at).then_some(at)
    }

    /// Whether a batch that was first tried at `began` may be tried at `at`.
    pub(super) fn allows(&self, began: Instant, at: Instant) -> bool {
        self.total
            .and_then(|total| began.checked_add(total))
            .is_none_or(|end| at <= end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collector() -> Backoff {
        Backoff {
            initial: Duration::from_secs(5),
            randomization: 0.5,
            multiplier: 1.5,
            longest: Duration::from_secs(30),
            total: Some(Duration::from_secs(300)),
        }
    }

    #[test]
    fn waits_grow_by_the_multiplier_up_to_the_longest() {
        let waits: Vec<_> = (1..8)
            .map(|failures| collector().wait(failures, 0.5).as_millis())
            .collect();
        assert_eq!(waits, [5000, 7500, 11250, 16875, 25312, 30000, 30000]);
    }

    #[tokio::test(start_paused = true)]
    async fn longer_wait_asked_by_the_peer_wins() {
        let (backoff, now) = (collector(), Instant::now());
        let asked = Duration::from_secs(60);
        let at = backoff.next(1, Some(asked), now, now);
        assert_eq!(at, Some(now + asked));
        let at = backoff.next(1, Some(Duration::from_millis(1)), now, now);
        assert!(at >= Some(now + Duration::from_millis(2500)));
    }

    #[tokio::test(start_paused = true)]
    async fn retry_that_would_come_after_the_total_is_not_made() {
        let (backoff, began) = (collector(), Instant::now());
        let late = began + Duration::from_secs(299);
        assert_eq!(backoff.next(9, None, began, late), None);
        let endless = Backoff {
            total: None,
            ..collector()
        };
        assert!(endless.next(9, None, began, late).is_some());
    }

    proptest! {
        #[test]
        fn every_wait_lies_in_its_band(failures in 0_u32..u32::MAX, random in 0.0_f64..1.0) {
            let (backoff, wait) = (collector(), collector().wait(failures, random));
            let plain = backoff.wait(failures, 0.5);
            prop_assert!(wait >= plain.mul_f64(0.4999) && wait <= plain.mul_f64(1.5001));
            prop_assert!(plain <= backoff.longest);
        }
    }
}
