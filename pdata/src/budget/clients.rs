//! Who holds how much of the budget: what fairness between clients is decided by.
//!
//! A client may hold at most [`SHARE`] times what stays free. So one that floods leaves a ninth of
//! the room to those who hold little, and of several that flood together none gets more than the others; nobody has to
//! count who is active. What is inside is not taken back: a flood that comes when another has filled
//! its share takes eight ninths of the rest, until things drain and both come to hold as much.
//! Switches divide their buffers among their ports by this rule (A. K. Choudhury, E. L. Hahne, "Dynamic
//! queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on
//! Networking 6(2), 1998).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many times the free room one client may hold: eight ninths of the whole where nobody else holds anything.
pub const SHARE: usize = 8;

/// Clients told apart at a time; those beyond are one client together.
const MOST: usize = 65_536;
const SHARDS: usize = 16;

/// Whether a client that holds `held` of a room may take `more`, where `free` is free. One that holds
/// nothing may, whatever it leaves.
#[must_use]
pub const fn is_fair(held: usize, more: usize, free: usize) -> bool {
    held == 0 || held.saturating_add(more) <= free.saturating_sub(more).saturating_mul(SHARE)
}

/// Who a client is, as far as fairness goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// One at this address.
    Address(IpAddr),
    /// Those on this machine that came over a unix socket.
    Local,
    /// Those who came when there were too many to tell apart.
    Others,
}

impl Key {
    fn of(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Local, |address| Self::Address(origin(address)))
    }
}

/// The address that stands for a client: an IPv4 address, or the first half of an IPv6 one, since
/// hosts get as many addresses of one /64 as they like.
#[must_use]
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address => address,
    }
}

/// A client's account with the budget, alive while it has a connection or data inside.
#[derive(Clone, Debug)]
pub struct Client(Arc<Account>);

#[derive(Debug)]
struct Account {
    key: Key,
    held: AtomicUsize,
    clients: Arc<Clients>,
}

impl Client {
    /// Bytes of this client that are inside.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.load(Relaxed)
    }

    pub(super) fn take(&self, bytes: usize) {
        self.0.held.fetch_add(bytes, Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.0.held.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.clients.forget(self.key);
    }
}

/// Every client that is known now.
///
/// Asked once for each connection; requests use the account that they found then.
#[derive(Debug, Default)]
pub(super) struct Clients {
    shards: [Mutex<HashMap<Key, Weak<Account>>>; SHARDS],
    hasher: RandomState,
    known: AtomicUsize,
}

impl Clients {
    /// The account of the client with this address; none for a unix socket.
    pub(super) fn client(self: &Arc<Self>, address: Option<IpAddr>) -> Client {
        let key = Key::of(address);
        match self.find(key, MOST) {
            Some(client) => client,
            None => self
                .find(Key::Others, usize::MAX)
                .expect("there is always room for one account more"),
        }
    }

    /// The account under a key, made unless there are `most` already.
    fn find(self: &Arc<Self>, key: Key, most: usize) -> Option<Client> {
        let mut shard = self.shard(key);
        if let Some(account) = shard.get(&key).and_then(Weak::upgrade) {
            return Some(Client(account));
        }
        if self.known.load(Relaxed) >= most {
            return None;
        }
        let account = Arc::new(Account {
            key,
            held: AtomicUsize::new(0),
            clients: Arc::clone(self),
        });
        // An account that is just being dropped leaves its place to this one.
        if shard.insert(key, Arc::downgrade(&account)).is_none() {
            self.known.fetch_add(1, Relaxed);
        }
        Some(Client(account))
    }

    fn forget(&self, key: Key) {
        let mut shard = self.shard(key);
        let is_gone = |account: &Weak<Account>| account.strong_count() == 0;
        if shard.get(&key).is_some_and(is_gone) {
            shard.remove(&key);
            self.known.fetch_sub(1, Relaxed);
        }
    }

    fn shard(&self, key: Key) -> std::sync::MutexGuard<'_, HashMap<Key, Weak<Account>>> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Clients known now.
    pub(super) fn known(&self) -> usize {
        self.known.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_a_network_of_ipv6() {
        let clients = Arc::new(Clients::default());
        let first = clients.client(address("10.0.0.1"));
        first.take(5);
        assert_eq!(clients.client(address("::ffff:10.0.0.1")).held(), 5);
        assert_eq!(clients.client(address("10.0.0.2")).held(), 0);
        let six = clients.client(address("2001:db8::1"));
        six.take(7);
        assert_eq!(clients.client(address("2001:db8::ffff:2")).held(), 7);
        assert_eq!(clients.client(address("2001:db8:0:1::1")).held(), 0);
        assert_eq!(clients.client(None).held(), 0);
    }

    #[test]
    fn a_client_is_forgotten_with_its_last_connection_and_byte() {
        let clients = Arc::new(Clients::default());
        let connection = clients.client(address("10.0.0.1"));
        let data = connection.clone();
        drop(connection);
        assert_eq!(clients.known(), 1);
        drop(data);
        assert_eq!(clients.known(), 0);
    }

    #[test]
    fn those_beyond_the_table_are_one_client() {
        let clients = Arc::new(Clients::default());
        let _one = clients.client(address("10.0.0.1"));
        clients.known.store(MOST, Relaxed);
        clients.client(address("10.0.0.1")).take(1);
        let third = clients.client(address("10.0.0.3"));
        third.take(5);
        assert_eq!(clients.client(address("10.0.0.4")).held(), 5);
        assert_eq!(clients.client(address("10.0.0.1")).held(), 1);
    }

    proptest::proptest! {
        /// Whatever one client sends, a ninth stays free for another that holds nothing.
        #[test]
        fn a_flood_leaves_a_ninth(requests in proptest::collection::vec(1..50_000_usize, 1..2000)) {
            const ROOM: usize = 1_000_000;
            let mut held = 0;
            for bytes in requests {
                if is_fair(held, bytes, ROOM - held) {
                    held += bytes;
                }
            }
            let free = ROOM - held;
            proptest::prop_assert!(free >= ROOM / (1 + SHARE));
            proptest::prop_assert!(is_fair(0, free, free));
        }
    }

    #[test]
    fn floods_that_drain_come_to_hold_as_much_as_each_other() {
        const ROOM: usize = 9_000;
        for floods in [2, 3, 8] {
            let mut held = vec![0_usize; floods];
            // The first was there before the others.
            while is_fair(held[0], 1, ROOM - held[0]) {
                held[0] += 1;
            }
            for round in 0..100_000_usize {
                // What drains is drawn by lot among everything inside.
                let used = held.iter().sum::<usize>();
                let mut lot = round.wrapping_mul(2_654_435_761) % used.max(1);
                for held in &mut held {
                    if lot < *held {
                        *held -= 1;
                        break;
                    }
                    lot -= *held;
                }
                for flood in 0..floods {
                    let used = held.iter().sum::<usize>();
                    if is_fair(held[flood], 1, ROOM - used) {
                        held[flood] += 1;
                    }
                }
            }
            let (most, least) = (held.iter().max().unwrap(), held.iter().min().unwrap());
            assert!(most - least <= most / 10 + 10, "{held:?}");
        }
    }
}
