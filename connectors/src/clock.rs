//! The time, as aggregating connectors need it.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A day lies further ahead than any deadline: what is flushed for then is flushed for the last time.
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// In nanoseconds since 1970.
    pub(crate) wall: u64,
    pub(crate) at: Instant,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            wall: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            at: Instant::now(),
        }
    }
}

/// Whether a flush is the last one, at the shutdown.
pub(crate) fn is_last(flush: Instant) -> bool {
    flush > Instant::now() + DAY
}
