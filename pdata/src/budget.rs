//! The byte budget: what all the data inside may weigh.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The bytes that all data inside the process may hold, counted as they arrive.
///
/// The door reserves and may be refused. Behind the door nothing waits: a copy that a
/// processor makes overdraws, so that a flush can always finish.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
        })
    }

    /// Bytes reserved now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Bytes that may be reserved.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Changes the limit; what is already reserved stays.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
    }

    /// Reserves `bytes`, or nothing where the limit would be passed.
    #[must_use]
    pub fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.try_add(bytes).then(|| Reservation {
            budget: Arc::clone(self),
            bytes,
        })
    }

    /// Reserves `bytes` even past the limit.
    #[must_use]
    pub fn overdraw(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, Relaxed);
        Reservation {
            budget: Arc::clone(self),
            bytes,
        }
    }

    fn try_add(&self, bytes: usize) -> bool {
        let limit = self.limit();
        self.used
            .fetch_update(Relaxed, Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            })
            .is_ok()
    }
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// Bytes that this reservation holds.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The budget that it is a share of.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Holds `bytes` in all from now on; false, and nothing changed, where the limit forbids it.
    #[must_use]
    pub fn try_resize(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            if !self.budget.try_add(bytes - self.bytes) {
                return false;
            }
        } else {
            self.budget.used.fetch_sub(self.bytes - bytes, Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_past_the_limit_and_gives_back_on_drop() {
        let budget = Budget::new(100);
        let mut first = budget.try_reserve(60).unwrap();
        assert!(budget.try_reserve(41).is_none());
        assert!(first.try_resize(100));
        assert!(!first.try_resize(101));
        assert!(first.try_resize(10));
        assert_eq!(budget.used(), 10);
        let extra = budget.overdraw(200);
        assert_eq!(budget.used(), 210);
        drop((first, extra));
        assert_eq!(budget.used(), 0);
    }
}
