//! Filling: which object each record of a batch goes to.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tidegate_component::{Delivered, Items, Portion, Position};
use tidegate_pdata::Payload;
use tokio::time::Instant;

use super::lake::{Format, Lake, State};
use super::layout::{Key, PartitionTime};
use super::lines::Lines;
use super::open::{Content, Open};
use super::parquet::{ParquetFile, Place, Source, Table, walk};

/// What rows may repeat of their containers before records are refused: a resource stands in each
/// of its rows, so a small request could otherwise ask for endless cells.
const REPEATS: usize = 256 << 20;

/// How many times its own size a batch may repeat, where that is more.
const REPEAT_FACTOR: usize = 64;

/// What is taken of a batch, and what became of it.
pub(super) struct Tally<'a> {
    position: Position,
    items: Option<&'a Items>,
    arrival: u64,
    now: Instant,
    rejected: u64,
    message: Option<String>,
    touched: BTreeSet<usize>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(portion: &Portion<'a>) -> Self {
        let since = portion.arrived.duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        Self {
            position: portion.position,
            items: portion.items,
            arrival: u64::try_from(since.as_nanos()).unwrap_or_default(),
            now: Instant::now(),
            rejected: 0,
            message: None,
            touched: BTreeSet::new(),
        }
    }

    fn reject(&mut self, items: usize, message: &str) {
        self.rejected += items as u64;
        self.message.get_or_insert_with(|| message.to_owned());
    }

    /// The objects that took something.
    pub(super) fn touched(&self) -> impl Iterator<Item = usize> {
        self.touched.iter().copied()
    }

    pub(super) fn delivered(self) -> Delivered {
        Delivered {
            rejected: self.rejected,
            message: self.message,
        }
    }
}

/// Finds keys fast: neighbours mostly have the same.
struct Keys<'a> {
    lake: &'a Lake,
    step: u64,
    arrival: u64,
    /// Whether metrics of each kind have objects of their own.
    by_table: bool,
    /// The resource that `group` is of.
    resource: Option<*const u8>,
    group: Option<Box<[u8]>>,
}

impl<'a> Keys<'a> {
    fn new(lake: &'a Lake, arrival: u64) -> Self {
        Self {
            lake,
            step: lake.plan.layout.step(),
            arrival,
            by_table: matches!(lake.plan.format, Format::Parquet(_)),
            resource: None,
            group: None,
        }
    }

    fn slot(&self, time: u64) -> u64 {
        let is_own = self.lake.plan.layout.clock == PartitionTime::Record && time != 0;
        let time = if is_own { time } else { self.arrival };
        time.checked_div(self.step).unwrap_or(0)
    }

    /// Whether a record has this key.
    fn is(&mut self, key: &Key, place: &Place<'_>, slot: u64) -> bool {
        let table = self.by_table.then_some(place.table);
        self.look_at(place);
        key.slot == slot && key.table == table && key.group == self.group
    }

    fn key(&mut self, place: &Place<'_>, slot: u64) -> Key {
        self.look_at(place);
        Key {
            signal: place.table.signal(),
            table: self.by_table.then_some(place.table),
            slot,
            group: self.group.clone(),
        }
    }

    fn look_at(&mut self, place: &Place<'_>) {
        let at = place.resource.as_ptr();
        if self.resource != Some(at) {
            self.resource = Some(at);
            self.group = self.lake.plan.layout.group(place.resource);
        }
    }
}

impl Lake {
    /// Adds the records of a payload to their objects.
    pub(super) fn fill(&self, state: &mut State, payload: &Payload, tally: &mut Tally<'_>) {
        match self.plan.format {
            Format::Parquet(_) => self.fill_rows(state, payload, tally),
            Format::Lines { .. } => self.fill_lines(state, payload, tally),
        }
    }

    fn fill_rows(&self, state: &mut State, payload: &Payload, tally: &mut Tally<'_>) {
        let source = Arc::new(Source::new(payload.clone(), &self.held));
        let mut keys = Keys::new(self, tally.arrival);
        let mut repeats = REPEATS.max(payload.bytes().saturating_mul(REPEAT_FACTOR));
        let mut current: Option<usize> = None;
        let (mut seen, mut wanted) = (0, Wanted::new(tally.items));
        walk(payload, &mut |place| {
            let item = seen;
            seen += 1;
            if !wanted.next() {
                return;
            }
            let Some(rest) = repeats.checked_sub(place.around.bytes) else {
                tally.reject(
                    1,
                    "its resource is too large to be repeated for each record",
                );
                return;
            };
            repeats = rest;
            let time = place.time();
            let slot = keys.slot(time);
            let at = match current {
                Some(at) if keys.is(&state.open[at].key, &place, slot) => at,
                _ => self.object(state, keys.key(&place, slot), tally),
            };
            current = Some(at);
            let open = &mut state.open[at];
            let is_added = match &mut open.content {
                Content::Parquet(file) => file.add(&source, &place, time),
                _ => true,
            };
            if is_added {
                open.note(tally.position, item..item + 1);
            } else {
                tally.reject(1, "a record with what surrounds it is larger than 128 MiB");
            }
        });
        // Items that are no record of a table would stay open for ever.
        tally.rejected += payload.items().saturating_sub(seen) as u64;
    }

    fn fill_lines(&self, state: &mut State, payload: &Payload, tally: &mut Tally<'_>) {
        let payload = match tally.items {
            Some(items) => select(payload, items),
            None => payload.clone(),
        };
        if payload.items() == 0 {
            return;
        }
        let mut keys = Keys::new(self, tally.arrival);
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut shares: Vec<(Key, Items)> = Vec::new();
        let mut outputs: Vec<usize> = Vec::with_capacity(payload.items());
        let mut numbers = tally.items.map(|items| items.ranges().flatten());
        walk(&payload, &mut |place| {
            let here = outputs.len();
            let item = match &mut numbers {
                Some(numbers) => numbers.next().unwrap_or(here),
                None => here,
            };
            let slot = keys.slot(place.time());
            let key = keys.key(&place, slot);
            let output = *places.entry(key.clone()).or_insert_with(|| {
                shares.push((key, Items::default()));
                shares.len() - 1
            });
            shares[output].1.push(item..item + 1);
            outputs.push(output);
        });
        let Some(count) = NonZeroUsize::new(shares.len()) else {
            return;
        };
        let mut outputs = outputs.into_iter();
        let pieces = payload.partition(count, |_| outputs.next().unwrap_or(0));
        for ((key, items), piece) in shares.into_iter().zip(pieces) {
            let at = self.object(state, key, tally);
            let open = &mut state.open[at];
            for range in items.ranges() {
                open.note(tally.position, range);
            }
            if let Content::Lines(lines) = &mut open.content
                && let Err(error) = lines.add(&piece)
            {
                open.fail(&error);
            }
        }
    }

    /// The object of a key, opened where there is none.
    fn object(&self, state: &mut State, key: Key, tally: &mut Tally<'_>) -> usize {
        let known = state.index.get(&key).copied();
        let at = known.unwrap_or_else(|| {
            let content = self.plan.format.content(key.table);
            let open = Open::new(key.clone(), content, tally.position, tally.now);
            state.open.push(open);
            state.index.insert(key, state.open.len() - 1);
            state.open.len() - 1
        });
        tally.touched.insert(at);
        at
    }
}

impl Format {
    /// An empty object of this format, of rows of this table where it is of rows.
    pub(super) fn content(&self, table: Option<Table>) -> Content {
        match (self, table) {
            (Self::Parquet(_), Some(table)) => Content::Parquet(Box::new(ParquetFile::new(table))),
            (Self::Parquet(_), None) => Content::Failed("it is of no table".to_owned()),
            (
                Self::Lines {
                    format,
                    compression,
                    level,
                },
                _,
            ) => match Lines::new(*format, *compression, *level) {
                Ok(lines) => Content::Lines(Box::new(lines)),
                Err(error) => Content::Failed(format!("the object cannot be written: {error}")),
            },
        }
    }
}

/// The records of a payload with these numbers.
pub(super) fn select(payload: &Payload, items: &Items) -> Payload {
    const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("it is not 0");
    if items.len() == payload.items() {
        return payload.clone();
    }
    let mut picks = items.picks();
    let mut pieces = payload.clone().partition(TWO, |_| usize::from(!picks()));
    pieces.swap_remove(0)
}

/// Tells of one record after the other whether it is wanted.
pub(super) struct Wanted<'a>(Option<Box<dyn FnMut() -> bool + 'a>>);

impl<'a> Wanted<'a> {
    pub(super) fn new(items: Option<&'a Items>) -> Self {
        Self(items.map(|items| Box::new(items.picks()) as Box<_>))
    }

    pub(super) fn next(&mut self) -> bool {
        self.0.as_mut().is_none_or(|picks| picks())
    }
}
