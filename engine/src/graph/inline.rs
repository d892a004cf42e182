//! The end of a chain where the exporter takes the batch on the spot.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_component::metrics::Counter;
use tidegate_component::{
    BuildContext, ComponentId, Delivered, ExportError, InlineExporter, Reason,
};
use tidegate_pdata::{Batch, Outcome, Refusal, Signal};

use super::Tallies;
use super::step::fenced;
use crate::sink::Health;

/// What a sender is told to wait for an exporter that says nothing of it.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// An inline exporter, for one signal.
pub(crate) struct InlineEnd {
    pub(crate) id: ComponentId,
    pub(crate) signal: Signal,
    exporter: Arc<dyn InlineExporter>,
    pub(crate) tallies: Tallies,
    sent: Counter,
    failed: Counter,
    /// What the exporter would never take and the sender believes taken.
    rejected: Reason,
    /// What it did not take now and nobody sends again.
    refused: Reason,
    /// What it would never take, and the sender is told.
    returned: Reason,
    /// What it did not take now, and the sender is told.
    put_off: Reason,
    panicked: Reason,
    failing: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl InlineEnd {
    /// The end of an exporter for one signal.
    pub(crate) fn new(
        context: &BuildContext,
        signal: Signal,
        exporter: Arc<dyn InlineExporter>,
    ) -> Self {
        let count = |word: &str, help: &str| {
            let name = format!("otelcol_exporter_{word}_{}", signal.items());
            context.metrics.counter(&name, help, &[])
        };
        Self {
            id: context.id.clone(),
            signal,
            exporter,
            tallies: Tallies::new(context.workers),
            sent: count("sent", "Items that the far end took."),
            failed: count("send_failed", "Items that could not be delivered."),
            rejected: context.loss("rejected"),
            refused: context.loss("refused"),
            returned: context.reason("rejected"),
            put_off: context.reason("refused"),
            panicked: context.loss("panic"),
            failing: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Gives a batch to the exporter and settles its receipt.
    ///
    /// The exporter is one for all workers and holds what others wait for, so a panic costs the
    /// batch alone.
    pub(crate) fn put(&self, worker: usize, batch: Batch) {
        let items = batch.items();
        let tally = self.tallies.of(worker);
        tally.came(items);
        let result = fenced(|| self.exporter.apply(&batch));
        let receipt = batch.into_parts().2;
        match result {
            Some(Ok(delivered)) => {
                let rejected = self.delivered(&delivered, items);
                tally.consumed(items - rejected);
                receipt.settle(&Outcome::Delivered);
            }
            Some(Err(error)) => {
                let (reason, outcome) = self.outcome(&error, receipt.is_none());
                self.ended(reason, items, error.to_string());
                receipt.settle(&outcome);
            }
            None => {
                self.ended(&self.panicked, items, "the exporter panicked".to_owned());
                tracing::error!(component = self.id.as_str(), items, "panicked at a batch");
                receipt.settle(&Outcome::Lost);
            }
        }
    }

    /// Why items ended here.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &Reason> {
        let told = [&self.returned, &self.put_off];
        let lost = [&self.rejected, &self.refused, &self.panicked];
        told.into_iter().chain(lost)
    }

    pub(crate) fn health(&self) -> Health {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        Health {
            error: failure.clone(),
            breaker: None,
        }
    }

    /// Books a delivery and gives the number of items that were rejected.
    fn delivered(&self, delivered: &Delivered, items: usize) -> usize {
        let rejected = usize::try_from(delivered.rejected).map_or(items, |n| n.min(items));
        self.sent.add((items - rejected) as u64);
        if rejected > 0 {
            self.failed.add(rejected as u64);
            self.rejected.add(rejected);
        }
        if self.failing.load(Relaxed) {
            self.failing.store(false, Relaxed);
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!(component = self.id.as_str(), "takes batches again");
        }
        rejected
    }

    /// The line of the ledger, and what those are told who wait; without anybody it is a loss.
    fn outcome(&self, error: &ExportError, lost: bool) -> (&Reason, Outcome) {
        let put_off = if lost { &self.refused } else { &self.put_off };
        let returned = if lost { &self.rejected } else { &self.returned };
        let refusal =
            |after| Outcome::Refused(Refusal::new("an exporter cannot take it now", after));
        match error {
            ExportError::Retryable { .. } => (put_off, refusal(COME_AGAIN)),
            ExportError::Refused { after, .. } => (put_off, refusal(after.unwrap_or(COME_AGAIN))),
            ExportError::Permanent { .. } => {
                (returned, Outcome::Rejected(error.to_string().into()))
            }
        }
    }

    fn ended(&self, reason: &Reason, items: usize, error: String) {
        reason.add(items);
        self.failed.add(items as u64);
        if !self.failing.swap(true, Relaxed) {
            tracing::warn!(component = self.id.as_str(), error, "cannot take batches");
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}
