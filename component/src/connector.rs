//! Connectors: an exporter of one pipeline and a receiver of others.

use smallvec::SmallVec;
use tidegate_pdata::{Batch, Outcome, Signal};
use tokio::time::Instant;

use crate::{Outbox, Partition, Promise};

/// A pipeline that a connector feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The pipeline's name, as `traces/sampled`.
    pub pipeline: String,
    /// Its signal.
    pub signal: Signal,
}

/// Joins pipelines. Like a processor, each instance is owned by one worker.
pub trait Connector {
    /// How records must be dealt over workers so that each instance owns its share.
    fn partition(&self) -> Partition {
        Partition::Any
    }

    /// What a kept outcome is worth before this connector, where `behind` is the weakest of the
    /// promises of the pipelines that it feeds.
    fn promise(&self, behind: Promise) -> Promise {
        behind
    }

    /// Takes one batch and emits any number to the pipelines that it feeds.
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>);

    /// When `flush` must next run, if this connector holds data.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Emits what is due, also after [`BuildContext::waker`](crate::BuildContext::waker) was
    /// woken; at shutdown `now` lies past every deadline.
    fn flush(&mut self, _now: Instant, _out: &mut Routes<'_>) {}

    /// Batches passed on of which it still waits to hear how they ended. At the shutdown they
    /// get some time for that before the queues behind are drained for good.
    fn awaits(&self) -> usize {
        0
    }

    /// Accounts for what came back while the queues behind were drained; called once, last.
    fn close(&mut self, _out: &mut Outbox) {}

    /// Items and bytes held between calls, for the ledger.
    fn held(&self) -> (usize, usize) {
        (0, 0)
    }
}

/// Takes what a connector emits, by pipeline.
#[derive(Debug)]
pub struct Routes<'a> {
    routes: &'a [Route],
    batches: SmallVec<[(usize, Batch); 2]>,
    /// Accounts for what is not passed on.
    pub outbox: Outbox,
}

impl<'a> Routes<'a> {
    /// An empty set over these pipelines.
    #[must_use]
    pub fn new(routes: &'a [Route]) -> Self {
        Self {
            routes,
            batches: SmallVec::new(),
            outbox: Outbox::default(),
        }
    }

    /// The pipelines that the connector feeds; their positions are used with [`Routes::push`].
    #[must_use]
    pub const fn routes(&self) -> &'a [Route] {
        self.routes
    }

    /// Passes a batch on to the pipeline at this position.
    ///
    /// The batch's signal must be the pipeline's. One without a record is settled as delivered
    /// and goes no further.
    pub fn push(&mut self, route: usize, batch: Batch) {
        debug_assert_eq!(self.routes[route].signal, batch.signal());
        if batch.payload().is_empty() {
            batch.into_parts().2.settle(&Outcome::Delivered);
        } else {
            self.batches.push((route, batch));
        }
    }

    /// Passes a batch on to every pipeline of its signal; the copies count as created.
    ///
    /// Where there is no such pipeline the batch ends here, lost.
    pub fn broadcast(&mut self, batch: Batch) {
        let signal = batch.signal();
        let all = self.routes;
        let mut to = (0..all.len()).filter(|at| all[*at].signal == signal);
        let Some(last) = to.next_back() else {
            return;
        };
        for route in to {
            self.outbox.created(batch.items());
            self.push(route, batch.fork());
        }
        self.push(last, batch);
    }

    /// Takes the batches out, in order, each with the position of its pipeline.
    pub fn take(&mut self) -> SmallVec<[(usize, Batch); 2]> {
        std::mem::take(&mut self.batches)
    }
}
