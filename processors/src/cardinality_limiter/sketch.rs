//! Which series are within their limits, and how many each group has: sketches of a fixed size that all workers share
//! without a lock.
//!
//! A series is 32 bits of its hash in a table; that two are taken for one is as unlikely as one in a hundred
//! million. How many series a group has is counted in two places, of which the lesser counts: groups that
//! share one place rarely share both. There is a table of this window and one of the window before, so what
//! was not seen for a whole window is forgotten without a look at each.

use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
};
use std::time::Duration;

use tidegate_component::BuildContext;
use tidegate_pdata::series::SeriesHash;
use tidegate_pdata::{Budget, Reservation};
use tokio::time::Instant;

/// Places of a bucket: a line of the processor's cache.
const BUCKET: usize = 16;
/// Buckets that are tried.
const TRIED: usize = 4;
/// Places in which groups are counted, in each of the two rows.
const COUNTS: usize = 1 << 15;

/// A window's series.
#[derive(Debug)]
struct Window {
    series: Box<[AtomicU32]>,
    groups: [Box<[AtomicU32]>; 2],
}

/// What a table says of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    /// It is there now, and was not.
    New,
    /// It was there.
    Known,
    /// There is no room for it.
    Full,
}

fn zeros(count: usize) -> Box<[AtomicU32]> {
    (0..count).map(|_| AtomicU32::new(0)).collect()
}

/// Two numbers of a hash, each for a row.
const fn rows(group: u64) -> [usize; 2] {
    [group as usize % COUNTS, (group >> 32) as usize % COUNTS]
}

impl Window {
    fn new(most: usize) -> Self {
        // Half empty, so that a bucket that is full is rare.
        let places = (most * 2).next_power_of_two().max(BUCKET * TRIED);
        Self {
            series: zeros(places),
            groups: [zeros(COUNTS), zeros(COUNTS)],
        }
    }

    fn places(&self, series: u64) -> (impl Iterator<Item = &AtomicU32>, u32) {
        let buckets = self.series.len() / BUCKET;
        let first = (series >> 32) as usize;
        let places = (0..TRIED).flat_map(move |next| {
            let start = (first + next) % buckets * BUCKET;
            self.series[start..start + BUCKET].iter()
        });
        // 0 is an empty place.
        (places, (series as u32).max(1))
    }

    fn has(&self, series: u64) -> bool {
        let (places, mark) = self.places(series);
        for place in places {
            match place.load(Relaxed) {
                there if there == mark => return true,
                // Places are taken in order, and none is given back within a window.
                0 => return false,
                _ => {}
            }
        }
        false
    }

    fn put(&self, series: u64) -> Put {
        let (places, mark) = self.places(series);
        for place in places {
            match place.compare_exchange(0, mark, Relaxed, Relaxed) {
                Ok(_) => return Put::New,
                Err(there) if there == mark => return Put::Known,
                Err(_) => {}
            }
        }
        Put::Full
    }

    fn count(&self, group: u64) -> u32 {
        let counts = rows(group).into_iter().zip(&self.groups);
        let counts = counts.map(|(at, row)| row[at].load(Relaxed));
        counts.min().unwrap_or_default()
    }

    fn add(&self, group: u64) {
        for (at, row) in rows(group).into_iter().zip(&self.groups) {
            row[at].fetch_add(1, Relaxed);
        }
    }

    fn take(&self, group: u64) {
        for (at, row) in rows(group).into_iter().zip(&self.groups) {
            // Another worker may begin the window anew meanwhile.
            let _ = row[at].fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
        }
    }

    fn clear(&self) {
        let groups = self.groups.iter().flat_map(|row| row.iter());
        for place in self.series.iter().chain(groups) {
            place.store(0, Relaxed);
        }
    }

    const fn bytes(&self) -> usize {
        (self.series.len() + 2 * COUNTS) * size_of::<AtomicU32>()
    }
}

/// What all instances of a processor know.
#[derive(Debug)]
pub(super) struct Sketch {
    pub(super) hash: SeriesHash,
    windows: [Window; 2],
    /// The one of this window.
    now: AtomicUsize,
    /// Series in both windows.
    held: AtomicUsize,
    most: usize,
    window: Duration,
    began: Instant,
    /// Windows that are over.
    over: AtomicU32,
    turning: AtomicBool,
    /// Groups that are named by a metric of their own.
    pub(super) named: AtomicUsize,
    /// When the log last told of one, in seconds since the beginning, and 1.
    pub(super) told: AtomicUsize,
    _hold: Reservation,
}

/// Which limit a series is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// None.
    Within,
    /// The one of this number.
    Beyond(usize),
    /// There is no room to remember it.
    NoRoom,
}

impl Sketch {
    pub(super) fn new(cx: &BuildContext, most: usize, window: Duration) -> Self {
        let windows = [Window::new(most), Window::new(most)];
        let bytes = windows.iter().map(Window::bytes).sum();
        Self {
            hash: SeriesHash::default(),
            windows,
            now: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            most,
            window,
            began: Instant::now(),
            over: AtomicU32::new(0),
            turning: AtomicBool::new(false),
            named: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
            _hold: Budget::overdraw(&cx.budget, bytes),
        }
    }

    fn both(&self) -> (&Window, &Window) {
        let now = self.now.load(Acquire);
        (&self.windows[now], &self.windows[1 - now])
    }

    /// Series that are remembered.
    pub(super) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self, now: Instant) -> usize {
        now.saturating_duration_since(self.began).as_secs() as usize
    }

    /// Whether a series is within the limits of its groups; it counts from now on if it is.
    pub(super) fn ask(&self, series: u64, groups: &[(u64, u32)]) -> Verdict {
        let (now, before) = self.both();
        if now.has(series) {
            return Verdict::Within;
        }
        if before.has(series) {
            if now.put(series) == Put::New {
                for (group, _) in groups {
                    now.add(*group);
                    before.take(*group);
                }
            }
            return Verdict::Within;
        }
        let is_full = |(group, most): &(u64, u32)| {
            now.count(*group).saturating_add(before.count(*group)) >= *most
        };
        if let Some(at) = groups.iter().position(is_full) {
            return Verdict::Beyond(at);
        }
        if self.held.load(Relaxed) >= self.most {
            return Verdict::NoRoom;
        }
        match now.put(series) {
            Put::New => {
                self.held.fetch_add(1, Relaxed);
                groups.iter().for_each(|(group, _)| now.add(*group));
                Verdict::Within
            }
            // Another worker has just put it there.
            Put::Known => Verdict::Within,
            Put::Full => Verdict::NoRoom,
        }
    }

    /// When this window is over.
    pub(super) fn due(&self) -> Option<Instant> {
        let windows = self.over.load(Relaxed).checked_add(1)?;
        self.began.checked_add(self.window.checked_mul(windows)?)
    }

    /// Begins a window anew where one is over.
    pub(super) fn turn(&self, time: Instant) {
        if self.due().is_none_or(|due| time < due) || self.turning.swap(true, AcqRel) {
            return;
        }
        // After a pause, as when a machine slept, the windows between are passed over.
        let passed = time.saturating_duration_since(self.began).as_nanos() / self.window.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
        let (now, before) = self.both();
        let over = self.over.load(Relaxed);
        if passed > over {
            before.clear();
            if passed > over + 1 {
                now.clear();
            }
            let left = now.series.iter().filter(|place| place.load(Relaxed) != 0);
            let left = left.count();
            self.held.store(left, Relaxed);
            self.now.fetch_xor(1, AcqRel);
            self.over.store(passed, Relaxed);
        }
        self.turning.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(most: usize) -> Sketch {
        let cx = BuildContext::detached("processor", "cardinality_limiter".parse().unwrap());
        Sketch::new(&cx, most, Duration::from_secs(60))
    }

    /// Numbers that look like hashes.
    fn hash(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ number.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(31)
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_has_as_many_series_as_it_may() {
        let sketch = sketch(100_000);
        let ask = |series, group| sketch.ask(hash(series), &[(hash(group), 1000)]);
        let within = (0..50_000)
            .filter(|series| ask(*series, 7) == Verdict::Within)
            .count();
        assert_eq!(within, 1000);
        // Those that came first stay, whatever else comes.
        assert!((0..1000).all(|series| ask(series, 7) == Verdict::Within));
        assert_eq!(ask(60_000, 7), Verdict::Beyond(0));
        assert_eq!(ask(70_000, 8), Verdict::Within);
        assert_eq!(sketch.held(), 1001);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_seen_for_a_window_makes_room_and_what_is_seen_stays() {
        let sketch = sketch(1000);
        let ask = |series| sketch.ask(hash(series), &[(hash(7), 10)]);
        assert!((0..10).all(|series| ask(series) == Verdict::Within));
        for window in 1u64..=5 {
            tokio::time::advance(Duration::from_secs(61)).await;
            sketch.turn(Instant::now());
            // Five stay; room of the others is there from the second window on.
            assert!(
                (0..5).all(|series| ask(series) == Verdict::Within),
                "{window}"
            );
            let more =
                (100 * window..100 * window + 20).filter(|series| ask(*series) == Verdict::Within);
            let expected = if window % 2 == 1 { 0 } else { 5 };
            assert_eq!(more.count(), expected, "{window}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_an_end_to_what_is_remembered() {
        let sketch = sketch(100);
        let ask = |series| sketch.ask(hash(series), &[(hash(series), 10)]);
        let within = (0..1000).filter(|series| ask(*series) == Verdict::Within);
        assert_eq!(within.count(), 100);
        assert_eq!(ask(5000), Verdict::NoRoom);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_limit_that_is_reached_is_named() {
        let sketch = sketch(100);
        let groups = |name: u64| [(hash(name), 100), (hash(99), 2)];
        assert_eq!(sketch.ask(hash(1), &groups(11)), Verdict::Within);
        assert_eq!(sketch.ask(hash(2), &groups(12)), Verdict::Within);
        assert_eq!(sketch.ask(hash(3), &groups(13)), Verdict::Beyond(1));
    }
}
