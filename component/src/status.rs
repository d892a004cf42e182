//! How the process is, for health checks and the admin page.

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// Exporters and connectors that it feeds.
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
    /// Requests in its queue.
    pub queue_size: usize,
}

/// One edge of the graph in the ledger: `in + created = out + consumed + dropped + held`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerRow {
    /// The pipeline, or empty for an exporter's queue that several share.
    pub pipeline: String,
    /// The kind of component: receiver, processor, exporter or connector.
    pub kind: &'static str,
    /// The component.
    pub component: String,
    /// The signal.
    pub signal: &'static str,
    /// Items that came in.
    pub r#in: u64,
    /// Items that were made here.
    pub created: u64,
    /// Items that went on.
    pub out: u64,
    /// Items that were delivered or used up here.
    pub consumed: u64,
    /// Items that ended here, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Items that are here now.
    pub held: u64,
}

impl LedgerRow {
    /// What the two sides of the row differ by; zero in a balanced row at rest.
    #[must_use]
    pub fn imbalance(&self) -> i128 {
        let dropped: u64 = self.dropped.values().sum();
        i128::from(self.r#in) + i128::from(self.created)
            - i128::from(self.out)
            - i128::from(self.consumed)
            - i128::from(dropped)
            - i128::from(self.held)
    }
}

/// What the engine tells of itself.
pub trait StatusSource: Send + Sync {
    /// Where the process stands.
    fn phase(&self) -> Phase;
    /// Every pipeline.
    fn pipelines(&self) -> Vec<PipelineStatus>;
    /// Every edge of the graph.
    fn ledger(&self) -> Vec<LedgerRow>;
}
