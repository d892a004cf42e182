//! Tasks on the workers that end when they are told to.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::{AbortHandle, Abortable};
use tidegate_component::Workers;

/// The running tasks of one delivery.
#[derive(Debug)]
pub(super) struct Tasks {
    workers: Workers,
    home: usize,
    /// Each with a mark that is gone when the task is.
    running: Mutex<Vec<(AbortHandle, Weak<()>)>>,
}

impl Tasks {
    pub(super) fn new(workers: Workers) -> Self {
        // Deliveries with few tasks would else all run on the first worker.
        static DELIVERIES: AtomicUsize = AtomicUsize::new(0);
        Self {
            home: DELIVERIES.fetch_add(1, Relaxed) % workers.count().max(1),
            workers,
            running: Mutex::new(Vec::new()),
        }
    }

    /// The worker for tasks that belong to none.
    pub(super) const fn home(&self) -> usize {
        self.home
    }

    pub(super) const fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Runs a task on a worker until it ends or all are aborted.
    pub(super) fn spawn(&self, worker: usize, task: impl Future<Output = ()> + Send + 'static) {
        let (handle, registration) = AbortHandle::new_pair();
        let task = Abortable::new(task, registration);
        let mark = Arc::new(());
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.retain(|(_, mark)| mark.strong_count() > 0);
            running.push((handle, Arc::downgrade(&mark)));
        }
        self.workers.spawn(worker, async move {
            let _ = task.await;
            drop(mark);
        });
    }

    /// Has every task dropped where it waits.
    pub(super) fn abort(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for (task, _) in &*running {
            task.abort();
        }
    }

    /// Whether every task has ended.
    pub(super) fn have_ended(&self) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(_, mark)| mark.strong_count() > 0);
        running.is_empty()
    }
}
