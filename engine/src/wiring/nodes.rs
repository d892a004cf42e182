//! The processors and connectors: what each promises, how its records are dealt, where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_component::{BuildContext, ComponentId, Gates, Partition, Promise, Route, Shared};
use tidegate_config::Kind;
use tidegate_pdata::{Signal, Signals};

use super::ends::{Ends, index};
use super::order::Unit;
use super::{Fault, Parts, Surroundings, signal_context};
use crate::graph::{End, Make, Node, Pipeline, Place, Tallies};

/// What is known of a node before the list of nodes exists.
struct NodePlan {
    context: BuildContext,
    partition: Partition,
}

/// What is known of the pipelines and connectors once each was built for trial.
pub(super) struct Plans {
    pipelines: Vec<PipelinePlan>,
    connectors: BTreeMap<(ComponentId, Signal), ConnectorPlan>,
}

#[derive(Default)]
struct PipelinePlan {
    gates: Gates,
    processors: Vec<NodePlan>,
    worth: Worth,
}

struct ConnectorPlan {
    node: NodePlan,
    worth: Worth,
}

/// What an answer is worth.
#[derive(Clone)]
struct Worth {
    /// The weakest of all branches: what the sender may rely on.
    promise: Promise,
    /// The strongest that any branch asks for: what receipts are carried for.
    asked: Promise,
    /// Whose promise it is that is the weakest.
    weakest: Option<ComponentId>,
}

impl Default for Worth {
    fn default() -> Self {
        Self {
            promise: Promise::Delivered,
            asked: Promise::Memory,
            weakest: None,
        }
    }
}

impl Worth {
    /// What two branches are worth together, the other one being that of `id`.
    fn join(mut self, other: &Self, id: &ComponentId) -> Self {
        self.asked = self.asked.max(other.asked);
        self.weaken(other.promise, id);
        self
    }

    fn weaken(&mut self, promise: Promise, id: &ComponentId) {
        if promise < self.promise {
            self.promise = promise;
            self.weakest = Some(id.clone());
        }
    }
}

/// Builds an instance of every node for trial, from the exporters back to the receivers, since
/// a promise is made at the end.
pub(super) fn plan(
    parts: &Parts,
    order: &[Unit],
    ends: &Ends,
    around: &Surroundings,
    faults: &mut Vec<Fault>,
) -> Plans {
    let mut planner = Planner {
        parts,
        ends,
        around,
        faults,
        shared: BTreeMap::new(),
        plans: Plans {
            pipelines: parts
                .pipelines
                .iter()
                .map(|_| PipelinePlan::default())
                .collect(),
            connectors: BTreeMap::new(),
        },
    };
    for unit in order.iter().rev() {
        match unit {
            Unit::Pipeline(at) => planner.pipeline(*at),
            Unit::Connector(id, signal) => planner.connector(id, *signal),
        }
    }
    planner.plans
}

struct Planner<'a> {
    parts: &'a Parts,
    ends: &'a Ends,
    around: &'a Surroundings,
    faults: &'a mut Vec<Fault>,
    /// What the instances of one component share over pipelines and workers.
    shared: BTreeMap<(Kind, ComponentId), Shared>,
    plans: Plans,
}

impl Planner<'_> {
    fn pipeline(&mut self, at: usize) {
        let pipeline = &self.parts.pipelines[at];
        let mut worth = Worth::default();
        let awaited = self.parts.is_awaited(at);
        for id in &pipeline.exporters {
            worth = worth.join(&self.behind(id, pipeline.signal, awaited), id);
        }
        let awaited = match awaited {
            true => Promise::Delivered,
            false => Promise::Memory,
        };
        let gates = Gates::default();
        let mut processors = Vec::new();
        for id in pipeline.processors.iter().rev() {
            let Some(factory) = self.parts.processors.get(id) else {
                continue;
            };
            let mut context = self.context(Kind::Processor, id, pipeline.signal);
            context.pipeline = Some(pipeline.name.clone());
            context.gates = gates.clone();
            context.promise = worth.asked.max(awaited);
            match factory.build(&context) {
                Ok(trial) => {
                    worth.weaken(trial.promise(worth.promise), id);
                    let partition = trial.partition();
                    processors.push(NodePlan { context, partition });
                }
                Err(error) => self.fault(Kind::Processor, id, error),
            }
        }
        processors.reverse();
        self.plans.pipelines[at] = PipelinePlan {
            gates,
            processors,
            worth,
        };
    }

    /// What a pipeline's end is worth.
    fn behind(&self, id: &ComponentId, signal: Signal, awaited: bool) -> Worth {
        if self.parts.connectors.contains_key(id) {
            let plan = self.plans.connectors.get(&(id.clone(), signal));
            return plan.map_or_else(Worth::default, |plan| plan.worth.clone());
        }
        let end = self.ends.of(id, signal);
        end.map_or_else(Worth::default, |end| {
            let (promise, asked) = self.ends.promise(end, awaited);
            Worth {
                promise,
                asked,
                weakest: None,
            }
        })
    }

    fn connector(&mut self, id: &ComponentId, signal: Signal) {
        let Some(part) = self.parts.connectors.get(id) else {
            return;
        };
        let fed = self.parts.routes(id, signal);
        let mut worth = Worth::default();
        for at in &fed {
            worth = worth.join(&self.plans.pipelines[*at].worth, id);
        }
        let mut context = self.context(Kind::Connector, id, signal);
        let signals = Signal::ALL.into_iter();
        let taken = signals.filter(|signal| !self.parts.feeders(id, *signal).is_empty());
        context.signals = taken.fold(Signals::NONE, |all, signal| all.and(signal.into()));
        context.promise = worth.asked;
        context.routes = fed
            .iter()
            .map(|at| &self.parts.pipelines[*at])
            .map(|pipeline| Route {
                pipeline: pipeline.name.clone(),
                signal: pipeline.signal,
            })
            .collect();
        match part.factory.build(&context) {
            Ok(trial) => {
                worth.weaken(trial.promise(worth.promise), id);
                let partition = trial.partition();
                let node = NodePlan { context, partition };
                let plan = ConnectorPlan { node, worth };
                self.plans.connectors.insert((id.clone(), signal), plan);
            }
            Err(error) => self.fault(Kind::Connector, id, error),
        }
    }

    fn context(&mut self, kind: Kind, id: &ComponentId, signal: Signal) -> BuildContext {
        let shared = self.shared.entry((kind, id.clone())).or_default();
        BuildContext {
            shared: shared.clone(),
            ..signal_context(kind, id, signal, self.around)
        }
    }

    /// Reports a component once, though several pipelines may name it.
    fn fault(&mut self, kind: Kind, id: &ComponentId, error: tidegate_component::BuildError) {
        let same =
            |fault: &Fault| fault.kind == kind && fault.id == *id && fault.error.path == error.path;
        if !self.faults.iter().any(same) {
            self.faults.push(Fault {
                kind,
                id: id.clone(),
                error,
            });
        }
    }
}

/// Where nodes and entries lie in the list.
struct Places {
    /// The first processor of each pipeline.
    first: Vec<usize>,
    connectors: BTreeMap<(ComponentId, Signal), usize>,
}

impl Places {
    fn new(parts: &Parts, order: &[Unit]) -> Self {
        let mut next = 0;
        let mut first = vec![0; parts.pipelines.len()];
        let mut connectors = BTreeMap::new();
        for unit in order {
            match unit {
                Unit::Pipeline(at) => {
                    first[*at] = next;
                    next += parts.pipelines[*at].processors.len();
                }
                Unit::Connector(id, signal) => {
                    connectors.insert((id.clone(), *signal), next);
                    next += 1;
                }
            }
        }
        Self { first, connectors }
    }

    /// Where a batch goes that has passed `passed` processors of a pipeline.
    fn within(&self, parts: &Parts, pipeline: usize, passed: usize) -> Place {
        if passed == parts.pipelines[pipeline].processors.len() {
            Place::Ends(index(pipeline))
        } else {
            Place::Node(index(self.first[pipeline] + passed))
        }
    }
}

/// Lays the nodes out in the order in which data passes them.
pub(super) fn assemble(
    parts: &Parts,
    order: &[Unit],
    ends: &Ends,
    mut plans: Plans,
    workers: usize,
) -> (Vec<Node>, Vec<Pipeline>) {
    let places = Places::new(parts, order);
    let mut nodes = Vec::new();
    // How records lie over the workers at the end of each pipeline.
    let mut left = vec![Partition::Any; parts.pipelines.len()];
    for unit in order {
        match unit {
            Unit::Pipeline(at) => {
                let mut force = Partition::Any;
                let plans = std::mem::take(&mut plans.pipelines[*at].processors);
                for (passed, plan) in plans.into_iter().enumerate() {
                    let exchange = exchange(plan.partition, &[force], workers);
                    force = exchange.unwrap_or(force);
                    let factory = Arc::clone(&parts.processors[&plan.context.id]);
                    let next = places.within(parts, *at, passed + 1);
                    let make = Make::Processor(factory, next);
                    nodes.push(node(plan, Some(*at), make, exchange));
                }
                left[*at] = force;
            }
            Unit::Connector(id, signal) => {
                let Some(plan) = plans.connectors.remove(&(id.clone(), *signal)) else {
                    continue;
                };
                let feeders = parts.feeders(id, *signal);
                let forces: Vec<_> = feeders.iter().map(|at| left[*at]).collect();
                let exchange = exchange(plan.node.partition, &forces, workers);
                let entries = parts.routes(id, *signal);
                let entries = entries
                    .iter()
                    .map(|at| places.within(parts, *at, 0))
                    .collect();
                let factory = Arc::clone(&parts.connectors[id].factory);
                let make = Make::Connector(factory, plan.node.context.routes.clone(), entries);
                nodes.push(node(plan.node, None, make, exchange));
            }
        }
    }
    let pipelines = (0..parts.pipelines.len())
        .map(|at| pipeline(parts, at, &places, ends, &plans.pipelines[at]))
        .collect();
    (nodes, pipelines)
}

/// How records must be dealt anew, when they come in these ways.
fn exchange(wanted: Partition, forces: &[Partition], workers: usize) -> Option<Partition> {
    let needed = wanted != Partition::Any && workers > 1;
    (needed && forces.iter().any(|force| *force != wanted)).then_some(wanted)
}

fn node(plan: NodePlan, pipeline: Option<usize>, make: Make, exchange: Option<Partition>) -> Node {
    let context = plan.context;
    Node {
        id: context.id.clone(),
        signal: context.signal.unwrap_or(Signal::Traces),
        pipeline,
        make,
        exchange,
        tallies: Tallies::new(context.workers),
        panicked: context.loss("panic"),
        unaccounted: context.loss("unaccounted"),
        left: context.loss("shutdown"),
        context,
    }
}

fn pipeline(
    parts: &Parts,
    at: usize,
    places: &Places,
    ends: &Ends,
    plan: &PipelinePlan,
) -> Pipeline {
    let part = &parts.pipelines[at];
    let end = |id: &ComponentId| {
        let connector = places.connectors.get(&(id.clone(), part.signal));
        let connector = connector.map(|node| End::Node(index(*node)));
        connector.or_else(|| ends.of(id, part.signal))
    };
    Pipeline {
        name: part.name.clone(),
        signal: part.signal,
        receivers: part.receivers.clone(),
        processors: part.processors.clone(),
        entry: places.within(parts, at, 0),
        ends: part.exporters.iter().filter_map(end).collect(),
        gates: plan.gates.clone(),
        promise: plan.worth.promise,
        asked: plan.worth.asked,
        weakest: plan.worth.weakest.clone(),
    }
}
