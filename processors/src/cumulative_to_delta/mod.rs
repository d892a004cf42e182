//! `cumulative_to_delta`: turns what counts since a start into what came since the point before.
//!
//! Of each series the last point is remembered, by the worker that owns the series; points change where they lie.

mod config;
mod point;

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use tidegate_component::{BuildContext, Outbox, Partition, Processor, Reason};
use tidegate_pdata::Batch;
use tidegate_pdata::series::{SeriesHash, SeriesId};
use tidegate_pdata::splice::{
    DataPointEditor, Edits, MetricEditor, ResourceEditor, ScopeEditor, Splicer, Verdict, Visit,
};
use tidegate_pdata::view::MetricData;
use tokio::time::Instant;

pub use config::Config;

use crate::series::Memory;
use config::{InitialValue, Selection};
use point::{Change, Last, Room, Taken};

/// The `AggregationTemporality` of deltas.
const DELTA: i32 = 1;
/// The one of what counts since a start.
const CUMULATIVE: i32 = 2;

/// The kinds of metrics that are converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sum,
    Histogram,
    ExponentialHistogram,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "histogram" => Self::Histogram,
            "exponentialhistogram" => Self::ExponentialHistogram,
            _ => return None,
        })
    }

    /// The kind of a metric, if its points can be converted.
    fn of(data: MetricData<'_>) -> Option<Self> {
        let (kind, temporality) = match data {
            MetricData::Sum(sum) => {
                let sum = sum.fields();
                (
                    sum.is_monotonic.then_some(Self::Sum)?,
                    sum.aggregation_temporality,
                )
            }
            MetricData::Histogram(of) => (Self::Histogram, of.aggregation_temporality()),
            MetricData::ExponentialHistogram(of) => {
                (Self::ExponentialHistogram, of.aggregation_temporality())
            }
            _ => return None,
        };
        (temporality == CUMULATIVE).then_some(kind)
    }
}

struct CumulativeToDelta {
    splicer: Splicer,
    convert: Convert,
    reasons: [Reason; Why::ALL.len()],
}

/// Why a point is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It is the first of its series.
    First,
    /// It has less than the point before: something began anew.
    Reset,
    /// Its buckets are not those of the point before.
    OtherBuckets,
    /// It is older than the point before.
    Late,
    /// It says that there is no value.
    NoValue,
    /// There is no room to remember its series.
    NoRoom,
}

impl Why {
    const ALL: [Self; 6] = [
        Self::First,
        Self::Reset,
        Self::OtherBuckets,
        Self::Late,
        Self::NoValue,
        Self::NoRoom,
    ];

    fn reason(self, cx: &BuildContext) -> Reason {
        match self {
            Self::First => cx.reason("first_point"),
            Self::Reset => cx.reason("reset"),
            Self::OtherBuckets => cx.reason("other_buckets"),
            Self::Late => cx.reason("out_of_order"),
            Self::NoValue => cx.reason("no_recorded_value"),
            Self::NoRoom => cx.loss("stream_limit"),
        }
    }
}

/// The edits of a batch.
struct Convert {
    selection: Selection,
    initial: InitialValue,
    /// When this process began to look, in nanoseconds since 1970.
    began: u64,
    hash: SeriesHash,
    memory: Memory<Last>,
    room: Room,
    now: Instant,
    resource: SeriesId,
    scope: SeriesId,
    metric: SeriesId,
    dropped: [usize; Why::ALL.len()],
}

impl CumulativeToDelta {
    fn new(
        cx: &BuildContext,
        selection: Selection,
        initial: InitialValue,
        (most, staleness): (usize, Duration),
    ) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let began = since.map_or(0, |since| since.as_nanos() as u64); // until 2554
        Self {
            splicer: Splicer::default(),
            convert: Convert {
                selection,
                initial,
                began,
                hash: SeriesHash::default(),
                memory: Memory::new(cx, most, staleness),
                room: Room::default(),
                now: Instant::now(),
                resource: SeriesId::default(),
                scope: SeriesId::default(),
                metric: SeriesId::default(),
                dropped: [0; Why::ALL.len()],
            },
            reasons: Why::ALL.map(|why| why.reason(cx)),
        }
    }
}

impl Processor for CumulativeToDelta {
    fn partition(&self) -> Partition {
        Partition::Series
    }

    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        self.convert.now = Instant::now();
        let (payload, context, receipt) = batch.into_parts();
        let payload = self.splicer.edit(payload, &mut self.convert);
        for (reason, dropped) in self.reasons.iter().zip(&mut self.convert.dropped) {
            out.dropped(reason, std::mem::take(dropped));
        }
        self.convert.memory.settle();
        out.push(Batch::new(payload, context, receipt));
    }

    fn deadline(&self) -> Option<Instant> {
        self.convert.memory.deadline()
    }

    fn flush(&mut self, now: Instant, _: &mut Outbox) {
        self.convert.memory.sweep(now);
        self.convert.memory.settle();
    }

    fn held(&self) -> (usize, usize) {
        (0, self.convert.memory.bytes())
    }
}

impl Edits for Convert {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        self.resource = self.hash.attributes(resource.view().attributes());
        Visit::Enter
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        let scope = scope.view();
        let parts = [scope.name(), scope.version()];
        self.scope = self
            .hash
            .join(parts.map(|part| self.hash.bytes(part.as_bytes())));
        Visit::Enter
    }

    fn metric(&mut self, metric: &mut MetricEditor<'_>) -> Visit {
        let fields = metric.view().fields();
        let name = fields.name.as_bytes();
        let kind = Kind::of(fields.data).filter(|kind| self.selection.has(name, *kind));
        let Some(kind) = kind else {
            return Visit::Skip;
        };
        self.metric = self.hash.join([
            self.resource,
            self.scope,
            self.hash.bytes(name),
            self.hash.bytes(fields.unit.as_bytes()),
            self.hash.number(kind as u64),
        ]);
        metric.set_aggregation_temporality(DELTA);
        Visit::Enter
    }

    fn data_point(&mut self, point: &mut DataPointEditor<'_>) -> Verdict {
        let change = match Taken::of(point.view()) {
            Some(taken) => self.convert(&taken),
            None => Change::Keep,
        };
        match change {
            Change::Drop(why) => {
                self.dropped[why as usize] += 1;
                Verdict::Drop
            }
            change => {
                self.room.write(&change, point);
                Verdict::Keep
            }
        }
    }
}

impl Convert {
    /// What becomes of a point.
    fn convert(&mut self, taken: &Taken<'_>) -> Change {
        if taken.has_no_value() {
            return Change::Drop(Why::NoValue);
        }
        if taken.is_nan() {
            return Change::Keep;
        }
        let series = self.hash.join([
            self.metric,
            self.hash.attributes(taken.attributes()),
            self.hash.number(taken.start()),
            self.hash.number(taken.type_tag()),
        ]);
        let room = &mut self.room;
        let known = (self.memory).known(series, self.now, |last| last.next(taken, room));
        known.unwrap_or_else(|| self.first(series, taken))
    }

    fn first(&mut self, series: SeriesId, taken: &Taken<'_>) -> Change {
        if !self.memory.add(series, self.now, Last::of(taken)) {
            return Change::Drop(Why::NoRoom);
        }
        match self.initial {
            InitialValue::Auto if taken.start() < self.began || taken.time() == taken.start() => {
                Change::Drop(Why::First)
            }
            InitialValue::Drop => Change::Drop(Why::First),
            InitialValue::Auto => taken.unchanged(taken.start()),
            InitialValue::Keep => taken.unchanged(0),
        }
    }
}
