//! What processors remember of series from batch to batch.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tidegate_component::BuildContext;
use tidegate_component::metrics::Gauge;
use tidegate_pdata::view::Attributes;
use tidegate_pdata::{Budget, Reservation};
use tokio::time::Instant;

/// What tells one series from others: 128 bits of a hash with secret seeds over all that identifies it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SeriesId(u64, u64);

impl SeriesId {
    /// Half of its bits, for what can live with two series in a hundred million being taken for one.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The ID of a set that has one element more, in whatever order they come.
    pub(crate) const fn plus(self, element: Self) -> Self {
        Self(
            self.0.wrapping_add(element.0),
            self.1.wrapping_add(element.1),
        )
    }
}

/// Makes IDs.
#[derive(Debug, Default)]
pub(crate) struct SeriesHash(RandomState, RandomState);

impl SeriesHash {
    pub(crate) fn bytes(&self, bytes: &[u8]) -> SeriesId {
        SeriesId(self.0.hash_one(bytes), self.1.hash_one(bytes))
    }

    /// The ID of a set of attributes, in whatever order they are.
    pub(crate) fn attributes(&self, attributes: Attributes<'_>) -> SeriesId {
        let entries = attributes.entries().map(|entry| self.bytes(entry.bytes()));
        entries.fold(SeriesId::default(), SeriesId::plus)
    }

    /// The ID of what has these parts.
    pub(crate) fn join<const N: usize>(&self, parts: [SeriesId; N]) -> SeriesId {
        SeriesId(self.0.hash_one(parts), self.1.hash_one(parts))
    }

    pub(crate) fn number(&self, number: u64) -> SeriesId {
        SeriesId(self.0.hash_one(number), self.1.hash_one(number))
    }
}

/// What is kept of a series.
pub(crate) trait Kept {
    /// Bytes that it has beside itself.
    fn more(&self) -> usize;
}

/// What a series takes beside its value: its ID, its time, its place in the table.
const OVERHEAD: usize = 48;
/// By how many bytes the budget may be wrong.
const SLACK: usize = 1 << 16;

/// How many series the instances of a processor remember together.
#[derive(Debug, Default)]
struct Count(AtomicUsize);

/// Room for so many series, which the instances of a processor share.
pub(crate) struct Room {
    count: Arc<Count>,
    most: usize,
    taken: usize,
    gauge: Gauge,
}

impl Room {
    /// Room for `most` series; 0 sets no limit.
    pub(crate) fn new(cx: &BuildContext, most: usize) -> Self {
        let gauge = cx.metrics.gauge(
            "tidegate_processor_series",
            "Series that a processor remembers.",
            &[],
        );
        Self::counted_by(cx, most, gauge)
    }

    fn counted_by(cx: &BuildContext, most: usize, gauge: Gauge) -> Self {
        Self {
            count: cx.shared.value(Count::default),
            most: if most == 0 { usize::MAX } else { most },
            taken: 0,
            gauge,
        }
    }

    /// Takes room for one more; false where there is none.
    pub(crate) fn take(&mut self) -> bool {
        let fits = self.count.0.fetch_add(1, Relaxed) < self.most;
        if fits {
            self.taken += 1;
            self.gauge.add(1);
        } else {
            self.count.0.fetch_sub(1, Relaxed);
        }
        fits
    }

    pub(crate) fn give_back(&mut self, series: usize) {
        let series = series.min(self.taken);
        self.taken -= series;
        self.count.0.fetch_sub(series, Relaxed);
        self.gauge.add(-(series as i64));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back(self.taken);
    }
}

/// The series that an instance remembers.
///
/// What it takes counts in the budget of the process.
pub(crate) struct Memory<V> {
    series: HashMap<SeriesId, (Instant, V), RandomState>,
    room: Room,
    staleness: Option<Duration>,
    sweep: Option<Instant>,
    bytes: usize,
    hold: Reservation,
}

impl<V: Kept> Memory<V> {
    /// Remembers `most` series, and each for as long as `staleness` after it was seen; 0 sets no limit.
    pub(crate) fn new(cx: &BuildContext, most: usize, staleness: Duration) -> Self {
        Self::within(cx, Room::new(cx, most), staleness)
    }

    /// The same with a metric of one's own for how many are remembered.
    pub(crate) fn counted_by(
        cx: &BuildContext,
        (most, staleness): (usize, Duration),
        gauge: Gauge,
    ) -> Self {
        Self::within(cx, Room::counted_by(cx, most, gauge), staleness)
    }

    fn within(cx: &BuildContext, room: Room, staleness: Duration) -> Self {
        Self {
            series: HashMap::default(),
            room,
            staleness: (!staleness.is_zero()).then_some(staleness),
            sweep: None,
            bytes: 0,
            hold: Budget::overdraw(&cx.budget, 0),
        }
    }

    /// What is remembered of a series, for `change` to change.
    pub(crate) fn known<R>(
        &mut self,
        id: SeriesId,
        now: Instant,
        change: impl FnOnce(&mut V) -> R,
    ) -> Option<R> {
        let (seen, value) = self.series.get_mut(&id)?;
        let is_stale = |staleness| now.saturating_duration_since(*seen) > staleness;
        if self.staleness.is_some_and(is_stale) {
            self.remove(id);
            return None;
        }
        *seen = now;
        let before = value.more();
        let result = change(value);
        self.bytes = (self.bytes + value.more()).saturating_sub(before);
        Some(result)
    }

    /// Remembers a series that is not known; false where there is no room for it.
    pub(crate) fn add(&mut self, id: SeriesId, now: Instant, value: V) -> bool {
        if !self.room.take() {
            return false;
        }
        self.bytes += Self::weight(&value);
        self.series.insert(id, (now, value));
        if let Some(staleness) = self.staleness {
            self.sweep.get_or_insert(now + staleness);
        }
        true
    }

    pub(crate) fn remove(&mut self, id: SeriesId) {
        if let Some((_, value)) = self.series.remove(&id) {
            self.forgot(1, Self::weight(&value));
        }
    }

    /// Forgets what was not seen for too long, if it is time to.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let (Some(due), Some(staleness)) = (self.sweep, self.staleness) else {
            return;
        };
        if now < due {
            return;
        }
        let (before, mut freed) = (self.series.len(), 0);
        self.series.retain(|_, (seen, value)| {
            let keep = now.saturating_duration_since(*seen) < staleness;
            freed += if keep { 0 } else { Self::weight(value) };
            keep
        });
        self.forgot(before - self.series.len(), freed);
        if self.series.capacity() > 4 * self.series.len() + 1024 {
            self.series.shrink_to_fit();
        }
        let next = now.checked_add(staleness / 2).filter(|next| *next > now);
        self.sweep = next.filter(|_| !self.series.is_empty());
    }

    /// When it is time to.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.sweep
    }

    /// Tells the budget what is remembered, at the end of a batch.
    pub(crate) fn settle(&mut self) {
        if self.bytes.abs_diff(self.hold.bytes()) > SLACK {
            self.hold.resize(self.bytes);
        }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn weight(value: &V) -> usize {
        OVERHEAD + size_of::<V>() + value.more()
    }

    fn forgot(&mut self, series: usize, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.room.give_back(series);
    }
}
