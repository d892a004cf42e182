//! Families: all series of one name.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::labels::LabelText;
use super::lock;
use super::rejection::Rejection;
use super::series::Series;
use super::value::{Bounds, State};

/// What Prometheus calls the type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A value of a moment, or a sum that may fall.
    Gauge,
    /// A sum that never falls.
    Counter,
    /// Counts in buckets, explicit or exponential.
    Histogram,
    /// Quantiles.
    Summary,
}

impl Kind {
    /// The label that samples of this kind carry beside those of the series.
    pub(super) const fn own_label(self) -> Option<&'static str> {
        match self {
            Self::Gauge | Self::Counter => None,
            Self::Histogram => Some("le"),
            Self::Summary => Some("quantile"),
        }
    }
}

/// Sets of bounds that a family shares among its series; a series with rarer ones keeps its own.
const SHARED_BOUNDS: usize = 16;

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    /// What the first metric of this name said of itself.
    pub(super) help: Box<str>,
    members: Mutex<Members>,
    bounds: Mutex<Vec<Arc<Bounds>>>,
    /// Whether the family was given up for having no series; then it takes no more.
    closed: AtomicBool,
}

/// The series, each at a place of its own for as long as it lives, so that a scrape can go on where it was.
#[derive(Debug, Default)]
struct Members {
    slots: Vec<Option<Arc<Series>>>,
    free: Vec<u32>,
    /// Places by the labels of the series there.
    places: HashTable<u32>,
    random: RandomState,
}

/// What became of a series that was to be added.
pub(super) enum Enrolled {
    /// It is new.
    New(Arc<Series>),
    /// There is one with these labels.
    Known(Arc<Series>),
    /// The family is closed: another of the name must be made.
    Closed,
}

impl Family {
    pub(super) fn new(name: &str, kind: Kind, help: &str) -> Self {
        Self {
            name: name.into(),
            kind,
            help: help.into(),
            members: Mutex::default(),
            bounds: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// The series with these labels, or a new one with the state that `begin` makes.
    pub(super) fn enroll(
        &self,
        labels: LabelText,
        begin: impl FnOnce() -> Result<(State, Series), Rejection>,
    ) -> Result<Enrolled, Rejection> {
        let mut members = lock(&self.members);
        if self.is_closed() {
            return Ok(Enrolled::Closed);
        }
        let members = &mut *members;
        let hash = members.random.hash_one(&*labels.text);
        if let Some(place) = members.place(hash, &labels.text)
            && let Some(Some(known)) = members.slots.get(place as usize)
        {
            return Ok(Enrolled::Known(Arc::clone(known)));
        }
        let (state, series) = begin()?;
        let place = match members.free.pop() {
            Some(place) => place,
            None => {
                members.slots.push(None);
                u32::try_from(members.slots.len() - 1).map_err(|_| Rejection::SeriesLimit)?
            }
        };
        let series = Arc::new(series.placed(labels, place, state));
        members.slots[place as usize] = Some(Arc::clone(&series));
        let (slots, random) = (&members.slots, &members.random);
        members
            .places
            .insert_unique(hash, place, |place| hash_at(slots, random, *place));
        Ok(Enrolled::New(series))
    }

    /// The series with these labels.
    pub(super) fn find(&self, text: &str) -> Option<Arc<Series>> {
        let members = lock(&self.members);
        let place = members.place(members.random.hash_one(text), text)?;
        members.slots.get(place as usize)?.clone()
    }

    /// Ends a series; false where it was ended already.
    pub(super) fn remove(&self, series: &Series) -> bool {
        let mut members = lock(&self.members);
        let ended = series.end(|_| true);
        if ended {
            members.vacate(series);
        }
        ended
    }

    /// Ends the series among the `count` places from `from` on that were last changed before `before`, and tells how
    /// many these were; none where there is no such place.
    pub(super) fn expire(&self, from: usize, count: usize, before: u64) -> Option<usize> {
        let mut members = lock(&self.members);
        let to = members.slots.len().min(from.saturating_add(count));
        let slots = members
            .slots
            .get(from..to)
            .filter(|slots| !slots.is_empty())?;
        let ended: Vec<Arc<Series>> = slots
            .iter()
            .flatten()
            .filter(|series| series.end(|state| state.updated < before))
            .cloned()
            .collect();
        for series in &ended {
            members.vacate(series);
        }
        Some(ended.len())
    }

    /// Closes the family if it has no series.
    pub(super) fn close_if_empty(&self) -> bool {
        let members = lock(&self.members);
        let empty = members.places.is_empty();
        if empty {
            self.closed.store(true, Relaxed);
        }
        empty
    }

    /// Shows `visit` the series from the place `from` on until it has had enough, and gives the place to go on at;
    /// none at the end.
    pub(super) fn visit(
        &self,
        from: usize,
        mut visit: impl FnMut(&Series) -> bool,
    ) -> Option<usize> {
        let members = lock(&self.members);
        for (at, slot) in members.slots.iter().enumerate().skip(from) {
            if let Some(series) = slot
                && !visit(series)
            {
                return Some(at + 1);
            }
        }
        None
    }

    /// The bounds that series of this family share, or new ones.
    pub(super) fn bounds(
        &self,
        are: impl Fn(&Bounds) -> bool,
        make: impl FnOnce() -> Result<Bounds, Rejection>,
    ) -> Result<Arc<Bounds>, Rejection> {
        let mut shared = lock(&self.bounds);
        if let Some(known) = shared.iter().find(|known| are(known)) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(make()?);
        if shared.len() < SHARED_BOUNDS {
            shared.push(Arc::clone(&made));
        }
        Ok(made)
    }
}

impl Members {
    fn place(&self, hash: u64, text: &str) -> Option<u32> {
        let is = |place: &u32| {
            let slot = self.slots.get(*place as usize);
            slot.and_then(Option::as_ref)
                .is_some_and(|series| *series.labels.text == *text)
        };
        self.places.find(hash, is).copied()
    }

    fn vacate(&mut self, series: &Series) {
        let hash = self.random.hash_one(&*series.labels.text);
        let (slots, random) = (&mut self.slots, &self.random);
        let entry = self.places.entry(
            hash,
            |place| *place == series.place,
            |place| hash_at(slots, random, *place),
        );
        if let Entry::Occupied(known) = entry {
            known.remove();
            slots[series.place as usize] = None;
            self.free.push(series.place);
        }
    }
}

fn hash_at(slots: &[Option<Arc<Series>>], random: &RandomState, place: u32) -> u64 {
    let series = slots.get(place as usize).and_then(Option::as_ref);
    series.map_or(0, |series| random.hash_one(&*series.labels.text))
}
