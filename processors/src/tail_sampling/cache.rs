//! Decisions remembered for spans that come late, eight bytes each.

/// Decisions that lie side by side: among these the one asked for least lately gives way.
const WAYS: usize = 8;
/// Bits of an entry that say when it was decided, in seconds; the others tell traces apart.
const TIME_BITS: u32 = 20;
const TIME: u64 = (1 << TIME_BITS) - 1;

/// Traces of which the same was decided, as many as fit.
///
/// Traces are told apart by 44 bits of a hash beside their place, so one in some 10^12 is taken for another.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Vec<u64>,
    sets: usize,
}

impl Cache {
    /// Room for so many, and a quarter more, since they do not spread evenly; nothing is taken before it is used.
    pub(super) fn new(size: u64, workers: usize) -> Self {
        let workers = workers.max(1) as u64;
        let share = size.div_ceil(workers);
        let sets = share.saturating_add(share / 4).div_ceil(WAYS as u64);
        Self {
            entries: Vec::new(),
            sets: usize::try_from(sets.clamp(1, 1 << 32)).unwrap_or(1),
        }
    }

    fn set(&mut self, hash: u64) -> &mut [u64] {
        let set = ((u128::from(hash) * self.sets as u128) >> 64) as usize;
        &mut self.entries[set * WAYS..][..WAYS]
    }

    /// What tells a trace from others in its set; never 0, which is no entry.
    const fn mark(hash: u64) -> u64 {
        let mark = hash << TIME_BITS;
        if mark == 0 { 1 << TIME_BITS } else { mark }
    }

    /// How many seconds ago it was decided of this trace.
    pub(super) fn age(&mut self, hash: u64, second: u64) -> Option<u64> {
        if self.entries.is_empty() {
            return None;
        }
        let mark = Self::mark(hash);
        let set = self.set(hash);
        let at = set.iter().position(|entry| entry & !TIME == mark)?;
        set[..=at].rotate_right(1);
        Some(second.wrapping_sub(set[0]) & TIME)
    }

    /// Remembers what was decided of this trace.
    pub(super) fn remember(&mut self, hash: u64, second: u64) {
        if self.entries.is_empty() {
            self.entries = vec![0; self.sets * WAYS];
        }
        let mark = Self::mark(hash);
        let set = self.set(hash);
        let at = set.iter().position(|entry| entry & !TIME == mark);
        set[..=at.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = mark | second & TIME;
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::quality::FixedState;

    use super::*;

    #[test]
    fn what_fits_is_remembered_and_the_oldest_gives_way() {
        let hasher = FixedState::default();
        let mut cache = Cache::new(1000, 1);
        assert_eq!(cache.age(hasher.hash_one(0), 0), None);
        for id in 0..1000 {
            cache.remember(hasher.hash_one(id), 100 + id);
        }
        let known = (0..1000).filter(|id| cache.age(hasher.hash_one(id), 1100) == Some(1000 - id));
        assert!(known.count() > 900);
        for id in 1000..20_000 {
            cache.remember(hasher.hash_one(id), id);
        }
        let known = (0..1000).filter(|id| cache.age(hasher.hash_one(id), 0).is_some());
        assert_eq!(known.count(), 0);
        assert!(cache.entries.len() < 1400);
    }

    #[test]
    fn one_that_is_asked_for_stays() {
        let mut cache = Cache::new(1, 1);
        for id in 1..100 {
            cache.remember(id << 8, id);
            assert!(cache.age(1 << 8, id).is_some());
        }
        assert_eq!(cache.age(50 << 8, 0), None);
        assert_eq!(cache.age(99 << 8, 100), Some(1));
    }
}
