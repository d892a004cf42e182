//! Filling: which object each record of a batch goes to.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use tidegate_component::{Delivered, Position};
use tidegate_pdata::Payload;
use tokio::time::Instant;

use super::lake::{Format, Lake, State};
use super::layout::{Key, PartitionTime};
use super::lines::Lines;
use super::open::{Content, Open};
use super::parquet::{ParquetFile, Place, Source, walk};

/// What rows may repeat of their containers before records are refused: a resource stands in each
/// of its rows, so a small request could otherwise ask for endless cells.
const REPEATS: usize = 256 << 20;

/// How many times its own size a batch may repeat, where that is more.
const REPEAT_FACTOR: usize = 64;

/// What became of a batch.
pub(super) struct Tally {
    position: Position,
    arrival: u64,
    now: Instant,
    rejected: u64,
    message: Option<String>,
    touched: BTreeSet<usize>,
}

impl Tally {
    pub(super) fn new(position: Position, arrival: u64) -> Self {
        Self {
            position,
            arrival,
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
    pub(super) fn fill(&self, state: &mut State, payload: &Payload, tally: &mut Tally) {
        match self.plan.format {
            Format::Parquet(_) => self.fill_rows(state, payload, tally),
            Format::Lines { .. } => self.fill_lines(state, payload, tally),
        }
    }

    fn fill_rows(&self, state: &mut State, payload: &Payload, tally: &mut Tally) {
        let source = Arc::new(Source::new(payload.clone(), &self.held));
        let mut keys = Keys::new(self, tally.arrival);
        let mut repeats = REPEATS.max(payload.bytes().saturating_mul(REPEAT_FACTOR));
        let mut current: Option<usize> = None;
        let (mut seen, items) = (0, payload.items());
        walk(payload, &mut |place| {
            seen += 1;
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
                open.count(tally.position, 1);
            } else {
                tally.reject(1, "a record with what surrounds it is larger than 128 MiB");
            }
        });
        // Items that are no record of a table would stay open for ever.
        tally.rejected += items.saturating_sub(seen) as u64;
    }

    fn fill_lines(&self, state: &mut State, payload: &Payload, tally: &mut Tally) {
        if payload.items() == 0 {
            return;
        }
        let mut keys = Keys::new(self, tally.arrival);
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut order = Vec::new();
        let mut outputs: Vec<usize> = Vec::with_capacity(payload.items());
        walk(payload, &mut |place| {
            let slot = keys.slot(place.time());
            let key = keys.key(&place, slot);
            let output = *places.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                order.len() - 1
            });
            outputs.push(output);
        });
        let Some(count) = NonZeroUsize::new(order.len()) else {
            return;
        };
        let mut outputs = outputs.into_iter();
        let pieces = payload
            .clone()
            .partition(count, |_| outputs.next().unwrap_or(0));
        for (key, piece) in order.into_iter().zip(pieces) {
            let at = self.object(state, key, tally);
            let open = &mut state.open[at];
            open.count(tally.position, piece.items());
            if let Content::Lines(lines) = &mut open.content
                && let Err(error) = lines.add(&piece)
            {
                open.fail(&error);
            }
        }
    }

    /// The object of a key, opened where there is none.
    fn object(&self, state: &mut State, key: Key, tally: &mut Tally) -> usize {
        let known = state.index.get(&key).copied();
        let at = known.unwrap_or_else(|| {
            let content = self.content(&key);
            let open = Open::new(key.clone(), content, tally.position, tally.now);
            state.open.push(open);
            state.index.insert(key, state.open.len() - 1);
            state.open.len() - 1
        });
        tally.touched.insert(at);
        at
    }

    fn content(&self, key: &Key) -> Content {
        match (&self.plan.format, key.table) {
            (Format::Parquet(_), Some(table)) => {
                Content::Parquet(Box::new(ParquetFile::new(table)))
            }
            (Format::Parquet(_), None) => Content::Failed("it is of no table".to_owned()),
            (
                Format::Lines {
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
