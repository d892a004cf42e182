//! The doors: each receiver's way into the pipelines of a signal.

use std::sync::{Arc, OnceLock};

use tidegate_component::metrics::Metrics;
use tidegate_component::{Gate, Intake, LOST_ITEMS, LOST_ITEMS_HELP, Promise};
use tidegate_config::Kind;
use tidegate_pdata::Signal;

use super::{Parts, Surroundings, Wired};
use crate::graph::{Door, DoorEdge, End, Graph, Tallies};
use crate::intake::Port;
use crate::sink::Sink;

/// A door for each receiver and signal that a pipeline joins.
pub(super) fn doors(parts: &Parts, workers: usize) -> Vec<Door> {
    let mut doors = Vec::new();
    for receiver in parts.receivers.keys() {
        for signal in Signal::ALL {
            let all = parts.pipelines.iter().enumerate();
            let edges: Vec<_> = all
                .filter(|(_, part)| part.signal == signal && part.receivers.contains(receiver))
                .map(|(pipeline, _)| DoorEdge {
                    pipeline,
                    tallies: Tallies::new(workers),
                })
                .collect();
            if !edges.is_empty() {
                doors.push(Door {
                    receiver: receiver.clone(),
                    signal,
                    edges,
                });
            }
        }
    }
    doors
}

impl Wired {
    /// The door of each signal that a receiver is given at its start.
    ///
    /// Asked for when the workers have built their parts, since processors set gates then.
    pub(crate) fn intakes(
        &self,
        parts: &Parts,
        receiver: &tidegate_component::ComponentId,
        around: &Surroundings,
    ) -> [Option<Intake>; 3] {
        let mut intakes = [const { None }; 3];
        for (at, door) in self.graph.doors.iter().enumerate() {
            if door.receiver == *receiver {
                intakes[door.signal.index()] = Some(self.intake(parts, at, around));
            }
        }
        intakes
    }

    fn intake(&self, parts: &Parts, at: usize, around: &Surroundings) -> Intake {
        let graph = &self.graph;
        let door = &graph.doors[at];
        let kind = Kind::Receiver.name();
        let metrics = Metrics::new(around.metrics.clone(), &[(kind, door.receiver.as_str())]);
        let mut reached: Vec<usize> = Vec::new();
        let mut promise = Promise::Delivered;
        for edge in &door.edges {
            reached.extend(parts.reach_surely(edge.pipeline));
            promise = promise.min(graph.pipelines[edge.pipeline].promise);
        }
        reached.sort_unstable();
        reached.dedup();
        let gates = gates(graph, &reached);
        let ceilings = gates.iter().filter_map(|gate| gate.ceiling());
        Intake::new(Arc::new(Port {
            graph: Arc::clone(graph),
            door: super::ends::index(at),
            budget: Arc::clone(&around.budget),
            ceiling: ceilings.min_by_key(|ceiling| ceiling.bytes),
            gates,
            sinks: sinks(graph, &reached),
            promise,
            closing: Arc::clone(&self.closing),
            turn: Arc::default(),
            lost_receipts: metrics.counter(
                LOST_ITEMS,
                LOST_ITEMS_HELP,
                &[
                    ("pipeline", ""),
                    ("signal", door.signal.name()),
                    ("reason", "lost_receipt"),
                ],
            ),
            metrics,
            transport: "",
            counts: OnceLock::new(),
        }))
    }
}

fn gates(graph: &Graph, pipelines: &[usize]) -> Arc<[Arc<dyn Gate>]> {
    let mut gates: Vec<Arc<dyn Gate>> = Vec::new();
    for pipeline in pipelines {
        let pipeline = &graph.pipelines[*pipeline];
        let connectors = pipeline.ends.iter().filter_map(|end| match end {
            End::Node(node) => Some(&graph.nodes[*node as usize].context.gates),
            End::Sink(_) | End::Inline(_) => None,
        });
        let all = connectors.chain([&pipeline.gates]);
        for gate in all.flat_map(tidegate_component::Gates::list) {
            if !gates.iter().any(|known| Arc::ptr_eq(known, &gate)) {
                gates.push(gate);
            }
        }
    }
    gates.into()
}

fn sinks(graph: &Graph, pipelines: &[usize]) -> Arc<[Arc<dyn Sink>]> {
    let ends = pipelines.iter().flat_map(|at| &graph.pipelines[*at].ends);
    let mut sinks: Vec<u32> = ends
        .filter_map(|end| match end {
            End::Sink(sink) => Some(*sink),
            End::Inline(_) | End::Node(_) => None,
        })
        .collect();
    sinks.sort_unstable();
    sinks.dedup();
    let sinks = sinks.into_iter().map(|at| &graph.sinks[at as usize].sink);
    sinks.map(Arc::clone).collect()
}
