//! Running a graph: everything is started from the exporters back to the receivers, and stopped
//! the other way round.

#[cfg(test)]
mod genuine;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod recourse;
mod start;
mod status;
mod stop;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};

use tidegate_component::metrics::Registry as MetricsRegistry;
use tidegate_component::status::{LedgerRow, Phase, StatusSource};
use tidegate_component::{ComponentId, Extensions, Preparations};
use tidegate_pdata::Budget;

pub use start::StartFailure;

use crate::Pool;
use crate::delivery;
use crate::graph::Graph;
use crate::wiring::{MakeSink, Surroundings, Wired};

/// What the process runs graphs with: fixed for its life, while graphs come and go.
#[derive(Clone)]
pub struct Engine {
    pool: Pool,
    around: Surroundings,
}

impl Engine {
    /// An engine on these workers, within this budget, that counts in this registry.
    #[must_use]
    pub fn new(pool: Pool, budget: Arc<Budget>, metrics: MetricsRegistry) -> Self {
        Self::with_sinks(pool, budget, metrics, Arc::new(delivery::sink))
    }

    pub(crate) fn with_sinks(
        pool: Pool,
        budget: Arc<Budget>,
        metrics: MetricsRegistry,
        sink: MakeSink,
    ) -> Self {
        let around = Surroundings {
            workers: pool.workers(),
            budget,
            metrics,
            extensions: Extensions::default(),
            preparations: Preparations::default(),
            sink,
        };
        Self { pool, around }
    }

    /// The workers.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The process's own metrics.
    #[must_use]
    pub const fn metrics(&self) -> &MetricsRegistry {
        &self.around.metrics
    }

    /// The byte budget.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.around.budget
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engine").field(&self.pool).finish()
    }
}

/// A graph that runs.
///
/// Dropping it without [`Running::shutdown`] leaves its tasks to the end of the process.
pub struct Running {
    pool: Pool,
    wired: Wired,
    status: Arc<Status>,
}

impl Running {
    /// How the graph is, for whoever wants to know.
    #[must_use]
    pub fn status(&self) -> Arc<dyn StatusSource> {
        Arc::clone(&self.status) as Arc<dyn StatusSource>
    }

    /// What became of every item so far.
    #[must_use]
    pub fn ledger(&self) -> Vec<LedgerRow> {
        self.status.ledger()
    }
}

#[cfg(test)]
impl Running {
    pub(crate) fn graph(&self) -> &Graph {
        &self.wired.graph
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Running").field(&self.wired.graph).finish()
    }
}

/// What is told of a running graph.
struct Status {
    graph: Arc<Graph>,
    extensions: Vec<ComponentId>,
    phase: AtomicU8,
}

impl Status {
    fn new(wired: &Wired) -> Self {
        Self {
            graph: Arc::clone(&wired.graph),
            extensions: wired.extensions.iter().map(|(id, _)| id.clone()).collect(),
            phase: AtomicU8::new(0),
        }
    }

    fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::Starting => 0,
            Phase::Running => 1,
            Phase::Stopping => 2,
        };
        self.phase.store(number, Release);
    }

    fn now(&self) -> Phase {
        match self.phase.load(Acquire) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Stopping,
        }
    }
}
