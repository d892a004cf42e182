//! What a consumer does with one batch: the attempt, and what follows from how it went.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tidegate_component::{Delivered, ExportError};
use tokio::time::Instant;

use super::attempt::{Failure, attempt, chain, wish};
use super::books::Why;
use super::breaker::Leave;
use super::health::Fate;
use super::job::Job;
use super::lane::Lane;
use super::store::Alone;
use super::waiting::For;

/// The longest wait between attempts while the lane empties itself.
pub(super) const LAST_WAIT: Duration = Duration::from_secs(1);

/// How much later a batch that has failed asks a breaker again, for each failure up to so many.
const YIELD: Duration = Duration::from_millis(50);
const MOST_YIELDS: u32 = 20;

/// How long a record that processes died over waits where others are in its way.
const MAKE_WAY: Duration = Duration::from_secs(30);

/// How long one may keep others waiting.
const LONG_ALONE: Duration = Duration::from_secs(10);

impl Lane {
    /// Delivers a batch; where the order counts, what of it has to wait holds up what comes after.
    pub(super) async fn deliver_in_turn(&self, job: Job) {
        self.deliver(job).await;
        if !self.entrance.settings.ordered {
            return;
        }
        while let Some(due) = self.waiting.next_due().await {
            for job in due {
                self.deliver(job).await;
            }
        }
    }

    /// Tries a batch and ends it, lets it wait, or takes it apart.
    pub(super) async fn deliver(&self, mut job: Job) {
        // Its sender sends it again, so that one more attempt would only make a duplicate.
        if job.batch().receipt().is_expired() {
            job.dropped(Why::Expired, "the sender gave up", &self.health);
            return;
        }
        let now = Instant::now();
        if job.share().is_some_and(|share| share.is_too_old(now)) {
            let error = "the storage keeps nothing that is so old";
            job.dropped(Why::TooOld, error, &self.health);
            return;
        }
        let mut alone = None;
        if let Some(share) = job.share().filter(|share| share.is_suspect()) {
            alone = share.alone().await;
            if alone.is_none() {
                // Beside others, a death of its making would not tell which of them it was.
                self.wait(job, Instant::now() + MAKE_WAY, For::Backoff);
                return;
            }
        }
        let now = Instant::now();
        if let Some(until) = self.held_back(now) {
            if self.hands_back(&job) {
                let error = self.health.error().unwrap_or_default();
                job.dropped(Why::RetryOff, &error, &self.health);
            } else {
                self.hold_back(job, until);
            }
            return;
        }
        job.begin(now);
        match self.call_once(&job, &mut alone).await {
            Ok(delivered) => {
                self.health.well();
                job.delivered(&delivered, &self.health);
            }
            Err(Failure::Export(ExportError::Permanent {
                divisible: true,
                reason,
                ..
            })) if job.items() > 1 && !job.has_recourse() => {
                self.isolate(job, &reason, alone.is_some()).await;
            }
            Err(failure) => self.fail(job, failure),
        }
    }

    /// Whether a batch that cannot be delivered now goes elsewhere instead of waiting here.
    fn hands_back(&self, job: &Job) -> bool {
        !self.entrance.settings.insists && job.has_recourse()
    }

    /// Until when no call may be made.
    fn held_back(&self, now: Instant) -> Option<Instant> {
        // Without retries nothing may wait, and at the end there is no time to.
        if self.entrance.settings.retry.is_none() || self.is_draining() {
            return None;
        }
        match self.breaker.leave(now) {
            Leave::Call | Leave::Probe => None,
            Leave::Wait(until) => Some(until),
        }
    }

    fn hold_back(&self, job: Job, until: Instant) {
        // Those that have not failed yet go first, as a batch that the peer can never take would
        // else be every probe there is.
        let until = until + YIELD * job.failures.min(MOST_YIELDS);
        let allowed = match (&self.entrance.settings.retry, job.began) {
            (Some(backoff), Some(began)) => backoff.allows(began, until),
            _ => true,
        };
        if allowed {
            self.wait(job, until, For::Breaker);
        } else {
            let error = self.health.error().unwrap_or_default();
            self.give_up(job, Why::RetryExhausted, &error);
        }
    }

    /// Makes one call. A suspect that has kept others waiting for long is no longer taken for deadly.
    async fn call_once(&self, job: &Job, alone: &mut Option<Alone>) -> Result<Delivered, Failure> {
        let Some(held) = alone.take() else {
            return self.call(job, false).await;
        };
        let mut call = std::pin::pin!(self.call(job, true));
        match tokio::time::timeout(LONG_ALONE, &mut call).await {
            Ok(result) => {
                *alone = Some(held);
                result
            }
            Err(_) => {
                job.outlived();
                drop(held);
                call.await
            }
        }
    }

    /// Makes one call and tells the breaker; `alone` says that no other may be under way.
    pub(super) async fn call(&self, job: &Job, alone: bool) -> Result<Delivered, Failure> {
        // Whoever dies of it is to know what it died of.
        let _airborne = match job.share() {
            None => None,
            Some(share) if alone => share.fly_alone(),
            Some(share) => share.fly().await,
        };
        let call = self.exporter.export(job.batch());
        let result = attempt(call, self.entrance.settings.timeout, &self.name).await;
        let now = Instant::now();
        match &result {
            Ok(_) | Err(Failure::Export(ExportError::Permanent { .. })) => {
                if self.breaker.answered(now) {
                    self.release_breaker();
                }
            }
            Err(Failure::Export(error)) => self.breaker.failed(now, wish(error)),
            Err(Failure::Panic(_)) => self.breaker.undecided(),
        }
        result
    }

    /// Follows a failure that does not take the batch apart.
    pub(super) fn fail(&self, job: Job, failure: Failure) {
        match failure {
            Failure::Panic(said) => {
                let error = format!("the exporter panicked: {said}");
                self.health.failed(&error, self.last_fate());
                self.give_up(job, Why::Panic, &error);
            }
            Failure::Export(error @ ExportError::Permanent { .. }) => {
                let error = chain(&error);
                self.health.failed(&error, self.last_fate());
                self.give_up(job, Why::Permanent, &error);
            }
            Failure::Export(error) => {
                self.retry(job, wish(&error), &chain(&error));
            }
        }
    }

    /// Lets a batch wait for its next attempt, or drops it where there is none.
    pub(super) fn retry(&self, mut job: Job, asked: Option<Duration>, error: &str) {
        self.stumbles.fetch_add(1, Relaxed);
        job.outlived();
        let Some(backoff) = &self.entrance.settings.retry else {
            if self.is_draining() && job.stays_on_disk() {
                // The peer may be back for the next process.
                self.health.failed(error, Fate::Retrying);
                job.dropped(Why::Shutdown, error, &self.health);
                return;
            }
            self.health.failed(error, self.last_fate());
            self.give_up(job, Why::RetryOff, error);
            return;
        };
        if self.hands_back(&job) {
            self.health.failed(error, Fate::HandingBack);
            job.dropped(Why::RetryOff, error, &self.health);
            return;
        }
        let now = Instant::now();
        let began = job.begin(now);
        job.failures += 1;
        match backoff.next(job.failures, asked, began, now) {
            Some(at) => {
                self.health.failed(error, Fate::Retrying);
                let at = if self.is_draining() {
                    at.min(now + LAST_WAIT)
                } else {
                    at
                };
                self.wait(job, at, For::Backoff);
            }
            None => {
                self.health.failed(error, self.last_fate());
                self.give_up(job, Why::RetryExhausted, error);
            }
        }
    }
}
