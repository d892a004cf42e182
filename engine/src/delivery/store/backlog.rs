//! What is on disk and not in memory.

use std::collections::{BTreeMap, VecDeque};

use tidegate_journal::Position;
use tokio::time::Instant;

use crate::sink::Depth;

/// Records that rest one by one, each with its own time, before they are put together with the
/// others: a bound on memory.
const MOST_RESTING: usize = 16 << 10;

/// Ranges above which those are put together that nothing live lies between.
const MANY_RANGES: usize = 4096;
/// The widest gap between two ranges that is looked at record by record.
const WIDEST_GAP: u64 = 4096;

/// How a record comes back that could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Rest {
    /// When it is to be tried again.
    pub(in crate::delivery) due: Instant,
    /// Attempts that failed.
    pub(in crate::delivery) failures: u32,
}

/// A stretch of records, every one of which is in the backlog or dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The first number.
    pub(super) from: u64,
    /// The number after the last.
    pub(super) until: u64,
    /// What its records weigh.
    pub(super) size: Depth,
}

/// A record that is known by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) position: Position,
    pub(super) size: Depth,
    pub(super) failures: u32,
}

/// Records on disk alone.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// By their first number.
    ranges: BTreeMap<u64, Range>,
    /// Ranges that were left when they were last put together.
    apart: usize,
    /// Whether the reader has a range in hand.
    reading: bool,
    resting: BTreeMap<(Instant, u64), Resting>,
    /// Records that processes died over, the likelier innocent first.
    suspects: VecDeque<(u32, Resting)>,
    /// Whether one of them is being delivered.
    suspect_is_out: bool,
}

impl Backlog {
    /// Adds a record.
    pub(super) fn add(&mut self, number: u64, size: Depth) {
        let mut range = Range {
            from: number,
            until: number + 1,
            size,
        };
        if let Some((_, before)) = self.ranges.range_mut(..number).next_back()
            && before.until == number
        {
            before.until = range.until;
            before.size += size;
            range = *before;
        }
        if let Some(after) = self.ranges.remove(&range.until) {
            range.until = after.until;
            range.size += after.size;
        }
        self.ranges.insert(range.from, range);
    }

    /// Whether there are so many ranges that it pays to put them together.
    pub(super) fn is_scattered(&self) -> bool {
        self.ranges.len() > MANY_RANGES.max(2 * self.apart)
    }

    /// Puts ranges together where no record between them is live. What is live there is in memory,
    /// which bounds how many are left.
    pub(super) fn gather(&mut self, is_live: impl Fn(u64) -> bool) {
        let mut gathered: Vec<Range> = Vec::new();
        for range in std::mem::take(&mut self.ranges).into_values() {
            let joins = |last: &&mut Range| {
                let gap = last.until..range.from;
                gap.end - gap.start <= WIDEST_GAP && !gap.into_iter().any(&is_live)
            };
            match gathered.last_mut().filter(joins) {
                Some(last) => {
                    last.until = range.until;
                    last.size += range.size;
                }
                None => gathered.push(range),
            }
        }
        self.apart = gathered.len();
        let by_start = gathered.into_iter().map(|range| (range.from, range));
        self.ranges = by_start.collect();
    }

    /// Adds a record that is to come back at its time.
    pub(super) fn rest(&mut self, position: Position, size: Depth, rest: Rest) {
        if self.resting.len() >= MOST_RESTING {
            self.add(position.number(), size);
            return;
        }
        let resting = Resting {
            position,
            size,
            failures: rest.failures,
        };
        self.resting.insert((rest.due, position.number()), resting);
    }

    /// Adds a record for which so many deaths count, behind those with no more of them.
    pub(super) fn suspect(&mut self, position: Position, size: Depth, deaths: u32) {
        let resting = Resting {
            position,
            size,
            failures: 0,
        };
        let at = self.suspects.partition_point(|(other, _)| *other <= deaths);
        self.suspects.insert(at, (deaths, resting));
    }

    /// Whether new records must queue up behind those that are here.
    pub(super) fn is_behind(&self) -> bool {
        self.reading || !self.ranges.is_empty()
    }

    /// Takes the oldest range into the reader's hand.
    pub(super) fn begin(&mut self) -> Option<Range> {
        let (_, range) = self.ranges.pop_first()?;
        self.reading = true;
        Some(range)
    }

    /// The reader is through with its range; what it did not read comes back.
    pub(super) fn finish(&mut self, rest: Option<Range>) {
        self.reading = false;
        if let Some(range) = rest {
            self.ranges.insert(range.from, range);
        }
    }

    /// Takes a record whose time has come.
    pub(super) fn rested(&mut self, now: Instant) -> Option<Resting> {
        let first = self.resting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes a record whose time has not come, where none is left that has not failed.
    pub(super) fn give_up(&mut self) -> Option<Resting> {
        self.resting.pop_first().map(|(_, resting)| resting)
    }

    /// When the next record's time comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.resting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes a record that processes died over, unless one is out already.
    pub(super) fn take_suspect(&mut self) -> Option<Resting> {
        if self.suspect_is_out {
            return None;
        }
        let (_, suspect) = self.suspects.pop_front()?;
        self.suspect_is_out = true;
        Some(suspect)
    }

    /// A suspect has been delivered, came back, or could not be read.
    pub(super) const fn suspect_is_back(&mut self) {
        self.suspect_is_out = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(items: usize) -> Depth {
        Depth {
            requests: 1,
            items,
            bytes: items * 10,
        }
    }

    #[test]
    fn neighbours_become_one_range_in_any_order() {
        let mut backlog = Backlog::default();
        for number in [5, 3, 9, 4, 8] {
            backlog.add(number, size(1));
        }
        let first = backlog.begin().unwrap();
        assert_eq!((first.from, first.until, first.size.items), (3, 6, 3));
        let second = backlog.begin().unwrap();
        assert_eq!(
            (second.from, second.until, second.size.requests),
            (8, 10, 2)
        );
        assert_eq!(backlog.begin(), None);
    }

    #[test]
    fn many_ranges_become_few_where_nothing_live_lies_between() {
        let mut backlog = Backlog::default();
        let live = |number: u64| number == 2001;
        for number in (0..).step_by(2).take(MANY_RANGES) {
            backlog.add(number, size(1));
            assert!(!backlog.is_scattered());
        }
        backlog.add(1 << 32, size(1));
        assert!(backlog.is_scattered());
        backlog.gather(live);
        assert!(!backlog.is_scattered());
        let ranges = std::iter::from_fn(|| backlog.begin());
        let ranges: Vec<_> = ranges.map(|r| (r.from, r.until, r.size.items)).collect();
        let last = 2 * MANY_RANGES as u64 - 1;
        let of = |from: u64, until: u64| (from, until, ((until - from) as usize).div_ceil(2));
        assert_eq!(
            ranges,
            [of(0, 2001), of(2002, last), (1 << 32, (1 << 32) + 1, 1)]
        );
    }

    #[test]
    fn new_records_queue_up_until_the_reader_is_through() {
        let mut backlog = Backlog::default();
        assert!(!backlog.is_behind());
        backlog.add(1, size(2));
        let range = backlog.begin();
        assert!(backlog.is_behind());
        backlog.finish(range);
        assert!(backlog.is_behind());
        let _ = backlog.begin();
        backlog.finish(None);
        assert!(!backlog.is_behind());
    }
}
