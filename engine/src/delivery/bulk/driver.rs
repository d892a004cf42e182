//! The driver: what all signals of a collecting exporter share.

use std::sync::atomic::{
    AtomicBool, AtomicU8, Ordering::AcqRel, Ordering::Acquire, Ordering::Release,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_queue::SegQueue;
use tidegate_component::{BulkExporter, Origin, Sealed, StartError, Storage, Workers};
use tidegate_journal::{Log, Position as Record, Refused};
use tidegate_pdata::Signal;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::commit::Ended;
use super::seals::{Fate, Left, Seals};
use super::work::Work;
use crate::delivery::books::{Books, Why};
use crate::delivery::breaker::Breaker;
use crate::delivery::entrance::Entrance;
use crate::delivery::health::Health;
use crate::delivery::job::{Job, SHUTTING_DOWN};
use crate::delivery::lane::{GLANCE, LAST_WORDS};
use crate::delivery::letters::{Letters, give_up};
use crate::delivery::settings::Settings;
use crate::delivery::store::Store;
use crate::delivery::tasks::Tasks;

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const HALTED: u8 = 2;

/// What is shared by the sinks, the task that drives the exporter and the commits.
pub(super) struct Driver {
    pub(super) name: Arc<str>,
    pub(super) exporter: Arc<dyn BulkExporter>,
    pub(super) settings: Settings,
    health: Arc<Health>,
    /// What holds commits back while the far end fails most of them.
    pub(super) breaker: Breaker,
    inboxes: [SegQueue<Job>; Signal::ALL.len()],
    /// Commits that have ended.
    done: SegQueue<(Object, Ended)>,
    /// What the log of seals, or the far end, has told.
    told: SegQueue<Told>,
    /// What keeps the queue on disk.
    storage: Option<Arc<dyn Storage>>,
    /// Whether there is nothing left to do, but for what lies on disk.
    quiet: AtomicBool,
    shared: Mutex<Shared>,
    /// Rung when there is something to do.
    called: Notify,
    /// Rung when nothing may wait any more.
    hurry: Notify,
    /// Rung when the breaker has closed.
    freed: Notify,
    phase: AtomicU8,
    tasks: Tasks,
}

#[derive(Default)]
struct Shared {
    /// The books of all signals.
    books: Vec<Arc<Books>>,
    /// What of each signal is on disk.
    stores: Vec<(Signal, Arc<Store>)>,
    /// Who takes what of each signal is given up.
    letters: Vec<(Signal, Letters)>,
    /// Sinks that have not been drained.
    open: usize,
    /// Sinks that have been started.
    started: usize,
}

/// An object on its way to be committed.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) sealed: Arc<Sealed>,
    /// The number of its seal, where there is a queue on disk.
    pub(super) seal: Option<u64>,
    /// Whether a former life sealed it.
    pub(super) is_again: bool,
}

/// What somebody else has done.
pub(super) enum Told {
    /// A seal is on disk, or not.
    Sealed(Arc<Sealed>, Result<Record, Refused>),
    /// The end of an object is on disk, or not.
    Ended(Object, Ended, Fate, Result<Record, Refused>),
    /// Whether an object of a former life that cannot be made again is visible.
    Asked(Object, bool),
    /// The marks of the records of these seals are on stable storage, or not.
    Kept(Signal, Vec<u64>, Result<(), Refused>),
}

impl Driver {
    pub(super) fn new(
        name: Arc<str>,
        exporter: Arc<dyn BulkExporter>,
        settings: Settings,
        workers: Workers,
        storage: Option<Arc<dyn Storage>>,
    ) -> Self {
        Self {
            health: Arc::new(Health::new(Arc::clone(&name), "all")),
            breaker: Breaker::new(),
            name,
            exporter,
            settings,
            inboxes: Default::default(),
            done: SegQueue::new(),
            told: SegQueue::new(),
            storage,
            quiet: AtomicBool::new(false),
            shared: Mutex::default(),
            called: Notify::new(),
            hurry: Notify::new(),
            freed: Notify::new(),
            phase: AtomicU8::new(RUNNING),
            tasks: Tasks::new(workers),
        }
    }

    /// Adds a signal's sink.
    pub(super) fn join(&self, signal: Signal, entrance: &Entrance) {
        let mut shared = self.shared();
        self.breaker
            .show_on(entrance.books.meters().breaker.clone());
        shared.books.push(Arc::clone(&entrance.books));
        let (store, letters) = (entrance.store.clone(), entrance.letters.clone());
        shared.stores.extend(store.map(|store| (signal, store)));
        shared
            .letters
            .extend(letters.map(|letters| (signal, letters)));
        shared.open += 1;
    }

    /// Who takes what is given up of a signal.
    pub(super) fn letters(&self, signal: Signal) -> Option<Letters> {
        let shared = self.shared();
        let mut all = shared.letters.iter();
        all.find(|(of, _)| *of == signal)
            .map(|(_, letters)| letters.clone())
    }

    /// What keeps a signal's batches on disk.
    pub(super) fn store(&self, signal: Signal) -> Option<Arc<Store>> {
        let shared = self.shared();
        let mut all = shared.stores.iter();
        all.find(|(of, _)| *of == signal)
            .map(|(_, store)| Arc::clone(store))
    }

    /// Ends a batch that no object will ever have.
    pub(super) fn give_up(&self, signal: Signal, job: Job, why: Why, error: &str) {
        let letters = self.letters(signal);
        give_up(letters.as_ref(), job, why, error, &self.health);
    }

    /// Starts the task that drives the exporter, once the last of all signals is started.
    ///
    /// # Errors
    /// When the seals of a queue on disk cannot be read.
    pub(super) fn start(self: &Arc<Self>) -> Result<(), StartError> {
        let is_last = {
            let mut shared = self.shared();
            shared.started += 1;
            shared.started == shared.open
        };
        if is_last {
            let seals = self.open_seals()?;
            let work = Work::new(Arc::clone(self), seals);
            self.tasks.spawn(self.tasks.home(), work.run());
        }
        Ok(())
    }

    fn open_seals(&self) -> Result<Option<(Seals, Left)>, StartError> {
        let Some(storage) = &self.storage else {
            return Ok(None);
        };
        let mut records = [const { None }; Signal::ALL.len()];
        for (signal, store) in &self.shared().stores {
            records[signal.index()] = store.log().cloned();
        }
        let mut origin = Origin {
            logs: Default::default(),
            first_ordinal: 0,
        };
        for (id, log) in origin.logs.iter_mut().zip(&records) {
            *id = log.as_ref().map_or([0; 16], Log::id);
        }
        let log = storage.log(&format!("{}-seals", self.name))?;
        let (seals, left) = Seals::open(log, records)?;
        origin.first_ordinal = left.first_ordinal;
        self.exporter.resume(origin);
        Ok(Some((seals, left)))
    }

    pub(super) const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Puts a batch into its signal's inbox.
    pub(super) fn submit(&self, signal: Signal, job: Job) {
        self.inboxes[signal.index()].push(job);
        self.called.notify_one();
        if self.phase.load(Acquire) == HALTED {
            self.cut_off();
        }
    }

    /// Takes the oldest batch out of a signal's inbox.
    pub(super) fn withdraw(&self, signal: Signal) -> Option<Job> {
        self.inboxes[signal.index()].pop()
    }

    /// Commits an object on the next worker.
    pub(super) fn start_commit(self: &Arc<Self>, object: Object) {
        let driver = Arc::clone(self);
        let worker = self.worker(&object);
        self.tasks.spawn(worker, async move {
            let ended = driver.commit(&object.sealed).await;
            let ended = driver.keep_letters(&object.sealed, ended).await;
            driver.done.push((object, ended));
            driver.called.notify_one();
        });
    }

    /// Asks whether an object is visible, on the next worker.
    pub(super) fn start_asking(self: &Arc<Self>, object: Object) {
        let driver = Arc::clone(self);
        let worker = self.worker(&object);
        self.tasks.spawn(worker, async move {
            let is_there = driver.is_committed(&object.sealed).await;
            driver.tell(Told::Asked(object, is_there));
        });
    }

    fn worker(&self, object: &Object) -> usize {
        object.sealed.ordinal as usize % self.tasks.workers().count().max(1)
    }

    /// Tells the task that drives.
    pub(super) fn tell(&self, told: Told) {
        self.told.push(told);
        self.called.notify_one();
    }

    /// Takes what was told.
    pub(super) fn take_told(&self) -> Option<Told> {
        self.told.pop()
    }

    /// Whether no batch waits to be added.
    pub(super) fn is_empty(&self) -> bool {
        self.inboxes.iter().all(SegQueue::is_empty)
    }

    /// Says whether there is nothing left to do, but for what lies on disk.
    pub(super) fn set_quiet(&self, is_quiet: bool) {
        self.quiet.store(is_quiet, Release);
    }

    /// Takes a commit that has ended.
    pub(super) fn take_done(&self) -> Option<(Object, Ended)> {
        self.done.pop()
    }

    pub(super) async fn called(&self) {
        self.called.notified().await;
    }

    /// Resolves when nothing may wait any more.
    pub(super) fn hurried(&self) -> Notified<'_> {
        self.hurry.notified()
    }

    /// Resolves when commits are no longer held back.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Lets commits go that were held back.
    pub(super) fn free(&self) {
        self.freed.notify_waiters();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase.load(Acquire) != RUNNING
    }

    /// Delivers what is inside until `deadline`, then counts the rest of all signals as dropped.
    pub(super) async fn drain(&self, books: &Books, deadline: Instant) {
        let _ = self
            .phase
            .compare_exchange(RUNNING, DRAINING, AcqRel, Acquire);
        self.called.notify_one();
        self.hurry.notify_waiters();
        if self.storage.is_some() {
            let _ = tokio::time::timeout_at(deadline, self.settled()).await;
            self.halt();
            return;
        }
        let emptied = tokio::time::timeout_at(deadline, books.emptied());
        if emptied.await.is_err() {
            self.halt();
            let _ = tokio::time::timeout(LAST_WORDS, books.emptied()).await;
        }
    }

    /// Waits until what is in memory is committed, or commits fail; the rest is safe on disk.
    async fn settled(&self) {
        for (_, store) in &self.shared().stores {
            store.halt();
        }
        // What was so before is no answer.
        self.set_quiet(false);
        self.called.notify_one();
        let is_done = || {
            let is_halted = self.phase.load(Acquire) == HALTED;
            is_halted || self.quiet.load(Acquire) || self.health.error().is_some()
        };
        while !is_done() {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Takes a sink away; the last one stops the driver.
    pub(super) fn leave(&self) {
        let mut shared = self.shared();
        shared.open = shared.open.saturating_sub(1);
        if shared.open == 0 {
            self.tasks.abort();
        }
    }

    fn halt(&self) {
        if self.phase.swap(HALTED, AcqRel) == HALTED {
            return;
        }
        for books in &self.shared().books {
            books.halt();
        }
        self.tasks.abort();
        self.cut_off();
    }

    fn cut_off(&self) {
        for inbox in &self.inboxes {
            while let Some(job) = inbox.pop() {
                job.dropped(Why::Shutdown, SHUTTING_DOWN, &self.health);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
