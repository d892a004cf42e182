//! How the process is, for health checks and the admin page.

use serde::Serialize;

pub use crate::ledger::{LedgerRow, Summary};

/// Where a process stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Components are being started.
    Starting,
    /// Receivers take data.
    Running,
    /// Receivers take no more data; what is inside is being delivered.
    Stopping,
}

impl Phase {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// How one pipeline is.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineStatus {
    /// Its name, as `traces/sampled`.
    pub name: String,
    /// Its signal.
    pub signal: &'static str,
    /// Receivers and connectors that feed it.
    pub receivers: Vec<String>,
    /// Its processors in order.
    pub processors: Vec<String>,
    /// Exporters and connectors that it feeds, and exporters that get what these give up.
    pub exporters: Vec<ExporterStatus>,
    /// What an answer from it is worth: memory, durable or delivered.
    pub promise: &'static str,
    /// Whether it takes data and every exporter of it delivers.
    pub healthy: bool,
}

/// How one exporter is for one signal.
#[derive(Clone, Debug, Serialize)]
pub struct ExporterStatus {
    /// Its name.
    pub id: String,
    /// Whether the last delivery went well; true before the first.
    pub healthy: bool,
    /// The last failure, while it is not healthy.
    pub error: Option<String>,
    /// The state of its circuit breaker, where it has one: closed, half_open or open.
    pub breaker: Option<&'static str>,
    /// Requests in its queue.
    pub queue_size: usize,
}

/// What the engine tells of itself.
pub trait StatusSource: Send + Sync {
    /// Where the process stands.
    fn phase(&self) -> Phase;
    /// Every pipeline.
    fn pipelines(&self) -> Vec<PipelineStatus>;
    /// Every edge of the graph.
    fn ledger(&self) -> Vec<LedgerRow>;
    /// The extensions that were started, in this order.
    fn extensions(&self) -> Vec<String> {
        Vec::new()
    }
}
