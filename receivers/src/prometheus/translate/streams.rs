//! The series of a target, from one scrape to the next.
//!
//! A stream is what OTLP calls so: the points of one metric with one set of attributes. All that is kept
//! of it are its encoded attributes and when it was last there, so that its end can be told.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// No index.
pub(super) const NONE: u32 = u32::MAX;

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    hash: u64,
    /// Its attributes as fields of a point.
    pub(super) attributes: Box<[u8]>,
    /// Its metric.
    pub(super) family: u32,
    /// The scrape that had it last; 0 where it is gone and its place is free.
    pub(super) seen: u32,
    /// The scrape that had it first.
    pub(super) born: u32,
    /// Its point in the scrape that had it last.
    pub(super) slot: u32,
    /// The bounds or quantiles of its last point.
    pub(super) shape: u32,
    /// Whether its end is to be told.
    pub(super) tracked: bool,
    /// Whether it is the scrape's own, which goes on when the target does not answer.
    pub(super) own: bool,
}

/// All streams of a target.
#[derive(Debug, Default)]
pub(super) struct Streams {
    all: Vec<Stream>,
    free: Vec<u32>,
    index: HashTable<u32>,
    seed: u64,
}

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// The streams that are there.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn get(&self, at: u32) -> &Stream {
        &self.all[at as usize]
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut Stream {
        &mut self.all[at as usize]
    }

    /// The stream of a metric with these attributes; made where there is none.
    #[inline]
    pub(super) fn find_or_add(&mut self, family: u32, attributes: &[u8], scrape: u32) -> u32 {
        let hash = xxh3_64_with_seed(attributes, self.seed ^ u64::from(family));
        let is_it = |at: &u32| {
            let stream = &self.all[*at as usize];
            stream.family == family && *stream.attributes == *attributes
        };
        if let Some(at) = self.index.find(hash, is_it) {
            return *at;
        }
        self.add(hash, family, attributes, scrape)
    }

    #[cold]
    fn add(&mut self, hash: u64, family: u32, attributes: &[u8], scrape: u32) -> u32 {
        let stream = Stream {
            hash,
            attributes: attributes.into(),
            family,
            seen: scrape.wrapping_sub(1),
            born: scrape,
            slot: NONE,
            shape: NONE,
            tracked: true,
            own: false,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.all[at as usize] = stream;
                at
            }
            None => {
                self.all.push(stream);
                u32::try_from(self.all.len() - 1).unwrap_or(NONE)
            }
        };
        let all = &self.all;
        self.index
            .insert_unique(hash, at, |at| all[*at as usize].hash);
        at
    }

    /// The places of all streams that are there.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + use<> {
        let mut places: Vec<u32> = self.index.iter().copied().collect();
        places.sort_unstable();
        places.into_iter()
    }

    /// The streams that the scrape of this number did not have.
    pub(super) fn missed(&self, scrape: u32) -> Vec<u32> {
        let missed = |stream: &Stream| stream.seen != scrape && stream.family != NONE;
        let all = self.all.iter().enumerate();
        all.filter(|(_, stream)| missed(stream))
            .filter_map(|(at, _)| u32::try_from(at).ok())
            .collect()
    }

    pub(super) fn remove(&mut self, at: u32) {
        let hash = self.all[at as usize].hash;
        if let Ok(entry) = self.index.find_entry(hash, |known| *known == at) {
            entry.remove();
        }
        let stream = &mut self.all[at as usize];
        stream.attributes = Box::default();
        stream.family = NONE;
        self.free.push(at);
    }

    /// Moves everything together where more than half of the places are free, and says how families
    /// are numbered now.
    pub(super) fn compact(&mut self, family: impl Fn(u32) -> u32) {
        self.all.retain(|stream| stream.family != NONE);
        self.free = Vec::new();
        self.index.clear();
        for (at, stream) in self.all.iter_mut().enumerate() {
            stream.family = family(stream.family);
            // The hash has the family's number in it.
            stream.hash =
                xxh3_64_with_seed(&stream.attributes, self.seed ^ u64::from(stream.family));
            stream.slot = at as u32;
        }
        let all = &self.all;
        for at in 0..all.len() as u32 {
            let hash = |at: &u32| all[*at as usize].hash;
            self.index.insert_unique(hash(&at), at, hash);
        }
        self.all.shrink_to_fit();
        self.index.shrink_to_fit(|at| self.all[*at as usize].hash);
    }

    /// Places that are free.
    pub(super) fn spare(&self) -> usize {
        self.free.len()
    }
}
