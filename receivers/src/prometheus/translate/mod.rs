//! From samples to OTLP: what a target exposes becomes the request of one scrape.
//!
//! [`Series`] is what is kept of a target between scrapes; [`Build`] is a scrape that is being read. A sample
//! finds its stream by its metric and encoded attributes, and its point by its stream, so that the lines of
//! a histogram come together whatever their order. Points are written at the end, metric by metric.

mod build;
mod family;
mod native;
mod origin;
mod shapes;
mod streams;
mod units;
mod write;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::exposition::Type;
use family::About;
use origin::{Origin, Scope};
use shapes::Shapes;
use streams::{NONE, Streams};

#[cfg(test)]
use build::Counts;
pub(super) use build::{Build, Own, Rejected};

/// Series that are followed of one target.
pub(super) const MAX_SERIES: usize = 2_000_000;

/// What is kept of a target from one scrape to the next.
#[derive(Debug)]
pub(super) struct Series {
    /// The number of the scrape, from 1.
    scrape: u32,
    streams: Streams,
    families: Families,
    origins: Vec<Origin>,
    scopes: Vec<Scope>,
    shapes: Shapes,
}

/// A metric of a target.
#[derive(Debug)]
struct Family {
    key: Key,
    help: Box<str>,
    unit: Box<str>,
    /// The scrape that had it last, and its points in it.
    touched: u32,
    first: u32,
    last: u32,
    /// The bounds of the last point.
    shape: u32,
}

/// What tells metrics from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    origin: u32,
    scope: u32,
    kind: Type,
    native: bool,
    name: Box<str>,
}

/// What tells metrics from each other, borrowed.
#[derive(Clone, Copy)]
struct KeyRef<'n> {
    origin: u32,
    scope: u32,
    kind: Type,
    native: bool,
    name: &'n str,
}

impl KeyRef<'_> {
    fn hash(&self) -> u64 {
        let rest = u64::from(self.origin) << 40
            ^ u64::from(self.scope) << 16
            ^ (self.kind as u64) << 8
            ^ u64::from(self.native);
        xxh3_64(self.name.as_bytes()) ^ rest.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn is(&self, key: &Key) -> bool {
        (self.origin, self.scope, self.kind, self.native, self.name)
            == (key.origin, key.scope, key.kind, key.native, &key.name)
    }
}

impl Key {
    fn borrowed(&self) -> KeyRef<'_> {
        KeyRef {
            origin: self.origin,
            scope: self.scope,
            kind: self.kind,
            native: self.native,
            name: &self.name,
        }
    }
}

/// The metrics of a target.
#[derive(Debug, Default)]
struct Families {
    all: Vec<Family>,
    index: HashTable<u32>,
}

impl Families {
    fn find_or_add(&mut self, key: KeyRef<'_>) -> u32 {
        let hash = key.hash();
        let all = &self.all;
        if let Some(at) = self.index.find(hash, |at| key.is(&all[*at as usize].key)) {
            return *at;
        }
        self.add(Family {
            key: Key {
                origin: key.origin,
                scope: key.scope,
                kind: key.kind,
                native: key.native,
                name: key.name.into(),
            },
            help: Box::default(),
            unit: Box::default(),
            touched: 0,
            first: NONE,
            last: NONE,
            shape: NONE,
        })
    }

    fn add(&mut self, family: Family) -> u32 {
        let hash = family.key.borrowed().hash();
        let at = u32::try_from(self.all.len()).unwrap_or(NONE);
        self.all.push(family);
        let all = &self.all;
        let rehash = |at: &u32| all[*at as usize].key.borrowed().hash();
        self.index.insert_unique(hash, at, rehash);
        at
    }
}

impl Family {
    /// Takes over what a page says of it.
    fn tell(&mut self, about: Option<&About<'_>>) {
        let help = about.and_then(|about| about.help);
        let help = help
            .map(super::exposition::Text::to_cow)
            .unwrap_or_default();
        if *self.help != *help {
            self.help = (*help).into();
        }
        let unit = about.and_then(|about| about.unit);
        let unit = unit
            .map(super::exposition::Text::to_cow)
            .unwrap_or_default();
        if *self.unit != *unit {
            self.unit = (*unit).into();
        }
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new()
    }
}

impl Series {
    /// Of a target that was not scraped yet.
    pub(super) fn new() -> Self {
        // What targets write decides where it lands in the index, unless it cannot know the seed.
        let seed = RandomState::new().hash_one(0);
        Self {
            scrape: 0,
            streams: Streams::new(seed),
            families: Families::default(),
            origins: Vec::new(),
            scopes: Vec::new(),
            shapes: Shapes::default(),
        }
    }

    /// Streams that are followed.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// The resource of a job and an instance.
    fn origin(&mut self, job: &str, instance: &str) -> u32 {
        let is_it = |origin: &Origin| origin.job == job && origin.instance == instance;
        let at = self.origins.iter().position(is_it).unwrap_or_else(|| {
            self.origins.push(Origin::new(job, instance));
            self.origins.len() - 1
        });
        u32::try_from(at).unwrap_or(NONE)
    }

    fn scope(&mut self, scope: Scope) -> u32 {
        let known = self.scopes.iter().position(|known| known.is(&scope));
        let at = known.unwrap_or_else(|| {
            self.scopes.push(scope);
            self.scopes.len() - 1
        });
        u32::try_from(at).unwrap_or(NONE)
    }

    /// Lets go of metrics, resources and scopes that no stream belongs to, once they are many.
    fn tidy(&mut self) {
        let many = |spare: usize, used: usize| spare > used + 1024;
        let mut used = vec![false; self.families.all.len()];
        for at in self.streams.places() {
            used[self.streams.get(at).family as usize] = true;
        }
        let families = used.iter().filter(|used| **used).count();
        if !many(self.streams.spare(), self.streams.len()) && !many(used.len() - families, families)
        {
            return;
        }
        let mut origins = Renumbering::new(std::mem::take(&mut self.origins));
        let mut scopes = Renumbering::new(std::mem::take(&mut self.scopes));
        let mut numbers = vec![NONE; used.len()];
        let old = std::mem::take(&mut self.families);
        for (at, mut family) in old.all.into_iter().enumerate() {
            if used[at] {
                family.key.origin = origins.number(family.key.origin);
                family.key.scope = scopes.number(family.key.scope);
                numbers[at] = self.families.add(family);
            }
        }
        self.origins = origins.kept;
        self.scopes = scopes.kept;
        self.streams.compact(|family| numbers[family as usize]);
    }
}

/// Things that get new numbers as they are asked for; what nobody asks for is let go.
struct Renumbering<T> {
    old: Vec<Option<T>>,
    numbers: Vec<u32>,
    kept: Vec<T>,
}

impl<T> Renumbering<T> {
    fn new(old: Vec<T>) -> Self {
        Self {
            numbers: vec![NONE; old.len()],
            old: old.into_iter().map(Some).collect(),
            kept: Vec::new(),
        }
    }

    fn number(&mut self, old: u32) -> u32 {
        let at = old as usize;
        if let Some(thing) = self.old[at].take() {
            self.numbers[at] = u32::try_from(self.kept.len()).unwrap_or(NONE);
            self.kept.push(thing);
        }
        self.numbers[at]
    }
}
