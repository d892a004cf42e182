//! Reads a log in order, past whatever is dead or damaged.

use std::io;
use std::sync::Arc;

use crate::bits::Bits;
use crate::catalog::{Position, State};
use crate::committer::Command;
use crate::error::ReadError;
use crate::format::Header;
use crate::log::Record;
use crate::quarantine::quarantine;
use crate::seal::seal_found;
use crate::segment::{Damage, Scanner, Step};
use crate::state::{LogState, segment_path};

/// Gives out the live records of a range, in order, each once.
///
/// Damaged and deadly records go to quarantine, those that are too old are dropped; all of them
/// are counted and none is given out. An error means that the rest of a segment cannot be read;
/// the cursor goes on with the next. At the end of what is written it gives none, and more when
/// more was appended within its range.
#[derive(Debug)]
pub struct Cursor {
    log: Arc<LogState>,
    /// The number of the next record.
    from: u64,
    until: u64,
    reading: Option<Reading>,
    /// Where the segment that was being written goes on: number, generation, offset.
    resume: Option<(u32, u32, u64)>,
}

#[derive(Debug)]
struct Reading {
    number: u32,
    generation: u32,
    scanner: Scanner,
    /// Where it is the first to read a segment of a former life: what it has found so far.
    seen: Option<Bits>,
    damaged: bool,
    /// Keeps the file what it is.
    _lease: Arc<()>,
}

impl Cursor {
    pub(crate) fn over(log: &Arc<LogState>, from: u64, until: u64) -> Self {
        Self {
            log: Arc::clone(log),
            from,
            until,
            reading: None,
            resume: None,
        }
    }

    /// The number that the next record has at the least: all live records before it were given out.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.from
    }

    /// Opens the next segment of the range; none where there is none.
    fn open_next(&mut self) -> Option<Result<Reading, (u32, io::Error)>> {
        loop {
            let first = u32::try_from(self.from >> 32).unwrap_or(u32::MAX);
            let mut catalog = self.log.catalog();
            let (number, segment) = catalog.segments.range_mut(first..).next()?;
            let number = *number;
            if u64::from(number) << 32 >= self.until {
                return None;
            }
            let counts = segment.state == State::Unread && !segment.counted_by_cursor;
            let end = (segment.state != State::Unread).then_some(segment.end);
            let (settled, generation) = (segment.settled, segment.generation);
            let (file, lease) = (segment.file.clone(), Arc::clone(&segment.lease));
            if counts {
                segment.counted_by_cursor = true;
                (segment.data, segment.live) = (0, 0);
            }
            drop(catalog);
            let path = segment_path(&self.log.path, number);
            let file = file.map_or_else(|| self.log.disk().open_to_read(&path), Ok);
            let scanner =
                file.and_then(|file| Scanner::new(file, self.log.id, number, end, settled));
            let catalog = self.log.catalog();
            let now = catalog.segments.get(&number);
            if now.is_none_or(|now| now.generation != generation) {
                // It was removed or replaced meanwhile.
                continue;
            }
            let reading = scanner.map(|scanner| Reading {
                number,
                generation,
                scanner,
                seen: counts.then(Bits::default),
                damaged: false,
                _lease: lease,
            });
            return Some(reading.map_err(|error| (number, error)));
        }
    }

    fn skip_segment(&mut self, number: u32) {
        self.from = self.from.max((u64::from(number) + 1) << 32);
    }

    /// Leaves a segment that cannot be read on.
    fn give_up(&mut self, number: u32, error: io::Error) -> ReadError {
        self.log.pin(number);
        self.log.tally.unreadable_segments.add(1);
        self.skip_segment(number);
        ReadError::Io(error)
    }

    /// The next record of the open segment; none at its end.
    fn next_in(&mut self, reading: &mut Reading) -> io::Result<Option<Record>> {
        loop {
            match reading.scanner.step()? {
                Step::End => return Ok(None),
                Step::Damage(damage) => self.damage(reading, damage),
                Step::Record { header, offset } => {
                    let position = position(&header, offset);
                    if let Some(seen) = &mut reading.seen {
                        seen.insert(header.ordinal);
                        self.log.catalog().add(position);
                    }
                    if position.number() >= self.until {
                        self.from = self.until;
                        if reading.seen.is_none() {
                            return Ok(None);
                        }
                        continue;
                    }
                    if position.number() < self.from {
                        continue;
                    }
                    self.from = position.number() + 1;
                    if let Some(record) = self.give(reading, position, &header, offset)? {
                        return Ok(Some(record));
                    }
                }
            }
        }
    }

    fn give(
        &self,
        reading: &mut Reading,
        position: Position,
        header: &Header,
        offset: u64,
    ) -> io::Result<Option<Record>> {
        let log = &self.log;
        if log.catalog().is_dead(position.segment, position.ordinal) {
            return Ok(None);
        }
        let file = Arc::clone(reading.scanner.file());
        if !log.admits(&*file, position, header) {
            return Ok(None);
        }
        if let Some(data) = reading.scanner.data(header, offset)? {
            return Ok(Some(log.record(position, header, data)));
        }
        let damage = reading.scanner.damaged(header, offset)?;
        if damage.torn {
            // Ended with a footer, it would look like something that was whole once.
            reading.damaged = true;
            log.tally.torn_regions.add(1);
            log.kill(position);
        } else {
            log.condemn(&*file, position, header.items);
        }
        Ok(None)
    }

    fn damage(&self, reading: &mut Reading, damage: Damage) {
        reading.damaged = true;
        if reading.seen.is_none() {
            return;
        }
        if damage.torn {
            self.log.tally.torn_regions.add(1);
            return;
        }
        self.log.tally.damaged_regions.add(1);
        let Damage { offset, length, .. } = damage;
        let file = &**reading.scanner.file();
        if quarantine(&self.log, file, reading.number, offset, length).is_err() {
            self.log.pin(reading.number);
        }
    }

    /// Closes a segment that was read to its end.
    fn finish(&mut self, reading: Reading) {
        let number = reading.number;
        let offset = reading.scanner.offset();
        {
            let catalog = self.log.catalog();
            let state = catalog.segments.get(&number).map(|segment| segment.state);
            if state == Some(State::Active) {
                self.resume = Some((number, reading.generation, offset));
                return;
            }
        }
        let Some(seen) = reading.seen else {
            self.skip_segment(number);
            return;
        };
        let total = reading.scanner.total();
        // Before it counts as closed: from then on another file may take its place.
        if !reading.damaged && !reading.scanner.is_settled() {
            seal_found(&self.log, number, offset, total);
        }
        if let Some(segment) = self.log.catalog().segments.get_mut(&number) {
            for ordinal in (0..total).filter(|ordinal| !seen.has(*ordinal)) {
                segment.dead.insert(ordinal);
            }
            segment.total = total;
            segment.state = State::Closed;
            segment.end = offset;
        }
        // A closed journal removes it when it is opened again.
        let log = Arc::clone(&self.log);
        let _ = self.log.directory.sender.send(Command::Tidy { log });
        self.skip_segment(number);
    }

    /// Whether there is more in the segment that is being written than was read.
    fn resumed(&mut self) -> bool {
        let Some((number, generation, offset)) = self.resume else {
            return true;
        };
        let catalog = self.log.catalog();
        match catalog.segments.get(&number) {
            Some(segment) if segment.generation == generation => {
                segment.end > offset || segment.state != State::Active
            }
            _ => {
                drop(catalog);
                self.resume = None;
                true
            }
        }
    }
}

impl Iterator for Cursor {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.from >= self.until && self.reading.is_none() {
                return None;
            }
            let mut reading = match self.reading.take() {
                Some(reading) => reading,
                None if !self.resumed() => return None,
                None => match self.open_next()? {
                    Ok(reading) => reading,
                    Err((number, error)) => return Some(Err(self.give_up(number, error))),
                },
            };
            if let Some((number, generation, offset)) = self.resume.take()
                && (number, generation) == (reading.number, reading.generation)
            {
                reading.scanner.seek(offset);
            }
            match self.next_in(&mut reading) {
                Ok(Some(record)) => {
                    self.reading = Some(reading);
                    return Some(Ok(record));
                }
                Ok(None) => self.finish(reading),
                Err(error) => return Some(Err(self.give_up(reading.number, error))),
            }
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.take()
            && reading.seen.is_some()
            && let Some(segment) = self.log.catalog().segments.get_mut(&reading.number)
        {
            // Another may count it, from its beginning.
            segment.counted_by_cursor = false;
        }
    }
}

/// Where a record is that was found at an offset.
pub(crate) fn position(header: &Header, offset: u64) -> Position {
    Position {
        segment: header.segment,
        ordinal: header.ordinal,
        // Segments are far smaller than what 32 bits can say.
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        length: u32::try_from(header.span()).unwrap_or(u32::MAX),
    }
}
