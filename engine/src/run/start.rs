//! Starting: extensions, exporters, the workers' parts, receivers, in this order.

use std::sync::Arc;

use tidegate_component::status::Phase;
use tidegate_component::{
    AnyExporter, BuildError, ComponentId, ExporterContext, ExtensionContext, ReceiverContext,
    StartError,
};
use tidegate_config::Kind;
use tokio::time::Instant;

use super::{Engine, Running, Status};
use crate::graph::Local;
use crate::ledger;
use crate::plan::Plan;
use crate::wiring::{Fault, Parts, Surroundings, Wired, wire};

/// Why a graph does not run.
#[derive(Debug, thiserror::Error)]
#[error("{kind} `{id}` cannot be started: {message}")]
pub struct StartFailure {
    /// The kind of component.
    pub kind: &'static str,
    /// The component.
    pub id: String,
    /// What failed, with the address or path at fault.
    pub message: String,
    /// Why.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StartFailure {
    fn started(kind: Kind, id: &ComponentId, error: StartError) -> Self {
        Self {
            kind: kind.name(),
            id: id.to_string(),
            message: error.message,
            source: error.source,
        }
    }

    fn built(kind: &'static str, id: &ComponentId, error: &BuildError) -> Self {
        Self {
            kind,
            id: id.to_string(),
            message: error.to_string(),
            source: None,
        }
    }

    fn stopped(worker: usize) -> Self {
        Self {
            kind: "worker",
            id: worker.to_string(),
            message: "it has stopped".to_owned(),
            source: None,
        }
    }
}

impl Engine {
    /// Starts what was planned; what was started is stopped again when a component cannot be.
    ///
    /// # Errors
    /// Names the first component that cannot be started, and its address or path.
    pub async fn start(&self, plan: &Plan) -> Result<Running, StartFailure> {
        self.start_parts(&plan.parts).await
    }

    pub(crate) async fn start_parts(&self, parts: &Parts) -> Result<Running, StartFailure> {
        let around = &self.around;
        let wired = wire(parts, around).map_err(first)?;
        let status = Arc::new(Status::new(&wired));
        let mut running = Running {
            pool: self.pool.clone(),
            wired,
            status,
        };
        let mut stage = Started::default();
        let started = running.start(parts, around, &mut stage).await;
        if let Err(failure) = started {
            running.undo(&stage).await;
            return Err(failure);
        }
        ledger::publish(&running.wired.graph, &around.metrics);
        running.status.enter(Phase::Running);
        Ok(running)
    }
}

// Wiring has succeeded when the configuration was checked, so one reason is enough here.
fn first(faults: Vec<Fault>) -> StartFailure {
    let first = faults.into_iter().next();
    let fault = first.expect("wiring fails with a fault at least");
    StartFailure::built(fault.kind.name(), &fault.id, &fault.error)
}

/// How many of each kind were started.
#[derive(Debug, Default)]
struct Started {
    extensions: usize,
    exporters: usize,
    receivers: usize,
}

impl Running {
    async fn start(
        &mut self,
        parts: &Parts,
        around: &Surroundings,
        started: &mut Started,
    ) -> Result<(), StartFailure> {
        for (id, extension) in &self.wired.extensions {
            let context = ExtensionContext {
                id: id.clone(),
                workers: around.workers.clone(),
                status: self.status(),
            };
            let result = extension.start(context).await;
            result.map_err(|error| StartFailure::started(Kind::Extension, id, error))?;
            started.extensions += 1;
        }
        for (id, exporter) in &self.wired.exporters {
            let context = ExporterContext {
                id: id.clone(),
                workers: around.workers.clone(),
                budget: Arc::clone(&around.budget),
                timeout: parts
                    .exporters
                    .get(id)
                    .and_then(|part| part.keys.attempt_timeout(part.defaults)),
            };
            let result = start_exporter(exporter, context).await;
            result.map_err(|error| StartFailure::started(Kind::Exporter, id, error))?;
            started.exporters += 1;
        }
        for end in &self.wired.graph.sinks {
            let result = end.sink.start().await;
            result.map_err(|error| StartFailure::started(Kind::Exporter, &end.id, error))?;
        }
        self.report_unclaimed();
        self.prepare(around).await?;
        self.install().await?;
        self.start_receivers(parts, around, started).await
    }

    /// Has done what components want done before the first batch, everything at a time.
    async fn prepare(&self, around: &Surroundings) -> Result<(), StartFailure> {
        let mut open = tokio::task::JoinSet::new();
        for preparation in self.wired.preparations.take() {
            let (kind, id) = (preparation.kind, preparation.id.to_string());
            let work = preparation.run(around.workers.clone());
            open.spawn(async move {
                work.await.map_err(|error| StartFailure {
                    kind,
                    id,
                    message: error.message,
                    source: error.source,
                })
            });
        }
        // What is still open when one fails ends with the set.
        while let Some(done) = open.join_next().await {
            done.unwrap_or_else(|error| {
                Err(StartFailure {
                    kind: "component",
                    id: "that prepares itself".to_owned(),
                    message: "it panicked".to_owned(),
                    source: Some(error.into()),
                })
            })?;
        }
        Ok(())
    }

    /// Tells of queues on disk that belong to no exporter any more.
    fn report_unclaimed(&self) {
        for (id, extension) in &self.wired.extensions {
            let Some(storage) = extension.storage() else {
                continue;
            };
            for log in storage.unclaimed().unwrap_or_default() {
                tracing::warn!(
                    storage = %id,
                    log = log.name,
                    bytes = log.bytes,
                    directory = %log.directory.display(),
                    "a queue on disk belongs to no exporter; it is kept: name the exporter again to deliver it, \
                     or take it out with `tidegate queue export`"
                );
            }
        }
    }

    /// Has every worker build its part.
    async fn install(&self) -> Result<(), StartFailure> {
        for worker in 0..self.pool.count() {
            let graph = Arc::clone(&self.wired.graph);
            let install = move || Local::install(&graph, worker);
            match self.pool.run(worker, install).await {
                Some(Ok(())) => {}
                Some(Err((at, error))) => {
                    let node = &self.wired.graph.nodes[at];
                    let kind = node.context.kind;
                    return Err(StartFailure::built(kind, &node.id, &error));
                }
                None => return Err(StartFailure::stopped(worker)),
            }
        }
        Ok(())
    }

    async fn start_receivers(
        &mut self,
        parts: &Parts,
        around: &Surroundings,
        started: &mut Started,
    ) -> Result<(), StartFailure> {
        let intakes = |wired: &Wired, id: &ComponentId| wired.intakes(parts, id, around);
        let all: Vec<_> = self
            .wired
            .receivers
            .iter()
            .map(|(id, _)| intakes(&self.wired, id))
            .collect();
        for ((id, receiver), intakes) in self.wired.receivers.iter_mut().zip(all) {
            let context = ReceiverContext {
                id: id.clone(),
                workers: around.workers.clone(),
                budget: Arc::clone(&around.budget),
                intakes,
            };
            let result = receiver.start(context).await;
            result.map_err(|error| StartFailure::started(Kind::Receiver, id, error))?;
            started.receivers += 1;
        }
        Ok(())
    }

    /// Stops what was started before something could not be.
    async fn undo(mut self, started: &Started) {
        self.wired.receivers.truncate(started.receivers);
        self.wired.exporters.truncate(started.exporters);
        self.wired.extensions.truncate(started.extensions);
        self.stop(Instant::now()).await;
    }
}

async fn start_exporter(
    exporter: &AnyExporter,
    context: ExporterContext,
) -> Result<(), StartError> {
    match exporter {
        AnyExporter::Remote(exporter) => exporter.start(context).await,
        AnyExporter::Inline(exporter) => exporter.start(context).await,
        AnyExporter::Bulk(exporter) => exporter.start(context).await,
    }
}
