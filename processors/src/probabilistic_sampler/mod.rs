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
    /// Names of the attributes that it looks for.
    fn names(&self) -> Vec<&str>;

    /// Whether all that has none of these attributes passes as it is.
    fn passes_all(&self) -> bool;

    /// Begins a payload: no attribute is there unless `named`.
    fn begin(&mut self, named: bool);

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
    names: Names,
}

/// Finds out whether any of some names comes up in the bytes of a payload, which is far cheaper than
/// to look for an attribute in each item.
enum Names {
    None,
    Any(Regex),
    /// There is no telling.
    Unknown,
}

impl Names {
    /// Empty names do not count.
    fn new(names: &[&str]) -> Self {
        let names = names.iter().filter(|name| !name.is_empty());
        let names: Vec<_> = names.map(|name| regex::escape(name)).collect();
        if names.is_empty() {
            return Self::None;
        }
        Regex::new(&names.join("|")).map_or(Self::Unknown, Self::Any)
    }

    fn may_be_in(&self, payload: &Payload) -> bool {
        match self {
            Self::None => false,
            Self::Any(names) => {
                let mut segments = payload.segments().iter();
                segments.any(|segment| names.is_match(segment.bytes()))
            }
            Self::Unknown => true,
        }
    }
}

impl<E: Sampling> Sampler<E> {
    fn new(edit: E, counts: Counts, sampled_out: Reason) -> Self {
        Self {
            splicer: Splicer::default(),
            names: Names::new(&edit.names()),
            edit,
            counts,
            sampled_out,
        }
    }
}

impl<E: Sampling> Processor for Sampler<E> {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let named = self.names.may_be_in(batch.payload());
        if !named && self.edit.passes_all() {
            out.push(batch);
            return;
        }
        self.edit.begin(named);
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
