//! The handle of one log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;

use crate::append::{Append, Persist};
use crate::catalog::{Position, State};
use crate::committer::Command;
use crate::cursor::Cursor;
use crate::error::{ReadError, Refused};
use crate::flights::{Flight, outlived};
use crate::options::MAX_RECORD;
use crate::segment::read_record;
use crate::state::{LogState, segment_path};
use crate::tally::Counts;
use crate::verdict::judge;
use crate::withdrawal::Withdrawal;

/// What is told about an append: where the record is, once it is durable, or why it is not.
///
/// It runs on the committing thread and must return soon.
pub type Done = Box<dyn FnOnce(Result<Position, Refused>) + Send>;

/// What is told once marks are on stable storage, or why they are not.
///
/// It runs on the committing thread and must return soon.
pub type Kept = Box<dyn FnOnce(Result<(), Refused>) + Send>;

/// A record to be appended.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The payload in parts, which are written one after the other and never put together.
    pub payload: Vec<Bytes>,
    /// What else comes back with the payload: up to 64 KiB, opaque.
    pub context: Bytes,
    /// Items in the payload, for the books.
    pub items: u64,
    /// What names the batch through retries and restarts.
    pub id: [u8; 16],
}

/// A record that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub position: Position,
    /// The payload, in one buffer of its size.
    pub payload: Bytes,
    /// What was appended with it.
    pub context: Bytes,
    /// Items in the payload.
    pub items: u64,
    /// What names the batch.
    pub id: [u8; 16],
    /// How long ago it was appended; never negative.
    pub age: Duration,
    /// Deaths of the process that count for it: the first at which it was in flight, and each
    /// further one at which it was in flight alone.
    ///
    /// A record with deaths is best delivered last. It must be in flight alone, or a death that it
    /// causes never counts for it.
    pub deaths: u32,
}

/// How much is in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Segments on disk.
    pub segments: usize,
    /// Bytes of their files, room set aside included.
    pub bytes: u64,
    /// Bytes of live records, as far as segments have been read since the opening.
    pub live_bytes: u64,
    /// Segments of former lives that have not been read to their end.
    pub unread_segments: usize,
}

/// Keeps others from opening a log, as long as a handle of it is alive.
pub(crate) struct Claim;

/// One log of a journal. Clones are the same log.
#[derive(Clone)]
pub struct Log {
    pub(crate) state: Arc<LogState>,
    _claim: Arc<Claim>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("name", &self.state.name)
            .finish_non_exhaustive()
    }
}

impl Log {
    pub(crate) fn new(state: &Arc<LogState>, claim: Arc<Claim>) -> Self {
        Self {
            state: Arc::clone(state),
            _claim: claim,
        }
    }

    /// The name that it was opened by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// What names the log itself: with a record's number, unique everywhere.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.state.id.bytes
    }

    /// Appends a record and never waits; `done` is told what became of it.
    ///
    /// The parts are held until then.
    pub fn append(
        &self,
        draft: Draft,
        done: impl FnOnce(Result<Position, Refused>) + Send + 'static,
    ) {
        self.send(Append::new(&self.state, draft, Box::new(done)));
    }

    /// Appends a record that somebody is delivering meanwhile, and who takes it back as soon as
    /// that is done: it is then not written.
    ///
    /// While deliveries usually take no longer than to write does, it is held for as long as that.
    pub fn append_unless_withdrawn(
        &self,
        draft: Draft,
        usual: Duration,
        done: impl FnOnce(Result<Position, Refused>) + Send + 'static,
    ) -> Withdrawal {
        let withdrawal = Withdrawal::new();
        let mut append = Append::new(&self.state, draft, Box::new(done));
        append.may_be_withdrawn(withdrawal.clone(), usual);
        self.send(append);
        withdrawal
    }

    fn send(&self, append: Append) {
        let size = append.size();
        if size > MAX_RECORD || append.context_is_too_large() {
            append.refuse(Refused::TooLarge(size));
        } else if let Err(closed) = self.state.directory.sender.send(Command::Append(append)) {
            // Dropping an append that nobody took tells its owner that the journal is closed.
            drop(closed);
        }
    }

    /// Marks a record as done with: delivered, or dropped by its owner. It does not come back,
    /// unless a crash takes the mark.
    ///
    /// Tells whether it was live.
    pub fn mark(&self, position: Position) -> bool {
        let new = self.state.kill(position);
        if new {
            self.state.tally.marked_records.add(1);
        }
        new
    }

    /// Tells once all marks that were made before are on stable storage: no crash brings their
    /// records back. Never waits.
    pub fn persist_marks(&self, done: impl FnOnce(Result<(), Refused>) + Send + 'static) {
        let persist = Persist::new(&self.state, Box::new(done));
        if let Err(closed) = self.state.directory.sender.send(Command::Persist(persist)) {
            drop(closed);
        }
    }

    /// Whether there is a record of this number that is not marked, as far as is known without
    /// reading it; numbers that were never given are not.
    #[must_use]
    pub fn is_live(&self, number: u64) -> bool {
        let (segment, ordinal) = ((number >> 32) as u32, number as u32);
        !self.state.catalog().is_dead(segment, ordinal)
    }

    /// Says that a delivery of the record is under way until the flight is dropped.
    #[must_use]
    pub fn fly(&self, position: Position) -> Flight {
        Flight::begin(&self.state, position)
    }

    /// Says that the process has outlived an attempt to deliver the record: no death counts for it
    /// any more.
    pub fn outlived(&self, position: Position) {
        outlived(&self.state, position);
    }

    /// Reads a record back.
    ///
    /// # Errors
    ///
    /// When it is gone, is damaged (and was put into quarantine) or the file system fails.
    pub fn read(&self, position: Position) -> Result<Record, ReadError> {
        // A rewrite may put another file in the place of the one that was found.
        for _ in 0..4 {
            let found = self.state.catalog().find(position).ok_or(ReadError::Gone)?;
            let file = match found.file {
                Some(file) => file,
                None => {
                    let path = segment_path(&self.state.path, position.segment);
                    match self.state.disk().open_to_read(&path) {
                        Ok(file) => file,
                        Err(_) if self.state.catalog().find(position).is_none() => {
                            return Err(ReadError::Gone);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            };
            let read = read_record(
                &*file,
                self.state.id,
                position.segment,
                position.ordinal,
                found.offset,
            )?;
            let now = self.state.catalog().find(position);
            if now.is_some_and(|now| now.generation != found.generation) {
                continue;
            }
            return judge(&self.state, &*file, position, read);
        }
        Err(ReadError::Gone)
    }

    /// Reads what former lives left: every record that is not marked, once, in order.
    ///
    /// What is appended from now on is not in it. A second cursor reads the same again.
    #[must_use]
    pub fn replay(&self) -> Cursor {
        Cursor::over(&self.state, 0, u64::from(self.state.born) << 32)
    }

    /// Reads records of a range of numbers that are not marked, as [`Log::replay`] does: those
    /// from `from` on and before `until`, which [`Position::number`] gives.
    #[must_use]
    pub fn scan(&self, from: u64, until: u64) -> Cursor {
        Cursor::over(&self.state, from, until)
    }

    /// Whether appends may find room: false for a moment after one was refused for want of it.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.state.is_full()
    }

    /// Bytes that were appended and have no outcome yet.
    #[must_use]
    pub fn unresolved(&self) -> u64 {
        self.state.unresolved.load(Relaxed)
    }

    /// What happened since it was opened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.tally.counts()
    }

    /// How much is in it.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let catalog = self.state.catalog();
        let segments = catalog.segments.values();
        Extent {
            segments: catalog.segments.len(),
            bytes: catalog.size(),
            live_bytes: segments.clone().map(|segment| segment.live).sum(),
            unread_segments: segments
                .filter(|segment| segment.state == State::Unread)
                .count(),
        }
    }
}
