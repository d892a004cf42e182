//! The byte budget: what all the data inside may weigh.

mod clients;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::time::Duration;

use tokio::sync::Notify;

use clients::Clients;
pub use clients::{Client, SHARE, is_fair, origin};

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
    clients: Arc<Clients>,
}

/// Why the budget has no room for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// It is spent.
    Spent,
    /// The ceiling is reached that was set for the request.
    Ceiling,
    /// The client holds so much that what is left is for others.
    Share,
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
            clients: Arc::default(),
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

    /// The account of the client with this address, or of those on unix sockets.
    ///
    /// To be asked for once a connection.
    #[must_use]
    pub fn client(&self, address: Option<IpAddr>) -> Client {
        self.clients.client(address)
    }

    /// Clients that have a connection or data inside.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.known()
    }

    /// Reserves `bytes`, or nothing where the limit would be passed.
    #[must_use]
    pub fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.admit(bytes, None, usize::MAX).ok()
    }

    /// Reserves `bytes` for a client, where no more than `ceiling` is used of the whole then and the
    /// client does not take what is left for others. Both hold for what the reservation grows
    /// by later, too.
    ///
    /// # Errors
    /// When there is no room.
    pub fn admit(
        self: &Arc<Self>,
        bytes: usize,
        client: Option<&Client>,
        ceiling: usize,
    ) -> Result<Reservation, NoRoom> {
        self.try_add(bytes, client, ceiling)?;
        Ok(Reservation {
            budget: Arc::clone(self),
            bytes,
            client: client.cloned(),
            ceiling,
        })
    }

    /// Reserves `bytes` even past the limit.
    #[must_use]
    pub fn overdraw(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, Relaxed);
        Reservation {
            budget: Arc::clone(self),
            bytes,
            client: None,
            ceiling: usize::MAX,
        }
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, SeqCst);
        self.ring();
    }

    /// Adds to what is used, by a client if there is one, or says why not.
    fn try_add(&self, bytes: usize, client: Option<&Client>, ceiling: usize) -> Result<(), NoRoom> {
        let limit = self.limit().min(ceiling);
        let held = client.map_or(0, Client::held);
        let mut used = self.used.load(Relaxed);
        loop {
            let free = limit.saturating_sub(used);
            if bytes > free {
                return Err(if limit < ceiling {
                    NoRoom::Spent
                } else {
                    NoRoom::Ceiling
                });
            }
            if client.is_some() && !is_fair(held, bytes, free) {
                return Err(NoRoom::Share);
            }
            match self
                .used
                .compare_exchange_weak(used, used + bytes, Relaxed, Relaxed)
            {
                Ok(_) => break,
                Err(now) => used = now,
            }
        }
        if let Some(client) = client {
            client.take(bytes);
        }
        Ok(())
    }
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
    client: Option<Client>,
    ceiling: usize,
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

    /// Reserves `bytes` more for whom this is reserved, even past the limit: for a copy of what it is for.
    #[must_use]
    pub fn overdraw(&self, bytes: usize) -> Self {
        self.budget.used.fetch_add(bytes, Relaxed);
        if let Some(client) = &self.client {
            client.take(bytes);
        }
        Self {
            budget: Arc::clone(&self.budget),
            bytes,
            client: self.client.clone(),
            ceiling: self.ceiling,
        }
    }

    /// Holds `bytes` in all from now on; false, and nothing changed, where the limit forbids it.
    #[must_use]
    pub fn try_resize(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let added = self
                .budget
                .try_add(more, self.client.as_ref(), self.ceiling);
            if added.is_err() {
                return false;
            }
            self.bytes = bytes;
        } else {
            self.shrink(bytes);
        }
        true
    }

    /// Holds `bytes` in all from now on, even past the limit.
    pub fn resize(&mut self, bytes: usize) {
        if bytes <= self.bytes {
            return self.shrink(bytes);
        }
        let more = bytes - self.bytes;
        self.budget.used.fetch_add(more, Relaxed);
        if let Some(client) = &self.client {
            client.take(more);
        }
        self.bytes = bytes;
    }

    fn shrink(&mut self, bytes: usize) {
        let less = self.bytes - bytes;
        if let Some(client) = &self.client {
            client.give_back(less);
        }
        self.bytes = bytes;
        self.budget.give_back(less);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(0);
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

    #[test]
    fn a_flooding_client_leaves_room_for_others() {
        let budget = Budget::new(9000);
        let flood = budget.client(Some([10, 0, 0, 1].into()));
        let admit = |client: &Client| budget.admit(100, Some(client), usize::MAX);
        let mut held: Vec<_> = std::iter::from_fn(|| admit(&flood).ok()).collect();
        assert_eq!(admit(&flood).unwrap_err(), NoRoom::Share);
        assert!((7900..=8000).contains(&flood.held()), "{}", flood.held());
        for last in 2..10 {
            let modest = budget.client(Some([10, 0, 0, last].into()));
            held.push(admit(&modest).unwrap());
        }
        assert_eq!(admit(&flood).unwrap_err(), NoRoom::Share);
        drop(held);
        assert_eq!((budget.used(), flood.held()), (0, 0));
    }

    #[test]
    fn what_grows_and_is_copied_counts_for_its_client() {
        let budget = Budget::new(900);
        let client = budget.client(None);
        let mut hold = budget.admit(100, Some(&client), usize::MAX).unwrap();
        assert!(!hold.try_resize(890));
        assert!(hold.try_resize(300));
        let copy = hold.overdraw(600);
        assert_eq!(client.held(), 900);
        hold.resize(1000);
        assert_eq!((client.held(), budget.used()), (1600, 1600));
        drop((hold, copy));
        assert_eq!((client.held(), budget.used()), (0, 0));
    }

    #[test]
    fn a_ceiling_below_the_limit_holds_for_growth() {
        let budget = Budget::new(1000);
        assert_eq!(budget.admit(501, None, 500).unwrap_err(), NoRoom::Ceiling);
        let mut hold = budget.admit(400, None, 500).unwrap();
        assert!(!hold.try_resize(501));
        assert!(hold.try_resize(500));
        assert_eq!(
            budget.admit(600, None, usize::MAX).unwrap_err(),
            NoRoom::Spent
        );
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
