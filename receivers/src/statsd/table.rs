//! What lines have added up to since the interval began.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use tidegate_pdata::{Budget, Reservation};

use super::config::{CounterType, Settings, View};
use super::exponential::Exponential;
use super::line::{Fault, Line, Type};
use super::sockets::Sender;

/// By how much the table's room in the budget grows at a time.
const STEP: usize = 256 << 10;
/// What a metric takes beside its texts.
const METRIC: usize = 192;
/// What a value that is kept takes.
const KEPT: usize = 16;

/// All metrics of an interval.
#[derive(Debug)]
pub(super) struct Table {
    /// When the interval began, in nanoseconds since 1970.
    pub(super) since: u64,
    pub(super) senders: Vec<(Sender, Vec<Metric>)>,
    numbers: HashMap<Sender, usize, foldhash::fast::RandomState>,
    known: HashTable<Place>,
    random: foldhash::fast::RandomState,
    bytes: usize,
    hold: Option<Reservation>,
    budget: Arc<Budget>,
}

/// Where a metric is.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u64,
    sender: u32,
    metric: u32,
}

/// A metric of one sender: a name, a type and tags.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: Box<str>,
    pub(super) of: Type,
    pub(super) tags: Box<[(Box<str>, Box<str>)]>,
    pub(super) state: State,
}

/// What a metric has come to.
#[derive(Debug)]
pub(super) enum State {
    /// A value and when it was.
    Gauge(f64, u64),
    /// A sum, and when the line says that it was; 0 where it does not.
    Counter(f64, u64),
    /// Values, and when each was.
    Gauges(Vec<(f64, u64)>),
    /// Values, and how many each stands for.
    Summary(Vec<(f64, f64)>),
    Exponential(Box<Exponential>),
    Explicit(Box<Explicit>),
    /// Nothing is made of it.
    Nothing,
}

/// A histogram with bounds of the configuration.
#[derive(Debug)]
pub(super) struct Explicit {
    pub(super) bounds: Vec<f64>,
    /// One more than there are bounds.
    pub(super) counts: Vec<u64>,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Explicit {
    fn new(bounds: &[f64]) -> Self {
        Self {
            bounds: bounds.to_vec(),
            counts: vec![0; bounds.len() + 1],
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    fn add(&mut self, value: f64, times: u64) {
        if times == 0 {
            return;
        }
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at] = self.counts[at].saturating_add(times);
        self.count = self.count.saturating_add(times);
        self.sum += value * times as f64;
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
    }
}

impl Table {
    pub(super) fn new(since: u64, budget: &Arc<Budget>) -> Self {
        Self {
            since,
            senders: Vec::new(),
            numbers: HashMap::default(),
            known: HashTable::new(),
            random: foldhash::fast::RandomState::default(),
            bytes: 0,
            hold: None,
            budget: Arc::clone(budget),
        }
    }

    /// Adds a line; `now` is when it came.
    pub(super) fn take(
        &mut self,
        line: &Line<'_>,
        sender: &Sender,
        settings: &Settings,
        now: u64,
    ) -> Result<(), Fault> {
        let at = self.metric(line, sender, settings)?;
        let more = match &self.senders[at.0].1[at.1].state {
            State::Gauges(_) | State::Summary(_) => KEPT,
            _ => 0,
        };
        self.grow(more)?;
        let metric = &mut self.senders[at.0].1[at.1];
        metric.state.add(line, settings, now);
        Ok(())
    }

    /// The metric of a line, which is there from now on.
    fn metric(
        &mut self,
        line: &Line<'_>,
        sender: &Sender,
        settings: &Settings,
    ) -> Result<(usize, usize), Fault> {
        let last = self.numbers.get(sender).copied();
        let from = last.unwrap_or(self.senders.len());
        let hash = self
            .random
            .hash_one((from, line.name, line.of, line.tags.as_slice()));
        if last.is_some() {
            let senders = &self.senders;
            let is = |place: &Place| {
                place.hash == hash
                    && place.sender as usize == from
                    && senders[from]
                        .1
                        .get(place.metric as usize)
                        .is_some_and(|metric| metric.is(line))
            };
            if let Some(place) = self.known.find(hash, is) {
                return Ok((from, place.metric as usize));
            }
        }
        let texts = line
            .tags
            .iter()
            .map(|(key, value)| key.len() + value.len() + 32);
        let buckets = match settings.view(line.of) {
            View::Histogram { max_size, .. } if line.of > Type::Gauge => max_size * 2 * KEPT,
            _ => 0,
        };
        self.grow(METRIC + line.name.len() + texts.sum::<usize>() + buckets)?;
        if last.is_none() {
            self.grow(METRIC)?;
            self.numbers.insert(*sender, from);
            self.senders.push((*sender, Vec::new()));
        }
        let metrics = &mut self.senders[from].1;
        let place = Place {
            hash,
            sender: u32::try_from(from).map_err(|_| Fault::NoRoom)?,
            metric: u32::try_from(metrics.len()).map_err(|_| Fault::NoRoom)?,
        };
        metrics.push(Metric::new(line, settings));
        let entry = self
            .known
            .entry(hash, |_| false, |place: &Place| place.hash);
        if let Entry::Vacant(entry) = entry {
            entry.insert(place);
        }
        Ok((from, place.metric as usize))
    }

    /// Makes room in the budget.
    fn grow(&mut self, by: usize) -> Result<(), Fault> {
        let bytes = self.bytes + by;
        let held = self.hold.as_ref().map_or(0, Reservation::bytes);
        if bytes > held {
            let wanted = bytes + STEP;
            let got = match &mut self.hold {
                Some(hold) => hold.try_resize(wanted),
                None => {
                    self.hold = self.budget.try_reserve(wanted);
                    self.hold.is_some()
                }
            };
            if !got {
                return Err(Fault::NoRoom);
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Metric {
    fn new(line: &Line<'_>, settings: &Settings) -> Self {
        let tag = |(key, value): &(&str, &str)| (Box::from(*key), Box::from(*value));
        Self {
            name: line.name.into(),
            of: line.of,
            tags: line.tags.iter().map(tag).collect(),
            state: State::new(line, settings),
        }
    }

    fn is(&self, line: &Line<'_>) -> bool {
        self.of == line.of
            && *self.name == *line.name
            && self.tags.len() == line.tags.len()
            && self
                .tags
                .iter()
                .map(|(key, value)| (&**key, &**value))
                .eq(line.tags.iter().copied())
    }
}

impl State {
    /// What a metric begins with, before its first line is added.
    fn new(line: &Line<'_>, settings: &Settings) -> Self {
        match line.of {
            Type::Counter => return Self::Counter(0.0, 0),
            Type::Gauge => return Self::Gauge(0.0, 0),
            Type::Histogram | Type::Timing | Type::Distribution => {}
        }
        match settings.view(line.of) {
            View::Disabled => Self::Nothing,
            View::Gauge => Self::Gauges(Vec::new()),
            View::Summary(_) => Self::Summary(Vec::new()),
            View::Histogram { max_size, explicit } => {
                let mut explicit = explicit.iter();
                match explicit.find(|(matcher, _)| matcher.is_match(line.name.as_bytes())) {
                    Some((_, bounds)) => Self::Explicit(Box::new(Explicit::new(bounds))),
                    None => Self::Exponential(Box::new(Exponential::new(*max_size))),
                }
            }
        }
    }

    fn add(&mut self, line: &Line<'_>, settings: &Settings, now: u64) {
        let time = if line.time > 0 { line.time } else { now };
        // A line stands for as many events as its rate says; a part of one is none.
        let times = 1.0 / line.rate;
        match self {
            Self::Gauge(value, at) => {
                *value = if line.signed {
                    *value + line.value
                } else {
                    line.value
                };
                *at = time;
            }
            Self::Counter(sum, at) => {
                *sum += counted(line.value / line.rate, settings.counter);
                *at = line.time;
            }
            Self::Gauges(values) => values.push((line.value, time)),
            Self::Summary(values) => values.push((line.value, times)),
            Self::Exponential(histogram) => histogram.add(line.value, times as u64),
            Self::Explicit(histogram) => histogram.add(line.value, times as u64),
            Self::Nothing => {}
        }
    }
}

/// What a counter is raised by.
fn counted(value: f64, how: CounterType) -> f64 {
    match how {
        CounterType::Int => value.trunc(),
        CounterType::Float => value,
        CounterType::StochasticInt => {
            let whole = value.floor();
            whole + f64::from(u8::from(rand::random::<f64>() < value - whole))
        }
    }
}
