//! What the owner of a directory may choose.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When records are on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Records that come together share one sync; they are told durable after it.
    Group,
    /// Each record has a sync of its own before it is told durable.
    Always,
    /// Records are told written at once and synced at this interval: a crash of the machine
    /// loses what was written since, a crash of the process nothing.
    Interval(Duration),
}

/// How a journal keeps its logs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes that all files in the directory may take; None is without a bound.
    pub max_size: Option<u64>,
    /// How old a record may be when it is read; older ones are dropped and counted.
    pub max_age: Option<Duration>,
    /// When records are on stable storage.
    pub fsync: Fsync,
    /// The least time between the beginnings of two groups: what comes meanwhile shares a sync.
    /// A record that comes after a pause waits for nobody.
    pub group_commit: Duration,
    /// Bytes that a segment is made for: 64 KiB to 2 GiB.
    pub segment_size: u64,
    /// Deaths that count for a record ([`crate::Record::deaths`]) after which it is quarantined; 0 is
    /// never.
    pub max_deaths: u32,
    /// The clock, in milliseconds since 1970; read once, when the journal is opened.
    pub wall: fn() -> u64,
}

/// The smallest segment: below, headers and directory entries would outweigh the records.
pub const MIN_SEGMENT: u64 = 64 << 10;

/// The largest segment: offsets in it are 32 bits wide.
pub const MAX_SEGMENT: u64 = 2 << 30;

/// The largest record, payload and context together.
pub const MAX_RECORD: u64 = 1 << 30;

impl Default for Options {
    fn default() -> Self {
        Self {
            max_size: None,
            max_age: None,
            fsync: Fsync::Group,
            group_commit: Duration::from_millis(1),
            segment_size: 64 << 20,
            max_deaths: 3,
            wall,
        }
    }
}

impl Options {
    /// The size that segments have: as chosen, but small enough that `max_size` holds several.
    pub(crate) fn segment(&self) -> u64 {
        let most = self.max_size.map_or(MAX_SEGMENT, |size| size / 8);
        self.segment_size.min(most).clamp(MIN_SEGMENT, MAX_SEGMENT)
    }
}

fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
