//! The way of one signal's batches to one exporter: queue, consumers, attempts, waits.

use std::sync::atomic::{
    AtomicU8, AtomicU32, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};
use tidegate_component::{Delivered, Exporter, Workers};
use tidegate_pdata::{Batch, Outcome, Refusal};
use tokio::time::Instant;

use super::books::{Books, Why};
use super::breaker::Breaker;
use super::collect::Collector;
use super::handover::{Handover, Seat};
use super::health::Health;
use super::job::{COME_AGAIN, EXTRA_CALLS, Job, QUEUE_FULL};
use super::settings::{Overflow, Settings};
use super::waiting::{For, Waiting};

/// How long what was cut off at the deadline may take to count itself.
const LAST_WORDS: Duration = Duration::from_secs(1);

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const HALTED: u8 = 2;

/// What delivers one signal's batches to one exporter.
pub(super) struct Lane {
    pub(super) name: Arc<str>,
    pub(super) exporter: Arc<dyn Exporter>,
    pub(super) settings: Settings,
    pub(super) books: Arc<Books>,
    pub(super) health: Health,
    pub(super) breaker: Breaker,
    pub(super) waiting: Waiting,
    /// Calls that isolating bad records may cost; fewer while it finds no good ones.
    pub(super) patience: AtomicU32,
    collector: Option<Collector>,
    handover: Handover<Job>,
    workers: Workers,
    /// The worker that its first tasks run on.
    home: usize,
    phase: AtomicU8,
    tasks: Mutex<Vec<AbortHandle>>,
    /// Itself, for the tasks that it starts.
    this: Weak<Self>,
}

impl Lane {
    pub(super) fn new(
        name: Arc<str>,
        exporter: Arc<dyn Exporter>,
        settings: Settings,
        books: Arc<Books>,
        health: Health,
        workers: Workers,
    ) -> Arc<Self> {
        // Lanes with few consumers would else all run on the first worker.
        static LANES: AtomicUsize = AtomicUsize::new(0);
        let home = LANES.fetch_add(1, Relaxed) % workers.count().max(1);
        Arc::new_cyclic(|this| Self {
            handover: Handover::new(settings.consumers, workers.count(), home),
            collector: settings.batch.clone().map(Collector::new),
            breaker: Breaker::new(books.meters().breaker.clone()),
            waiting: Waiting::default(),
            patience: AtomicU32::new(EXTRA_CALLS),
            phase: AtomicU8::new(RUNNING),
            tasks: Mutex::default(),
            this: Weak::clone(this),
            name,
            exporter,
            settings,
            books,
            health,
            workers,
            home,
        })
    }

    /// Starts what runs beside the consumers, which start when they are needed.
    pub(super) fn start(&self) {
        self.spawn(self.home, |lane| async move {
            loop {
                lane.waiting.due().await;
                for job in lane.waiting.take_due(Instant::now()) {
                    lane.submit_again(job);
                }
            }
        });
        if self.collector.is_some() {
            self.spawn(self.home, |lane| async move {
                if let Some(collector) = &lane.collector {
                    collector.run(&lane).await;
                }
            });
        }
    }

    /// Takes a batch, whatever the queue holds.
    pub(super) fn put(&self, mut batch: Batch) {
        if batch.payload().is_empty() {
            batch.into_parts().2.settle(&Outcome::Delivered);
            return;
        }
        let makes_room = match self.settings.overflow {
            Overflow::Refuse | Overflow::Wait => true,
            Overflow::DropNew => !self.books.overflows(batch.payload()),
            Overflow::DropOldest => {
                self.make_room(&batch);
                true
            }
        };
        if !makes_room {
            self.turn_away(batch);
            return;
        }
        let charge = self.books.charge(batch.payload());
        if !self.settings.carries {
            batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
        }
        let job = Job::new(batch, charge);
        match &self.collector {
            Some(collector) => collector.put(job),
            None => self.submit(job),
        }
    }

    /// What the door answers while the queue is full.
    pub(super) fn refusal(&self) -> Refusal {
        Refusal {
            reason: QUEUE_FULL,
            after: self.breaker.rest(Instant::now()).max(COME_AGAIN),
        }
    }

    /// Hands a batch to the consumers.
    pub(super) fn submit(&self, job: Job) {
        let near = self.workers.current().unwrap_or(self.home);
        if let Some(seat) = self.handover.put(job, near) {
            self.start_consumer(seat);
        }
    }

    fn submit_again(&self, job: Job) {
        let near = self.workers.current().unwrap_or(self.home);
        if let Some(seat) = self.handover.put_again(job, near) {
            self.start_consumer(seat);
        }
    }

    /// Lets what waited for the breaker go.
    pub(super) fn release_breaker(&self) {
        for job in self.waiting.take_held_by_breaker() {
            self.submit_again(job);
        }
    }

    /// Whether the lane empties itself and waits for nothing long.
    pub(super) fn is_draining(&self) -> bool {
        self.phase.load(Acquire) != RUNNING
    }

    /// Lets a batch wait; what comes when time is up is not kept.
    pub(super) fn wait(&self, job: Job, due: Instant, reason: For) {
        self.waiting.put(job, due, reason);
        if self.phase.load(Acquire) == HALTED {
            self.cut_off();
        }
    }

    /// Delivers what is inside until `deadline`, then counts the rest as dropped.
    pub(super) async fn drain(&self, deadline: Instant) {
        self.phase.store(DRAINING, Release);
        if let Some(collector) = &self.collector {
            collector.hurry();
        }
        for job in self.waiting.take_all() {
            self.submit_again(job);
        }
        if tokio::time::timeout_at(deadline, self.books.emptied())
            .await
            .is_err()
        {
            self.phase.store(HALTED, Release);
            self.books.halt();
            for task in self.tasks().drain(..) {
                task.abort();
            }
            self.cut_off();
            if let Some(collector) = &self.collector {
                collector.cut_off(self);
            }
            let _ = tokio::time::timeout(LAST_WORDS, self.books.emptied()).await;
        }
        self.handover.close();
        for task in self.tasks().drain(..) {
            task.abort();
        }
    }

    /// Drops all that no consumer has in hand.
    fn cut_off(&self) {
        while let Some(job) = self.handover.withdraw() {
            self.drop_job(job, Why::Shutdown, "shutting down");
        }
        for job in self.waiting.take_all() {
            self.drop_job(job, Why::Shutdown, "shutting down");
        }
    }

    /// Ends a batch as dropped, and tells of it.
    pub(super) fn drop_job(&self, job: Job, why: Why, error: &str) {
        self.health.lost(why, job.items(), error);
        job.dropped(why, error);
    }

    /// Ends a batch as delivered, and tells what the peer rejected of it.
    pub(super) fn end_delivered(&self, job: Job, delivered: &Delivered) {
        if delivered.rejected > 0 {
            let message = delivered.message.as_deref().unwrap_or("no reason given");
            let rejected = usize::try_from(delivered.rejected).unwrap_or(usize::MAX);
            self.health.lost(Why::RejectedByPeer, rejected, message);
        }
        job.delivered(delivered.rejected);
    }

    /// Drops the oldest batches until one more fits, or none is left that is not being sent.
    fn make_room(&self, batch: &Batch) {
        while self.books.overflows(batch.payload()) {
            // What waits for its next attempt was put before what was not tried yet, but for
            // what came while all consumers were at work.
            let Some(oldest) = self
                .waiting
                .take_oldest()
                .or_else(|| self.handover.withdraw())
            else {
                return;
            };
            self.drop_job(oldest, Why::QueueFull, QUEUE_FULL);
        }
    }

    fn turn_away(&self, batch: Batch) {
        let (payload, _, receipt) = batch.into_parts();
        self.health
            .lost(Why::QueueFull, payload.items(), QUEUE_FULL);
        self.books.turn_away(&payload);
        let outcome = if self.settings.carries {
            super::job::outcome(Why::QueueFull, "")
        } else {
            // The loss is this exporter's alone; a refusal would make the sender repeat what
            // the others took.
            Outcome::TakenOver
        };
        receipt.settle(&outcome);
    }

    fn start_consumer(&self, seat: Arc<Seat>) {
        self.spawn(seat.worker(), |lane| async move {
            let mut job = lane.handover.first();
            loop {
                // The exporter's own panics are caught closer to it; this one would be ours.
                let delivery = std::panic::AssertUnwindSafe(lane.deliver(job)).catch_unwind();
                if delivery.await.is_err() {
                    tracing::error!(exporter = %lane.name, "delivery panicked");
                }
                tokio::task::coop::consume_budget().await;
                let next = lane.handover.next(&seat, |new| lane.start_consumer(new));
                match next.await {
                    Some(next) => job = next,
                    None => return,
                }
            }
        });
    }

    fn spawn<F>(&self, worker: usize, task: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(lane) = self.this.upgrade() else {
            return;
        };
        let (handle, registration) = AbortHandle::new_pair();
        let task = Abortable::new(task(lane), registration);
        {
            let mut tasks = self.tasks();
            tasks.push(handle);
        }
        self.workers.spawn(worker, async move {
            let _ = task.await;
        });
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
