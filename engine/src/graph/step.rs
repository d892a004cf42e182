//! The way of a batch through its chain, on one worker, without waiting.
//!
//! A chain is walked with a list of what is still to do instead of by recursion, so its length
//! and the number of batches that a processor emits do not matter to the stack. Every call into
//! a component is fenced: a panic costs the batch and the instance, never the worker.

use std::panic::{AssertUnwindSafe, catch_unwind};

use smallvec::SmallVec;
use tidegate_component::{Outbox, Routes};
use tidegate_pdata::Batch;
use tokio::time::Instant;

use super::local::{Instance, Local, Slot};
use super::{End, Make, Node, Place, exchange};

/// What is still to do, the next at the end.
type Work = SmallVec<[(Place, Batch); 4]>;

/// What a node is called with.
enum Call {
    Batch(Batch),
    Flush(Instant),
    /// Nothing can be passed on any more.
    Close,
}

/// How an instance is after a call.
struct After {
    items: usize,
    bytes: usize,
    due: Option<Instant>,
}

/// What came of a call, beside the batches.
#[derive(Default)]
struct Done {
    /// Items emitted.
    went: usize,
    /// Items emitted in another signal than the node takes.
    converted: usize,
    created: usize,
    dropped: usize,
}

impl Local {
    /// Runs a batch from a place on until nothing of it is left to do.
    pub(crate) fn run(&self, place: Place, batch: Batch) {
        let mut work = Work::new();
        work.push((place, batch));
        // Components are fenced one by one; this keeps a fault of our own at the batch, too.
        fenced(|| self.finish(work));
    }

    /// Flushes one node and runs what it emits.
    pub(super) fn flush(&self, node: usize, now: Instant) {
        let mut work = Work::new();
        self.call(node, Call::Flush(now), 0, &mut work);
        self.finish(work);
    }

    /// Has one node account for what came back while the queues were drained.
    pub(crate) fn close(&self, node: usize) {
        let mut work = Work::new();
        self.call(node, Call::Close, 0, &mut work);
        debug_assert!(work.is_empty(), "nothing is emitted at the end");
    }

    fn finish(&self, mut work: Work) {
        while let Some((place, batch)) = work.pop() {
            match place {
                Place::Door(door) => self.enter(door as usize, batch, &mut work),
                Place::Node(node) => self.node(node as usize, batch, &mut work),
                Place::Dealt(node) => self.take(node as usize, batch, &mut work),
                Place::Ends(pipeline) => self.ends(pipeline as usize, batch, &mut work),
            }
        }
    }

    /// Spreads a batch over the pipelines behind a door.
    fn enter(&self, door: usize, batch: Batch, work: &mut Work) {
        let edges = &self.graph.doors[door].edges;
        let items = batch.items();
        for edge in edges {
            let tally = edge.tallies.of(self.worker);
            tally.came(items);
            tally.went(items);
        }
        let entries = edges
            .iter()
            .map(|edge| self.graph.pipelines[edge.pipeline].entry);
        spread(entries, batch, |entry, batch| work.push((entry, batch)));
    }

    /// Deals a batch over the workers where its node asks for that, and takes this worker's share.
    fn node(&self, node: usize, batch: Batch, work: &mut Work) {
        let Some(partition) = self.graph.nodes[node].exchange else {
            return self.take(node, batch, work);
        };
        let place = place(node, Place::Dealt);
        exchange::deal(partition, batch, self.graph.workers(), |worker, share| {
            if worker == self.worker {
                work.push((place, share));
            } else {
                self.graph.hand_over(worker, place, share);
            }
        });
    }

    fn take(&self, node: usize, batch: Batch, work: &mut Work) {
        let items = batch.items();
        self.call(node, Call::Batch(batch), items, work);
    }

    /// Calls a node's instance, keeps its account and puts what it emits on the list.
    fn call(&self, at: usize, call: Call, came: usize, work: &mut Work) {
        let node = &self.graph.nodes[at];
        let slot = &self.slots[at];
        let before = work.len();
        let mut done = Done::default();
        let after = match &node.make {
            Make::Processor(_, next) => {
                let mut out = Outbox::default();
                let after = fenced(|| slot.process(call, &mut out));
                for batch in out.take() {
                    done.went += batch.items();
                    work.push((*next, batch));
                }
                (done.created, done.dropped) = out.take_counts();
                after
            }
            Make::Connector(_, routes, entries) => {
                let mut out = Routes::new(routes);
                let after = fenced(|| slot.connect(call, &mut out));
                for (route, batch) in out.take() {
                    done.went += batch.items();
                    if batch.signal() != node.signal {
                        done.converted += batch.items();
                    }
                    work.push((entries[route], batch));
                }
                (done.created, done.dropped) = out.outbox.take_counts();
                after
            }
        };
        // The list is worked off from its end: what was emitted first goes first.
        work[before..].reverse();
        match after {
            Some(after) => self.settle(node, slot, came, &done, after),
            None => self.rebuild(node, slot, came, &done),
        }
    }

    /// Books a call that went well.
    fn settle(&self, node: &Node, slot: &Slot, came: usize, done: &Done, after: After) {
        let tally = node.tallies.of(self.worker);
        let created = done.created + done.converted;
        tally.came(came);
        tally.created(created);
        tally.went(done.went);
        tally.holds(after.items, after.bytes);
        let all = slot.held.replace(after.items) + came + created;
        let gone = all.saturating_sub(done.went + done.dropped + after.items);
        if gone > 0 {
            if node.converts() {
                // What neither went on nor stayed was made into something else.
                tally.consumed(gone);
            } else {
                node.unaccounted.add(gone);
            }
        }
        self.note_due(slot, after.due);
    }

    /// Books a call that panicked and puts a new instance in the old one's place.
    #[cold]
    fn rebuild(&self, node: &Node, slot: &Slot, came: usize, done: &Done) {
        let tally = node.tallies.of(self.worker);
        let created = done.created + done.converted;
        tally.came(came);
        tally.created(created);
        tally.went(done.went);
        tally.holds(0, 0);
        let all = slot.held.take() + came + created;
        let lost = all.saturating_sub(done.went + done.dropped);
        node.panicked.add(lost);
        let component = node.id.as_str();
        match Instance::build(node, self.worker, &slot.bell) {
            Ok(instance) => {
                let old = slot.instance.replace(instance);
                // A destructor that panics as well must not take the worker along.
                fenced(|| drop(old));
                tracing::error!(component, lost, "panicked; its instance is built anew");
            }
            // It was built from the same configuration before; the old instance stays.
            Err(error) => {
                tracing::error!(component, lost, %error, "panicked and cannot be built anew");
            }
        }
        let due = slot.instance.borrow().deadline();
        self.note_due(slot, due);
    }

    /// Gives a batch to every end of a pipeline.
    fn ends(&self, pipeline: usize, batch: Batch, work: &mut Work) {
        let ends = self.graph.pipelines[pipeline].ends.iter();
        spread(ends, batch, |end, batch| match end {
            End::Sink(at) => {
                let end = &self.graph.sinks[*at as usize];
                let items = batch.items();
                if fenced(|| end.sink.put(batch)).is_none() {
                    end.panicked.add(items);
                }
            }
            End::Inline(at) => self.graph.inlines[*at as usize].put(self.worker, batch),
            End::Node(at) => work.push((Place::Node(*at), batch)),
        });
    }
}

impl Slot {
    fn process(&self, call: Call, out: &mut Outbox) -> After {
        let mut instance = self.instance.borrow_mut();
        if let Instance::Processor(processor) = &mut *instance {
            match call {
                Call::Batch(batch) => processor.process(batch, out),
                Call::Flush(now) => processor.flush(now, out),
                Call::Close => {}
            }
        }
        instance.after()
    }

    fn connect(&self, call: Call, out: &mut Routes<'_>) -> After {
        let mut instance = self.instance.borrow_mut();
        if let Instance::Connector(connector) = &mut *instance {
            match call {
                Call::Batch(batch) => connector.process(batch, out),
                Call::Flush(now) => connector.flush(now, out),
                Call::Close => connector.close(&mut out.outbox),
            }
        }
        instance.after()
    }
}

impl Instance {
    fn after(&self) -> After {
        let (items, bytes) = self.held();
        let due = self.deadline();
        After { items, bytes, due }
    }
}

impl Node {
    /// Whether it makes another signal of what it takes.
    fn converts(&self) -> bool {
        match &self.make {
            Make::Processor(..) => false,
            Make::Connector(_, routes, _) => routes.iter().any(|route| route.signal != self.signal),
        }
    }
}

/// Runs a component's code; gives nothing where it panicked.
pub(super) fn fenced<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Gives a branch of a batch to each target and the batch itself to the last.
fn spread<T>(
    targets: impl ExactSizeIterator<Item = T>,
    batch: Batch,
    mut give: impl FnMut(T, Batch),
) {
    let mut left = targets.len();
    let mut batch = Some(batch);
    for target in targets {
        left -= 1;
        let branch = match left {
            0 => batch.take(),
            _ => batch.as_ref().map(Batch::fork),
        };
        if let Some(branch) = branch {
            give(target, branch);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a graph has far fewer nodes than 2^32"
)]
fn place(node: usize, kind: fn(u32) -> Place) -> Place {
    kind(node as u32)
}
