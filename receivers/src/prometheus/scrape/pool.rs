//! The targets of a job: tasks are started for those that come and ended for those that go.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tidegate_component::Workers;
use tokio::sync::{mpsc, watch};

use super::Shared;
use super::target::Target;
use super::task::Task;
use crate::prometheus::labels::Group;

/// What a source calls a part of its targets, which changes as a whole.
pub(in crate::prometheus) type Key = Arc<str>;

/// Where sources bring the targets that they know of.
pub(in crate::prometheus) struct Pool {
    shared: Arc<Shared>,
    updates: mpsc::Sender<Update>,
}

/// What a source tells: parts of its targets, each in place of what it was before.
struct Update {
    source: usize,
    parts: Vec<(Key, Vec<Group>)>,
}

/// Updates that may wait; a source waits where there are more.
const WAITING: usize = 16;

/// Parts that are told of at once; others get their turn on the thread before the next.
const AT_A_TIME: usize = 128;

impl Pool {
    /// Starts the task that keeps the targets of a job.
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let (updates, come) = mpsc::channel(WAITING);
        let keeper = Keeper {
            shared: Arc::clone(shared),
            parts: HashMap::new(),
            users: HashMap::new(),
            tasks: HashMap::new(),
        };
        shared.workers.spawn(
            shared.workers.next(),
            keeper.run(come, shared.alive.clone()),
        );
        Self {
            shared: Arc::clone(shared),
            updates,
        }
    }

    /// Runs a source of this number until the receiver stops.
    pub(in crate::prometheus) fn spawn<F>(&self, source: usize, run: impl FnOnce(Updates) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.work(run(Updates {
            source,
            job: self.shared.job.name.clone(),
            updates: self.updates.clone(),
        }));
    }

    /// Runs what sources need until the receiver stops.
    pub(in crate::prometheus) fn work(&self, running: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let workers = &self.shared.workers;
        workers.spawn(workers.next(), async move {
            let _alive = shared.alive.clone();
            tokio::select! {
                () = running => {}
                () = shared.stopped() => {}
            }
        });
    }

    /// The threads that sources run on.
    pub(in crate::prometheus) fn workers(&self) -> &Workers {
        &self.shared.workers
    }
}

/// Where one source brings its targets.
#[derive(Clone)]
pub(in crate::prometheus) struct Updates {
    source: usize,
    /// The job's name, for what is logged.
    pub(in crate::prometheus) job: String,
    updates: mpsc::Sender<Update>,
}

impl Updates {
    /// These are all targets of the source from now on.
    pub(in crate::prometheus) async fn set(&self, groups: Vec<Group>) {
        self.change(vec![("".into(), groups)]).await;
    }

    /// These parts are so from now on, and gone where they hold nothing; others stay as they are.
    pub(in crate::prometheus) async fn change(&self, mut parts: Vec<(Key, Vec<Group>)>) {
        while !parts.is_empty() {
            let rest = parts.split_off(parts.len().min(AT_A_TIME));
            let update = Update {
                source: self.source,
                parts: std::mem::replace(&mut parts, rest),
            };
            // The pool goes when the receiver stops, and with it the source.
            let _ = self.updates.send(update).await;
        }
    }
}

/// What a source tells in a test.
#[cfg(test)]
pub(in crate::prometheus) struct Heard(mpsc::Receiver<Update>);

#[cfg(test)]
impl Updates {
    /// Updates that a test hears, of a job of this name.
    pub(in crate::prometheus) fn heard(job: &str) -> (Self, Heard) {
        let (updates, come) = mpsc::channel(WAITING);
        let updates = Self {
            source: 0,
            job: job.to_owned(),
            updates,
        };
        (updates, Heard(come))
    }
}

#[cfg(test)]
impl Heard {
    /// The parts of the next update.
    pub(in crate::prometheus) async fn parts(&mut self) -> Vec<(Key, Vec<Group>)> {
        let patience = std::time::Duration::from_secs(60);
        let update = tokio::time::timeout(patience, self.0.recv()).await;
        update.expect("it comes in time").expect("it comes").parts
    }

    /// The groups of the next update, which is of one part.
    pub(in crate::prometheus) async fn next(&mut self) -> Vec<Group> {
        let mut parts = self.parts().await;
        assert_eq!(parts.len(), 1);
        parts.remove(0).1
    }

    /// Nothing is told for so long.
    pub(in crate::prometheus) async fn is_quiet(&mut self, time: std::time::Duration) {
        let update = tokio::time::timeout(time, self.0.recv()).await;
        assert!(update.is_err(), "something is told");
    }
}

/// Keeps the targets of a job.
struct Keeper {
    shared: Arc<Shared>,
    /// The hashes of the targets of each part of each source.
    parts: HashMap<(usize, Key), Vec<u64>>,
    /// How many parts have each target.
    users: HashMap<u64, usize>,
    /// The tasks by the hash of their targets; dropping the sender ends one.
    tasks: HashMap<u64, watch::Sender<()>>,
}

impl Keeper {
    async fn run(mut self, mut come: mpsc::Receiver<Update>, _alive: mpsc::Sender<()>) {
        let shared = Arc::clone(&self.shared);
        let stopped = shared.stopped();
        tokio::pin!(stopped);
        // Sources that have said all they know are gone, and their targets stay.
        let mut more = true;
        loop {
            tokio::select! {
                update = come.recv(), if more => match update {
                    Some(update) => {
                        self.take(update);
                        tokio::task::yield_now().await;
                    }
                    None => more = false,
                },
                () = &mut stopped => break,
            }
        }
        self.shared
            .meters
            .targets
            .add(-i64::try_from(self.tasks.len()).unwrap_or(0));
    }

    /// Starts and ends tasks until there is one for each target.
    fn take(&mut self, update: Update) {
        let mut come: HashMap<u64, Target> = HashMap::new();
        let mut left = Vec::new();
        for (key, groups) in update.parts {
            let targets = self.targets(&groups);
            let mut hashes: Vec<u64> = targets.keys().copied().collect();
            hashes.shrink_to_fit();
            for (hash, target) in targets {
                *self.users.entry(hash).or_default() += 1;
                come.insert(hash, target);
            }
            let place = (update.source, key);
            left.extend(match hashes.is_empty() {
                true => self.parts.remove(&place),
                false => self.parts.insert(place, hashes),
            });
        }
        for hash in left.into_iter().flatten() {
            if let Some(users) = self.users.get_mut(&hash) {
                *users -= 1;
                if *users == 0 {
                    self.users.remove(&hash);
                }
            }
        }
        self.tell_crowd();
        let before = self.tasks.len();
        self.tasks.retain(|hash, _| self.users.contains_key(hash));
        come.retain(|hash, _| self.users.contains_key(hash));
        for (hash, target) in come {
            self.tasks.entry(hash).or_insert_with(|| {
                let (sender, gone) = watch::channel(());
                let workers = &self.shared.workers;
                let task = Task::new(Arc::clone(&self.shared), target, gone);
                workers.spawn(workers.next(), task.run(self.shared.alive.clone()));
                sender
            });
        }
        let change = self.tasks.len() as i64 - before as i64;
        self.shared.meters.targets.add(change);
    }

    /// The targets of groups, by their hashes.
    fn targets(&self, groups: &[Group]) -> HashMap<u64, Target> {
        let job = &self.shared.job;
        let mut targets = HashMap::new();
        for group in groups {
            for spot in &group.targets {
                match Target::new(job, group, spot) {
                    Ok(Some(target)) => drop(targets.insert(target.hash, target)),
                    Ok(None) => {}
                    Err(fault) => {
                        let target = &spot.address;
                        tracing::warn!(job = %job.name, %target, %fault, "not a target");
                    }
                }
            }
        }
        targets
    }

    /// Notes whether there are more targets than there may be, before any of them is scraped.
    fn tell_crowd(&self) {
        let job = &self.shared.job;
        let (targets, limit) = (self.users.len(), job.limits.targets);
        let crowded = targets > limit;
        if self.shared.crowded.swap(crowded, Relaxed) != crowded && crowded {
            tracing::warn!(job = %job.name, targets, limit, "more targets than `target_limit`: none is scraped");
        }
    }
}
