//! The one who reads: finds files, reads what is new in them and makes batches of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_component::Notes;
use tidegate_component::metrics::Gauge;
use tidegate_pdata::compose::{Fields, log_record};
use tidegate_pdata::{Payload, Reservation};
use tokio::time::Instant;

use super::header::Header;
use crate::files::{Encoding, End, Finder, Place, Read, Reader, Settings, Taker, Tracker};
use crate::operators::{Chain, Composer, Entry, Line, Map, Origin, Stamps, Text, Value};

/// Bytes of a batch, but for its last record.
pub(super) const BATCH: usize = 1 << 20;
/// Records of a batch.
const RECORDS: usize = 16_384;
/// Bytes of a file that are read before others have their turn.
const TURN: u64 = 4 << 20;

/// What a batch moves on when it is kept: files by their number, the bytes and the entries.
pub(super) type Moves = Vec<(u64, u64, u64)>;

/// What was read at once.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) payload: Payload,
    pub(super) moves: Moves,
}

/// Reads files.
pub(super) struct Lane {
    finder: Finder,
    tracker: Tracker,
    reader: Reader,
    writer: Writer,
    /// Files that have something to be read.
    ready: VecDeque<u64>,
    /// Files of which more has been read than batches move on.
    lagging: BTreeSet<u64>,
    /// Where each file will be once all batches are kept.
    moved: BTreeMap<u64, u64>,
    /// Places that have changed since they were noted.
    changed: BTreeSet<u64>,
    notes: Option<Notes>,
    delete: bool,
    gauges: Gauges,
}

/// What the process's own metrics tell of the files.
#[derive(Clone, Debug)]
pub(super) struct Gauges {
    pub(super) open: Gauge,
    pub(super) reading: Gauge,
}

/// Makes records of entries.
struct Writer {
    composer: Composer,
    chain: Chain,
    header: Option<Header>,
    stamps: Stamps,
    /// The resource of all records that no operator gives another, encoded.
    resource: Vec<u8>,
    bytes: bool,
    plain: bool,
    number: bool,
    offset: bool,
    now: u64,
    scratch: Fields,
}

fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

impl Lane {
    pub(super) fn new(
        settings: Settings,
        (chain, stamps, header): (Chain, Stamps, Option<Header>),
        notes: Option<Notes>,
        gauges: Gauges,
    ) -> Self {
        let keys = &settings.keys;
        let older_than = keys.exclude_older_than.map(|age| *age);
        let finder = Finder::new(
            settings.include.clone(),
            settings.exclude.clone(),
            older_than,
            settings.selection.clone(),
        );
        let places = notes.iter().flat_map(Notes::iter);
        let places =
            places.filter_map(|(name, note)| Some((name.parse().ok()?, Place::of_note(note)?)));
        let places: Vec<(u64, Place)> = places.collect();
        let (attributes, resource) = stamps.constant();
        let mut fields = Fields::new();
        crate::operators::attributes(&mut fields, 1, &resource);
        let writer = Writer {
            composer: Composer::default(),
            plain: chain.is_empty() && !stamps.varies(),
            chain,
            header,
            stamps,
            resource: fields.bytes().to_vec(),
            bytes: settings.encoding == Encoding::Nop,
            number: keys.include_file_record_number,
            offset: keys.include_file_record_offset,
            now: 0,
            scratch: Fields::new(),
        };
        Self {
            delete: keys.delete_after_read,
            finder,
            tracker: Tracker::new(settings, attributes, places),
            reader: Reader::default(),
            writer,
            ready: VecDeque::new(),
            lagging: BTreeSet::new(),
            moved: BTreeMap::new(),
            changed: BTreeSet::new(),
            notes,
            gauges,
        }
    }

    /// Looks for what is new.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        let found = self.finder.find();
        self.tracker.look(found, now);
        self.changed.extend(self.tracker.begun.drain(..));
        self.ready = self.tracker.ready(now).into();
        self.gauges.open.set(gauge(self.tracker.open_files()));
        self.gauges.reading.set(gauge(self.ready.len()));
        self.save();
    }

    /// Whether there is something to be read, or to be let go of.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || self
                .writer
                .chain
                .deadline()
                .is_some_and(|due| due <= unix_now())
    }

    /// Reads a batch; the last one is of what operators hold alone.
    pub(super) fn fill(&mut self, hold: Option<Reservation>, last: bool) -> Batch {
        let now = Instant::now();
        self.writer.now = unix_now();
        self.writer.flush(last);
        let mut touched = BTreeSet::new();
        while !last && self.writer.has_room() {
            let Some(number) = self.ready.pop_front() else {
                break;
            };
            touched.insert(number);
            match self
                .reader
                .read(&mut self.tracker, number, TURN, now, &mut self.writer)
            {
                End::Reached | End::Failed => {}
                End::Turn => self.ready.push_back(number),
                End::Full => self.ready.push_front(number),
            }
        }
        self.gauges.reading.set(gauge(self.ready.len()));
        touched.append(&mut self.lagging);
        let moves = touched
            .into_iter()
            .filter_map(|number| self.moves(number))
            .collect();
        let payload = match self.writer.composer.finish(hold) {
            Ok(payload) => payload,
            Err(error) => {
                // Only a fault of ours could make it so.
                tracing::error!(%error, "what was read from files cannot be passed on");
                Payload::empty(tidegate_pdata::Signal::Logs)
            }
        };
        Batch { payload, moves }
    }

    /// How far a batch moves a file on when it is kept.
    fn moves(&mut self, number: u64) -> Option<(u64, u64, u64)> {
        let place = *self.tracker.place_mut(number)?;
        let (offset, entries) = match self.writer.chain.held(number) {
            Some((start, count)) => {
                self.lagging.insert(number);
                (start, count.saturating_sub(1))
            }
            None => (place.offset, place.entries),
        };
        let known = self.moved.get(&number).copied().unwrap_or(place.kept);
        if known == offset {
            return None;
        }
        self.moved.insert(number, offset);
        Some((number, offset, entries))
    }

    /// Moves files on, as what was read is kept.
    pub(super) fn keep(&mut self, moves: &[(u64, u64, u64)]) {
        for (number, offset, entries) in moves {
            if let Some(place) = self.tracker.place_mut(*number) {
                (place.kept, place.kept_entries) = (*offset, *entries);
                self.changed.insert(*number);
            }
            if self.moved.get(number) == Some(offset) {
                self.moved.remove(number);
            }
        }
        if self.delete {
            self.delete_read();
        }
        self.save();
    }

    /// Removes files all of which is kept.
    fn delete_read(&mut self) {
        let done = self.tracker.files.iter().filter(|(_, file)| {
            let read = file.read == Some(file.about) && file.partial_since.is_none();
            read && file.place.kept == file.place.offset
        });
        let done: Vec<u64> = done.map(|(number, _)| *number).collect();
        for number in done {
            self.tracker.delete(number, Instant::now());
        }
    }

    /// Notes the places for the next process.
    pub(super) fn save(&mut self) {
        let forgotten = std::mem::take(&mut self.tracker.forgotten);
        let changed = std::mem::take(&mut self.changed);
        let Some(notes) = &mut self.notes else {
            return;
        };
        let written = changed.iter().filter(|number| !forgotten.contains(number));
        let written =
            written.filter_map(|number| Some((number.to_string(), self.tracker.note(*number)?)));
        let written: Vec<(String, Vec<u8>)> = written.collect();
        let gone: Vec<String> = forgotten.iter().map(u64::to_string).collect();
        let written = written
            .iter()
            .map(|(name, note)| (name.as_str(), Some(note.as_slice())));
        let gone = gone.iter().map(|name| (name.as_str(), None));
        if let Err(error) = notes.change(written.chain(gone)) {
            tracing::error!(%error, "the places in files cannot be kept: a restart would read again what was read since");
            self.changed = changed;
        }
    }

    /// Whether what operators hold is read again by the next process.
    pub(super) const fn is_kept(&self) -> bool {
        self.notes.is_some()
    }

    /// Has the places survive a loss of power, as the process ends.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.save();
        self.gauges.open.set(0);
        self.gauges.reading.set(0);
        self.notes.as_ref().map_or(Ok(()), Notes::sync)
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Writer {
    fn has_room(&self) -> bool {
        self.composer.size() < BATCH && self.composer.items() < RECORDS
    }

    /// Lets go of what operators have held for long enough, or of all of it.
    fn flush(&mut self, all: bool) {
        let composer = &mut self.composer;
        let now = (!all).then_some(self.now);
        self.chain.flush(now, &mut |entry| composer.entry(&entry));
    }

    fn plain(&mut self, read: &Read<'_>) {
        let body = match self.bytes {
            true => Line::Bytes(&read.text),
            false => Line::Text(&read.text),
        };
        if !self.number && !self.offset {
            let labels = &read.file.labels.encoded;
            return self.composer.line(&self.resource, body, labels, self.now);
        }
        self.scratch.clear();
        self.scratch.raw(&read.file.labels.encoded);
        if self.number {
            let count = i64::try_from(read.count).unwrap_or(i64::MAX);
            self.scratch
                .attribute(log_record::ATTRIBUTES, "log.file.record_number", count);
        }
        if self.offset {
            let start = i64::try_from(read.start).unwrap_or(i64::MAX);
            self.scratch
                .attribute(log_record::ATTRIBUTES, "log.file.record_offset", start);
        }
        self.composer
            .line(&self.resource, body, self.scratch.bytes(), self.now);
    }

    fn entry(&self, read: Read<'_>) -> Entry {
        let body = match (self.bytes, read.text) {
            (true, text) => Value::Bytes(text.into_owned()),
            (false, text) => match String::from_utf8(text.into_owned()) {
                Ok(text) => text.into(),
                // Only what is passed on raw need not be UTF-8; operators look at text.
                Err(error) => Value::from(String::from_utf8_lossy(error.as_bytes()).into_owned()),
            },
        };
        let mut attributes: Map = read.file.labels.map.clone();
        let number = |value: u64| Value::Int(i64::try_from(value).unwrap_or(i64::MAX));
        if self.number {
            attributes.insert(Text::Static("log.file.record_number"), number(read.count));
        }
        if self.offset {
            attributes.insert(Text::Static("log.file.record_offset"), number(read.start));
        }
        Entry {
            observed: self.now,
            body,
            attributes,
            resource: self.stamps.resource(),
            origin: Origin {
                source: read.number,
                start: read.start,
                count: read.count,
                path: read.file.labels.path.as_ref().map(Arc::clone),
            },
            ..Entry::default()
        }
    }
}

impl Taker for Writer {
    fn take(&mut self, read: Read<'_>) -> bool {
        if !self.has_room() {
            return false;
        }
        if self.plain {
            self.plain(&read);
        } else {
            let mut entry = self.entry(read);
            self.stamps.apply(&mut entry);
            let composer = &mut self.composer;
            self.chain.push(entry, &mut |entry| composer.entry(&entry));
        }
        true
    }

    fn has_headers(&self) -> bool {
        self.header.is_some()
    }

    fn header(&mut self, text: &[u8]) -> Option<Map> {
        self.header.as_mut()?.read(text)
    }
}
