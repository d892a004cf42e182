//! The way of one signal's batches to one exporter: queue, consumers, attempts, waits.

use std::sync::atomic::{
    AtomicU8, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tidegate_component::{Exporter, StartError, Workers};
use tidegate_pdata::{Batch, Refusal};
use tokio::time::Instant;

use super::books::Why;
use super::breaker::Breaker;
use super::entrance::{Entrance, Next};
use super::handover::{Handover, Seat};
use super::health::{Fate, Health};
use super::job::{COME_AGAIN, EXTRA_CALLS, Job, QUEUE_FULL, SHUTTING_DOWN};
use super::letters::give_up;
use super::store::{Outlet, Reader, Store};
use super::tasks::Tasks;
use super::waiting::{For, Waiting};

/// How long what was cut off at the deadline may take to count itself.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often a drain looks how it stands.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

const RUNNING: u8 = 0;
const DRAINING: u8 = 1;
const HALTED: u8 = 2;

/// What delivers one signal's batches to one exporter.
pub(super) struct Lane {
    pub(super) name: Arc<str>,
    pub(super) exporter: Arc<dyn Exporter>,
    pub(super) health: Arc<Health>,
    pub(super) breaker: Breaker,
    pub(super) waiting: Waiting,
    /// Calls that isolating bad records may cost; fewer while it finds no good ones.
    pub(super) patience: AtomicU32,
    /// Attempts at which the peer failed without rejecting anything.
    pub(super) stumbles: AtomicU64,
    pub(super) entrance: Entrance,
    handover: Handover<Job>,
    tasks: Tasks,
    phase: AtomicU8,
    /// Itself, for the tasks that it starts.
    this: Weak<Self>,
}

impl Lane {
    pub(super) fn new(
        name: Arc<str>,
        exporter: Arc<dyn Exporter>,
        entrance: Entrance,
        health: Arc<Health>,
        workers: Workers,
    ) -> Arc<Self> {
        let tasks = Tasks::new(workers);
        let breaker = Breaker::new();
        breaker.show_on(entrance.books.meters().breaker.clone());
        Arc::new_cyclic(|this| Self {
            handover: Handover::new(
                entrance.settings.consumers,
                tasks.workers().count(),
                tasks.home(),
            ),
            breaker,
            entrance,
            tasks,
            waiting: Waiting::default(),
            patience: AtomicU32::new(EXTRA_CALLS),
            stumbles: AtomicU64::new(0),
            phase: AtomicU8::new(RUNNING),
            this: Weak::clone(this),
            name,
            exporter,
            health,
        })
    }

    /// Starts what runs beside the consumers, which start when they are needed.
    ///
    /// # Errors
    /// When the log of a queue on disk cannot be opened.
    pub(super) fn start(&self) -> Result<(), StartError> {
        if let Some(store) = &self.entrance.store {
            store.open()?;
            let lane = self.itself().map(|lane| lane as Arc<dyn Outlet>);
            let reader = lane.and_then(|lane| Reader::new(lane, store));
            if let Some(reader) = reader {
                self.tasks.spawn(self.tasks.home(), reader.run());
            }
        }
        if !self.entrance.settings.ordered {
            self.spawn(self.tasks.home(), |lane| async move {
                loop {
                    lane.waiting.due().await;
                    for job in lane.waiting.take_due(Instant::now()) {
                        lane.submit_again(job);
                    }
                }
            });
        }
        if self.entrance.collector.is_some() {
            self.spawn(self.tasks.home(), |lane| async move {
                if let Some(collector) = &lane.entrance.collector {
                    collector.run(&*lane).await;
                }
            });
        }
        Ok(())
    }

    /// Takes a batch, whatever the queue holds.
    pub(super) fn put(&self, batch: Batch) {
        self.entrance.put(batch, self);
    }

    /// What the door answers while the queue is full.
    pub(super) fn refusal(&self) -> Refusal {
        Refusal::new(
            QUEUE_FULL,
            self.breaker.rest(Instant::now()).max(COME_AGAIN),
        )
    }

    /// Hands a batch to the consumers; those of worker `near` are asked first.
    pub(super) fn ready(&self, job: Job, near: usize) {
        if let Some(seat) = self.handover.put(job, near) {
            self.start_consumer(seat);
        }
        if self.phase.load(Acquire) == HALTED {
            self.cut_off();
        }
    }

    /// A handle of itself, as long as there is another.
    pub(super) fn itself(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    fn submit_again(&self, job: Job) {
        if let Some(seat) = self.handover.put_again(job, self.near()) {
            self.start_consumer(seat);
        }
    }

    /// The worker whose consumers are asked first.
    pub(super) fn near(&self) -> usize {
        self.tasks.workers().current().unwrap_or(self.tasks.home())
    }

    /// Lets what waited for the breaker go.
    pub(super) fn release_breaker(&self) {
        if let Some(store) = &self.entrance.store {
            store.call();
        }
        if self.entrance.settings.ordered {
            // Its only consumer has in hand what waits.
            return;
        }
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
        let refusals = || self.entrance.store.as_ref().map(|store| store.refusals());
        let before = refusals();
        let Some(job) = self.set_aside(job, due, reason) else {
            return;
        };
        self.waiting.put(job, due, reason);
        if refusals() != before {
            self.hand_back_refused();
        }
        if self.phase.load(Acquire) == HALTED {
            self.cut_off();
        }
    }

    /// Delivers what is inside until `deadline`, then leaves the rest on disk or counts it as dropped.
    pub(super) async fn drain(&self, deadline: Instant) {
        self.phase.store(DRAINING, Release);
        if let Some(collector) = &self.entrance.collector {
            collector.hurry();
        }
        if self.entrance.settings.ordered {
            self.waiting.hurry(Instant::now());
        } else {
            for job in self.waiting.take_all() {
                self.submit_again(job);
            }
        }
        if let Some(store) = &self.entrance.store {
            self.drain_store(store, deadline).await;
        } else if tokio::time::timeout_at(deadline, self.entrance.books.emptied())
            .await
            .is_err()
        {
            self.phase.store(HALTED, Release);
            self.entrance.books.halt();
            self.tasks.abort();
            self.cut_off();
            if let Some(collector) = &self.entrance.collector {
                collector.cut_off(&self.health);
            }
            let _ = tokio::time::timeout(LAST_WORDS, self.ended()).await;
        }
        self.handover.close();
        self.tasks.abort();
        if let Some(letters) = &self.entrance.letters {
            letters.close();
        }
    }

    /// Waits until every task has ended and all that they had is counted.
    async fn ended(&self) {
        for glance in 0_u32.. {
            match self.tasks.have_ended() {
                true => break,
                // Most end as soon as they have a turn.
                false if glance < 100 => tokio::task::yield_now().await,
                false => tokio::time::sleep(GLANCE).await,
            }
        }
        // What a consumer was called for and did not take any more.
        while let Some(job) = self.handover.left() {
            job.dropped(Why::Shutdown, SHUTTING_DOWN, &self.health);
        }
        self.entrance.books.emptied().await;
    }

    /// Delivers while the peer takes what it gets, then leaves the rest where it is safe.
    async fn drain_store(&self, store: &Store, deadline: Instant) {
        let books = &self.entrance.books;
        // What a peer failed with or rejected long ago tells nothing of how it does now.
        let away = !self.breaker.is_closed();
        let stumbles = self.stumbles.load(Relaxed);
        store.call();
        let emptied = async {
            while !away && self.stumbles.load(Relaxed) == stumbles {
                let emptied = tokio::time::timeout(GLANCE, books.emptied()).await;
                if emptied.is_ok() && store.is_replayed() {
                    return;
                }
                tokio::time::sleep(GLANCE).await;
            }
        };
        let _ = tokio::time::timeout_at(deadline, emptied).await;
        self.gathered(deadline).await;
        self.phase.store(HALTED, Release);
        store.halt();
        self.cut_off();
        // What is under way may still arrive; cut off, it would come twice.
        let landed = async {
            while !store.is_at_rest() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        let _ = tokio::time::timeout_at(deadline, landed).await;
    }

    /// Waits until what was to be merged is on its way to the disk.
    async fn gathered(&self, deadline: Instant) {
        let Some(collector) = &self.entrance.collector else {
            return;
        };
        let gathered = async {
            while !collector.is_empty() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        if tokio::time::timeout_at(deadline, gathered).await.is_err() {
            self.entrance.books.halt();
            collector.cut_off(&self.health);
        }
    }

    /// Drops all that no consumer has in hand.
    fn cut_off(&self) {
        while let Some(job) = self.handover.withdraw() {
            job.dropped(Why::Shutdown, SHUTTING_DOWN, &self.health);
        }
        for job in self.waiting.take_all() {
            job.dropped(Why::Shutdown, SHUTTING_DOWN, &self.health);
        }
    }

    /// Ends a batch that will not be tried again.
    pub(super) fn give_up(&self, job: Job, why: Why, error: &str) {
        give_up(
            self.entrance.letters.as_ref(),
            job,
            why,
            error,
            &self.health,
        );
    }

    /// What becomes of data that will not be tried again.
    pub(super) const fn last_fate(&self) -> Fate {
        match self.entrance.letters {
            Some(_) => Fate::PassingOn,
            None => Fate::Dropping,
        }
    }

    fn start_consumer(&self, seat: Arc<Seat>) {
        self.spawn(seat.worker(), |lane| async move {
            let mut job = lane.handover.first();
            loop {
                // The exporter's own panics are caught closer to it; this one would be ours.
                let delivery =
                    std::panic::AssertUnwindSafe(lane.deliver_in_turn(job)).catch_unwind();
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
        if let Some(lane) = self.this.upgrade() {
            self.tasks.spawn(worker, task(lane));
        }
    }
}

impl Next for Lane {
    fn submit(&self, job: Job) {
        match &self.entrance.store {
            Some(store) => self.store_first(store, job),
            None => {
                if let Some(seat) = self.handover.put(job, self.near()) {
                    self.start_consumer(seat);
                }
            }
        }
    }

    fn withdraw(&self) -> Option<Job> {
        // What waits for its next attempt was put before what was not tried yet, but for what
        // came while all consumers were at work.
        self.waiting
            .take_oldest()
            .or_else(|| self.handover.withdraw())
    }

    fn health(&self) -> &Health {
        &self.health
    }

    fn tries_soon(&self) -> bool {
        true
    }
}
