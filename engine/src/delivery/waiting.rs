//! Where batches wait for their next attempt, in order of time, holding no consumer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::job::Job;

/// What a batch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Its own backoff, or the time that the peer asked for.
    Backoff,
    /// The breaker to close; it goes as soon as that happens.
    Breaker,
}

/// Batches by the time at which they are due. Used where deliveries fail, never where all is well.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    inner: Mutex<Inner>,
    /// Rung when the earliest time has come nearer.
    nearer: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    due: BTreeMap<(Instant, Key), (For, Job)>,
    /// The same batches as they were put into the queue.
    age: BTreeMap<Key, Instant>,
    parts: u64,
}

/// The number under which a batch was put, and one of its own, as parts share the first.
type Key = (u64, u64);

impl Waiting {
    /// Lets a batch wait until `due`.
    pub(super) fn put(&self, job: Job, due: Instant, reason: For) {
        let mut inner = self.lock();
        inner.parts += 1;
        let key = (job.number(), inner.parts);
        let first = inner.due.first_key_value().map(|((at, _), _)| *at);
        inner.age.insert(key, due);
        inner.due.insert((due, key), (reason, job));
        drop(inner);
        if first.is_none_or(|first| due < first) {
            self.nearer.notify_one();
        }
    }

    /// Takes what is due by `now`, the earliest first.
    pub(super) fn take_due(&self, now: Instant) -> Vec<Job> {
        let mut inner = self.lock();
        let later = inner.due.split_off(&(now, (u64::MAX, u64::MAX)));
        let due = std::mem::replace(&mut inner.due, later);
        inner.forget(due)
    }

    /// Takes what waits for the breaker alone and has not failed yet; what has failed keeps its time.
    pub(super) fn take_held_by_breaker(&self) -> Vec<Job> {
        let mut inner = self.lock();
        let (held, rest) = std::mem::take(&mut inner.due)
            .into_iter()
            .partition(|(_, (reason, job))| *reason == For::Breaker && job.failures == 0);
        inner.due = rest;
        inner.forget(held)
    }

    /// Takes what memory alone holds, as the log did not take it.
    pub(super) fn take_refused(&self) -> Vec<Job> {
        let mut inner = self.lock();
        let (refused, rest) = std::mem::take(&mut inner.due)
            .into_iter()
            .partition(|(_, (_, job))| job.is_refused());
        inner.due = rest;
        inner.forget(refused)
    }

    /// Takes everything.
    pub(super) fn take_all(&self) -> Vec<Job> {
        let mut inner = self.lock();
        let all = std::mem::take(&mut inner.due);
        let all = inner.forget(all);
        drop(inner);
        self.nearer.notify_one();
        all
    }

    /// Has everything be due at once.
    pub(super) fn hurry(&self, now: Instant) {
        let mut inner = self.lock();
        let inner_now = &mut *inner;
        let all = std::mem::take(&mut inner_now.due);
        for ((_, key), job) in all {
            inner_now.age.insert(key, now);
            inner_now.due.insert((now, key), job);
        }
        drop(inner);
        self.nearer.notify_one();
    }

    /// Waits until something is due and takes that; none once nothing waits.
    pub(super) async fn next_due(&self) -> Option<Vec<Job>> {
        loop {
            let nearer = self.nearer.notified();
            let first = self.lock().due.first_key_value().map(|((at, _), _)| *at);
            tokio::select! {
                () = tokio::time::sleep_until(first?) => return Some(self.take_due(Instant::now())),
                () = nearer => {}
            }
        }
    }

    /// Takes the batch that was put into the queue first.
    pub(super) fn take_oldest(&self) -> Option<Job> {
        let mut inner = self.lock();
        let (key, due) = inner.age.pop_first()?;
        let taken = inner.due.remove(&(due, key)).map(|(_, job)| job);
        drop(inner);
        self.nearer.notify_one();
        taken
    }

    /// Waits until something is due.
    pub(super) async fn due(&self) {
        loop {
            let nearer = self.nearer.notified();
            let first = self.lock().due.first_key_value().map(|((at, _), _)| *at);
            match first {
                None => nearer.await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => return,
                    () = nearer => {}
                },
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self, taken: BTreeMap<(Instant, Key), (For, Job)>) -> Vec<Job> {
        taken
            .into_iter()
            .map(|((_, key), (_, job))| {
                self.age.remove(&key);
                job
            })
            .collect()
    }
}
