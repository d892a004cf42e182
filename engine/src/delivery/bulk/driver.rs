//! The driver: what all signals of a collecting exporter share.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_queue::SegQueue;
use tidegate_component::{BulkExporter, Sealed, Workers};
use tidegate_pdata::Signal;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::commit::Ended;
use super::work::Work;
use crate::delivery::books::{Books, Why};
use crate::delivery::health::Health;
use crate::delivery::job::{Job, SHUTTING_DOWN};
use crate::delivery::lane::LAST_WORDS;
use crate::delivery::settings::Settings;
use crate::delivery::tasks::Tasks;

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const HALTED: u8 = 2;

/// What is shared by the sinks, the task that drives the exporter and the commits.
pub(super) struct Driver {
    pub(super) name: Arc<str>,
    pub(super) exporter: Arc<dyn BulkExporter>,
    pub(super) settings: Settings,
    health: Health,
    inboxes: [SegQueue<Job>; Signal::ALL.len()],
    /// Commits that have ended.
    done: SegQueue<(Arc<Sealed>, Ended)>,
    shared: Mutex<Shared>,
    /// Rung when there is something to do.
    called: Notify,
    /// Rung when nothing may wait any more.
    hurry: Notify,
    phase: AtomicU8,
    started: AtomicBool,
    tasks: Tasks,
}

#[derive(Default)]
struct Shared {
    /// The books of all signals.
    books: Vec<Arc<Books>>,
    /// Sinks that have not been drained.
    open: usize,
}

impl Driver {
    pub(super) fn new(
        name: Arc<str>,
        exporter: Arc<dyn BulkExporter>,
        settings: Settings,
        workers: Workers,
    ) -> Self {
        Self {
            health: Health::new(Arc::clone(&name), "all"),
            name,
            exporter,
            settings,
            inboxes: Default::default(),
            done: SegQueue::new(),
            shared: Mutex::default(),
            called: Notify::new(),
            hurry: Notify::new(),
            phase: AtomicU8::new(RUNNING),
            started: AtomicBool::new(false),
            tasks: Tasks::new(workers),
        }
    }

    /// Adds a signal's sink.
    pub(super) fn join(&self, books: Arc<Books>) {
        let mut shared = self.shared();
        shared.books.push(books);
        shared.open += 1;
    }

    /// Starts the task that drives the exporter, once for all signals.
    pub(super) fn start(self: &Arc<Self>) {
        if !self.started.swap(true, AcqRel) {
            self.tasks
                .spawn(self.tasks.home(), Work::new(Arc::clone(self)).run());
        }
    }

    pub(super) const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) const fn health(&self) -> &Health {
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
    pub(super) fn start_commit(self: &Arc<Self>, sealed: Arc<Sealed>) {
        let driver = Arc::clone(self);
        let worker = sealed.ordinal as usize % self.tasks.workers().count().max(1);
        self.tasks.spawn(worker, async move {
            let ended = driver.commit(&sealed).await;
            driver.done.push((sealed, ended));
            driver.called.notify_one();
        });
    }

    /// Takes a commit that has ended.
    pub(super) fn take_done(&self) -> Option<(Arc<Sealed>, Ended)> {
        self.done.pop()
    }

    pub(super) async fn called(&self) {
        self.called.notified().await;
    }

    /// Resolves when nothing may wait any more.
    pub(super) fn hurried(&self) -> Notified<'_> {
        self.hurry.notified()
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
        let emptied = tokio::time::timeout_at(deadline, books.emptied());
        if emptied.await.is_err() {
            self.halt();
            let _ = tokio::time::timeout(LAST_WORDS, books.emptied()).await;
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
