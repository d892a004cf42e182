//! Wiring: from what a configuration names to a graph that can run.
//!
//! Wiring builds every component once and opens nothing, so validating a configuration is wiring
//! it in surroundings that lead nowhere.

mod doors;
mod ends;
mod nodes;
mod order;
mod parts;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;

use tidegate_component::metrics::{Metrics, Registry as MetricsRegistry};
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentId, Extension, Extensions, Factory, Gates,
    Preparations, Promise, Reasons, Receiver, Shared, Storages, Workers,
};
use tidegate_config::Kind;
use tidegate_pdata::{Budget, Signal, Signals};

pub(crate) use parts::{ConnectorPart, ExporterPart, Factories, Parts, PipelinePart};

use crate::graph::{Graph, InFlight, Inbox, Timer};
use crate::sink::{Sink, SinkSettings};
use ends::Ends;
use nodes::Plans;
use order::Unit;

/// What a graph is wired into.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) workers: Workers,
    pub(crate) budget: Arc<Budget>,
    pub(crate) metrics: MetricsRegistry,
    /// The extensions that components may name, once they are built.
    pub(crate) extensions: Extensions,
    /// What components want done before the first batch; anew for each graph.
    pub(crate) preparations: Preparations,
    /// Builds the delivery of one exporter and signal.
    pub(crate) sink: MakeSink,
}

/// Builds the delivery of one exporter and signal; opens nothing.
pub(crate) type MakeSink =
    Arc<dyn Fn(SinkSettings) -> Result<Arc<dyn Sink>, Vec<BuildError>> + Send + Sync>;

/// A component that cannot be built.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) id: ComponentId,
    pub(crate) error: BuildError,
}

/// A graph with the components that it is started from.
pub(crate) struct Wired {
    pub(crate) graph: Arc<Graph>,
    pub(crate) receivers: Vec<(ComponentId, Box<dyn Receiver>)>,
    pub(crate) exporters: Vec<(ComponentId, AnyExporter)>,
    pub(crate) extensions: Vec<(ComponentId, Arc<dyn Extension>)>,
    pub(crate) preparations: Preparations,
    /// Shuts every door when it is set.
    pub(crate) closing: Arc<AtomicBool>,
}

/// Every component, built once and not yet joined.
struct Trial {
    order: Vec<Unit>,
    ends: Ends,
    plans: Plans,
    receivers: Vec<(ComponentId, Box<dyn Receiver>)>,
    extensions: Vec<(ComponentId, Arc<dyn Extension>)>,
    preparations: Preparations,
    faults: Vec<Fault>,
}

impl Trial {
    fn of(parts: &Parts, around: &Surroundings) -> Self {
        let mut faults = Vec::new();
        let order = order::order(parts);
        let extensions = build_all(
            Kind::Extension,
            parts.extensions.iter().map(|(id, factory)| (id, factory)),
            around,
            &mut faults,
        );
        let storages = extensions.iter().map(|(id, it)| (id.clone(), it.storage()));
        let storages = Storages::new(storages.collect());
        let around = &Surroundings {
            extensions: joined(&extensions, &mut faults),
            preparations: Preparations::default(),
            ..around.clone()
        };
        let ends = Ends::build(parts, &storages, around, &mut faults);
        let plans = nodes::plan(parts, &order, &ends, around, &mut faults);
        let receivers = receivers(parts, &storages, around, &mut faults);
        Self {
            order,
            ends,
            plans,
            receivers,
            extensions,
            preparations: around.preparations.clone(),
            faults,
        }
    }
}

/// The components that cannot be built, of parts that need not fit together.
pub(crate) fn faults(parts: &Parts, around: &Surroundings) -> Vec<Fault> {
    Trial::of(parts, around).faults
}

/// Builds everything once and joins it; every component that cannot be built is reported.
pub(crate) fn wire(parts: &Parts, around: &Surroundings) -> Result<Wired, Vec<Fault>> {
    let Trial {
        order,
        mut ends,
        plans,
        receivers,
        extensions,
        preparations,
        faults,
    } = Trial::of(parts, around);
    if !faults.is_empty() {
        return Err(faults);
    }
    let workers = around.workers.count();
    let (nodes, pipelines) = nodes::assemble(parts, &order, &ends, plans, workers);
    let graph = Graph {
        id: Graph::next_id(),
        doors: doors::doors(parts, workers),
        nodes,
        pipelines,
        sinks: std::mem::take(&mut ends.sinks),
        inlines: std::mem::take(&mut ends.inlines),
        inboxes: (0..workers).map(|_| Inbox::default()).collect(),
        timers: (0..workers).map(|_| Arc::<Timer>::default()).collect(),
        in_flight: InFlight::default(),
        shut: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        closed: AtomicBool::new(false),
    };
    Ok(Wired {
        graph: Arc::new(graph),
        receivers,
        exporters: ends.exporters,
        extensions,
        preparations,
        closing: Arc::default(),
    })
}

/// Builds the receivers, which may keep their places in a storage.
fn receivers(
    parts: &Parts,
    storages: &Storages,
    around: &Surroundings,
    faults: &mut Vec<Fault>,
) -> Vec<(ComponentId, Box<dyn Receiver>)> {
    let mut built = Vec::new();
    for (id, factory) in &parts.receivers {
        let context = BuildContext {
            storages: storages.clone(),
            ..context(Kind::Receiver, id, around)
        };
        match factory.build(&context) {
            Ok(receiver) => built.push((id.clone(), receiver)),
            Err(error) => faults.push(Fault {
                kind: Kind::Receiver,
                id: id.clone(),
                error,
            }),
        }
    }
    built
}

/// The extensions, each with those that it stands on.
fn joined(built: &[(ComponentId, Arc<dyn Extension>)], faults: &mut Vec<Fault>) -> Extensions {
    let all = Extensions::new(built.iter().cloned());
    for (id, extension) in built {
        if let Err(error) = extension.join(&all) {
            faults.push(Fault {
                kind: Kind::Extension,
                id: id.clone(),
                error,
            });
        }
    }
    all
}

/// Builds one instance of each component of a kind.
fn build_all<'a, T: 'a>(
    kind: Kind,
    parts: impl IntoIterator<Item = (&'a ComponentId, &'a Arc<dyn Factory<T>>)>,
    around: &Surroundings,
    faults: &mut Vec<Fault>,
) -> Vec<(ComponentId, T)> {
    let mut built = Vec::new();
    for (id, factory) in parts {
        match factory.build(&context(kind, id, around)) {
            Ok(component) => built.push((id.clone(), component)),
            Err(error) => faults.push(Fault {
                kind,
                id: id.clone(),
                error,
            }),
        }
    }
    built
}

/// What a component is built with that is one for all workers and pipelines.
fn context(kind: Kind, id: &ComponentId, around: &Surroundings) -> BuildContext {
    BuildContext {
        id: id.clone(),
        kind: kind.name(),
        pipeline: None,
        signal: None,
        signals: Signals::ALL,
        worker: 0,
        workers: around.workers.count(),
        budget: Arc::clone(&around.budget),
        metrics: Metrics::new(around.metrics.clone(), &[(kind.name(), id.as_str())]),
        shared: Shared::default(),
        reasons: Reasons::default(),
        gates: Gates::default(),
        promise: Promise::Memory,
        routes: Vec::new(),
        storages: Storages::default(),
        extensions: around.extensions.clone(),
        preparations: around.preparations.clone(),
        waker: Waker::noop().clone(),
    }
}

/// What a component is built with that belongs to one signal.
fn signal_context(
    kind: Kind,
    id: &ComponentId,
    signal: Signal,
    around: &Surroundings,
) -> BuildContext {
    BuildContext {
        signal: Some(signal),
        ..context(kind, id, around)
    }
}
