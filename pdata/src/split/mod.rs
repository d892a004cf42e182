//! Cutting a payload in pieces: by items, by bytes, by trace, by any key.
//!
//! A piece is a request like any other: each record in it keeps its resource, its scope and, for
//! data points, its metric with all of their fields, which are repeated in every piece that has
//! one of their records. Metrics are cut between data points, as the Collector's `batch` does.
//! The pieces hold the records in their order; put one after the other, pieces by items or bytes
//! hold all records in the order of the whole.
//!
//! Segments that fall into one piece are shared, not copied. A segment that is cut is copied
//! piece by piece, except for a piece of at least half of its bytes that is a request as it
//! stands: so nothing keeps a buffer alive of which it needs less than half. Copies overdraw the
//! budget that their source is held by.

mod plan;
mod series;
mod walk;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;

use self::plan::Plan;
use self::series::SeriesHash;
use self::walk::{Found, walk};
use crate::wire::Cursor;
use crate::{Payload, Segment, Signal};

/// A record that is to be dealt, with the messages that it stands in.
///
/// Each is the content of the message, for `View::of`.
#[derive(Clone, Copy, Debug)]
pub struct Dealt<'a> {
    /// The `ResourceSpans`, `ResourceMetrics` or `ResourceLogs`.
    pub resource: &'a [u8],
    /// The `ScopeSpans`, `ScopeMetrics` or `ScopeLogs`.
    pub scope: &'a [u8],
    /// The `Metric` of a data point; empty for other records.
    pub metric: &'a [u8],
    /// The span, the log record or the data point.
    pub record: &'a [u8],
}

impl Payload {
    /// The first `count` items, and the rest.
    #[must_use]
    pub fn split_items(self, count: usize) -> (Self, Self) {
        let signal = self.signal();
        if count == 0 {
            return (Self::empty(signal), self);
        }
        if self.items() <= count {
            return (self, Self::empty(signal));
        }
        let mut pieces = cut(&self, Limit::items(count), Limit::NONE).into_iter();
        let mut piece = || pieces.next().unwrap_or_else(|| Self::empty(signal));
        (piece(), piece())
    }

    /// Pieces of `count` items each, the last of what is left. A payload without an item is one.
    #[must_use]
    pub fn chunk_items(self, count: NonZeroUsize) -> Vec<Self> {
        if self.items() <= count.get() {
            return vec![self];
        }
        let limit = Limit::items(count.get());
        cut(&self, limit, limit)
    }

    /// Two halves by items; `None` where there is no second half.
    #[must_use]
    pub fn bisect(self) -> Option<(Self, Self)> {
        (self.items() > 1).then(|| {
            let half = self.items() / 2;
            self.split_items(half)
        })
    }

    /// Pieces of at most `limit` bytes; a record that takes more with its containers alone is a
    /// piece of its own. Segments that fit are not cut.
    #[must_use]
    pub fn chunk_bytes(self, limit: NonZeroUsize) -> Vec<Self> {
        if self.bytes() <= limit.get() {
            return vec![self];
        }
        let limit = Limit::bytes(limit.get());
        cut(&self, limit, limit)
    }

    /// As many records from the front as fit in `limit` bytes, and the rest; the front is the
    /// first record alone where not even that fits. Segments that fit are not cut.
    #[must_use]
    pub fn split_bytes(self, limit: NonZeroUsize) -> (Self, Self) {
        let signal = self.signal();
        if self.bytes() <= limit.get() {
            return (self, Self::empty(signal));
        }
        let mut pieces = cut(&self, Limit::bytes(limit.get()), Limit::NONE).into_iter();
        let mut piece = || pieces.next().unwrap_or_else(|| Self::empty(signal));
        (piece(), piece())
    }

    /// Deals the records over `outputs` payloads: each to the one that `key` says, counted
    /// modulo their number. Containers without a record are in none of them where there are
    /// several outputs.
    #[must_use]
    pub fn partition(
        self,
        outputs: NonZeroUsize,
        mut key: impl FnMut(Dealt<'_>) -> usize,
    ) -> Vec<Self> {
        let (signal, outputs) = (self.signal(), outputs.get());
        if outputs == 1 {
            return vec![self];
        }
        let mut plans: Vec<_> = (0..outputs).map(|_| Plan::default()).collect();
        for (source, segment) in self.segments().iter().enumerate() {
            walk(signal, source, segment, &mut |found| {
                if found.items > 0 {
                    let output = key(dealt(&found)) % outputs;
                    plans[output].put(found.frames, found.range(), found.items);
                }
            });
        }
        let finish = |plan: Plan| plan.finish(signal, self.segments());
        plans.into_iter().map(finish).collect()
    }

    /// Deals spans or log records over `outputs` payloads by their trace: each to the one that
    /// `hash` of its trace ID says, counted modulo their number.
    ///
    /// A record without a trace ID, as every data point is, is dealt by the hash of no bytes.
    #[must_use]
    pub fn partition_by_trace(
        self,
        outputs: NonZeroUsize,
        mut hash: impl FnMut(&[u8]) -> u64,
    ) -> Vec<Self> {
        let signal = self.signal();
        self.partition(outputs, |dealt| {
            hash(trace_id(signal, dealt.record)) as usize
        })
    }

    /// Deals data points over `outputs` payloads by their series: each to the one that the hash of
    /// its resource's attributes, its metric's name and its own attributes says, counted modulo
    /// their number. The order of attributes makes no difference.
    ///
    /// Records that are no data points are dealt to the first.
    #[must_use]
    pub fn partition_by_series(
        self,
        outputs: NonZeroUsize,
        hash: impl FnMut(&[u8]) -> u64,
    ) -> Vec<Self> {
        if self.signal() != Signal::Metrics {
            return self.partition(outputs, |_| 0);
        }
        let mut series = SeriesHash::new(hash);
        self.partition(outputs, |dealt| series.of(dealt) as usize)
    }
}

fn dealt<'a>(found: &Found<'_, 'a>) -> Dealt<'a> {
    let level = |index: usize| found.path.get(index).map_or(&[][..], |field| field.bytes);
    Dealt {
        resource: level(0),
        scope: level(1),
        metric: level(2),
        record: found.field.bytes,
    }
}

/// The trace ID of a record: empty where it has none.
fn trace_id(signal: Signal, record: &[u8]) -> &[u8] {
    let number = match signal {
        Signal::Traces => 1,
        Signal::Logs => 9,
        Signal::Metrics => return &[],
    };
    Cursor::new(record)
        .find(|field| field.number == number)
        .map_or(&[], |field| field.bytes)
}

/// When a piece is full.
#[derive(Clone, Copy)]
struct Limit {
    items: usize,
    bytes: usize,
}

impl Limit {
    const NONE: Self = Self {
        items: usize::MAX,
        bytes: usize::MAX,
    };

    const fn items(items: usize) -> Self {
        Self {
            items,
            ..Self::NONE
        }
    }

    const fn bytes(bytes: usize) -> Self {
        Self {
            bytes,
            ..Self::NONE
        }
    }
}

/// Fills one piece after the other.
struct Cutter {
    full: Vec<Plan>,
    current: Plan,
    /// The limit of the current piece, and that of every later one.
    limit: Limit,
    later: Limit,
}

fn cut(payload: &Payload, first: Limit, later: Limit) -> Vec<Payload> {
    let mut cutter = Cutter {
        full: Vec::new(),
        current: Plan::default(),
        limit: first,
        later,
    };
    for (source, segment) in payload.segments().iter().enumerate() {
        if cutter.current.items() == cutter.limit.items {
            cutter.next_piece();
        }
        if cutter.has_room_for(segment) {
            cutter.current.take(source, segment);
        } else if cutter.limit.bytes >= segment.bytes().len() && cutter.limit.items == usize::MAX {
            cutter.next_piece();
            cutter.current.take(source, segment);
        } else {
            walk(payload.signal(), source, segment, &mut |found| {
                cutter.put(&found)
            });
        }
    }
    if !cutter.current.is_empty() {
        cutter.next_piece();
    }
    let finish = |plan: Plan| plan.finish(payload.signal(), payload.segments());
    cutter.full.into_iter().map(finish).collect()
}

impl Cutter {
    fn has_room_for(&self, segment: &Segment) -> bool {
        let items = self.current.items() + segment.items();
        let bytes = self.current.closed_size() + segment.bytes().len();
        items <= self.limit.items && bytes <= self.limit.bytes
    }

    fn put(&mut self, found: &Found<'_, '_>) {
        let is_full = self.current.items() + found.items > self.limit.items
            || self.limit.bytes < usize::MAX
                && self.current.size_with(found.frames, found.range().len()) > self.limit.bytes;
        if is_full && !self.current.is_empty() {
            self.next_piece();
        }
        self.current.put(found.frames, found.range(), found.items);
    }

    fn next_piece(&mut self) {
        self.full.push(std::mem::take(&mut self.current));
        self.limit = self.later;
    }
}
