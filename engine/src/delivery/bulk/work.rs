//! The task that drives a collecting exporter: adds, seals, and has commits started.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_component::{BulkExporter, Delivered, ExportError, Items, Portion, Position, Sealed};
use tidegate_pdata::Signal;
use tokio::time::Instant;

use super::driver::{Driver, Object};
use super::open::Open;
use super::sealing::Rewrite;
use super::seals::{self, Left, Seals};
use crate::delivery::attempt::{Failure, caught, chain, wish};
use crate::delivery::books::{End, Why};
use crate::delivery::health::Fate;
use crate::delivery::job::{COME_AGAIN, Job};
use crate::delivery::store::Share;

/// Batches that are added in one go at most, so that seals are not kept waiting.
const GROUP: usize = 64;
/// Past every deadline that an object may have.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
/// What is said of a batch that its storage keeps no longer.
const TOO_OLD: &str = "it was on disk for longer than the storage's max_age";

/// The driving task's own state.
pub(super) struct Work {
    pub(super) driver: Arc<Driver>,
    pub(super) open: Open,
    /// The seals of a queue on disk.
    pub(super) seals: Option<Seals>,
    /// Objects of former lives that are not made again yet, with the numbers of their seals.
    pub(super) left: VecDeque<(u64, Sealed)>,
    /// Objects of former lives whose end is not on disk.
    pub(super) again: usize,
    /// Seals and ends of objects that are being written.
    pub(super) unwritten: usize,
    /// What is to be written once more, as it could not be.
    pub(super) rewrites: Vec<Rewrite>,
    /// When to try that.
    pub(super) rewrite_at: Option<Instant>,
    /// Batches that the exporter had no room for, before all others.
    stalled: VecDeque<(Signal, Job)>,
    /// Sealed objects that wait for a commit before them to end.
    pub(super) waiting: VecDeque<Object>,
    /// Commits that run.
    pub(super) running: usize,
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

/// A batch on its way to the exporter.
struct Grouped {
    signal: Signal,
    position: Position,
    /// The items that go into objects, where some lie in others.
    items: Option<Items>,
    age: Option<Duration>,
    job: Job,
}

impl Grouped {
    fn add(&self, exporter: &dyn BulkExporter) -> Result<Delivered, Failure> {
        if self.items.as_ref().is_some_and(Items::is_empty) {
            return Ok(Delivered::default());
        }
        let now = SystemTime::now();
        let arrived = self.age.and_then(|age| now.checked_sub(age));
        // A batch that kills the process must not do so for ever.
        let _airborne = self.job.share().and_then(Share::fly_alone);
        caught(|| {
            exporter.add(&Portion {
                position: self.position,
                batch: self.job.batch(),
                items: self.items.as_ref(),
                arrived: arrived.unwrap_or(now),
            })
        })
    }
}

/// What the exporter said of a batch; nothing where it was not asked.
type Said = Option<Result<Delivered, Failure>>;

impl Work {
    pub(super) fn new(driver: Arc<Driver>, disk: Option<(Seals, Left)>) -> Self {
        let (seals, left) = disk.unzip();
        let left = VecDeque::from(left.unwrap_or_default().open);
        Self {
            driver,
            open: Open::default(),
            again: left.len(),
            seals,
            left,
            unwritten: 0,
            rewrites: Vec::new(),
            rewrite_at: None,
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
            self.listen();
            self.start_commits();
            if self.make_again().await || self.add().await || self.seal().await {
                continue;
            }
            self.wait().await;
        }
    }

    fn finish_commits(&mut self) {
        while let Some((object, ended)) = self.driver.take_done() {
            self.running -= 1;
            // A commit that ended may have made room.
            self.rest = None;
            self.object_ended(object, ended);
        }
    }

    fn start_commits(&mut self) {
        while self.running < self.driver.settings.consumers {
            let Some(object) = self.waiting.pop_front() else {
                return;
            };
            self.running += 1;
            self.driver.start_commit(object);
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
            let add = |group: Grouped| {
                let said = room.then(|| group.add(&*exporter));
                room &= !matches!(&said, Some(Err(Failure::Export(error))) if is_passing(error));
                (group, said)
            };
            group.into_iter().map(add).collect::<Vec<_>>()
        });
        // A thread that is torn down drops the batches, which counts them.
        for (group, said) in blocking.await.unwrap_or_default() {
            self.added_one(group, said);
        }
        true
    }

    /// Whether more may go into objects: not while the exporter has no room, nor while commits
    /// wait for one that fails or for all that may run.
    fn may_add(&self) -> bool {
        // What objects of former lives hold must be known before anything is added.
        if self.again > 0 || self.rest.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let limit = if self.driver.health().error().is_some() {
            1
        } else {
            self.driver.settings.consumers
        };
        self.driver.is_draining() || self.running + self.waiting.len() + self.unwritten < limit
    }

    fn group(&mut self) -> Vec<Grouped> {
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
        let now = Instant::now();
        group
            .into_iter()
            .filter_map(|(signal, job)| self.grouped(signal, job, now))
            .collect()
    }

    /// Gives a batch its position, and finds which of its items objects are to take.
    fn grouped(&mut self, signal: Signal, mut job: Job, now: Instant) -> Option<Grouped> {
        self.added += 1;
        job.begin(now);
        let number = job.share().and_then(Share::number).unwrap_or(self.added);
        let position = seals::position(signal, number);
        let claims = self
            .seals
            .as_ref()
            .map_or(&[][..], |seals| seals.claims(position));
        let is_too_old = job.share().is_some_and(|share| share.is_too_old(now));
        if is_too_old && claims.is_empty() {
            job.dropped(Why::TooOld, TOO_OLD, self.driver.health());
            return None;
        }
        let claimed = claims
            .iter()
            .fold(Items::default(), |all, claim| all.union(&claim.items));
        let rest = (!claimed.is_empty()).then(|| claimed.rest(job.items()));
        Some(Grouped {
            signal,
            position,
            items: rest,
            age: job.share().and_then(|share| share.age(now)),
            job,
        })
    }

    fn added_one(&mut self, group: Grouped, said: Said) {
        let health = self.driver.health();
        let Grouped {
            signal,
            position,
            job,
            ..
        } = group;
        if said.is_some() {
            job.outlived();
        }
        match said {
            None => self.stalled.push_back((signal, job)),
            Some(Ok(delivered)) => {
                health.rejected(&delivered);
                let (receipt, mut items, share) = job.into_open();
                let rejected = usize::try_from(delivered.rejected).unwrap_or(usize::MAX);
                items.end(rejected, End::Dropped(Why::RejectedByPeer));
                for claim in self.take_claims(position) {
                    items.end(claim.items.len(), claim.end());
                }
                self.open.insert(position, (receipt, items, share));
                self.unsealed = true;
            }
            Some(Err(Failure::Panic(said))) => {
                let error = format!("the exporter panicked: {said}");
                self.driver.give_up(signal, job, Why::Panic, &error);
            }
            Some(Err(Failure::Export(error))) if is_passing(&error) => {
                self.stall(signal, job, &error);
            }
            Some(Err(Failure::Export(error))) => {
                self.driver
                    .give_up(signal, job, Why::Permanent, &chain(&error));
            }
        }
    }

    /// Keeps a batch that there is no room for, while it may be tried.
    fn stall(&mut self, signal: Signal, mut job: Job, error: &ExportError) {
        let (now, health) = (Instant::now(), self.driver.health());
        let Some(backoff) = &self.driver.settings.retry else {
            self.driver
                .give_up(signal, job, Why::RetryOff, &chain(error));
            return;
        };
        let began = job.begin(now);
        if !backoff.allows(began, now) {
            health.failed(&chain(error), Fate::Dropping);
            self.driver
                .give_up(signal, job, Why::RetryExhausted, &chain(error));
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
        self.unsealed = self.unsealed && !last;
        // An exporter that is due and seals nothing must not keep this task busy.
        self.seal_rest = sealed.is_empty().then(|| now + COME_AGAIN);
        self.rest = None;
        for object in sealed {
            self.object_sealed(Arc::new(object));
        }
        true
    }

    /// Whether all that is in memory has been committed.
    fn is_quiet(&self) -> bool {
        let idle = self.running + self.again + self.unwritten + self.rewrites.len() == 0;
        idle && !self.unsealed
            && self.waiting.is_empty()
            && self.stalled.is_empty()
            && self.driver.is_empty()
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        self.give_up_orphans();
        self.forget_spent();
        self.driver.set_quiet(self.is_quiet());
        let due = self.driver.exporter.due();
        let next = [self.rest, self.seal_rest.max(due), self.rewrite_at];
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
        if self.seals.is_some() {
            // They are on disk.
            return;
        }
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
        for object in &self.waiting {
            self.driver.let_go(&object.sealed);
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
