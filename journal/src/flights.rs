//! Which records are in flight, written down so that a death leaves a trace.
//!
//! A record that kills the process would kill it again after every restart. Each attempt holds
//! a slot in a small file; what a process leaves in it when it dies was in flight. The notes
//! need no sync: a process that dies takes no written page with it.
//!
//! A process that is killed from outside leaves such notes too, and of several records in flight
//! most are innocent of any death. So the first death only makes them suspects; from there on one
//! counts for a record that was in flight alone, and an attempt that the process outlives clears
//! the record of all of them.

use std::collections::{HashMap, HashSet};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::Position;
use crate::disk::{Disk, File, read_small, replace, write_fully};
use crate::format::{LogId, NOTE, Note};
use crate::state::LogState;

const FLIGHTS: &str = "flights";
const DEATHS: &str = "deaths";

/// More than there are ever slots or records under suspicion.
const LIMIT: usize = 16 << 20;

/// How many deaths count for which records, by segment and ordinal.
#[derive(Debug, Default)]
pub(crate) struct Deaths(Mutex<Suspects>);

#[derive(Debug, Default)]
struct Suspects {
    deaths: HashMap<(u32, u32), u32>,
    /// Where they are written down, and how far.
    file: Option<(Arc<dyn File>, u64)>,
}

impl Deaths {
    fn open(disk: &dyn Disk, path: &Path, deaths: HashMap<(u32, u32), u32>) -> io::Result<Self> {
        let file = match deaths.is_empty() {
            true => None,
            false => {
                let file = disk.open(path)?;
                let end = file.size()?;
                Some((file, end))
            }
        };
        Ok(Self(Mutex::new(Suspects { deaths, file })))
    }

    /// How many count for a record.
    pub(crate) fn of(&self, segment: u32, ordinal: u32) -> u32 {
        let suspects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        suspects
            .deaths
            .get(&(segment, ordinal))
            .copied()
            .unwrap_or(0)
    }

    /// Forgets those of a record, here and in the file unless that is closed.
    fn clear(&self, position: Position, id: LogId, is_closed: bool) {
        let (segment, ordinal) = (position.segment, position.ordinal);
        let mut suspects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.deaths.remove(&(segment, ordinal)).is_none() || is_closed {
            return;
        }
        if let Some((file, end)) = &mut suspects.file {
            let note = Note {
                segment,
                ordinal,
                value: 0,
            };
            let bytes = note.encode(id);
            // Without this note the record is suspected once more; no more than that.
            if write_fully(&**file, &mut [IoSlice::new(&bytes)], *end).is_ok() {
                *end += NOTE as u64;
            }
        }
    }
}

/// The slots of one log.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    file: Option<Arc<dyn File>>,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    free: Vec<u32>,
    next: u32,
}

impl Flights {
    /// Empty slots, and how many deaths count for which records.
    pub(crate) fn open(
        disk: &dyn Disk,
        log: &Path,
        id: LogId,
        is_there: impl Fn(u32) -> bool,
    ) -> io::Result<(Self, Deaths)> {
        let mut deaths = HashMap::new();
        for note in Note::decode_all(&read_small(disk, &log.join(DEATHS), LIMIT)?, id) {
            deaths.insert((note.segment, note.ordinal), note.value);
        }
        let before = deaths.len();
        deaths.retain(|(segment, _), count| *count > 0 && is_there(*segment));
        let mut changed = deaths.len() != before;
        let flying = read_small(disk, &log.join(FLIGHTS), LIMIT)?;
        let flying = Note::decode_all(&flying, id).map(|note| (note.segment, note.ordinal));
        let flying: HashSet<_> = flying.collect();
        for record in flying.iter().filter(|(segment, _)| is_there(*segment)) {
            let count: &mut u32 = deaths.entry(*record).or_default();
            if *count == 0 || flying.len() == 1 {
                *count = count.saturating_add(1);
                changed = true;
            }
        }
        if changed {
            let notes = deaths.iter().map(|((segment, ordinal), count)| Note {
                segment: *segment,
                ordinal: *ordinal,
                value: *count,
            });
            let bytes: Vec<u8> = notes.flat_map(|note| note.encode(id)).collect();
            replace(disk, &log.join(DEATHS), &bytes)?;
        }
        let deaths = Deaths::open(disk, &log.join(DEATHS), deaths)?;
        let flights = Self {
            file: Some(disk.create(&log.join(FLIGHTS))?),
            slots: Mutex::default(),
        };
        Ok((flights, deaths))
    }

    /// Says that the process ends in good order: nothing that is in flight killed it.
    pub(crate) fn close(&self) {
        if let Some(file) = &self.file {
            // At worst those in flight are suspected without cause.
            let _ = file.set_size(0);
        }
    }

    fn take(&self) -> u32 {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.free.pop().unwrap_or_else(|| {
            slots.next += 1;
            slots.next - 1
        })
    }

    fn give_back(&self, slot: u32) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.free.push(slot);
    }

    fn write(&self, slot: u32, bytes: [u8; NOTE]) -> io::Result<()> {
        match &self.file {
            Some(file) => write_fully(
                &**file,
                &mut [IoSlice::new(&bytes)],
                u64::from(slot) * NOTE as u64,
            ),
            None => Ok(()),
        }
    }
}

/// An attempt to deliver a record; it ends when this is dropped.
#[derive(Debug)]
pub struct Flight {
    log: Arc<LogState>,
    slot: u32,
}

impl Flight {
    pub(crate) fn begin(log: &Arc<LogState>, position: Position) -> Self {
        let slot = log.flights.take();
        let note = Note {
            segment: position.segment,
            ordinal: position.ordinal,
            value: 1,
        };
        // Without its note the record is not suspected if this attempt is deadly; no more than that.
        let _ = log.flights.write(slot, note.encode(log.id));
        Self {
            log: Arc::clone(log),
            slot,
        }
    }
}

/// Says that the process has outlived an attempt to deliver a record.
pub(crate) fn outlived(log: &LogState, position: Position) {
    log.deaths
        .clear(position, log.id, log.directory.is_closed());
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.log.directory.is_closed() {
            let _ = self.log.flights.write(self.slot, [0; NOTE]);
        }
        self.log.flights.give_back(self.slot);
    }
}
