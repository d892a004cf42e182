//! Values that are made once and shared: a table in shards, each under a lock that is held for one look.

use std::sync::{Arc, Mutex};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use tidegate_pdata::Reservation;

use super::lock;

/// More than there are workers on most machines, so that two seldom meet.
const SHARDS: usize = 32;

/// A table of shared values by their hash.
#[derive(Debug)]
pub(super) struct Interner<T> {
    shards: [Mutex<HashTable<Held<T>>>; SHARDS],
}

#[derive(Debug)]
struct Held<T> {
    hash: u64,
    value: Arc<T>,
    /// Its share of the byte budget.
    _hold: Reservation,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<T> Interner<T> {
    /// The value with this hash that `is` the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let shard = lock(self.shard(hash));
        let found = shard.find(hash, |held| held.hash == hash && is(&held.value));
        found.map(|held| Arc::clone(&held.value))
    }

    /// The value with this hash that `is` the one, or the one that is put in now.
    pub(super) fn put(
        &self,
        hash: u64,
        (value, hold): (T, Reservation),
        is: impl Fn(&T) -> bool,
    ) -> Arc<T> {
        let mut shard = lock(self.shard(hash));
        let entry = shard.entry(
            hash,
            |held| held.hash == hash && is(&held.value),
            |held| held.hash,
        );
        match entry {
            Entry::Occupied(known) => Arc::clone(&known.get().value),
            Entry::Vacant(free) => {
                let value = Arc::new(value);
                let shared = Arc::clone(&value);
                free.insert(Held {
                    hash,
                    value,
                    _hold: hold,
                });
                shared
            }
        }
    }

    /// Lets go of what nobody else holds, unless `keep` says otherwise, and of what `spoilt` says.
    pub(super) fn tidy(&self, keep: impl Fn(&T) -> bool, spoilt: impl Fn(&T) -> bool) {
        for shard in &self.shards {
            lock(shard).retain(|held| {
                let wanted = Arc::strong_count(&held.value) > 1 || keep(&held.value);
                wanted && !spoilt(&held.value)
            });
        }
    }

    /// Lets go of one value.
    pub(super) fn forget(&self, hash: u64, value: &Arc<T>) {
        let mut shard = lock(self.shard(hash));
        if let Ok(found) = shard.find_entry(hash, |held| Arc::ptr_eq(&held.value, value)) {
            found.remove();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, hash: u64) -> &Mutex<HashTable<Held<T>>> {
        // The table takes its place from the lowest bits and its tag from the highest.
        &self.shards[(hash >> 40) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_pdata::Budget;

    fn put(interner: &Interner<char>, hash: u64, value: char) -> Arc<char> {
        let hold = Budget::new(usize::MAX).overdraw(1);
        interner.put(hash, (value, hold), |known| *known == value)
    }

    #[test]
    fn equal_values_are_one_and_equal_hashes_are_not() {
        let interner = Interner::default();
        let (a, b) = (put(&interner, 7, 'a'), put(&interner, 7, 'b'));
        assert!(Arc::ptr_eq(&a, &put(&interner, 7, 'a')));
        assert!(!Arc::ptr_eq(&a, &b));
        assert_eq!(interner.find(7, |known| *known == 'c'), None);
        assert_eq!(interner.len(), 2);
    }

    #[test]
    fn what_nobody_holds_is_let_go() {
        let interner = Interner::default();
        let held = put(&interner, 1, 'h');
        let _ = put(&interner, 2, 'k');
        let _ = put(&interner, 3, 'f');
        interner.tidy(|value| *value == 'k', |_| false);
        assert_eq!(interner.len(), 2);
        interner.tidy(|_| true, |value| *value == 'h');
        assert_eq!(interner.len(), 1);
        interner.forget(2, &held);
        assert_eq!(interner.len(), 1, "another value of that hash stays");
    }
}
