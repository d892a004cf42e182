//! Jobs at work: their targets, each with a task that scrapes it.

pub(super) mod credentials;
mod fetch;
pub(super) mod oauth2;
mod pool;
mod target;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tidegate_component::{Intake, ReceiverContext, StartError, Workers};
use tidegate_transport::client::HttpChannel;
use tokio::sync::{mpsc, watch};

use super::discovery::{self, Clusters};
use super::job::Job;
use super::meters::Meters;
use target::fnv;

pub(super) use fetch::answer_of;
pub(super) use pool::{Key, Pool, Updates};

/// What the tasks of a job share.
struct Shared {
    job: Arc<Job>,
    channel: HttpChannel,
    intake: Intake,
    meters: Meters,
    workers: Workers,
    /// Shifts where in their intervals this process scrapes: two of them are unlikely to do it at the same time.
    seed: u64,
    /// Whether the job has more targets than it may.
    crowded: AtomicBool,
    /// Told when the receiver stops.
    stop: watch::Receiver<bool>,
    /// Held by every task, so that its end can be waited for.
    alive: mpsc::Sender<()>,
}

impl Shared {
    /// Waits for the receiver's stop.
    async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // When nobody could tell any more, it has stopped as well.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    fn is_crowded(&self) -> bool {
        self.crowded.load(Relaxed)
    }
}

/// Jobs at work.
pub(super) struct Running {
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

impl Running {
    /// Sets every job to work.
    ///
    /// # Errors
    /// When a file that a job's client needs cannot be used.
    pub(super) fn start(
        jobs: &[Arc<Job>],
        cx: &ReceiverContext,
        intake: &Intake,
        meters: &Meters,
    ) -> Result<Self, StartError> {
        let (stop, stopped) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let seed = seed(jobs);
        let shared: Vec<Arc<Shared>> = jobs
            .iter()
            .map(|job| {
                Ok(Arc::new(Shared {
                    job: Arc::clone(job),
                    channel: job.client.start(Some(cx.workers.clone()))?,
                    intake: intake.clone(),
                    meters: meters.clone(),
                    workers: cx.workers.clone(),
                    seed,
                    crowded: AtomicBool::new(false),
                    stop: stopped.clone(),
                    alive: alive.clone(),
                }))
            })
            .collect::<Result<_, StartError>>()?;
        let clusters = Clusters::new(jobs);
        for shared in shared {
            discovery::start(&shared.job.sources, &Pool::start(&shared), &clusters)?;
        }
        Ok(Self { stop, ended })
    }

    /// Has all tasks end, and waits for it.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        // Nothing is ever sent: the last task that ends closes the channel.
        let _ = self.ended.recv().await;
    }
}

/// What is this process's own: its host and the labels that it gives to everything.
fn seed(jobs: &[Arc<Job>]) -> u64 {
    let host = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut parts: Vec<&[u8]> = vec![&host];
    if let Some(job) = jobs.first() {
        for (name, value) in &job.external {
            parts.extend([name.as_bytes(), value.as_bytes()]);
        }
    }
    fnv(&parts)
}
