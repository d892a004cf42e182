//! The byte budget: what all the data inside may weigh.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::time::Duration;

use tokio::sync::Notify;

/// How long those at the door trust the bell alone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The bytes that all data inside the process may hold, counted as they arrive.
///
/// The door reserves and may be refused. Behind the door nothing waits: a copy that a
/// processor makes overdraws, so that a flush can always finish.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// Those who wait at the door; while there is none, ringing costs one load.
    waiting: AtomicUsize,
    bell: Notify,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            waiting: AtomicUsize::new(0),
            bell: Notify::new(),
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
        self.ring();
    }

    /// Tells those who wait at the door that something has made room.
    pub fn ring(&self) {
        if self.waiting.load(SeqCst) > 0 {
            self.bell.notify_waiters();
        }
    }

    /// Waits until `look` finds what it looks for: it looks whenever the bell rings, and once a
    /// second for what changes without ringing.
    pub async fn wait<T>(&self, mut look: impl FnMut() -> Option<T> + Send) -> T {
        self.waiting.fetch_add(1, SeqCst);
        let _waiting = Waiting(self);
        loop {
            let bell = self.bell.notified();
            // Whoever gives back counts first and looks for those who wait afterwards; without
            // this the two could miss each other.
            fence(SeqCst);
            if let Some(found) = look() {
                return found;
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, bell).await;
        }
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

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, SeqCst);
        self.ring();
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
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
        true
    }

    /// Holds `bytes` in all from now on, even past the limit.
    pub fn resize(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Relaxed);
        } else {
            self.budget.used.fetch_sub(self.bytes - bytes, Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// Somebody who waits at the door.
struct Waiting<'a>(&'a Budget);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
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

    #[tokio::test]
    async fn those_who_wait_get_in_when_room_is_given_back() {
        let budget = Budget::new(10);
        let held = budget.try_reserve(10).unwrap();
        let waiter = Arc::clone(&budget);
        let waiter = tokio::spawn(async move { waiter.wait(|| waiter.try_reserve(4)).await });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        drop(held);
        assert_eq!(waiter.await.unwrap().bytes(), 4);
        assert_eq!(budget.waiting.load(Relaxed), 0);
    }
}
