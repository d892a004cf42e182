//! The worker threads: a current-thread runtime each.
//!
//! A worker owns the connections, files and processor instances that were dealt to it, so
//! nothing on the way of a batch is locked. What must block (fsync, encoding of large objects)
//! goes to the runtime's blocking threads, which exist only while they are needed.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use tidegate_component::{Task, WorkerPool, Workers};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};

/// The variable that sets the number of workers where the configuration does not.
pub const WORKERS_VARIABLE: &str = "TIDEGATE_WORKERS";

/// Blocking threads that one worker may have at a time.
const BLOCKING_THREADS: usize = 16;

/// The number of workers where nobody sets one: what the scheduler's affinity and the cgroup's
/// CPU quota leave to this process.
#[must_use]
pub fn default_workers() -> usize {
    std::env::var(WORKERS_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|count| *count > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// The workers of the process, fixed for its life.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    id: u64,
    workers: Vec<Worker>,
    next: AtomicUsize,
}

struct Worker {
    runtime: Handle,
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

thread_local! {
    /// The worker that this thread is, by the pools' numbers: one pool, but in tests.
    static HERE: RefCell<Vec<(u64, usize)>> = const { RefCell::new(Vec::new()) };
}

static POOLS: AtomicU64 = AtomicU64::new(0);

impl Pool {
    /// Starts this many threads.
    pub fn start(count: usize) -> std::io::Result<Self> {
        let id = POOLS.fetch_add(1, Relaxed);
        let workers = (0..count.max(1))
            .map(|index| Worker::start(id, index))
            .collect::<Result<_, _>>()?;
        Ok(Self::new(id, workers))
    }

    /// Makes the calling thread the only worker, on the runtime that it is in.
    ///
    /// The runtime must be a current-thread one. Tests run a whole graph this way under one
    /// paused clock.
    #[must_use]
    pub fn here() -> Self {
        let id = POOLS.fetch_add(1, Relaxed);
        HERE.with_borrow_mut(|here| here.push((id, 0)));
        let worker = Worker {
            runtime: Handle::current(),
            stop: Arc::default(),
            thread: Mutex::default(),
        };
        Self::new(id, vec![worker])
    }

    fn new(id: u64, workers: Vec<Worker>) -> Self {
        Self(Arc::new(Inner {
            id,
            workers,
            next: AtomicUsize::new(0),
        }))
    }

    /// A handle for components.
    #[must_use]
    pub fn workers(&self) -> Workers {
        Workers::new(Arc::clone(&self.0) as Arc<dyn WorkerPool>)
    }

    /// How many workers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.workers.len()
    }

    /// Runs a closure on a worker's thread and brings back what it returns; none where the
    /// worker has stopped or the closure panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        worker: usize,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        self.0.workers[worker].runtime.spawn(async move {
            // Whoever asked may be gone.
            let _ = done.send(job());
        });
        result.await.ok()
    }

    /// Waits until every worker has had its turn at something new.
    pub async fn respond(&self) {
        let jobs = (0..self.count()).map(|worker| self.run(worker, || ()));
        futures_util::future::join_all(jobs).await;
    }

    /// Stops the threads; tasks that still run on them are dropped.
    pub async fn stop(&self) {
        let threads: Vec<_> = self.0.workers.iter().filter_map(Worker::stop).collect();
        let join = || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

impl Worker {
    fn start(pool: u64, index: usize) -> std::io::Result<Self> {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let (started, runtime) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .max_blocking_threads(BLOCKING_THREADS)
                    .thread_name(format!("blocking-{index}"))
                    .build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(started.send(Err(error))),
                };
                HERE.with_borrow_mut(|here| here.push((pool, index)));
                if started.send(Ok(runtime.handle().clone())).is_ok() {
                    runtime.block_on(stopped.notified());
                }
                runtime.shutdown_background();
            })?;
        let runtime = runtime.recv().map_err(std::io::Error::other)??;
        Ok(Self {
            runtime,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    fn stop(&self) -> Option<JoinHandle<()>> {
        self.stop.notify_one();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.take()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.stop.notify_one();
        }
    }
}

impl WorkerPool for Inner {
    fn count(&self) -> usize {
        self.workers.len()
    }

    fn spawn(&self, worker: usize, task: Task) {
        self.workers[worker].runtime.spawn(task);
    }

    fn current(&self) -> Option<usize> {
        HERE.with_borrow(|here| {
            let mine = here.iter().find(|(pool, _)| *pool == self.id);
            mine.map(|(_, index)| *index)
        })
    }

    fn next(&self) -> usize {
        self.next.fetch_add(1, Relaxed) % self.workers.len()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pool").field(&self.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_worker_knows_its_index_and_the_caller_is_none() {
        let pool = Pool::start(3).unwrap();
        for worker in 0..3 {
            let workers = pool.workers();
            let seen = pool.run(worker, move || workers.current()).await;
            assert_eq!(seen, Some(Some(worker)));
        }
        assert_eq!(pool.workers().current(), None);
        pool.stop().await;
        assert_eq!(pool.run(0, || ()).await, None);
    }

    #[tokio::test]
    async fn connections_are_dealt_in_turn() {
        let workers = Pool::start(2).unwrap().workers();
        let dealt: Vec<_> = (0..4).map(|_| workers.next()).collect();
        assert_eq!(dealt, [0, 1, 0, 1]);
    }

    #[tokio::test]
    async fn calling_thread_can_be_the_only_worker() {
        let pool = Pool::here();
        assert_eq!((pool.count(), pool.workers().current()), (1, Some(0)));
        assert_eq!(pool.run(0, || 7).await, Some(7));
    }

    #[tokio::test]
    async fn panic_in_a_task_leaves_the_worker_alive() {
        let pool = Pool::start(1).unwrap();
        let none: Option<()> = pool.run(0, || panic!("on purpose")).await;
        assert_eq!(none, None);
        assert_eq!(pool.run(0, || 7).await, Some(7));
    }
}
