//! The series of a batch: labels, samples, exemplars.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::symbols::{Symbol, Symbols};
use crate::prometheus::value::Native;

/// The bits of the NaN that ends a series.
pub(super) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A label: its name and its value.
pub(super) type Label = (Symbol, Symbol);

/// What Prometheus calls the type of a metric, with its number in either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    Summary = 5,
}

/// What is known of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: Symbol,
    pub(super) kind: Kind,
    pub(super) help: Symbol,
    pub(super) unit: Symbol,
}

/// A series.
#[derive(Clone, Debug)]
pub(super) struct Series {
    labels: Range<u32>,
    pub(super) family: u32,
    hash: u64,
}

/// What a sample says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The bits of a number.
    Number(u64),
    /// The number of a native histogram.
    Native(u32),
    /// The end of a series of native histograms.
    NoNative,
}

impl Value {
    pub(super) const fn of(number: f64) -> Self {
        Self::Number(number.to_bits())
    }
}

/// A sample of a series; times in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) series: u32,
    pub(super) time: i64,
    /// Since when it counts; 0 where nobody knows.
    pub(super) start: i64,
    pub(super) value: Value,
}

/// An exemplar of a series.
#[derive(Clone, Debug)]
pub(super) struct Exemplar {
    pub(super) series: u32,
    pub(super) time: i64,
    pub(super) value: f64,
    labels: Range<u32>,
}

/// All that a batch comes to.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) symbols: Symbols,
    pub(super) families: Vec<Family>,
    pub(super) series: Vec<Series>,
    pub(super) samples: Vec<Sample>,
    pub(super) exemplars: Vec<Exemplar>,
    pub(super) natives: Vec<Native>,
    labels: Vec<Label>,
    known: HashTable<u32>,
    random: foldhash::fast::RandomState,
}

impl Gathered {
    /// A family; the first of a name tells of it.
    pub(super) fn family(&mut self, family: Family) -> u32 {
        // Metrics of one name come together, or in the next resource: looking back a little finds most.
        let back = self.families.iter().enumerate().rev().take(64);
        let known = back.into_iter().find(|(_, one)| one.name == family.name);
        if let Some((at, _)) = known {
            return number(at);
        }
        self.families.push(family);
        number(self.families.len() - 1)
    }

    /// The series with these labels, which are in the order of their names' texts.
    pub(super) fn series(
        &mut self,
        labels: impl Iterator<Item = Label> + Clone,
        family: u32,
    ) -> u32 {
        let hash = labels.clone().fold(0, |hash: u64, label| {
            self.random.hash_one((hash, label.0, label.1))
        });
        let (all, series) = (&self.labels, &self.series);
        let is = |at: &u32| {
            let known = series.get(*at as usize);
            known.is_some_and(|known| {
                known.hash == hash && of(all, &known.labels).iter().copied().eq(labels.clone())
            })
        };
        let entry = self.known.entry(hash, is, |at| {
            series.get(*at as usize).map_or(0, |known| known.hash)
        });
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let at = number(self.series.len());
                entry.insert(at);
                let labels = put(&mut self.labels, labels);
                self.series.push(Series {
                    labels,
                    family,
                    hash,
                });
                at
            }
        }
    }

    /// Adds an exemplar with these labels.
    pub(super) fn exemplar(
        &mut self,
        series: u32,
        (time, value): (i64, f64),
        labels: impl Iterator<Item = Label>,
    ) {
        let labels = put(&mut self.labels, labels);
        self.exemplars.push(Exemplar {
            series,
            time,
            value,
            labels,
        });
    }

    /// The labels of a series.
    pub(super) fn labels(&self, series: &Series) -> &[Label] {
        of(&self.labels, &series.labels)
    }

    /// The labels of an exemplar.
    pub(super) fn labels_of(&self, exemplar: &Exemplar) -> &[Label] {
        of(&self.labels, &exemplar.labels)
    }

    /// Puts samples and exemplars in the order of series and time; of samples of one time the last stays. Gives how
    /// many others, that were not the same, there were.
    pub(super) fn sort(&mut self) -> usize {
        self.samples
            .sort_by_key(|sample| (sample.series, sample.time));
        self.exemplars.sort_by_key(|one| (one.series, one.time));
        let mut collided = 0;
        self.samples.dedup_by(|later, kept| {
            let twice = (later.series, later.time) == (kept.series, kept.time);
            if twice {
                collided += usize::from(later.value != kept.value);
                *kept = *later;
            }
            twice
        });
        collided
    }
}

fn put(all: &mut Vec<Label>, labels: impl Iterator<Item = Label>) -> Range<u32> {
    let from = number(all.len());
    all.extend(labels);
    from..number(all.len())
}

fn of<'l>(all: &'l [Label], range: &Range<u32>) -> &'l [Label] {
    all.get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

/// What a batch has is far below four billion.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
