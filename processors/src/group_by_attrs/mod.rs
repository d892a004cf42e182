//! `group_by_attrs`: moves attributes of records to their resources, and puts together what belongs to one.
//!
//! The records of a batch are looked at where they lie, dealt over groups as references, and
//! written once: a group's records one after the other.

mod groups;
mod keys;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::metrics::{Counter, Histogram};
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Outbox, Processor, Reason, Stability,
};
use tidegate_pdata::{Batch, Budget, Payload, Signal};

use groups::Groups;

/// Moves attributes of spans, log records and data points to their resources, so that those that have the same
/// values there share one; without keys it only puts together what has the same resource and scope.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The attributes that are moved, in place of those that the resource has under these keys.
    keys: Vec<String>,
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "group_by_attrs";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        if let Some(at) = self.keys.iter().position(String::is_empty) {
            let message = "an attribute has a name";
            return Err(BuildError::at(format!("keys::{at}"), message).remedy("take it out"));
        }
        let mut keys: Vec<Box<str>> = Vec::new();
        for key in &self.keys {
            if !keys.iter().any(|known| **known == **key) {
                keys.push(key.as_str().into());
            }
        }
        Ok(Box::new(GroupByAttrs {
            keys,
            budget: Arc::clone(&cx.budget),
            metrics: Metrics::new(cx),
            malformed: cx.loss("malformed"),
        }))
    }
}

struct GroupByAttrs {
    keys: Vec<Box<str>>,
    budget: Arc<Budget>,
    metrics: Metrics,
    malformed: Reason,
}

/// The original's own metrics of the signal.
struct Metrics {
    grouped: Counter,
    others: Counter,
    groups: Histogram,
}

impl Metrics {
    fn new(cx: &BuildContext) -> Self {
        let (records, one) = match cx.signal {
            Some(Signal::Metrics) => ("metrics", "metric"),
            Some(Signal::Logs) => ("logs", "log"),
            Some(Signal::Traces) | None => ("spans", "span"),
        };
        let prefix = "otelcol_processor_groupbyattrs";
        Self {
            grouped: cx.metrics.counter(
                &format!("{prefix}_num_grouped_{records}"),
                "Records of which attributes were moved.",
                &[],
            ),
            others: cx.metrics.counter(
                &format!("{prefix}_num_non_grouped_{records}"),
                "Records that have none of the attributes.",
                &[],
            ),
            groups: cx.metrics.histogram(
                &format!("{prefix}_{one}_groups"),
                "Resources that the records of a batch were dealt over.",
                &[],
                &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0],
            ),
        }
    }
}

impl Processor for GroupByAttrs {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        let made = self.group(&payload);
        match made {
            Ok(grouped) => out.push(Batch::new(grouped, context, receipt)),
            // Cannot be: what was written is what was read.
            Err(()) => {
                let batch = Batch::new(payload, context, receipt);
                out.reject(batch, &self.malformed, "grouping fails".into());
            }
        }
    }
}

impl GroupByAttrs {
    fn group(&self, payload: &Payload) -> Result<Payload, ()> {
        let signal = payload.signal();
        let groups = Groups::of(payload, &self.keys);
        self.metrics.grouped.add(groups.grouped);
        self.metrics.others.add(groups.others);
        self.metrics.groups.observe(groups.len() as f64);
        if groups.items() == 0 {
            return Ok(Payload::empty(signal));
        }
        let request = groups.write();
        let hold = self.budget.overdraw(request.len());
        let admitted = Payload::admit(signal, request, Some(hold)).map_err(|_| ())?;
        Ok(admitted.payload)
    }
}
