//! `count`: counts spans, span events, metrics, data points and log records, batch by batch.
//!
//! What a batch comes to is passed on at once as deltas, with the sender's receipt.

mod config;
mod counter;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Connector, Reason, Routes, Stability,
};
use tidegate_ottl::Faults;
use tidegate_pdata::splice::Splicer;
use tidegate_pdata::{Batch, Budget, Signal};

pub use config::Config;
use walk::Walk;

use crate::made::pass_on;

impl ComponentConfig for Config {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "count";
    const STABILITY: Stability = Stability::Beta;
    const PAIRS: &'static [(Signal, Signal)] = &[
        (Signal::Traces, Signal::Metrics),
        (Signal::Metrics, Signal::Metrics),
        (Signal::Logs, Signal::Metrics),
    ];

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        let signal = cx.signal.unwrap_or(Signal::Traces);
        Ok(Box::new(Count {
            splicer: Splicer::default(),
            walk: Walk::new(self.counters(signal)?, Faults::new(cx)),
            budget: Arc::clone(&cx.budget),
            counted: cx.reason("counted"),
            malformed: cx.loss("malformed"),
        }))
    }
}

struct Count {
    splicer: Splicer,
    walk: Walk,
    budget: Arc<Budget>,
    /// Data points in whose place is now how many there were; of other signals the ledger knows itself.
    counted: Reason,
    malformed: Reason,
}

impl Connector for Count {
    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        drop(self.splicer.edit(batch.payload().clone(), &mut self.walk));
        let request = self.walk.finish();
        let Some(batch) = self.walk.faults.turn_away(batch, &mut out.outbox) else {
            return;
        };
        if batch.signal() == Signal::Metrics && batch.items() > 0 {
            out.outbox.dropped(&self.counted, batch.items());
            out.outbox.created(request.items());
        }
        let (_, context, receipt) = batch.into_parts();
        pass_on(
            request,
            (context, receipt),
            &self.budget,
            &self.malformed,
            out,
        );
    }
}
