//! `interval`: passes on the latest point of each series once an interval.
//!
//! What is held of a batch are copies of its latest points, each in the place that it will have in the request.

mod held;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Outbox, Partition, Processor, Promise, Reason,
    Stability,
};
use tidegate_document::Duration;
use tidegate_pdata::splice::{
    DataPoint, DataPointEditor, Edits, MetricEditor, ResourceEditor, ScopeEditor, Splicer, Verdict,
    Visit,
};
use tidegate_pdata::view::MetricData;
use tidegate_pdata::{Batch, Budget, Context, Outcome, Payload, Receipt, Signal, Signals};
use tokio::time::Instant;

use held::{Held, Kept};

/// The `AggregationTemporality` of what counts since a start.
const CUMULATIVE: i32 = 2;

/// Passes on the latest point of each gauge, summary and total once an interval; deltas and sums that rise and fall
/// pass as they come.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long points wait for later ones; so long senders wait too where the pipeline promises more than memory.
    interval: Duration,
    /// What passes as it comes.
    pass_through: PassThrough,
    /// Series of which points are held at a time; those of others pass as they come. `0` sets no limit.
    max_streams: u32,
}

/// What passes as it comes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct PassThrough {
    /// Gauges.
    gauge: bool,
    /// Summaries.
    summary: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            pass_through: PassThrough::default(),
            max_streams: 1_000_000,
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "interval";
    const STABILITY: Stability = Stability::Beta;
    const SIGNALS: Signals = Signals::METRICS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let interval: std::time::Duration = self.interval.into();
        if interval.is_zero() {
            return Err(
                BuildError::at("interval", "no point would wait for another")
                    .remedy("write how long points wait, as `60s`"),
            );
        }
        let most = match self.max_streams {
            0 => usize::MAX,
            most => most as usize,
        };
        Ok(Box::new(Interval {
            splicer: Splicer::default(),
            edit: Edit {
                pass_through: self.pass_through,
                held: Held::new(cx, most),
                superseded: 0,
                took: 0,
            },
            interval,
            due: None,
            carries: cx.promise > Promise::Memory,
            receipt: Receipt::none(),
            budget: Arc::clone(&cx.budget),
            superseded: cx.reason("superseded"),
            malformed: cx.loss("malformed"),
        }))
    }
}

struct Interval {
    splicer: Splicer,
    edit: Edit,
    interval: std::time::Duration,
    /// When what is held goes on.
    due: Option<Instant>,
    /// Whether receipts go along, because the pipeline promises more than memory.
    carries: bool,
    /// What is owed to those who sent what is held.
    receipt: Receipt,
    budget: Arc<Budget>,
    superseded: Reason,
    malformed: Reason,
}

/// The edits of a batch: what is held is taken out.
struct Edit {
    pass_through: PassThrough,
    held: Held,
    /// Points that gave way to later ones.
    superseded: usize,
    /// Points of this batch that are held.
    took: usize,
}

impl Processor for Interval {
    fn partition(&self) -> Partition {
        Partition::Series
    }

    fn promise(&self, behind: Promise) -> Promise {
        match self.carries {
            true => behind,
            false => Promise::Memory,
        }
    }

    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, mut receipt) = batch.into_parts();
        let payload = self.splicer.edit(payload, &mut self.edit);
        out.dropped(&self.superseded, std::mem::take(&mut self.edit.superseded));
        self.edit.held.settle();
        if std::mem::take(&mut self.edit.took) > 0 {
            self.due
                .get_or_insert_with(|| Instant::now() + self.interval);
            if self.carries {
                self.receipt.append(receipt.fork());
            } else if payload.is_empty() {
                receipt.settle_in_place(&Outcome::TakenOver);
            }
        }
        out.push(Batch::new(payload, context, receipt));
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn flush(&mut self, now: Instant, out: &mut Outbox) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        let (items, request) = self.edit.held.take();
        let receipt = std::mem::take(&mut self.receipt);
        let hold = self.budget.overdraw(request.len());
        match Payload::admit(Signal::Metrics, request, Some(hold)) {
            Ok(admitted) => out.push(Batch::new(admitted.payload, Context::default(), receipt)),
            // Cannot be: what was written is what was read.
            Err(_) => {
                out.dropped(&self.malformed, items);
                receipt.settle(&Outcome::Rejected("held points cannot be written".into()));
            }
        }
    }

    fn held(&self) -> (usize, usize) {
        self.edit.held.size()
    }
}

impl Edit {
    /// Whether points of a metric are held.
    fn holds(&self, data: MetricData<'_>) -> bool {
        match data {
            MetricData::Empty => false,
            MetricData::Gauge(_) => !self.pass_through.gauge,
            MetricData::Summary(_) => !self.pass_through.summary,
            MetricData::Sum(sum) => {
                let sum = sum.fields();
                sum.is_monotonic && sum.aggregation_temporality == CUMULATIVE
            }
            MetricData::Histogram(of) => of.aggregation_temporality() == CUMULATIVE,
            MetricData::ExponentialHistogram(of) => of.aggregation_temporality() == CUMULATIVE,
        }
    }
}

impl Edits for Edit {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        let schema_url = resource.schema_url().as_bytes().to_vec();
        self.held.resource(resource.view(), &schema_url);
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        let schema_url = scope.schema_url().as_bytes().to_vec();
        self.held.scope(scope.view(), &schema_url);
        Visit::Enter
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        let view = metric.view();
        if !self.holds(view.data()) {
            return Visit::Skip;
        }
        self.held.metric(view);
        Visit::Enter
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        let (bytes, time, attributes) = match point.view() {
            DataPoint::Number(of) => (of.bytes(), of.time_unix_nano(), of.attributes()),
            DataPoint::Histogram(of) => (of.bytes(), of.time_unix_nano(), of.attributes()),
            DataPoint::ExponentialHistogram(of) => {
                (of.bytes(), of.time_unix_nano(), of.attributes())
            }
            DataPoint::Summary(of) => (of.bytes(), of.time_unix_nano(), of.attributes()),
        };
        match self.held.point(bytes, time, attributes) {
            Kept::New => {}
            Kept::InPlace => self.superseded += 1,
            Kept::NoRoom => return Verdict::Keep,
        }
        self.took += 1;
        Verdict::Drop
    }
}
