//! A bucket for each tenant, for so many of them as may be told apart.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::bucket::{Bucket, Limit};

const SHARDS: usize = 16;
/// How long a search for buckets that nobody needs is not repeated when it is in vain, in nanoseconds.
const SEARCH: u64 = 1_000_000_000;

/// A tenant's bucket, and whether it stays when it is full.
#[derive(Debug)]
struct Entry {
    bucket: Bucket,
    stays: bool,
}

type Shard = RwLock<HashMap<Box<str>, Entry, RandomState>>;

/// The buckets by key.
///
/// A request takes a shard's lock for reading; only a new key writes. A full bucket is the same as
/// none, so those make room for new keys; tenants beyond the most share one bucket.
#[derive(Debug)]
pub(super) struct Buckets {
    shards: [Shard; SHARDS],
    hasher: RandomState,
    limit: Limit,
    shared: Bucket,
    most: usize,
    count: AtomicUsize,
    searched: AtomicU64,
}

impl Buckets {
    /// Buckets with this limit, at most so many beside those named, which have limits of their own.
    pub(super) fn new(limit: Limit, most: usize, named: Vec<(Box<str>, Limit)>) -> Self {
        let buckets = Self {
            shards: std::array::from_fn(|_| Shard::default()),
            hasher: RandomState::default(),
            limit,
            shared: Bucket::new(limit),
            most,
            count: AtomicUsize::new(0),
            searched: AtomicU64::new(0),
        };
        for (key, limit) in named {
            let entry = Entry {
                bucket: Bucket::new(limit),
                stays: true,
            };
            let mut shard = buckets
                .shard(&key)
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            shard.insert(key, entry);
        }
        buckets
    }

    /// Tenants told apart now, beside those named.
    pub(super) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Looks at a tenant's bucket; where it has none, at a full one.
    pub(super) fn look<T>(&self, key: &str, look: impl FnOnce(&Bucket) -> T) -> T {
        let shard = self
            .shard(key)
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match shard.get(key) {
            Some(entry) => look(&entry.bucket),
            None => {
                drop(shard);
                look(&Bucket::new(self.limit))
            }
        }
    }

    /// Uses a tenant's bucket, which is made if need be; says whether it is the shared one.
    pub(super) fn with<T>(
        &self,
        key: &str,
        now: u64,
        using: impl FnOnce(&Bucket) -> T,
    ) -> (T, bool) {
        {
            let shard = self
                .shard(key)
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = shard.get(key) {
                return (using(&entry.bucket), false);
            }
        }
        if self.count() >= self.most && !self.make_room(now) {
            return (using(&self.shared), true);
        }
        let mut shard = self
            .shard(key)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = shard.entry(key.into()).or_insert_with(|| {
            self.count.fetch_add(1, Relaxed);
            Entry {
                bucket: Bucket::new(self.limit),
                stays: false,
            }
        });
        (using(&entry.bucket), false)
    }

    /// Removes full buckets and says whether there is room now.
    fn make_room(&self, now: u64) -> bool {
        let last = self.searched.load(Relaxed);
        let due = now.saturating_sub(last) >= SEARCH || last == 0;
        let mine = || {
            self.searched
                .compare_exchange(last, now.max(1), Relaxed, Relaxed)
        };
        if due && mine().is_ok() {
            for shard in &self.shards {
                let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
                let before = shard.len();
                shard.retain(|_, entry| entry.stays || !entry.bucket.is_full(now));
                self.count.fetch_sub(before - shard.len(), Relaxed);
            }
        }
        self.count() < self.most
    }

    fn shard(&self, key: &str) -> &Shard {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const LIMIT: Limit = Limit { rate: 1, burst: 1 };

    fn take(buckets: &Buckets, key: &str, now: u64) -> (bool, bool) {
        let (taken, shared) = buckets.with(key, now, |bucket| bucket.take(1, now));
        (taken.is_ok(), shared)
    }

    #[test]
    fn tenants_have_buckets_of_their_own() {
        let named = vec![("big".into(), Limit { rate: 1, burst: 3 })];
        let buckets = Buckets::new(LIMIT, 10, named);
        assert_eq!(take(&buckets, "a", SECOND), (true, false));
        assert_eq!(take(&buckets, "a", SECOND), (false, false));
        assert_eq!(take(&buckets, "b", SECOND), (true, false));
        for _ in 0..3 {
            assert_eq!(take(&buckets, "big", SECOND), (true, false));
        }
        assert_eq!(take(&buckets, "big", SECOND), (false, false));
        assert_eq!(buckets.count(), 2);
    }

    #[test]
    fn looking_makes_no_bucket() {
        let buckets = Buckets::new(LIMIT, 10, Vec::new());
        assert_eq!(buckets.look("a", |bucket| bucket.wait(1, SECOND)), None);
        assert_eq!(buckets.count(), 0);
        take(&buckets, "a", SECOND);
        assert!(buckets.look("a", |bucket| bucket.wait(1, SECOND)).is_some());
    }

    #[test]
    fn those_beyond_the_most_share_until_others_are_idle() {
        let named = vec![("named".into(), LIMIT)];
        let buckets = Buckets::new(LIMIT, 2, named);
        take(&buckets, "a", 10 * SECOND);
        take(&buckets, "b", 10 * SECOND);
        assert_eq!(take(&buckets, "c", 10 * SECOND), (true, true));
        assert_eq!(take(&buckets, "d", 10 * SECOND), (false, true));
        assert_eq!(take(&buckets, "named", 10 * SECOND), (true, false));
        // Their buckets are full again, so nobody can tell that they are gone.
        assert_eq!(take(&buckets, "d", 12 * SECOND), (true, false));
        assert_eq!(buckets.count(), 1);
        assert_eq!(take(&buckets, "named", 12 * SECOND), (true, false));
    }
}
