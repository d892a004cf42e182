//! A worker's part of a graph: its own instance of every node.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

use tidegate_component::{BuildError, Connector, Processor};
use tokio::time::Instant;

use super::step::fenced;
use super::{Bell, Graph, Make, Node, Place, Timer};

/// Batches run from the inbox before other tasks of the worker get their turn.
const INBOX_ROUND: usize = 64;
/// How long a node waits that says it is due but stays due when it was flushed.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// Lies past every deadline.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

thread_local! {
    /// The graphs that this thread has a part of: one, but during a reload and in tests.
    static GRAPHS: RefCell<Vec<Rc<Local>>> = const { RefCell::new(Vec::new()) };
}

/// This thread's part of a graph, if it is one of its workers.
pub(crate) fn local(graph: u64) -> Option<Rc<Local>> {
    GRAPHS.with_borrow(|graphs| graphs.iter().find(|local| local.graph.id == graph).cloned())
}

/// One worker's instances.
pub(crate) struct Local {
    pub(super) graph: Arc<Graph>,
    pub(super) worker: usize,
    pub(super) slots: Box<[Slot]>,
    /// When the clock will wake, if it is set.
    armed: Cell<Option<Instant>>,
}

/// One instance and what is known of it between calls.
pub(super) struct Slot {
    pub(super) instance: RefCell<Instance>,
    pub(super) due: Cell<Option<Instant>>,
    /// Rung by the instance from elsewhere to be flushed.
    pub(super) bell: Arc<Bell>,
    /// Items that it held after the last call.
    pub(super) held: Cell<usize>,
}

pub(super) enum Instance {
    Processor(Box<dyn Processor>),
    Connector(Box<dyn Connector>),
}

impl Instance {
    /// Builds a node's instance on the worker that will own it.
    pub(super) fn build(node: &Node, worker: usize, bell: &Arc<Bell>) -> Result<Self, BuildError> {
        let mut context = node.context.clone();
        context.worker = worker;
        context.waker = Arc::clone(bell).into();
        Ok(match &node.make {
            Make::Processor(factory, _) => Self::Processor(factory.build(&context)?),
            Make::Connector(factory, ..) => Self::Connector(factory.build(&context)?),
        })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Processor(processor) => processor.deadline(),
            Self::Connector(connector) => connector.deadline(),
        }
    }

    pub(super) fn held(&self) -> (usize, usize) {
        match self {
            Self::Processor(processor) => processor.held(),
            Self::Connector(connector) => connector.held(),
        }
    }
}

impl Local {
    /// Builds the calling worker's part of a graph and sets it to work.
    ///
    /// An error comes with the position of the node that cannot be built.
    pub(crate) fn install(graph: &Arc<Graph>, worker: usize) -> Result<(), (usize, BuildError)> {
        let build = |(at, node): (usize, &Node)| {
            let bell = Arc::new(Bell::new(Arc::clone(&graph.timers[worker])));
            let instance = fenced(|| Instance::build(node, worker, &bell))
                .unwrap_or_else(|| Err(BuildError::at("", "it panicked while it was built")))
                .map_err(|error| (at, error))?;
            Ok(Slot {
                due: Cell::new(instance.deadline()),
                held: Cell::new(0),
                instance: RefCell::new(instance),
                bell,
            })
        };
        let slots = graph
            .nodes
            .iter()
            .enumerate()
            .map(build)
            .collect::<Result<_, _>>()?;
        let local = Rc::new(Self {
            graph: Arc::clone(graph),
            worker,
            slots,
            armed: Cell::new(None),
        });
        GRAPHS.with_borrow_mut(|graphs| graphs.push(local));
        tokio::spawn(serve(Arc::clone(graph), worker));
        tokio::spawn(Timer::keep(Arc::clone(graph), worker));
        Ok(())
    }

    /// Takes the calling worker's part down; what its nodes still hold is counted as left.
    ///
    /// The graph must be closed.
    pub(crate) fn remove(graph: &Graph, worker: usize) {
        graph.inboxes[worker].wake();
        graph.timers[worker].wake();
        let part = GRAPHS.with_borrow_mut(|graphs| {
            let at = graphs.iter().position(|local| local.graph.id == graph.id);
            at.map(|at| graphs.swap_remove(at))
        });
        let Some(part) = part else { return };
        for (node, slot) in graph.nodes.iter().zip(&part.slots) {
            let held = slot.held.take();
            node.left.add(held);
            node.tallies.of(worker).holds(0, 0);
        }
        // A destructor that panics must not take the worker along.
        fenced(|| drop(part));
    }

    /// Flushes one node as at shutdown: `now` lies past every deadline.
    pub(crate) fn flush_last(&self, node: usize) {
        self.flush(node, Instant::now() + NEVER);
    }

    /// Batches of which a node waits to hear how they ended.
    pub(crate) fn awaits(&self, node: usize) -> usize {
        match &*self.slots[node].instance.borrow() {
            Instance::Processor(_) => 0,
            Instance::Connector(connector) => connector.awaits(),
        }
    }

    /// Flushes every node that is due or asked for it, from the receivers to the exporters.
    pub(super) fn flush_due(&self, now: Instant) {
        if self.graph.draining.load(Acquire) {
            return;
        }
        for node in 0..self.slots.len() {
            let slot = &self.slots[node];
            let due = slot.due.get().is_some_and(|due| due <= now);
            if slot.bell.answer() || due {
                self.flush(node, now);
                let due = slot.due.get().map(|due| due.max(now + SHORTEST_WAIT));
                slot.due.set(due);
            }
        }
    }

    /// When the clock must wake next; from now on an earlier deadline wakes it.
    pub(super) fn arm(&self) -> Option<Instant> {
        if self.graph.draining.load(Acquire) {
            return None;
        }
        let rung = self.slots.iter().any(|slot| slot.bell.is_rung());
        let now = rung.then(Instant::now);
        let due = self.slots.iter().filter_map(|slot| slot.due.get());
        let due = due.chain(now).min();
        self.armed.set(due);
        due
    }

    /// Notes when a node is due next. A deadline that went away or moved on leaves the clock as
    /// it is: waking once too often is cheaper than setting it for each batch.
    pub(super) fn note_due(&self, slot: &Slot, due: Option<Instant>) {
        if slot.due.replace(due) == due {
            return;
        }
        let Some(due) = due else { return };
        if self.armed.get().is_none_or(|armed| due < armed) {
            self.armed.set(Some(due));
            self.graph.timers[self.worker].wake();
        }
    }
}

/// Runs what other threads hand to a worker until the graph is closed.
async fn serve(graph: Arc<Graph>, worker: usize) {
    let inbox = &graph.inboxes[worker];
    while !graph.closed.load(Acquire) {
        inbox.woken().await;
        while serve_round(&graph, worker) {
            tokio::task::yield_now().await;
        }
    }
}

/// Runs some of what is in the inbox and says whether there may be more.
fn serve_round(graph: &Graph, worker: usize) -> bool {
    let Some(local) = local(graph.id) else {
        return false;
    };
    for _ in 0..INBOX_ROUND {
        let Some((place, batch)) = graph.inboxes[worker].pop() else {
            return false;
        };
        local.run(place, batch);
        graph.in_flight.end();
    }
    true
}

impl Graph {
    /// Hands a batch to a worker; never waits.
    pub(crate) fn hand_over(&self, worker: usize, place: Place, batch: tidegate_pdata::Batch) {
        self.in_flight.begin();
        self.inboxes[worker].push(place, batch);
    }
}
