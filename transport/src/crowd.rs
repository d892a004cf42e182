//! A bounded crowd: how many may be here at a time, of which no client takes all the places.
//!
//! Places are shared out as the byte budget is: a client may take at most eight times as many as stay free, so
//! whoever opens connections without end leaves a ninth of them to others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_pdata::{is_fair, origin};
use tokio::time::Instant;

/// How often the log says that a place is missing.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// A number of places.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// What comes in, in the plural.
    what: &'static str,
    most: usize,
    here: Mutex<Here>,
}

#[derive(Debug, Default)]
struct Here {
    all: usize,
    of: HashMap<Option<IpAddr>, usize>,
    said: Option<Instant>,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    client: Option<IpAddr>,
}

impl Crowd {
    /// A crowd of at most so many.
    pub(crate) fn new(what: &'static str, most: usize) -> Arc<Self> {
        Arc::new(Self {
            what,
            most,
            here: Mutex::default(),
        })
    }

    /// A place for a client at this address, or of this machine; none where all are taken, or as many as
    /// are this client's share.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let client = address.map(origin);
        let mut here = self.here();
        let held = here.of.get(&client).copied().unwrap_or(0);
        let free = self.most.saturating_sub(here.all);
        if free == 0 || !is_fair(held, 1, free) {
            self.say(&mut here, address, free == 0);
            return None;
        }
        here.all += 1;
        *here.of.entry(client).or_default() += 1;
        Some(Place {
            crowd: Arc::clone(self),
            client,
        })
    }

    fn say(&self, here: &mut Here, address: Option<IpAddr>, is_full: bool) {
        let now = Instant::now();
        if here.said.is_some_and(|said| now - said < SAID_EVERY) {
            return;
        }
        here.said = Some(now);
        let (what, limit) = (self.what, self.most);
        match is_full {
            true => tracing::warn!(limit, "too many {what}; new ones are closed"),
            false => tracing::warn!(
                limit,
                ?address,
                "too many {what} of one client; its new ones are closed"
            ),
        }
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut here = self.crowd.here();
        here.all -= 1;
        if let Some(held) = here.of.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                here.of.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Option<IpAddr> {
        Some([10, 0, 0, last].into())
    }

    #[test]
    fn one_client_leaves_a_ninth_of_the_places() {
        let crowd = Crowd::new("guests", 90);
        let mut places: Vec<_> = std::iter::from_fn(|| crowd.enter(client(1))).collect();
        assert_eq!(places.len(), 80);
        for last in 2..12 {
            places.push(crowd.enter(client(last)).unwrap());
        }
        assert!(crowd.enter(client(99)).is_none());
        drop(places);
        assert!(crowd.here().of.is_empty());
        assert_eq!(crowd.here().all, 0);
        assert!(crowd.enter(None).is_some());
    }

    #[test]
    fn the_last_place_is_for_one_who_has_none() {
        let crowd = Crowd::new("guests", 1);
        let place = crowd.enter(client(1)).unwrap();
        assert!(crowd.enter(client(2)).is_none());
        drop(place);
        assert!(crowd.enter(client(2)).is_some());
    }
}
