//! Which records are in flight, written down so that a death leaves a trace.
//!
//! A record that kills the process would kill it again after every restart. Each attempt holds
//! a slot in a small file; what a process leaves in it when it dies was in flight. The notes
//! need no sync: a process that dies takes no written page with it.

use std::collections::HashMap;
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

/// How many processes died with which records in flight, by segment and ordinal.
pub(crate) type Deaths = HashMap<(u32, u32), u32>;

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
    /// Empty slots, and how many processes died with which records in flight.
    pub(crate) fn open(
        disk: &dyn Disk,
        log: &Path,
        id: LogId,
        is_there: impl Fn(u32) -> bool,
    ) -> io::Result<(Self, Deaths)> {
        let mut deaths = Deaths::new();
        for note in Note::decode_all(&read_small(disk, &log.join(DEATHS), LIMIT)?, id) {
            deaths.insert((note.segment, note.ordinal), note.value);
        }
        let before = deaths.len();
        deaths.retain(|(segment, _), _| is_there(*segment));
        let mut changed = deaths.len() != before;
        for note in Note::decode_all(&read_small(disk, &log.join(FLIGHTS), LIMIT)?, id) {
            if is_there(note.segment) {
                let count = deaths.entry((note.segment, note.ordinal)).or_default();
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

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.log.directory.is_closed() {
            let _ = self.log.flights.write(self.slot, [0; NOTE]);
        }
        self.log.flights.give_back(self.slot);
    }
}
