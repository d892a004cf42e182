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
use super::store::Share;
use super::waiting::For;

/// The longest wait between attempts while the lane empties itself.
pub(super) const LAST_WAIT: Duration = Duration::from_secs(1);

/// How much later a batch that has failed asks a breaker again, for each failure up to so many.
const YIELD: Duration = Duration::from_millis(50);
const MOST_YIELDS: u32 = 20;

impl Lane {
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
        match self.call(&job).await {
            Ok(delivered) => {
                self.health.well();
                job.delivered(&delivered, &self.health);
            }
            Err(Failure::Export(ExportError::Permanent {
                divisible: true,
                reason,
                ..
            })) if job.items() > 1 && !job.has_recourse() => self.isolate(job, &reason).await,
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

    /// Makes one call and tells the breaker.
    pub(super) async fn call(&self, job: &Job) -> Result<Delivered, Failure> {
        // Whoever dies of it is to know what it died of.
        let _flight = job.share().and_then(Share::fly);
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
        let Some(backoff) = &self.entrance.settings.retry else {
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
