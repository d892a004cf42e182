//! The worker threads, as components see them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A task for a worker.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the engine implements: threads with a current-thread runtime each.
pub trait WorkerPool: Send + Sync {
    /// How many workers there are; fixed for the life of the process.
    fn count(&self) -> usize;
    /// Runs a task on one worker until it ends.
    fn spawn(&self, worker: usize, task: Task);
    /// The worker whose thread this is, or none off the workers.
    fn current(&self) -> Option<usize>;
    /// The worker that the next connection or file is dealt to.
    fn next(&self) -> usize;
}

/// A handle to the workers.
#[derive(Clone)]
pub struct Workers(Arc<dyn WorkerPool>);

impl Workers {
    /// A handle to this pool.
    #[must_use]
    pub fn new(pool: Arc<dyn WorkerPool>) -> Self {
        Self(pool)
    }

    /// How many workers there are; fixed for the life of the process.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// The worker whose thread this is, or none off the workers.
    #[must_use]
    pub fn current(&self) -> Option<usize> {
        self.0.current()
    }

    /// The worker that the next connection or file is dealt to.
    #[must_use]
    pub fn next(&self) -> usize {
        self.0.next()
    }

    /// Runs a task on one worker until it ends.
    ///
    /// A socket must be registered with the runtime that polls it: make it inside the task.
    pub fn spawn(&self, worker: usize, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(worker, Box::pin(task));
    }
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Workers").field(&self.count()).finish()
    }
}
