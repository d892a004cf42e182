//! Putting points together that have the same labels and time.

use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_pdata::compose::{Fields, exponential_point, histogram_point, number_point};
use tidegate_pdata::exponential::{self, Buckets};
use tidegate_pdata::series::{SeriesHash, SeriesId};
use tidegate_pdata::view::{
    ExponentialHistogramDataPoint, ExponentialHistogramDataPointFields, HistogramDataPoint,
    HistogramDataPointFields, Number, NumberDataPoint, NumberDataPointFields, Repeated, View,
};

use crate::message::{Arena, Place, copy_but};
use crate::metric::Metric;

/// The temporality of deltas, whose points belong together only from the same start.
const DELTA: u64 = 1;

/// How the values of points become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Aggregation {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// How many there are.
    Count,
    /// The one in the middle.
    Median,
}

/// Puts points together, and keeps its room from metric to metric.
#[derive(Default)]
pub(crate) struct Merger {
    hash: SeriesHash,
    /// The group of each set of labels and time.
    known: HashMap<SeriesId, usize, foldhash::fast::RandomState>,
    /// The place in its group's list of each point.
    groups: Vec<Vec<usize>>,
    doubles: Vec<f64>,
    ints: Vec<i64>,
}

impl Merger {
    /// Puts the points of a metric together that have the same labels and time; says how many went into others.
    pub(crate) fn merge(
        &mut self,
        metric: &mut Metric<'_>,
        aggregation: Option<Aggregation>,
        arena: &mut Arena,
    ) -> usize {
        let kind = metric.kind();
        let by_start = metric.nature().0 == DELTA;
        let points = std::mem::take(metric.points());
        self.group(&points, kind, by_start, arena);
        // One point is the same as ever, but for its count.
        let counts_one = aggregation == Some(Aggregation::Count) && matches!(kind, 5 | 7);
        let groups = std::mem::take(&mut self.groups);
        let mut fields = Fields::new();
        for group in &groups {
            let first = &points[group[0]];
            if group.len() == 1 && !counts_one {
                metric.points().push(first.clone());
                continue;
            }
            fields.clear();
            let all: Vec<&[u8]> = group.iter().map(|at| arena.get(&points[*at])).collect();
            match kind {
                9 => merge_histograms(&all, &mut fields),
                10 => merge_exponentials(&all, &mut fields),
                _ => self.merge_numbers(&all, aggregation, &mut fields),
            }
            drop(all);
            metric.points().push(arena.add(fields.bytes()));
        }
        self.groups = groups;
        points.len() - metric.points().len()
    }

    fn group(&mut self, points: &[Place<'_>], kind: u32, by_start: bool, arena: &Arena) {
        self.known.clear();
        self.groups.clear();
        for (at, point) in points.iter().enumerate() {
            let id = self.id(arena.get(point), kind, by_start);
            let next = self.groups.len();
            match *self.known.entry(id).or_insert(next) {
                group if group == next => self.groups.push(vec![at]),
                group => self.groups[group].push(at),
            }
        }
    }

    /// What points must have in common.
    fn id(&self, point: &[u8], kind: u32, by_start: bool) -> SeriesId {
        let hash = &self.hash;
        let (attributes, start, time, more) = match kind {
            9 => {
                let point = HistogramDataPoint::of(point).fields();
                let mut more = vec![flags(point.flags, point.min, point.max)];
                more.extend(point.explicit_bounds.map(f64::to_bits));
                let ids = more.iter().map(|number| hash.number(*number));
                let more = ids.fold(SeriesId::default(), |id, next| hash.join([id, next]));
                let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                (point.attributes, start, time, more)
            }
            10 => {
                let point = ExponentialHistogramDataPoint::of(point).fields();
                let flags = flags(point.flags, point.min, point.max);
                let more = hash.join([hash.number(flags), hash.number(point.scale as u64)]);
                let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                (point.attributes, start, time, more)
            }
            _ => {
                let point = NumberDataPoint::of(point).fields();
                let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                (point.attributes, start, time, SeriesId::default())
            }
        };
        hash.join([
            hash.attributes(attributes),
            hash.number(time),
            hash.number(if by_start { start } else { 0 }),
            more,
        ])
    }

    fn merge_numbers(&mut self, all: &[&[u8]], aggregation: Option<Aggregation>, out: &mut Fields) {
        use number_point::{AS_DOUBLE, AS_INT, START_TIME};
        let points = all.iter().map(|point| NumberDataPoint::of(point).fields());
        let first = NumberDataPoint::of(all[0]).fields();
        let numbers = points.clone().map(|point| point.value);
        let value = match first.value {
            None => None,
            Some(Number::Double(_)) => {
                self.doubles.clear();
                let doubles = numbers.map(|value| value.map_or(0.0, Number::to_double));
                self.doubles.extend(doubles);
                Some(Number::Double(of_doubles(&mut self.doubles, aggregation)))
            }
            Some(Number::Int(_)) => {
                self.ints.clear();
                self.ints.extend(numbers.map(|value| match value {
                    Some(Number::Int(value)) => value,
                    Some(Number::Double(value)) => value as i64, // saturates
                    None => 0,
                }));
                Some(Number::Int(of_ints(&mut self.ints, aggregation)))
            }
        };
        copy_but(all[0], out, |number, _| {
            matches!(number, AS_DOUBLE | AS_INT | START_TIME)
        });
        out.fixed64(
            START_TIME,
            earliest(points, |point: &NumberDataPointFields<'_>| {
                point.start_time_unix_nano
            }),
        );
        match value {
            Some(Number::Double(value)) => out.double(AS_DOUBLE, value),
            Some(Number::Int(value)) => out.int(AS_INT, value),
            None => {}
        }
    }
}

const fn flags(flags: u32, min: Option<f64>, max: Option<f64>) -> u64 {
    (flags as u64) << 2 | (min.is_some() as u64) << 1 | max.is_some() as u64
}

fn earliest<P>(points: impl Iterator<Item = P>, start: impl Fn(&P) -> u64) -> u64 {
    points.map(|point| start(&point)).min().unwrap_or(0)
}

fn of_doubles(values: &mut [f64], aggregation: Option<Aggregation>) -> f64 {
    let count = values.len();
    match aggregation {
        None => values[0],
        Some(Aggregation::Sum) => values.iter().sum(),
        Some(Aggregation::Mean) => values.iter().sum::<f64>() / count as f64,
        Some(Aggregation::Min) => reduce(values, f64::min),
        Some(Aggregation::Max) => reduce(values, f64::max),
        Some(Aggregation::Count) => count as f64,
        Some(Aggregation::Median) => {
            values.sort_unstable_by(f64::total_cmp);
            let middle = count / 2;
            match count % 2 {
                0 => f64::midpoint(values[middle - 1], values[middle]),
                _ => values[middle],
            }
        }
    }
}

/// The least or the greatest; NaN if any is, as in Go.
fn reduce(values: &[f64], choose: impl Fn(f64, f64) -> f64) -> f64 {
    let pair = |a: f64, b: &f64| match a.is_nan() || b.is_nan() {
        true => f64::NAN,
        false => choose(a, *b),
    };
    values[1..].iter().fold(values[0], pair)
}

fn of_ints(values: &mut [i64], aggregation: Option<Aggregation>) -> i64 {
    let count = values.len();
    let sum = |values: &[i64]| {
        values
            .iter()
            .fold(0_i64, |sum, value| sum.wrapping_add(*value))
    };
    match aggregation {
        None => values[0],
        Some(Aggregation::Sum) => sum(values),
        Some(Aggregation::Mean) => sum(values).wrapping_div(count as i64),
        Some(Aggregation::Min) => values.iter().copied().min().unwrap_or(0),
        Some(Aggregation::Max) => values.iter().copied().max().unwrap_or(0),
        Some(Aggregation::Count) => count as i64,
        Some(Aggregation::Median) => {
            values.sort_unstable();
            let middle = count / 2;
            match count % 2 {
                0 => values[middle - 1].wrapping_add(values[middle]) / 2,
                _ => values[middle],
            }
        }
    }
}

/// The sum of what is there, or nothing where nothing is.
fn total(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(|a, b| a + b)
}

fn merge_histograms(all: &[&[u8]], out: &mut Fields) {
    use histogram_point::{BUCKET_COUNTS, COUNT, EXEMPLARS, MAX, MIN, START_TIME, SUM};
    type Point<'a> = HistogramDataPointFields<'a>;
    // One that counts nothing says nothing.
    let points = (all.iter().enumerate())
        .map(|(at, point)| (at, HistogramDataPoint::of(point).fields()))
        .filter(|(at, point)| *at == 0 || point.count > 0)
        .map(|(_, point)| point);
    copy_but(all[0], out, |number, _| {
        matches!(
            number,
            COUNT | SUM | BUCKET_COUNTS | EXEMPLARS | MIN | MAX | START_TIME
        )
    });
    out.fixed64(
        START_TIME,
        earliest(points.clone(), |point: &Point<'_>| {
            point.start_time_unix_nano
        }),
    );
    let counts = points.clone().map(|point| point.count);
    out.fixed64(COUNT, counts.fold(0, u64::wrapping_add));
    extremes(
        out,
        (SUM, MIN, MAX),
        points
            .clone()
            .map(|point| (point.sum, point.min, point.max)),
    );
    let mut buckets: Vec<u64> = Vec::new();
    for point in points.clone() {
        let missing = point.bucket_counts.len().saturating_sub(buckets.len());
        buckets.extend(std::iter::repeat_n(0, missing));
        for (into, count) in buckets.iter_mut().zip(point.bucket_counts) {
            *into = into.wrapping_add(count);
        }
    }
    out.packed_fixed64(BUCKET_COUNTS, buckets);
    exemplars(out, EXEMPLARS, points.map(|point| raw(point.exemplars)));
}

/// Writes the sum of sums, the least of the least and the greatest of the greatest.
fn extremes(
    out: &mut Fields,
    (sum, min, max): (u32, u32, u32),
    points: impl Iterator<Item = (Option<f64>, Option<f64>, Option<f64>)> + Clone,
) {
    let found = [
        (sum, total(points.clone().map(|point| point.0))),
        (
            min,
            points.clone().filter_map(|point| point.1).reduce(f64::min),
        ),
        (max, points.filter_map(|point| point.2).reduce(f64::max)),
    ];
    for (field, value) in found {
        if let Some(value) = value {
            out.double(field, value);
        }
    }
}

fn raw<'a>(exemplars: Repeated<'a, tidegate_pdata::view::Exemplar<'a>>) -> &'a [u8] {
    exemplars.rest()
}

/// Writes the exemplars of points; of each it gets the message from the first of them on.
fn exemplars<'a>(out: &mut Fields, number: u32, points: impl Iterator<Item = &'a [u8]>) {
    for rest in points {
        for exemplar in Repeated::<&[u8]>::new(rest, number) {
            out.message(number, |out| out.raw(exemplar));
        }
    }
}

fn merge_exponentials(all: &[&[u8]], out: &mut Fields) {
    use exponential_point::{
        COUNT, EXEMPLARS, MAX, MIN, NEGATIVE, POSITIVE, SCALE, START_TIME, SUM, ZERO_COUNT,
    };
    type Point<'a> = ExponentialHistogramDataPointFields<'a>;
    let points = (all.iter().enumerate())
        .map(|(at, point)| (at, ExponentialHistogramDataPoint::of(point).fields()))
        .filter(|(at, point)| *at == 0 || point.count > 0)
        .map(|(_, point)| point);
    let (sides, bits) = merged_sides(points.clone());
    copy_but(all[0], out, |number, _| {
        let sums = matches!(number, COUNT | SUM | ZERO_COUNT | POSITIVE | NEGATIVE);
        sums || matches!(number, SCALE | EXEMPLARS | MIN | MAX | START_TIME)
    });
    let scale = ExponentialHistogramDataPoint::of(all[0]).scale();
    out.zigzag(SCALE, scale.saturating_sub(bits as i32));
    out.fixed64(
        START_TIME,
        earliest(points.clone(), |point: &Point<'_>| {
            point.start_time_unix_nano
        }),
    );
    let sum = |of: fn(&Point<'_>) -> u64| {
        points
            .clone()
            .map(|point| of(&point))
            .fold(0, u64::wrapping_add)
    };
    out.fixed64(COUNT, sum(|point| point.count));
    out.fixed64(ZERO_COUNT, sum(|point| point.zero_count));
    extremes(
        out,
        (SUM, MIN, MAX),
        points
            .clone()
            .map(|point| (point.sum, point.min, point.max)),
    );
    for (field, side) in [POSITIVE, NEGATIVE].into_iter().zip(&sides) {
        if !side.counts.is_empty() {
            out.message(field, |out| side.write(out));
        }
    }
    exemplars(out, EXEMPLARS, points.map(|point| raw(point.exemplars)));
}

/// Buckets that a histogram may come to have on a side.
const MOST_BUCKETS: i64 = 1 << 16;

/// The buckets of all, and how much coarser they are than those of one.
fn merged_sides<'a>(
    points: impl Iterator<Item = ExponentialHistogramDataPointFields<'a>> + Clone,
) -> ([Buckets; 2], u32) {
    let both = |point: ExponentialHistogramDataPointFields<'a>| {
        [point.positive, point.negative].map(Buckets::read)
    };
    let mut bits = 0;
    for side in 0..2 {
        let sides = points.clone().map(|point| both(point)[side].reach());
        let reach = sides.flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        if let Some(reach) = reach {
            bits = bits.max(exponential::bits_to_fit(reach, MOST_BUCKETS));
        }
    }
    let mut sides = <[Buckets; 2]>::default();
    for point in points {
        for (into, mut buckets) in sides.iter_mut().zip(both(point)) {
            buckets.coarsen(bits);
            into.add(&buckets);
        }
    }
    (sides, bits)
}
