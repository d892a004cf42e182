//! The marks of what is dead, in a file beside each segment.
//!
//! Marks are not synced: one that a crash takes makes a record come again, never go away.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::bits::Bits;
use crate::catalog::Position;
use crate::disk::{Disk, File, read_small, write_fully};
use crate::format::{LogId, NOTE, Note};
use crate::segment::MAX_ORDINAL;
use crate::state::{LogState, marks_path};

/// Files kept open at a time: marks come for a few segments at once.
const OPEN: usize = 16;

/// More than a segment has records.
const LIMIT: usize = MAX_ORDINAL as usize * NOTE;

/// Reads which records of a segment are dead.
pub(crate) fn read(disk: &dyn Disk, log: &Path, id: LogId, segment: u32) -> io::Result<Bits> {
    let bytes = read_small(disk, &marks_path(log, segment), LIMIT)?;
    let mut dead = Bits::default();
    for note in Note::decode_all(&bytes, id) {
        if note.segment == segment && note.ordinal < MAX_ORDINAL {
            dead.insert(note.ordinal);
        }
    }
    Ok(dead)
}

/// Writes marks, a few segments at a time.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    waiting: HashMap<u32, Vec<u8>>,
    open: HashMap<u32, (Arc<dyn File>, u64)>,
}

impl Marks {
    /// Notes that a record is dead; [`Marks::write`] writes it.
    pub(crate) fn put(&mut self, id: LogId, position: Position) {
        let note = Note {
            segment: position.segment,
            ordinal: position.ordinal,
            value: 0,
        };
        let bytes = self.waiting.entry(position.segment).or_default();
        bytes.extend_from_slice(&note.encode(id));
    }

    /// Writes what was put.
    pub(crate) fn write(&mut self, log: &LogState) {
        for (segment, bytes) in std::mem::take(&mut self.waiting) {
            if let Err(_lost) = self.append(log, segment, &bytes) {
                self.open.remove(&segment);
                log.tally.lost_marks.add((bytes.len() / NOTE) as u64);
            }
        }
    }

    fn append(&mut self, log: &LogState, segment: u32, bytes: &[u8]) -> io::Result<()> {
        if !log.catalog().segments.contains_key(&segment) {
            return Ok(());
        }
        if self.open.len() >= OPEN && !self.open.contains_key(&segment) {
            self.open.clear();
        }
        let (file, end) = match self.open.entry(segment) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                let path = marks_path(&log.path, segment);
                let file = match log.disk().open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        log.disk().create(&path)?
                    }
                    opened => opened?,
                };
                // A note that was cut short is passed over by going on at the next whole one.
                let end = file.size()?.next_multiple_of(NOTE as u64);
                free.insert((file, end))
            }
        };
        write_fully(&**file, &mut [IoSlice::new(bytes)], *end)?;
        *end += bytes.len() as u64;
        Ok(())
    }

    /// Forgets a segment that is gone.
    pub(crate) fn forget(&mut self, segment: u32) {
        self.waiting.remove(&segment);
        self.open.remove(&segment);
    }
}
