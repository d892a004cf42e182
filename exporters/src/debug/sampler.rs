//! How often one text is shown, as zap's sampler counts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Texts are told apart by a hash into so many counters, so that memory stays bounded.
const COUNTERS: usize = 4096;
const TICK: Duration = Duration::from_secs(1);

/// Lets the first messages of a text through in each second, then every so-manieth.
pub(super) struct Sampler {
    initial: u64,
    thereafter: u64,
    seen: Mutex<Box<[Seen]>>,
}

#[derive(Clone, Copy)]
struct Seen {
    since: Instant,
    count: u64,
}

impl Sampler {
    pub(super) fn new(initial: u64, thereafter: u64) -> Self {
        let never = Seen {
            since: Instant::now(),
            count: 0,
        };
        // What shows all needs no counters.
        let counters = if thereafter == 1 { 0 } else { COUNTERS };
        Self {
            initial,
            thereafter,
            seen: Mutex::new(vec![never; counters].into_boxed_slice()),
        }
    }

    pub(super) fn takes(&self, text: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = seen.get_mut(place(text)) else {
            return true;
        };
        let now = Instant::now();
        if now.duration_since(seen.since) >= TICK {
            *seen = Seen {
                since: now,
                count: 0,
            };
        }
        seen.count += 1;
        let past = seen.count.saturating_sub(self.initial);
        past == 0 || (self.thereafter > 0 && past.is_multiple_of(self.thereafter))
    }
}

/// FNV-1a, 32 bits.
fn place(text: &str) -> usize {
    let hash = text.bytes().fold(2_166_136_261_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    hash as usize % COUNTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(sampler: &Sampler, text: &str, times: usize) -> usize {
        (0..times).filter(|_| sampler.takes(text)).count()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_are_shown_then_every_so_manieth_and_each_second_anew() {
        let sampler = Sampler::new(2, 5);
        assert_eq!(taken(&sampler, "a", 12), 4);
        assert_eq!(taken(&sampler, "b", 2), 2);
        tokio::time::advance(TICK).await;
        assert_eq!(taken(&sampler, "a", 2), 2);
    }

    #[test]
    fn one_shows_all_and_zero_none_after_the_first() {
        assert_eq!(taken(&Sampler::new(2, 1), "a", 1000), 1000);
        assert_eq!(taken(&Sampler::new(2, 0), "a", 1000), 2);
    }
}
