//! A segment whose records have all ended, kept to become the next one.
//!
//! To give 64 MiB back to a file system takes tens of milliseconds in which nobody's record is
//! written, and blocks that are new to a file have the file system write its own journal at
//! each sync. A log that is written fast goes round between a few files instead.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::{File, write_fully};
use crate::format::{RECORD_HEADER, SEGMENT_HEADER, SegmentHeader};
use crate::state::{LogState, segment_path};

/// How long it is kept: a log that takes longer to fill a segment gains nothing by it.
const KEPT: Duration = Duration::from_secs(10);

/// A file of the size of a segment, under a name of its own.
#[derive(Debug)]
pub(crate) struct Spare {
    file: Arc<dyn File>,
    since: Instant,
}

impl Spare {
    /// Takes the file of a segment that nobody reads and nothing needs any more.
    ///
    /// # Errors
    ///
    /// When its new name is not on stable storage: under the old one it must stay as it is.
    pub(crate) fn take(log: &LogState, segment: u32) -> io::Result<Self> {
        let (disk, path) = (log.disk(), path(log));
        disk.rename(&segment_path(&log.path, segment), &path)?;
        disk.sync_directory(&log.path)?;
        Ok(Self {
            file: disk.open(&path)?,
            since: Instant::now(),
        })
    }

    /// Whether it has been kept for long enough.
    pub(crate) fn is_stale(&self) -> bool {
        self.since.elapsed() >= KEPT
    }

    /// Makes it the segment of this head, under its name.
    ///
    /// What it held before follows the head; a reader takes it for nothing, as zeros stand where
    /// the next record would.
    ///
    /// # Errors
    ///
    /// When it cannot be written or named; it is gone then.
    pub(crate) fn begin(self, log: &LogState, header: &SegmentHeader) -> io::Result<Arc<dyn File>> {
        let mut head = [0; SEGMENT_HEADER + RECORD_HEADER];
        head[..SEGMENT_HEADER].copy_from_slice(&header.encode());
        // Before it has the name, so that under the name there is never anything else.
        let begun = write_fully(&*self.file, &mut [IoSlice::new(&head)], 0)
            .and_then(|()| self.file.sync())
            .and_then(|()| {
                log.disk()
                    .rename(&path(log), &segment_path(&log.path, header.segment))
            });
        match begun {
            Ok(()) => Ok(self.file),
            Err(error) => {
                Self::discard(log);
                Err(error)
            }
        }
    }

    /// Takes the file away.
    pub(crate) fn discard(log: &LogState) {
        // The next life removes what stays behind.
        let _ = log.disk().remove(&path(log));
    }
}

fn path(log: &LogState) -> PathBuf {
    log.path.join("spare.tmp")
}
