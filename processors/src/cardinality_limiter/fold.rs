//! Points of series beyond a limit, put into one with the attribute `otel.metric.overflow: true`.
//!
//! They get the latest of their times and the earliest of their starts, and are then added up like points that
//! have the same attributes; of gauges the latest counts. What cannot be added is left out.

use tidegate_pdata::compose::{Fields, Value, exponential_point, histogram_point, number_point};
use tidegate_pdata::view::{
    ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, View,
};

use crate::merge::{Aggregation, Merger};
use crate::message::{Arena, Place, attribute, copy_but};
use crate::metric::Metric;

const OVERFLOW: &[u8] = b"otel.metric.overflow";
/// Kinds of data, by their field in a metric.
const GAUGE: u32 = 5;
const SUMMARY: u32 = 11;
/// The flag of a point that says that there is no value.
const NO_RECORDED_VALUE: u32 = 1;

/// What became of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// Points whose values are in another.
    pub(super) folded: usize,
    /// Points that nothing could be added to.
    pub(super) lost: usize,
}

/// When a point is of, when it began to count, and whether it has a value.
struct Times {
    time: u64,
    start: u64,
    has_value: bool,
}

impl Times {
    fn of(kind: u32, point: &[u8]) -> Self {
        let (time, start, flags) = match kind {
            9 => {
                let point = HistogramDataPoint::of(point).fields();
                (
                    point.time_unix_nano,
                    point.start_time_unix_nano,
                    point.flags,
                )
            }
            10 => {
                let point = ExponentialHistogramDataPoint::of(point).fields();
                (
                    point.time_unix_nano,
                    point.start_time_unix_nano,
                    point.flags,
                )
            }
            SUMMARY => (SummaryDataPoint::of(point).time_unix_nano(), 0, 0),
            _ => {
                let point = NumberDataPoint::of(point).fields();
                (
                    point.time_unix_nano,
                    point.start_time_unix_nano,
                    point.flags,
                )
            }
        };
        Self {
            time,
            start,
            has_value: flags & NO_RECORDED_VALUE == 0,
        }
    }
}

/// The fields of a point's start and time.
const fn time_fields(kind: u32) -> (u32, u32) {
    match kind {
        9 => (histogram_point::START_TIME, histogram_point::TIME),
        10 => (exponential_point::START_TIME, exponential_point::TIME),
        _ => (number_point::START_TIME, number_point::TIME),
    }
}

/// Folds the points of a metric that `is_beyond` says, of which there is at least one.
pub(super) fn fold<'a>(
    metric: &mut Metric<'a>,
    is_beyond: impl Fn(usize) -> bool,
    (arena, merger): (&mut Arena, &mut Merger),
) -> Gone {
    let kind = metric.kind();
    let mut gone = Gone::default();
    let mut beyond: Vec<Place<'a>> = Vec::new();
    let mut within = Vec::new();
    for (at, point) in std::mem::take(metric.points()).into_iter().enumerate() {
        match is_beyond(at) {
            true => beyond.push(point),
            false => within.push(point),
        }
    }
    let all = beyond.len();
    beyond.retain(|point| Times::of(kind, arena.get(point)).has_value);
    if kind == SUMMARY {
        beyond.clear();
    }
    gone.lost += all - beyond.len();
    if kind == GAUGE {
        let latest = beyond
            .iter()
            .max_by_key(|point| Times::of(kind, arena.get(point)).time)
            .cloned();
        gone.folded += beyond.len().saturating_sub(1);
        beyond = latest.into_iter().collect();
    }
    let times = beyond.iter().map(|point| Times::of(kind, arena.get(point)));
    let (time, start) = times.fold((0, u64::MAX), |(time, start), next| {
        (time.max(next.time), start.min(next.start))
    });
    for point in &mut beyond {
        arena.rewrite(point, |point, out| {
            rewrite(kind, point, (time, start), out, metric.attributes_field());
            true
        });
    }
    let mut folded = metric.with_points(beyond);
    gone.folded += merger.merge(&mut folded, Some(Aggregation::Sum), arena);
    let folded = folded.points();
    // Histograms of other bounds stay apart, and one series has one point.
    gone.lost += folded.len().saturating_sub(1);
    folded.truncate(1);
    within.append(folded);
    *metric.points() = within;
    gone
}

/// Writes a point as one of the series of what is beyond the limit.
fn rewrite(kind: u32, point: &[u8], (time, start): (u64, u64), out: &mut Fields, attributes: u32) {
    let (start_field, time_field) = time_fields(kind);
    copy_but(point, out, |number, _| {
        number == attributes || number == start_field || number == time_field
    });
    attribute(out, attributes, OVERFLOW, Value::Bool(true));
    if start > 0 {
        out.fixed64(start_field, start);
    }
    out.fixed64(time_field, time);
}
