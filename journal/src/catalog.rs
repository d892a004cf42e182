//! What a log knows in memory: its segments, and which of their records are dead.
//!
//! There is no index of records. Whoever holds a [`Position`] knows where its record lies, and
//! those that nobody holds are found by reading on; a record costs one bit here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bits::Bits;
use crate::disk::File;
use crate::segment::MAX_ORDINAL;

/// Where a record is, for as long as it is in the log.
///
/// Two positions are equal when they mean the same record. A later record of the same log is
/// greater; numbers are never used again, not even after a restart.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub(crate) segment: u32,
    pub(crate) ordinal: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

impl Position {
    /// The record's number: unique in its log for ever.
    #[must_use]
    pub const fn number(&self) -> u64 {
        (self.segment as u64) << 32 | self.ordinal as u64
    }

    /// Bytes that the record takes on disk.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.length
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Position {}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number().cmp(&other.number())
    }
}

impl std::hash::Hash for Position {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.number().hash(state);
    }
}

/// What is known of a segment's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// From a former life and not read to its end yet.
    Unread,
    /// Being written.
    Active,
    /// Complete: every record of it that is not dead is live.
    Closed,
}

/// What is known of one segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) state: State,
    /// Where readable records end; the file's size while it is unread.
    pub(crate) end: u64,
    /// Bytes that the file takes.
    pub(crate) size: u64,
    /// One past the highest ordinal.
    pub(crate) total: u32,
    /// Bytes of records that were put in and are sound.
    pub(crate) data: u64,
    /// Those of them that are not dead.
    pub(crate) live: u64,
    pub(crate) dead: Bits,
    pub(crate) file: Option<Arc<dyn File>>,
    /// Rises when the file is replaced.
    pub(crate) generation: u32,
    /// Ordinals and offsets of what was moved by a rewrite, in order.
    pub(crate) moved: Option<Box<[(u32, u32)]>>,
    /// Whether the one after it knows it as complete.
    pub(crate) settled: bool,
    /// Whether a cursor counts what is in it.
    pub(crate) counted_by_cursor: bool,
    /// Before when, in milliseconds since the opening, another rewrite is not worth trying.
    pub(crate) rewrite_after: u64,
    /// Whether something in it could not be read or rescued, so that the file must stay.
    pub(crate) pinned: bool,
    /// Shared by those who read its file, which must then not become another segment's.
    pub(crate) lease: Arc<()>,
}

impl Segment {
    pub(crate) fn new(state: State, end: u64, size: u64) -> Self {
        Self {
            state,
            end,
            size,
            total: 0,
            data: 0,
            live: 0,
            dead: Bits::default(),
            file: None,
            generation: 0,
            moved: None,
            settled: false,
            counted_by_cursor: false,
            rewrite_after: 0,
            pinned: false,
            lease: Arc::default(),
        }
    }

    /// Where a record is now.
    fn offset(&self, position: Position) -> Option<u32> {
        match &self.moved {
            None => Some(position.offset),
            Some(moved) => moved
                .binary_search_by_key(&position.ordinal, |(ordinal, _)| *ordinal)
                .ok()
                .map(|at| moved[at].1),
        }
    }

    /// Whether its file has this size, as it was made, and nobody reads it.
    pub(crate) fn is_reusable(&self, size: u64) -> bool {
        self.size == size && self.moved.is_none() && Arc::strong_count(&self.lease) == 1
    }

    pub(crate) fn is_spent(&self) -> bool {
        let complete = match self.state {
            State::Active => false,
            State::Closed => true,
            // Only a footer tells of all that is in it.
            State::Unread => self.total > 0,
        };
        complete && !self.pinned && self.dead.has_all_below(self.total)
    }
}

/// Where to read a record.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) offset: u64,
    pub(crate) generation: u32,
    pub(crate) file: Option<Arc<dyn File>>,
    /// Keeps the file what it is.
    pub(crate) _lease: Arc<()>,
}

/// What a mark changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Killed {
    /// Whether the record was live before.
    pub(crate) new: bool,
    /// Whether nothing in the segment is needed any more.
    pub(crate) spent: bool,
}

/// The segments of one log.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) segments: BTreeMap<u32, Segment>,
}

impl Catalog {
    /// Counts a record in that was written or found.
    pub(crate) fn add(&mut self, position: Position) {
        if let Some(segment) = self.segments.get_mut(&position.segment) {
            let length = u64::from(position.length);
            segment.data += length;
            if !segment.dead.has(position.ordinal) {
                segment.live += length;
            }
            // Of a segment that is being read for the first time, only its footer or its end tells how
            // many there are: what was found so far may all be dead, and what follows be live.
            if segment.state != State::Unread {
                segment.total = segment.total.max(position.ordinal + 1);
            }
        }
    }

    /// Marks a record dead.
    pub(crate) fn kill(&mut self, position: Position) -> Killed {
        let Some(segment) = self.segments.get_mut(&position.segment) else {
            return Killed::default();
        };
        if position.ordinal >= MAX_ORDINAL || !segment.dead.insert(position.ordinal) {
            return Killed::default();
        }
        segment.live = segment.live.saturating_sub(u64::from(position.length));
        Killed {
            new: true,
            spent: segment.is_spent(),
        }
    }

    /// Where a record is, unless it is dead.
    pub(crate) fn find(&self, position: Position) -> Option<Found> {
        let segment = self.segments.get(&position.segment)?;
        if segment.dead.has(position.ordinal) {
            return None;
        }
        Some(Found {
            offset: u64::from(segment.offset(position)?),
            generation: segment.generation,
            file: segment.file.clone(),
            _lease: Arc::clone(&segment.lease),
        })
    }

    pub(crate) fn is_dead(&self, segment: u32, ordinal: u32) -> bool {
        self.segments
            .get(&segment)
            .is_none_or(|segment| segment.dead.has(ordinal))
    }

    /// Bytes of all files.
    pub(crate) fn size(&self) -> u64 {
        self.segments.values().map(|segment| segment.size).sum()
    }

    /// Segments in which nothing is needed any more.
    pub(crate) fn spent(&self) -> Vec<u32> {
        self.segments
            .iter()
            .filter(|(_, segment)| segment.is_spent())
            .map(|(number, _)| *number)
            .collect()
    }

    /// The oldest segment that is worth rewriting: complete, and less than a tenth of it live.
    pub(crate) fn sparse(&self, now: u64) -> Option<u32> {
        self.segments
            .iter()
            .find(|(_, segment)| {
                segment.state == State::Closed
                    && !segment.pinned
                    && segment.rewrite_after <= now
                    && segment.live > 0
                    && segment.live.saturating_mul(10) < segment.size
            })
            .map(|(number, _)| *number)
    }
}
