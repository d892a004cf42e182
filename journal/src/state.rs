//! What the threads of a journal share: the directory's state and each log's.

use std::path::{Path, PathBuf};
use std::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, Position};
use crate::committer::Command;
use crate::disk::{Disk, File};
use crate::flights::{Deaths, Flights};
use crate::format::LogId;
use crate::options::Options;
use crate::tally::Tally;

/// How long appends are refused without another look at the disk, after one found it full.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The directory of a journal.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    /// Locked for as long as it is open.
    pub(crate) lock: Arc<dyn File>,
    pub(crate) sender: Sender<Command>,
    /// Bytes of all segments and of what is in quarantine.
    used: AtomicU64,
    closed: AtomicBool,
    opened: Instant,
    opened_at: u64,
}

impl Directory {
    pub(crate) fn new(
        path: PathBuf,
        disk: Arc<dyn Disk>,
        options: Options,
        lock: Arc<dyn File>,
        sender: Sender<Command>,
    ) -> Self {
        Self {
            path,
            disk,
            lock,
            sender,
            used: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            opened: Instant::now(),
            opened_at: (options.wall)(),
            options,
        }
    }

    /// Milliseconds since 1970, by a clock that was set once and never jumps.
    pub(crate) fn now(&self) -> u64 {
        self.opened_at + self.since_open()
    }

    /// Milliseconds since the journal was opened.
    pub(crate) fn since_open(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    pub(crate) fn grow(&self, bytes: u64) {
        self.used.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn shrink(&self, bytes: u64) {
        // Saturating: a file that was counted while it grew must not wrap the sum.
        let _ = self
            .used
            .fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    /// Whether `max_size` leaves room for so many bytes more.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.options
            .max_size
            .is_none_or(|most| self.used().saturating_add(bytes) <= most)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }
}

/// One log of the directory.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) directory: Arc<Directory>,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) id: LogId,
    /// Its place among the logs of the directory.
    pub(crate) index: usize,
    /// The first segment of this life.
    pub(crate) born: u32,
    pub(crate) catalog: Mutex<Catalog>,
    pub(crate) flights: Flights,
    pub(crate) deaths: Deaths,
    pub(crate) tally: Tally,
    /// Until when, in milliseconds since the opening, appends are refused for want of room.
    pub(crate) full_until: AtomicU64,
    /// Bytes that were appended and have no outcome yet.
    pub(crate) unresolved: AtomicU64,
}

impl LogState {
    /// The catalog. It is never held while a file is read, written or synced.
    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        // What a panic left half done here is at worst a mark that was not counted.
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.directory.disk
    }

    /// Marks a record dead, in memory now and on disk soon.
    pub(crate) fn kill(self: &Arc<Self>, position: Position) -> bool {
        let killed = self.catalog().kill(position);
        if killed.new {
            let log = Arc::clone(self);
            // Without a committer the journal is closed: the record comes again next time.
            if let Err(_closed) = self
                .directory
                .sender
                .send(Command::Marked { log, position })
            {
                self.tally.lost_marks.add(1);
            }
        }
        killed.new
    }

    /// Whether the last look at the disk found it full and was not long ago.
    pub(crate) fn is_full(&self) -> bool {
        self.directory.since_open() < self.full_until.load(Relaxed)
    }

    pub(crate) fn set_full(&self, full: bool) {
        let wait = u64::try_from(LOOK_AGAIN.as_millis()).unwrap_or(u64::MAX);
        let until = if full {
            self.directory.since_open() + wait
        } else {
            0
        };
        self.full_until.store(until, Relaxed);
    }

    /// How old a record is; never negative, whatever clocks did.
    pub(crate) fn age(&self, appended: u64) -> Duration {
        Duration::from_millis(self.directory.now().saturating_sub(appended))
    }

    pub(crate) fn is_expired(&self, appended: u64) -> bool {
        self.directory
            .options
            .max_age
            .is_some_and(|most| self.age(appended) > most)
    }
}

/// The file of a segment.
pub(crate) fn segment_path(log: &Path, segment: u32) -> PathBuf {
    log.join(format!("{segment:010}.seg"))
}

/// The file of the marks of a segment.
pub(crate) fn marks_path(log: &Path, segment: u32) -> PathBuf {
    log.join(format!("{segment:010}.marks"))
}

/// The number in the name of a segment or marks file.
pub(crate) fn number_in(name: &str, extension: &str) -> Option<u32> {
    let number = name.strip_suffix(extension)?.strip_suffix('.')?;
    (number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| number.parse().ok())
        .flatten()
}
