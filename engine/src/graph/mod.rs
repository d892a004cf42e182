//! The graph as it runs: what all workers share of it.
//!
//! Nodes (a pipeline's processors, the connectors) lie in one list in the order in which data
//! passes them, so an edge always points to the right: walking the list is walking the graph
//! from its receivers to its exporters. Each worker has an instance of every node
//! ([`local::Local`]); exporters are shared.

mod exchange;
mod inline;
mod local;
mod queue;
mod step;
mod tally;
#[cfg(test)]
mod tests;
mod timer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tidegate_component::{
    BuildContext, ComponentId, Connector, Factory, Gates, Partition, Processor, Promise, Reason,
    Route,
};
use tidegate_pdata::Signal;

pub(crate) use inline::InlineEnd;
pub(crate) use local::{Local, local};
pub(crate) use queue::{InFlight, Inbox};
pub(crate) use tally::{Tallies, Totals};
pub(crate) use timer::{Bell, Timer};

use crate::sink::Sink;

/// Where a batch is to go next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Through a receiver's door, into every pipeline behind it.
    Door(u32),
    /// Into a processor or a connector.
    Node(u32),
    /// Into a node, dealt to this worker already.
    Dealt(u32),
    /// To the ends of a pipeline.
    Ends(u32),
}

/// The shared part of a running graph.
pub(crate) struct Graph {
    /// Tells graphs apart within the process.
    pub(crate) id: u64,
    pub(crate) doors: Vec<Door>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) sinks: Vec<SinkEnd>,
    pub(crate) inlines: Vec<Arc<InlineEnd>>,
    /// Hand-overs to each worker.
    pub(crate) inboxes: Vec<Inbox>,
    /// The clock of each worker.
    pub(crate) timers: Vec<Arc<Timer>>,
    pub(crate) in_flight: InFlight,
    /// Set when receivers have stopped: nothing is brought in any more.
    pub(crate) shut: AtomicBool,
    /// Set when the queues are drained for good: nothing is passed on any more.
    pub(crate) draining: AtomicBool,
    /// Set when the workers' parts have been taken down.
    pub(crate) closed: AtomicBool,
}

/// A receiver's way into the pipelines of one signal.
pub(crate) struct Door {
    pub(crate) receiver: ComponentId,
    pub(crate) signal: Signal,
    pub(crate) edges: Vec<DoorEdge>,
}

/// A receiver's way into one pipeline.
pub(crate) struct DoorEdge {
    pub(crate) pipeline: usize,
    pub(crate) tallies: Tallies,
}

/// A processor of one pipeline, or a connector of one signal.
pub(crate) struct Node {
    pub(crate) id: ComponentId,
    pub(crate) signal: Signal,
    /// The pipeline of a processor.
    pub(crate) pipeline: Option<usize>,
    pub(crate) make: Make,
    /// What each instance is built with, but for the worker.
    pub(crate) context: BuildContext,
    /// How records are dealt before it, where that differs from how they come.
    pub(crate) exchange: Option<Partition>,
    pub(crate) tallies: Tallies,
    /// Items lost to a panic.
    pub(crate) panicked: Reason,
    /// Items that a processor took and did not account for: a fault of ours, made visible.
    pub(crate) unaccounted: Reason,
    /// Items still held when everything had been flushed.
    pub(crate) left: Reason,
}

/// How a node's instances are built.
pub(crate) enum Make {
    /// A processor, and where its batches go.
    Processor(Arc<dyn Factory<Box<dyn Processor>>>, Place),
    /// A connector, and where the batches of each route go.
    Connector(Arc<dyn Factory<Box<dyn Connector>>>, Vec<Route>, Vec<Place>),
}

/// One pipeline.
pub(crate) struct Pipeline {
    /// Its name, as `traces/sampled`.
    pub(crate) name: String,
    pub(crate) signal: Signal,
    /// Receivers and connectors that feed it.
    pub(crate) receivers: Vec<ComponentId>,
    pub(crate) processors: Vec<ComponentId>,
    /// Where a batch enters.
    pub(crate) entry: Place,
    pub(crate) ends: Vec<End>,
    /// The gates that its processors set.
    pub(crate) gates: Gates,
    /// What an answer is worth: the weakest of all branches.
    pub(crate) promise: Promise,
    /// The strongest promise that an end was told to keep.
    pub(crate) asked: Promise,
    /// The component that makes the promise no stronger; none where nothing weakens it.
    pub(crate) weakest: Option<ComponentId>,
}

/// What stands at the end of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An exporter behind a queue.
    Sink(u32),
    /// An exporter that takes on the spot.
    Inline(u32),
    /// A connector.
    Node(u32),
}

/// An exporter of one signal, behind a queue.
pub(crate) struct SinkEnd {
    pub(crate) id: ComponentId,
    pub(crate) signal: Signal,
    /// Items lost because the delivery itself panicked.
    pub(crate) panicked: Reason,
    /// Where what it gives up goes.
    pub(crate) letters: Option<End>,
    pub(crate) sink: Arc<dyn Sink>,
}

impl Graph {
    /// A number that no other graph of this process has.
    pub(crate) fn next_id() -> u64 {
        static GRAPHS: AtomicU64 = AtomicU64::new(0);
        GRAPHS.fetch_add(1, Relaxed)
    }

    /// How many workers run it.
    pub(crate) fn workers(&self) -> usize {
        self.inboxes.len()
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("id", &self.id)
            .field("pipelines", &self.pipelines.len())
            .finish_non_exhaustive()
    }
}
