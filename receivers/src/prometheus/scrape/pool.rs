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

/// Where sources bring the targets that they know of.
pub(in crate::prometheus) struct Pool {
    shared: Arc<Shared>,
    updates: mpsc::Sender<(usize, Vec<Group>)>,
}

/// Updates that may wait; a source waits where there are more.
const WAITING: usize = 16;

impl Pool {
    /// Starts the task that keeps the targets of a job.
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let (updates, come) = mpsc::channel(WAITING);
        let keeper = Keeper {
            shared: Arc::clone(shared),
            sources: HashMap::new(),
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
        let updates = Updates {
            source,
            job: self.shared.job.name.clone(),
            updates: self.updates.clone(),
        };
        let (running, shared) = (run(updates), Arc::clone(&self.shared));
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
pub(in crate::prometheus) struct Updates {
    source: usize,
    /// The job's name, for what is logged.
    pub(in crate::prometheus) job: String,
    updates: mpsc::Sender<(usize, Vec<Group>)>,
}

impl Updates {
    /// These are all targets of the source from now on.
    pub(in crate::prometheus) async fn set(&self, groups: Vec<Group>) {
        // The pool goes when the receiver stops, and with it the source.
        let _ = self.updates.send((self.source, groups)).await;
    }
}

/// Keeps the targets of a job.
struct Keeper {
    shared: Arc<Shared>,
    sources: HashMap<usize, Vec<Group>>,
    /// The tasks by the hash of their targets; dropping the sender ends one.
    tasks: HashMap<u64, watch::Sender<()>>,
}

impl Keeper {
    async fn run(
        mut self,
        mut come: mpsc::Receiver<(usize, Vec<Group>)>,
        _alive: mpsc::Sender<()>,
    ) {
        let shared = Arc::clone(&self.shared);
        let stopped = shared.stopped();
        tokio::pin!(stopped);
        // Sources that have said all they know are gone, and their targets stay.
        let mut more = true;
        loop {
            tokio::select! {
                update = come.recv(), if more => match update {
                    Some((source, groups)) => {
                        self.sources.insert(source, groups);
                        self.sync();
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
    fn sync(&mut self) {
        let job = &self.shared.job;
        let mut wanted: HashMap<u64, Target> = HashMap::new();
        let mut sources: Vec<_> = self.sources.iter().collect();
        sources.sort_by_key(|(source, _)| **source);
        for group in sources.into_iter().flat_map(|(_, groups)| groups) {
            for address in &group.targets {
                match Target::new(job, group, address) {
                    Ok(Some(target)) => drop(wanted.insert(target.hash, target)),
                    Ok(None) => {}
                    Err(fault) => {
                        tracing::warn!(job = %job.name, target = %address, %fault, "not a target");
                    }
                }
            }
        }
        let crowded = wanted.len() > job.limits.targets;
        if self.shared.crowded.swap(crowded, Relaxed) != crowded && crowded {
            let (targets, limit) = (wanted.len(), job.limits.targets);
            tracing::warn!(job = %job.name, targets, limit, "more targets than `target_limit`: none is scraped");
        }
        let before = self.tasks.len();
        self.tasks.retain(|hash, _| wanted.contains_key(hash));
        for (hash, target) in wanted {
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
}
