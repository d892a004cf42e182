//! The task that drives a collecting exporter: adds, seals, and has commits started.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{Delivered, ExportError, Position, Sealed};
use tidegate_pdata::Signal;
use tokio::time::Instant;

use super::driver::Driver;
use super::open::Open;
use crate::delivery::attempt::{Failure, caught, chain, wish};
use crate::delivery::books::{End, Why};
use crate::delivery::health::Fate;
use crate::delivery::job::{COME_AGAIN, Job};

/// Batches that are added in one go at most, so that seals are not kept waiting.
const GROUP: usize = 64;
/// Past every deadline that an object may have.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
/// The bits of a position that tell the signal.
const SIGNAL_BITS: u32 = 2;

/// The driving task's own state.
pub(super) struct Work {
    driver: Arc<Driver>,
    open: Open,
    /// Batches that the exporter had no room for, before all others.
    stalled: VecDeque<(Signal, Job)>,
    /// Sealed objects that wait for a commit before them to end.
    waiting: VecDeque<Arc<Sealed>>,
    /// Commits that run.
    running: usize,
    /// Batches added so far, which numbers their positions.
    added: u64,
    /// Whether something was added since the last seal.
    unsealed: bool,
    /// Until when nothing is added, as the exporter had no room.
    rest: Option<Instant>,
    /// Until when nothing is sealed, as it did not help.
    seal_rest: Option<Instant>,
    /// The signal whose inbox is looked into first.
    turn: usize,
}

/// What the exporter said of a batch; nothing where it was not asked.
type Said = Option<Result<Delivered, Failure>>;

impl Work {
    pub(super) fn new(driver: Arc<Driver>) -> Self {
        Self {
            driver,
            open: Open::default(),
            stalled: VecDeque::new(),
            waiting: VecDeque::new(),
            running: 0,
            added: 0,
            unsealed: false,
            rest: None,
            seal_rest: None,
            turn: 0,
        }
    }

    /// Drives until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            self.finish_commits();
            self.start_commits();
            if self.add().await || self.seal().await {
                continue;
            }
            self.wait().await;
        }
    }

    fn finish_commits(&mut self) {
        while let Some((sealed, ended)) = self.driver.take_done() {
            self.running -= 1;
            // A commit that ended may have made room.
            self.rest = None;
            match ended {
                Ok(()) => self.open.committed(&sealed),
                Err((why, error)) => self.open.given_up(&sealed, why, &error),
            }
        }
    }

    fn start_commits(&mut self) {
        while self.running < self.driver.settings.consumers {
            let Some(sealed) = self.waiting.pop_front() else {
                return;
            };
            self.running += 1;
            self.driver.start_commit(sealed);
        }
    }

    /// Adds a group of batches; false where there is none, or no room.
    async fn add(&mut self) -> bool {
        if !self.may_add() {
            return false;
        }
        let group = self.group();
        if group.is_empty() {
            return false;
        }
        let exporter = Arc::clone(&self.driver.exporter);
        let blocking = tokio::task::spawn_blocking(move || {
            let mut room = true;
            let add = |(signal, position, job): (Signal, Position, Job)| {
                let said = room.then(|| caught(|| exporter.add(position, job.batch())));
                room &= !matches!(&said, Some(Err(Failure::Export(error))) if is_passing(error));
                (signal, position, job, said)
            };
            group.into_iter().map(add).collect::<Vec<_>>()
        });
        // A thread that is torn down drops the batches, which counts them.
        for (signal, position, job, said) in blocking.await.unwrap_or_default() {
            self.added_one(signal, position, job, said);
        }
        true
    }

    /// Whether more may go into objects: not while the exporter has no room, nor while commits
    /// wait for one that fails or for all that may run.
    fn may_add(&self) -> bool {
        if self.rest.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let limit = if self.driver.health().error().is_some() {
            1
        } else {
            self.driver.settings.consumers
        };
        self.driver.is_draining() || self.running + self.waiting.len() < limit
    }

    fn group(&mut self) -> Vec<(Signal, Position, Job)> {
        let mut group: Vec<_> = self.stalled.drain(..).collect();
        self.turn += 1;
        for step in 0..Signal::ALL.len() {
            let signal = Signal::ALL[(self.turn + step) % Signal::ALL.len()];
            while group.len() < GROUP
                && let Some(job) = self.driver.withdraw(signal)
            {
                group.push((signal, job));
            }
        }
        let mut number = |(signal, mut job): (Signal, Job)| {
            self.added += 1;
            job.begin(Instant::now());
            let position = self.added << SIGNAL_BITS | signal.index() as u64;
            (signal, Position(position), job)
        };
        group.into_iter().map(&mut number).collect()
    }

    fn added_one(&mut self, signal: Signal, position: Position, job: Job, said: Said) {
        let health = self.driver.health();
        match said {
            None => self.stalled.push_back((signal, job)),
            Some(Ok(delivered)) => {
                health.rejected(&delivered);
                let (_, _, receipt, charge) = job.into_parts();
                let mut items = charge.leave_queue();
                let rejected = usize::try_from(delivered.rejected).unwrap_or(usize::MAX);
                items.end(rejected, End::Dropped(Why::RejectedByPeer));
                self.open.insert(position, items, receipt);
                self.unsealed = true;
            }
            Some(Err(Failure::Panic(said))) => {
                let error = format!("the exporter panicked: {said}");
                job.dropped(Why::Panic, &error, health);
            }
            Some(Err(Failure::Export(error))) if is_passing(&error) => {
                self.stall(signal, job, &error);
            }
            Some(Err(Failure::Export(error))) => {
                job.dropped(Why::Permanent, &chain(&error), health);
            }
        }
    }

    /// Keeps a batch that there is no room for, while it may be tried.
    fn stall(&mut self, signal: Signal, mut job: Job, error: &ExportError) {
        let (now, health) = (Instant::now(), self.driver.health());
        let Some(backoff) = &self.driver.settings.retry else {
            job.dropped(Why::RetryOff, &chain(error), health);
            return;
        };
        let began = job.begin(now);
        if !backoff.allows(began, now) {
            health.failed(&chain(error), Fate::Dropping);
            job.dropped(Why::RetryExhausted, &chain(error), health);
            return;
        }
        self.rest = Some(now + wish(error).unwrap_or(COME_AGAIN));
        self.stalled.push_back((signal, job));
    }

    /// Seals what is due; false where nothing is.
    async fn seal(&mut self) -> bool {
        let now = Instant::now();
        if self.seal_rest.is_some_and(|until| now < until) {
            return false;
        }
        let last = self.driver.is_draining();
        let due = self.driver.exporter.due().is_some_and(|due| due <= now);
        if !(due || last && self.unsealed) {
            return false;
        }
        let exporter = Arc::clone(&self.driver.exporter);
        let at = if last { now + FAR } else { now };
        let mut sealed = Vec::new();
        let blocking = tokio::task::spawn_blocking(move || {
            let mut sealed = Vec::new();
            let result = caught(|| {
                sealed = exporter.seal(at);
                Ok(())
            });
            (sealed, result)
        });
        if let Ok((objects, result)) = blocking.await {
            sealed = objects;
            if let Err(Failure::Panic(said)) = result {
                let error = format!("the exporter panicked as it sealed: {said}");
                self.driver.health().failed(&error, Fate::Retrying);
            }
        }
        let objects: Vec<_> = sealed.into_iter().map(Arc::new).collect();
        self.unsealed = self.unsealed && !last;
        // An exporter that is due and seals nothing must not keep this task busy.
        self.seal_rest = objects.is_empty().then(|| now + COME_AGAIN);
        self.rest = None;
        self.waiting.extend(objects);
        true
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        self.give_up_orphans();
        let due = self.driver.exporter.due();
        let next = [self.rest, self.seal_rest.max(due)];
        let now = Instant::now();
        match next.into_iter().flatten().filter(|at| *at > now).min() {
            None => self.driver.called().await,
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.driver.called() => {}
            },
        }
    }

    /// At the end, gives up what the exporter took and put into no object.
    fn give_up_orphans(&mut self) {
        let idle = self.running == 0 && self.waiting.is_empty() && self.stalled.is_empty();
        if self.driver.is_draining() && idle && !self.unsealed && !self.open.is_empty() {
            let error = "the exporter put them into no object";
            let items = self.open.give_up_all(Why::Lost, error);
            self.driver.health().lost(Why::Lost, items, error);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.finish_commits();
        for sealed in &self.waiting {
            self.driver.let_go(sealed);
        }
    }
}

/// Whether an error is about now, not about the batch.
const fn is_passing(error: &ExportError) -> bool {
    matches!(
        error,
        ExportError::Retryable { .. } | ExportError::Refused { .. }
    )
}
