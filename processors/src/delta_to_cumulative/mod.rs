//! `delta_to_cumulative`: adds up what came since the point before to what came since the start.
//!
//! Of each series the total is remembered, by the worker that owns the series; points change where they lie.

mod total;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::metrics::Counter;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Outbox, Partition, Processor, Reason, Stability,
};
use tidegate_document::Duration;
use tidegate_pdata::series::{SeriesHash, SeriesId};
use tidegate_pdata::splice::{
    DataPointEditor, Edits, MetricEditor, ResourceEditor, ScopeEditor, Splicer, Verdict, Visit,
};
use tidegate_pdata::view::MetricData;
use tidegate_pdata::{Batch, Signals};
use tokio::time::Instant;

use crate::series::Memory;
use total::{Added, Room, Taken, Total};

/// The `AggregationTemporality` of deltas.
const DELTA: i32 = 1;
/// The one of what counts since a start.
const CUMULATIVE: i32 = 2;

/// Turns deltas of sums, histograms and exponential histograms into totals since the first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a series is remembered after its last point.
    max_stale: Duration,
    /// Series that are remembered at a time; points of others are lost. `0` sets no limit.
    max_streams: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_stale: Duration::from_secs(300),
            max_streams: 1_000_000,
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "delta_to_cumulative";
    const STABILITY: Stability = Stability::Beta;
    const SIGNALS: Signals = Signals::METRICS;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let staleness: std::time::Duration = self.max_stale.into();
        if staleness.is_zero() {
            let message = "every series would be forgotten at once";
            return Err(BuildError::at("max_stale", message)
                .remedy("write how long a series may pause, as `5m`"));
        }
        Ok(Box::new(DeltaToCumulative::new(
            cx,
            self.max_streams,
            staleness,
        )))
    }
}

/// What becomes of a point, as far as the account goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Added,
    /// It began before its series.
    OlderStart,
    /// It is not newer than the point before.
    Late,
    /// There is no room to remember its series.
    NoRoom,
}

const FATES: usize = 4;

struct DeltaToCumulative {
    splicer: Splicer,
    add: Add,
    /// The original's counters, and for all but the first why points are dropped.
    points: [Counter; FATES],
    reasons: [Reason; FATES - 1],
}

/// The edits of a batch.
struct Add {
    hash: SeriesHash,
    memory: Memory<Total>,
    room: Room,
    now: Instant,
    resource: SeriesId,
    scope: SeriesId,
    metric: SeriesId,
    fates: [usize; FATES],
}

impl DeltaToCumulative {
    fn new(cx: &BuildContext, most: u64, staleness: std::time::Duration) -> Self {
        let points = |error: &str| {
            let labels = [("error", error)];
            let labels = if error.is_empty() { &[][..] } else { &labels };
            cx.metrics.counter(
                "otelcol_deltatocumulative_datapoints",
                "Data points that came, by what was wrong with them.",
                labels,
            )
        };
        let gauge = |name: &str, help: &str| {
            cx.metrics
                .gauge(&format!("otelcol_deltatocumulative_{name}"), help, &[])
        };
        let limit = gauge("streams_limit", "Series that may be remembered.");
        limit.set(if most == 0 { i64::MAX } else { most as i64 });
        let stale = gauge(
            "streams_max_stale",
            "Seconds for which a series is remembered.",
        );
        stale.set(staleness.as_secs() as i64);
        let tracked = gauge("streams_tracked", "Series that are remembered.");
        Self {
            splicer: Splicer::default(),
            add: Add {
                hash: SeriesHash::default(),
                memory: Memory::counted_by(cx, (most as usize, staleness), tracked),
                room: Room::default(),
                now: Instant::now(),
                resource: SeriesId::default(),
                scope: SeriesId::default(),
                metric: SeriesId::default(),
                fates: [0; FATES],
            },
            points: ["", "delta.ErrOlderStart", "delta.ErrOutOfOrder", "limit"].map(points),
            reasons: [
                cx.reason("older_start"),
                cx.reason("out_of_order"),
                cx.loss("stream_limit"),
            ],
        }
    }
}

impl Processor for DeltaToCumulative {
    fn partition(&self) -> Partition {
        Partition::Series
    }

    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        self.add.now = Instant::now();
        let (payload, context, receipt) = batch.into_parts();
        let payload = self.splicer.edit(payload, &mut self.add);
        let fates = std::mem::take(&mut self.add.fates);
        for (counter, points) in self.points.iter().zip(fates) {
            counter.add(points as u64);
        }
        for (reason, dropped) in self.reasons.iter().zip(&fates[1..]) {
            out.dropped(reason, *dropped);
        }
        self.add.memory.settle();
        out.push(Batch::new(payload, context, receipt));
    }

    fn deadline(&self) -> Option<Instant> {
        self.add.memory.deadline()
    }

    fn flush(&mut self, now: Instant, _: &mut Outbox) {
        self.add.memory.sweep(now);
        self.add.memory.settle();
    }

    fn held(&self) -> (usize, usize) {
        (0, self.add.memory.bytes())
    }
}

/// The number of a kind of metric, and whether its sums only rise; none where its points are no deltas.
fn nature(data: MetricData<'_>) -> Option<[u64; 2]> {
    let (kind, rises, temporality) = match data {
        MetricData::Sum(sum) => {
            let sum = sum.fields();
            (0, sum.is_monotonic, sum.aggregation_temporality)
        }
        MetricData::Histogram(of) => (1, true, of.aggregation_temporality()),
        MetricData::ExponentialHistogram(of) => (2, true, of.aggregation_temporality()),
        _ => return None,
    };
    (temporality == DELTA).then_some([kind, rises.into()])
}

impl Edits for Add {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        self.resource = self.hash.attributes(resource.view().attributes());
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        let scope = scope.view().fields();
        self.scope = self.hash.join([
            self.hash.bytes(scope.name.as_bytes()),
            self.hash.bytes(scope.version.as_bytes()),
            self.hash.attributes(scope.attributes),
        ]);
        Visit::Enter
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        let fields = metric.view().fields();
        let Some([kind, rises]) = nature(fields.data) else {
            return Visit::Skip;
        };
        self.metric = self.hash.join([
            self.resource,
            self.scope,
            self.hash.bytes(fields.name.as_bytes()),
            self.hash.bytes(fields.unit.as_bytes()),
            self.hash.number(kind),
            self.hash.number(rises),
        ]);
        metric.set_aggregation_temporality(CUMULATIVE);
        Visit::Enter
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        let fate = self.point(point);
        self.fates[fate as usize] += 1;
        (fate == Fate::Added).into()
    }
}

impl Add {
    fn point(&mut self, point: &mut DataPointEditor<'_>) -> Fate {
        let Some(taken) = Taken::of(point.view()) else {
            return Fate::Added;
        };
        if taken.has_no_value() {
            return Fate::Added;
        }
        let series = self
            .hash
            .join([self.metric, self.hash.attributes(taken.attributes())]);
        let room = &mut self.room;
        let known = (self.memory).known(series, self.now, |total| total.add(&taken, room));
        match known {
            Some(Added::Total(total)) => {
                self.room.write(&total, point);
                Fate::Added
            }
            Some(Added::First) => Fate::Added,
            Some(Added::Not(fate)) => fate,
            None if self.memory.add(series, self.now, Total::of(&taken)) => Fate::Added,
            None => Fate::NoRoom,
        }
    }
}
