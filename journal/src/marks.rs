//! The marks of what is dead, in a file beside each segment.
//!
//! Marks are not synced as they are written: one that a crash takes makes a record come again,
//! never go away. Who needs to know that none does comes for [`Marks::sync`].

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::bits::Bits;
use crate::catalog::Position;
use crate::disk::{Disk, File, read_small, replace, write_fully};
use crate::format::{LogId, NOTE, Note};
use crate::segment::MAX_ORDINAL;
use crate::state::{LogState, marks_path, segment_path};

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
    /// Segments with marks that may not be on stable storage.
    unsynced: BTreeMap<u32, Unsynced>,
}

/// Why marks may not be on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    /// They were written, and a sync is all they need.
    Written,
    /// A write or a sync failed: they must be written anew, into another file.
    Damaged,
}

impl Marks {
    /// Marks of a log as it was opened: what former lives wrote may not be synced.
    pub(crate) fn of(log: &LogState) -> Self {
        let catalog = log.catalog();
        let marked = catalog.segments.iter();
        let marked = marked.filter(|(_, segment)| segment.dead.has_any());
        Self {
            unsynced: marked
                .map(|(number, _)| (*number, Unsynced::Written))
                .collect(),
            ..Self::default()
        }
    }

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
            let state = match self.append(log, segment, &bytes) {
                Ok(()) => Unsynced::Written,
                Err(_lost) => {
                    self.open.remove(&segment);
                    log.tally.lost_marks.add((bytes.len() / NOTE) as u64);
                    Unsynced::Damaged
                }
            };
            let known = self.unsynced.entry(segment).or_insert(state);
            if state == Unsynced::Damaged {
                *known = state;
            }
        }
    }

    /// Returns once all marks that were written are on stable storage, those of former lives
    /// included.
    pub(crate) fn sync(&mut self, log: &LogState) -> io::Result<()> {
        let unsynced = std::mem::take(&mut self.unsynced);
        let mut result = Ok(());
        for (segment, state) in &unsynced {
            result = result.and(self.sync_one(log, *segment, *state));
        }
        let result = result.and_then(|()| log.disk().sync_directory(&log.path));
        if result.is_err() {
            // A sync that failed may not fail again and be none the better for it.
            self.open.clear();
            let damaged = unsynced.into_keys();
            self.unsynced
                .extend(damaged.map(|segment| (segment, Unsynced::Damaged)));
        }
        result
    }

    fn sync_one(&mut self, log: &LogState, segment: u32, state: Unsynced) -> io::Result<()> {
        let path = marks_path(&log.path, segment);
        if !log.catalog().segments.contains_key(&segment) {
            // Without its file it needs no marks.
            return match log.disk().remove(&segment_path(&log.path, segment)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        if state == Unsynced::Damaged {
            self.open.remove(&segment);
            return replace(log.disk(), &path, &Self::all(log, segment)?);
        }
        match self.open.get(&segment) {
            Some((file, _)) => file.sync(),
            None => log.disk().open(&path)?.sync(),
        }
    }

    /// The marks of all that is dead in a segment.
    fn all(log: &LogState, segment: u32) -> io::Result<Vec<u8>> {
        let catalog = log.catalog();
        let known = catalog.segments.get(&segment);
        // In one that is pinned something counts as dead that the next life is to see again.
        let known = known.filter(|known| !known.pinned);
        let known = known.ok_or_else(|| io::Error::other("the segment could not be read"))?;
        let note = |ordinal| Note {
            segment,
            ordinal,
            value: 0,
        };
        let dead = known.dead.iter().map(note);
        Ok(dead.flat_map(|note| note.encode(log.id)).collect())
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

    /// Forgets a segment that is about to go.
    pub(crate) fn forget(&mut self, segment: u32) {
        self.waiting.remove(&segment);
        self.open.remove(&segment);
        self.unsynced.insert(segment, Unsynced::Damaged);
    }

    /// Knows that a segment is gone for good, and no mark of it is needed.
    pub(crate) fn is_gone(&mut self, segment: u32) {
        self.unsynced.remove(&segment);
    }
}
