//! Spans that wait for their other side: those of a client for the server's, which names it as its parent, and back.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tokio::time::Instant;

/// A trace and the span of the client in it; an empty one for a server's span without a parent.
pub(super) type Key = ([u8; 16], [u8; 8]);

/// Which sides of a request came over what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Connection {
    #[default]
    Direct,
    Messaging,
    Database,
    Virtual,
}

impl Connection {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "",
            Self::Messaging => "messaging_system",
            Self::Database => "database",
            Self::Virtual => "virtual_node",
        }
    }
}

/// A request between two services, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Edge {
    pub(super) connection: Connection,
    pub(super) client: String,
    pub(super) server: String,
    /// In seconds.
    pub(super) client_took: f64,
    pub(super) server_took: f64,
    pub(super) failed: bool,
    /// Names and values, those of the client before those of the server.
    pub(super) dimensions: Vec<(String, String)>,
    /// Who the client says that it asks.
    pub(super) peer: Option<String>,
    /// Which side sent no span.
    pub(super) absent: &'static str,
    number: u64,
}

impl Edge {
    pub(super) fn is_complete(&self) -> bool {
        !self.client.is_empty() && !self.server.is_empty()
    }
}

/// What became of a span.
#[derive(Debug)]
pub(super) enum Put {
    Waits,
    Completes(Edge),
    NoRoom,
}

/// What waits.
pub(super) struct Store {
    edges: HashMap<Key, Edge, RandomState>,
    /// In the order in which they will have waited too long; some are gone already.
    order: VecDeque<(Instant, Key, u64)>,
    ttl: Duration,
    most: usize,
    number: u64,
}

impl Store {
    pub(super) fn new(ttl: Duration, most: usize) -> Self {
        Self {
            edges: HashMap::default(),
            order: VecDeque::new(),
            ttl,
            most,
            number: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.edges.len()
    }

    /// Adds what a span tells of a request.
    pub(super) fn put(&mut self, key: Key, now: Instant, tell: impl FnOnce(&mut Edge)) -> Put {
        if let Some(edge) = self.edges.get_mut(&key) {
            tell(edge);
            if !edge.is_complete() {
                return Put::Waits;
            }
            return self.edges.remove(&key).map_or(Put::Waits, Put::Completes);
        }
        let mut edge = Edge::default();
        tell(&mut edge);
        if edge.is_complete() {
            return Put::Completes(edge);
        }
        if self.edges.len() >= self.most {
            return Put::NoRoom;
        }
        self.number += 1;
        edge.number = self.number;
        self.order.push_back((now + self.ttl, key, self.number));
        self.edges.insert(key, edge);
        if self.order.len() > 2 * self.most + 1024 {
            let edges = &self.edges;
            self.order.retain(|(_, key, number)| {
                edges.get(key).is_some_and(|edge| edge.number == *number)
            });
        }
        Put::Waits
    }

    /// Takes one that has waited too long.
    pub(super) fn expire(&mut self, now: Instant) -> Option<(Key, Edge)> {
        while let Some((until, key, number)) = self.order.front().copied() {
            let is_there = self
                .edges
                .get(&key)
                .is_some_and(|edge| edge.number == number);
            if is_there && until >= now {
                return None;
            }
            self.order.pop_front();
            if is_there {
                return self.edges.remove(&key).map(|edge| (key, edge));
            }
        }
        None
    }

    pub(super) fn clear(&mut self) -> usize {
        self.order.clear();
        let edges = self.edges.len();
        self.edges.clear();
        edges
    }
}
