//! A queue on disk: every batch is a record of a log, or delivered before it could become one.
//!
//! ```text
//! submit ─┬─▶ append ─▶ synced ─▶ in memory as well ─▶ consumers ─▶ delivered: the record is marked
//!         │                └────▶ on disk alone ─▶ reader ─┘  └─▶ failed: back to disk, or waiting
//!         └─▶ append and consumers at once: delivered first, it is not written
//! ```
//!
//! A batch goes on from memory while little is in memory and the peer answers; else its bytes are
//! let go once they are written, and a reader brings them back when there is room. What is known of
//! a record on disk alone is its number, as part of a range.

mod backlog;
mod kept;
mod landing;
mod lane;
mod reader;

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tidegate_component::metrics::Metrics;
use tidegate_component::{AnyExporter, Promise, StartError, Storage};
use tidegate_journal::{Counts, Draft, Log, Position, Refused};
use tidegate_pdata::{Budget, ContextKeys, Signal};
use tokio::sync::{Notify, RwLock};
use tokio::time::Instant;

pub(super) use backlog::Rest;
pub(super) use kept::{Alone, Share};
pub(super) use lane::arrived;
pub(super) use reader::{Gate, Reader};

use self::backlog::Backlog;
use self::landing::{Landing, Usual};
use super::books::Books;
use super::entrance::Entrance;
use super::health::Health;
use super::job::Job;
use crate::sink::{Depth, SinkSettings};

/// What the limits below are counted in; tests have little data.
const UNIT: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
/// Bytes of batches in memory up to which new ones go on from memory, for all signals of an exporter.
const DIRECT: usize = 24 * UNIT;
/// Bytes of batches in memory up to which more are read back: new ones leave room for old ones.
const READ: usize = 32 * UNIT;
/// Bytes of batches in memory above which one that must wait is let go.
const WAITING: usize = 8 * UNIT;
/// What a batch weighs beside its bytes.
const OVERHEAD: usize = 512;

/// The log of one exporter and signal, and what is in it that is not in memory.
pub(super) struct Store {
    storage: Arc<dyn Storage>,
    name: String,
    signal: Signal,
    /// What the exporter reads of the context of a batch.
    keys: ContextKeys,
    log: OnceLock<Log>,
    books: Arc<Books>,
    budget: Arc<Budget>,
    backlog: Mutex<Backlog>,
    /// Whether no batch may overtake another: what former lives left goes before what is new.
    ordered: bool,
    /// Read by records in flight, written by a suspect, which flies alone.
    runway: Arc<RwLock<()>>,
    /// What all signals of the exporter have in memory.
    resident: Arc<Resident>,
    /// Batches of this log in memory.
    batches: AtomicUsize,
    /// How long a delivery usually takes.
    usual: Usual,
    /// Batches that were on their way when the log did not take them.
    refusals: AtomicU64,
    /// Rung when the reader may have something to do.
    called: Notify,
    /// Whether what former lives left has been read to its end.
    replayed: AtomicBool,
    /// Whether batches are left on disk from here on.
    halted: AtomicBool,
}

/// Bytes of batches in memory that are on disk too.
#[derive(Debug, Default)]
struct Resident(AtomicUsize);

/// Who delivers what a store holds.
pub(super) trait Outlet: Send + Sync {
    /// The exporter's name.
    fn name(&self) -> &str;

    /// Who tells of what is lost.
    fn health(&self) -> &Health;

    /// Where batches come in.
    fn entrance(&self) -> &Entrance;

    /// Whether the far end takes what it gets.
    fn is_there(&self) -> bool;

    /// Whether more is to be read back for it.
    fn gate(&self, now: Instant) -> Gate;

    /// Takes a batch that was read back.
    fn take(&self, job: Job);
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// The store of an exporter and signal, where its keys name a storage.
    pub(super) fn of(around: &SinkSettings, books: &Arc<Books>) -> Option<Arc<Self>> {
        let storage = around.storage.clone()?;
        let store = Arc::new(Self {
            storage,
            name: format!("{}-{}", around.id, around.signal.name()),
            signal: around.signal,
            keys: match &around.exporter {
                AnyExporter::Remote(exporter) => exporter.reads(),
                AnyExporter::Inline(_) | AnyExporter::Bulk(_) => ContextKeys::default(),
            },
            log: OnceLock::new(),
            books: Arc::clone(books),
            budget: Arc::clone(&around.budget),
            backlog: Mutex::default(),
            ordered: around.defaults.ordered,
            runway: Arc::default(),
            resident: around.shared.value(Resident::default),
            batches: AtomicUsize::new(0),
            usual: Usual::default(),
            refusals: AtomicU64::new(0),
            called: Notify::new(),
            replayed: AtomicBool::new(false),
            halted: AtomicBool::new(false),
        });
        store.publish(&around.metrics);
        Some(store)
    }

    /// Opens the log.
    pub(super) fn open(&self) -> Result<(), StartError> {
        let log = self.storage.log(&self.name)?;
        // Sinks are started once.
        let _ = self.log.set(log);
        Ok(())
    }

    pub(super) fn promise(&self) -> Promise {
        self.storage.promise()
    }

    fn max_age(&self) -> Option<Duration> {
        self.storage.max_age()
    }

    pub(super) fn log(&self) -> Option<&Log> {
        self.log.get()
    }

    /// Whether the disk may take more.
    pub(super) fn has_room(&self) -> bool {
        self.log().is_none_or(Log::has_room)
    }

    /// Writes a batch down; `then` is told where it is, once that is durable, on the thread that
    /// writes.
    pub(super) fn append(
        &self,
        mut job: Job,
        then: impl FnOnce(Job, Result<Position, Refused>) + Send + 'static,
    ) {
        let draft = self.draft(&mut job);
        match self.log() {
            Some(log) => log.append(draft, move |told| then(job, told)),
            None => then(job, Err(Refused::Closed)),
        }
    }

    /// Writes a batch down while it is delivered; whichever comes first answers its sender.
    ///
    /// `refused` is called where the log does not take it.
    pub(super) fn append_meanwhile(
        self: &Arc<Self>,
        log: &Log,
        job: &mut Job,
        health: &Arc<Health>,
        refused: impl FnOnce() + Send + 'static,
    ) {
        let draft = self.draft(job);
        let landing = Landing::new(job.size(), job.take_receipt(), health);
        job.store(Share::landing(self, &landing));
        let (told, store) = (Arc::clone(&landing), Arc::clone(self));
        let done = move |outcome: Result<_, _>| {
            let is_refused = outcome.is_err();
            told.told(&store, outcome);
            if is_refused {
                store.refusals.fetch_add(1, AcqRel);
                refused();
            }
        };
        landing.may_be_withdrawn(log.append_unless_withdrawn(draft, self.usual.get(), done));
    }

    /// Whether a batch may go on from memory.
    fn takes(&self, size: Depth, peer_is_there: bool) -> bool {
        let resident = self.resident();
        let fits = self.is_at_rest() || peer_is_there && resident + size.bytes <= DIRECT;
        let behind = self.backlog().is_behind() || self.ordered && !self.is_replayed();
        fits && !behind && !self.is_halted()
    }

    fn draft(&self, job: &mut Job) -> Draft {
        job.reweigh();
        let segments = job.batch().payload().segments();
        Draft {
            payload: segments
                .iter()
                .map(|segment| segment.bytes().clone())
                .collect(),
            context: Bytes::from(job.batch().context().keep(&self.keys)),
            items: job.batch().items() as u64,
            id: rand::random(),
        }
    }

    /// Joins a batch with its record, while there is room in memory; else lets its bytes go.
    fn keep(
        self: &Arc<Self>,
        mut job: Job,
        position: Position,
        peer_is_there: bool,
    ) -> Option<Job> {
        let size = job.size();
        // A sender that waits for the delivery itself keeps its batch in memory: told to come
        // again, it would send what is on disk a second time.
        if job.is_awaited() || self.takes(size, peer_is_there) {
            job.store(Share::new(self, position, size, (Duration::ZERO, 0)));
            return Some(job);
        }
        self.take_back(position, size, None);
        job.forget();
        self.called.notify_one();
        None
    }

    /// Has a record on disk alone come back, as `rest` says.
    fn take_back(&self, position: Position, size: Depth, rest: Option<Rest>) {
        let mut backlog = self.backlog();
        match rest {
            Some(rest) => backlog.rest(position, size, rest),
            None => backlog.add(position.number(), size),
        }
        if let (true, Some(log)) = (backlog.is_scattered(), self.log()) {
            backlog.gather(|number| log.is_live(number));
        }
    }

    /// Bytes of batches in memory that are on disk too.
    fn resident(&self) -> usize {
        self.resident.0.load(Relaxed)
    }

    /// Whether so much is in memory that what waits is better let go.
    pub(super) fn is_crowded(&self) -> bool {
        self.resident() > WAITING
    }

    /// Rises when the log does not take a batch that is on its way already.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals.load(Acquire)
    }

    /// Has the reader look whether there is something to do.
    pub(super) fn call(&self) {
        self.called.notify_one();
    }

    /// Leaves everything on disk from here on.
    pub(super) fn halt(&self) {
        self.halted.store(true, Release);
        self.call();
    }

    fn is_halted(&self) -> bool {
        self.halted.load(Acquire)
    }

    /// Whether what former lives left has been read to its end, and is in the books.
    pub(super) fn is_replayed(&self) -> bool {
        self.replayed.load(Acquire)
    }

    /// Whether no batch of the log is in memory.
    pub(super) fn is_at_rest(&self) -> bool {
        self.batches.load(Acquire) == 0
    }

    fn enter(&self, size: Depth) {
        self.batches.fetch_add(1, AcqRel);
        self.resident.0.fetch_add(size.bytes + OVERHEAD, AcqRel);
    }

    fn leave(&self, size: Depth) {
        let before = self.resident.0.fetch_sub(size.bytes + OVERHEAD, AcqRel);
        // The reader may wait for room.
        if self.batches.fetch_sub(1, AcqRel) == 1 || before >= READ {
            self.call();
        }
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(self: &Arc<Self>, metrics: &Metrics) {
        let data_type = [("data_type", self.signal.name())];
        let gauge = |name: &str, help: &str, read: fn(&Self) -> u64| {
            let store = Arc::downgrade(self);
            let read = move || store.upgrade().map_or(0, |store| read(&store));
            let read = move || i64::try_from(read()).unwrap_or(i64::MAX);
            metrics.gauge_of(name, help, &data_type, read);
        };
        gauge(
            "tidegate_exporter_queue_disk_bytes",
            "Bytes that the log of the queue takes on disk, with room set aside.",
            |store| store.log().map_or(0, |log| log.extent().bytes),
        );
        gauge(
            "tidegate_exporter_queue_resident_bytes",
            "Bytes of the queue that are in memory as well as on disk.",
            |store| store.resident() as u64,
        );
        gauge(
            "tidegate_exporter_queue_unread_segments",
            "Files that former processes left and that were not read to their end yet.",
            |store| {
                store
                    .log()
                    .map_or(0, |log| log.extent().unread_segments as u64)
            },
        );
        let counter = |name: &str, help: &str, read: fn(&Counts) -> u64| {
            let store = Arc::downgrade(self);
            let counts = move || {
                store
                    .upgrade()
                    .and_then(|store| Some(store.log()?.counts()))
            };
            let read = move || counts().map_or(0, |counts| read(&counts));
            metrics.counter_of(name, help, &data_type, read);
        };
        counter(
            "tidegate_exporter_queue_syncs",
            "Syncs of the queue's log.",
            |counts| counts.syncs,
        );
        counter(
            "tidegate_exporter_queue_failed_syncs",
            "Syncs of the queue's log that failed.",
            |counts| counts.failed_syncs,
        );
        counter(
            "tidegate_exporter_queue_quarantined_records",
            "Records put into quarantine: damaged on disk, or deadly to the process.",
            |counts| counts.damaged_records + counts.deadly_records,
        );
        counter(
            "tidegate_exporter_queue_damaged_stretches",
            "Damaged parts of the queue's files of which no record could be told, put into quarantine.",
            |counts| counts.damaged_regions,
        );
        counter(
            "tidegate_exporter_queue_torn_stretches",
            "Parts of the queue's files that a crash left half written, passed over.",
            |counts| counts.torn_regions,
        );
    }
}
