//! `probabilistic_sampler`: passes on a share of the spans or log records, the same for a whole trace.
//!
//! What passes says so: spans in `ot=th:…;rv:…` of their trace state, log records in the attributes
//! `sampling.threshold` and `sampling.randomness`. At 100 % everything passes as it is, but what a
//! priority of its own holds back; batches that have no such priority are not even walked.

mod config;
mod decision;
mod logs;
#[cfg(test)]
mod tests;
mod threshold;
mod traces;
mod tracestate;

use regex::bytes::Regex;
use tidegate_component::metrics::Counter;
use tidegate_component::{BuildContext, Outbox, Processor, Reason};
use tidegate_pdata::splice::{Edits, Splicer};
use tidegate_pdata::{Batch, Payload};

pub use config::Config;

use decision::Policy;

const POLICIES: usize = 6;

/// Decisions since they were last taken, by policy and whether the item passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally([[u64; 2]; POLICIES]);

impl Tally {
    const EMPTY: Self = Self([[0; 2]; POLICIES]);

    fn add(&mut self, policy: Policy, is_sampled: bool) {
        self.0[policy as usize][usize::from(is_sampled)] += 1;
    }
}

/// Edits that decide about items.
trait Sampling: Edits {
    /// What was decided since this was last emptied.
    fn tally(&mut self) -> &mut Tally;
}

/// The counters of decisions, in the order of [`Tally`].
struct Counts([[Counter; 2]; POLICIES]);

impl Counts {
    fn new(cx: &BuildContext, items: &str, attribute: &str) -> Self {
        let name = format!("otelcol_processor_probabilistic_sampler_count_{items}_sampled");
        let policies = [
            "missing_randomness",
            "trace_id_hash",
            "trace_id_w3c",
            "sampling_randomness",
            "sampling_priority",
            attribute,
        ];
        Self(policies.map(|policy| {
            ["false", "true"].map(|sampled| {
                let labels = [("policy", policy), ("sampled", sampled)];
                cx.metrics
                    .counter(&name, "Items that were sampled or not.", &labels)
            })
        }))
    }

    fn add(&self, tally: Tally) {
        for (counters, counts) in self.0.iter().zip(tally.0) {
            for (counter, count) in counters.iter().zip(counts) {
                if count > 0 {
                    counter.add(count);
                }
            }
        }
    }
}

struct Sampler<E> {
    splicer: Splicer,
    edit: E,
    counts: Counts,
    sampled_out: Reason,
    only_if: OnlyIf,
}

/// Which payloads need a walk.
enum OnlyIf {
    All,
    None,
    /// Those in whose bytes this name comes up.
    Named(Regex),
}

impl OnlyIf {
    /// Those with this name, where there is one; of an empty name none.
    fn new(name: Option<&str>) -> Self {
        match name {
            None => Self::All,
            Some("") => Self::None,
            Some(name) => Regex::new(&regex::escape(name)).map_or(Self::All, Self::Named),
        }
    }

    fn holds(&self, payload: &Payload) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Named(name) => {
                let mut segments = payload.segments().iter();
                segments.any(|segment| name.is_match(segment.bytes()))
            }
        }
    }
}

impl<E: Sampling> Sampler<E> {
    fn new(edit: E, counts: Counts, sampled_out: Reason, only_named: Option<&str>) -> Self {
        Self {
            splicer: Splicer::default(),
            edit,
            counts,
            sampled_out,
            only_if: OnlyIf::new(only_named),
        }
    }
}

impl<E: Sampling> Processor for Sampler<E> {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        if !self.only_if.holds(batch.payload()) {
            out.push(batch);
            return;
        }
        let before = batch.items();
        let (payload, context, receipt) = batch.into_parts();
        let payload = self.splicer.edit(payload, &mut self.edit);
        let tally = std::mem::replace(self.edit.tally(), Tally::EMPTY);
        self.counts.add(tally);
        let dropped = before - payload.items();
        if dropped > 0 {
            out.dropped(&self.sampled_out, dropped);
        }
        out.push(Batch::new(payload, context, receipt));
    }
}
