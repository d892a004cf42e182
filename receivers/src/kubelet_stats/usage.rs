//! CPUs in use: how much more time was spent since the last scrape.

use std::collections::HashMap;

/// The last sample of each node, pod and container.
///
/// The kubelet's own figure is averaged over a window of its choice, and does not agree with the
/// time that it tells beside it; the rate of that time does.
#[derive(Debug, Default)]
pub(super) struct Usages {
    last: HashMap<String, Sample>,
    round: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    spent: u64,
    time: u64,
    round: u64,
}

impl Usages {
    /// Begins a round.
    pub(super) fn begin(&mut self) {
        self.round += 1;
    }

    /// Forgets what did not come up in this round.
    pub(super) fn end(&mut self) {
        let round = self.round;
        self.last.retain(|_, sample| sample.round == round);
    }

    /// The CPUs that were in use since the last round, of the time spent and when it was read, both
    /// in nanoseconds; none at first, or where the count began anew or was not read again.
    pub(super) fn of(&mut self, key: &str, spent: u64, time: u64) -> Option<f64> {
        let sample = Sample {
            spent,
            time,
            round: self.round,
        };
        let last = match self.last.get_mut(key) {
            Some(last) => std::mem::replace(last, sample),
            None => {
                self.last.insert(key.to_owned(), sample);
                return None;
            }
        };
        let passed = time.checked_sub(last.time).filter(|passed| *passed > 0)?;
        let more = spent.checked_sub(last.spent)?;
        Some(more as f64 / passed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_is_the_time_spent_between_two_rounds() {
        let mut usages = Usages::default();
        let rounds = [
            (1_000, 10_000, None),
            (6_000, 20_000, Some(0.5)),
            (6_000, 20_000, None),
            (6_000, 30_000, Some(0.0)),
            (2_000, 40_000, None),
            (4_000, 41_000, Some(2.0)),
        ];
        for (spent, time, use_of) in rounds {
            usages.begin();
            assert_eq!(usages.of("a", spent, time), use_of, "{spent} {time}");
            usages.end();
        }
        usages.begin();
        usages.end();
        usages.begin();
        assert_eq!(usages.of("a", 5_000, 50_000), None, "it was away");
    }
}
