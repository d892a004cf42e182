//! Points, the last ones of series, and what lies between the two.

use tidegate_pdata::compose::{Fields, exponential_point, histogram_point};
use tidegate_pdata::exponential::{self, Buckets};
use tidegate_pdata::splice::{DataPoint, DataPointEditor, NewField};
use tidegate_pdata::view::{
    Attributes, ExponentialHistogramDataPointFields, HistogramDataPointFields, Number,
    NumberDataPointFields,
};

use super::Why;
use crate::series::Kept;

/// The flag of a point that says that there is no value.
const NO_RECORDED_VALUE: u32 = 1;

/// A point that is looked at.
pub(super) enum Taken<'a> {
    Number(NumberDataPointFields<'a>, Number),
    Histogram(HistogramDataPointFields<'a>),
    Exponential(ExponentialHistogramDataPointFields<'a>),
}

/// Picks a field that all points have.
macro_rules! common {
    ($($name:ident -> $type:ty = $field:ident;)*) => {$(
        pub(super) const fn $name(&self) -> $type {
            match self {
                Self::Number(point, _) => point.$field,
                Self::Histogram(point) => point.$field,
                Self::Exponential(point) => point.$field,
            }
        }
    )*};
}

impl<'a> Taken<'a> {
    common! {
        start -> u64 = start_time_unix_nano;
        time -> u64 = time_unix_nano;
        attributes -> Attributes<'a> = attributes;
        flags -> u32 = flags;
    }

    pub(super) fn of(point: DataPoint<'a>) -> Option<Self> {
        Some(match point {
            DataPoint::Number(point) => {
                let fields = point.fields();
                // One without a value has the whole number 0.
                Self::Number(fields, fields.value.unwrap_or(Number::Int(0)))
            }
            DataPoint::Histogram(point) => Self::Histogram(point.fields()),
            DataPoint::ExponentialHistogram(point) => Self::Exponential(point.fields()),
            DataPoint::Summary(_) => return None,
        })
    }

    pub(super) const fn has_no_value(&self) -> bool {
        self.flags() & NO_RECORDED_VALUE != 0
    }

    pub(super) const fn is_nan(&self) -> bool {
        matches!(self, Self::Number(_, Number::Double(value)) if value.is_nan())
    }

    /// Tells whole numbers from others: they are series of their own.
    pub(super) const fn type_tag(&self) -> u64 {
        matches!(self, Self::Number(_, Number::Double(_))) as u64
    }

    /// The first point of a series, as it passes.
    pub(super) const fn unchanged(&self, start: u64) -> Change {
        match self {
            Self::Number(_, value) => Change::Number {
                start,
                value: *value,
            },
            Self::Histogram(_) | Self::Exponential(_) => Change::FirstDistribution { start },
        }
    }
}

/// What becomes of a point. Buckets lie in the [`Room`].
#[derive(Debug)]
pub(super) enum Change {
    Keep,
    Drop(Why),
    Number {
        start: u64,
        value: Number,
    },
    /// Only its start, its least and its greatest value change.
    FirstDistribution {
        start: u64,
    },
    Histogram {
        start: u64,
        count: u64,
        sum: Option<f64>,
    },
    Exponential {
        start: u64,
        count: u64,
        sum: Option<f64>,
        zero_count: u64,
        has: [bool; 2],
    },
}

/// Room for buckets on their way into a point.
#[derive(Default)]
pub(super) struct Room {
    packed: Vec<u8>,
    sides: [Fields; 2],
}

impl Room {
    /// Makes of a point what was decided.
    pub(super) fn write(&self, change: &Change, point: &mut DataPointEditor<'_>) {
        match change {
            Change::Keep | Change::Drop(_) => {}
            Change::Number { start, value } => {
                point.set_start_time_unix_nano(*start);
                point.set_value(Some(*value));
            }
            Change::FirstDistribution { start } => {
                point.set_start_time_unix_nano(*start);
                without_extremes(point);
            }
            Change::Histogram { start, count, sum } => {
                use histogram_point::{BUCKET_COUNTS, COUNT, SUM};
                point.set_start_time_unix_nano(*start);
                point.set(COUNT, NewField::Fixed64(*count));
                set_sum(point, SUM, *sum);
                if !self.packed.is_empty() {
                    point.set(BUCKET_COUNTS, NewField::Bytes(&self.packed));
                }
                without_extremes(point);
            }
            Change::Exponential {
                start,
                count,
                sum,
                zero_count,
                has,
            } => {
                use exponential_point::{COUNT, NEGATIVE, POSITIVE, SUM, ZERO_COUNT};
                point.set_start_time_unix_nano(*start);
                point.set(COUNT, NewField::Fixed64(*count));
                set_sum(point, SUM, *sum);
                point.set(ZERO_COUNT, NewField::Fixed64(*zero_count));
                for (at, field) in [POSITIVE, NEGATIVE].into_iter().enumerate() {
                    if has[at] {
                        point.set(field, NewField::Bytes(self.sides[at].bytes()));
                    }
                }
                without_extremes(point);
            }
        }
    }
}

fn set_sum(point: &mut DataPointEditor<'_>, field: u32, sum: Option<f64>) {
    if let Some(sum) = sum {
        point.set(field, NewField::Fixed64(sum.to_bits()));
    }
}

/// Takes out the least and the greatest value, of which nobody knows when they came.
fn without_extremes(point: &mut DataPointEditor<'_>) {
    use tidegate_pdata::splice::kind::DataPoint::{ExponentialHistogram, Histogram};
    let fields = match point.kind() {
        Histogram => [histogram_point::MIN, histogram_point::MAX],
        ExponentialHistogram => [exponential_point::MIN, exponential_point::MAX],
        _ => return,
    };
    for field in fields {
        point.set(field, NewField::Absent);
    }
}

/// The last point of a series.
pub(super) struct Last {
    time: u64,
    value: Value,
}

enum Value {
    Int(i64),
    Double(f64),
    Histogram(Box<Histogram>),
    Exponential(Box<Exponential>),
}

struct Histogram {
    count: u64,
    sum: f64,
    counts: Vec<u64>,
    bounds: Vec<f64>,
}

struct Exponential {
    count: u64,
    sum: f64,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    sides: [Buckets; 2],
}

impl Kept for Last {
    fn more(&self) -> usize {
        match &self.value {
            Value::Int(_) | Value::Double(_) => 0,
            Value::Histogram(of) => {
                size_of::<Histogram>() + 8 * (of.counts.capacity() + of.bounds.capacity())
            }
            Value::Exponential(of) => {
                let buckets = of.sides.iter().map(|side| side.counts.capacity());
                size_of::<Exponential>() + 8 * buckets.sum::<usize>()
            }
        }
    }
}

impl Last {
    pub(super) fn of(taken: &Taken<'_>) -> Self {
        let value = match taken {
            Taken::Number(_, Number::Int(value)) => Value::Int(*value),
            Taken::Number(_, Number::Double(value)) => Value::Double(*value),
            Taken::Histogram(point) => Value::Histogram(Box::new(Histogram {
                count: point.count,
                sum: point.sum.unwrap_or(0.0),
                counts: point.bucket_counts.collect(),
                bounds: point.explicit_bounds.collect(),
            })),
            Taken::Exponential(point) => Value::Exponential(Box::new(Exponential::of(point))),
        };
        Self {
            time: taken.time(),
            value,
        }
    }

    /// What lies between the last point and the next, which takes its place.
    pub(super) fn next(&mut self, taken: &Taken<'_>, room: &mut Room) -> Change {
        if taken.time() < self.time {
            return Change::Drop(Why::Late);
        }
        let start = std::mem::replace(&mut self.time, taken.time());
        match (&mut self.value, taken) {
            (Value::Int(last), Taken::Number(_, Number::Int(value))) => {
                let last = std::mem::replace(last, *value);
                match value.checked_sub(last) {
                    Some(delta) if delta >= 0 => Change::Number {
                        start,
                        value: Number::Int(delta),
                    },
                    _ => Change::Drop(Why::Reset),
                }
            }
            (Value::Double(last), Taken::Number(_, Number::Double(value))) => {
                let last = std::mem::replace(last, *value);
                if *value < last {
                    return Change::Drop(Why::Reset);
                }
                Change::Number {
                    start,
                    value: Number::Double(value - last),
                }
            }
            (Value::Histogram(last), Taken::Histogram(point)) => last.next(start, point, room),
            (Value::Exponential(last), Taken::Exponential(point)) => last.next(start, point, room),
            // Cannot be: what a series is of is part of its ID.
            _ => Change::Drop(Why::Reset),
        }
    }
}

impl Histogram {
    fn next(
        &mut self,
        start: u64,
        point: &HistogramDataPointFields<'_>,
        room: &mut Room,
    ) -> Change {
        let sum = point.sum.filter(|sum| !sum.is_nan());
        let delta_sum = sum.map(|sum| sum - self.sum);
        // One that is NaN says nothing: the one before stays.
        self.sum = match point.sum {
            Some(sum) if sum.is_nan() => self.sum,
            sum => sum.unwrap_or(0.0),
        };
        let before = std::mem::replace(&mut self.count, point.count);
        let has_same_bounds = point.bucket_counts.len() == self.counts.len()
            && point.explicit_bounds.eq(self.bounds.iter().copied());
        if !has_same_bounds {
            self.counts.clear();
            self.counts.extend(point.bucket_counts);
            self.bounds.clear();
            self.bounds.extend(point.explicit_bounds);
            return Change::Drop(Why::OtherBuckets);
        }
        let grew = point.count >= before
            && point
                .bucket_counts
                .zip(&self.counts)
                .all(|(now, before)| now >= *before);
        room.packed.clear();
        for (count, last) in point.bucket_counts.zip(&mut self.counts) {
            let last = std::mem::replace(last, count);
            let delta = if grew { count - last } else { count };
            room.packed.extend_from_slice(&delta.to_le_bytes());
        }
        Change::Histogram {
            start,
            count: if grew {
                point.count - before
            } else {
                point.count
            },
            sum: if grew { delta_sum } else { sum },
        }
    }
}

impl Exponential {
    fn of(point: &ExponentialHistogramDataPointFields<'_>) -> Self {
        Self {
            count: point.count,
            sum: point.sum.unwrap_or(0.0),
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            sides: [point.positive, point.negative].map(Buckets::read),
        }
    }

    fn next(
        &mut self,
        start: u64,
        point: &ExponentialHistogramDataPointFields<'_>,
        room: &mut Room,
    ) -> Change {
        let next = Self::of(point);
        let mut last = std::mem::replace(self, next);
        let sum = point.sum.filter(|sum| !sum.is_nan());
        if point.sum.is_some() && sum.is_none() {
            self.sum = last.sum;
        }
        // As time goes on counts and the width of zero only rise, and the scale only falls.
        if self.count < last.count
            || self.zero_threshold < last.zero_threshold
            || self.scale > last.scale
        {
            return Change::Drop(Why::Reset);
        }
        last.fit(self.scale, self.zero_threshold);
        let mut has = [point.positive.is_some(), point.negative.is_some()];
        for (at, has) in has.iter_mut().enumerate() {
            let more = self.sides[at].since(&last.sides[at]);
            *has |= !more.counts.is_empty();
            room.sides[at].clear();
            more.write(&mut room.sides[at]);
        }
        Change::Exponential {
            start,
            count: self.count - last.count,
            sum: sum.map(|sum| sum - last.sum),
            zero_count: self.zero_count.saturating_sub(last.zero_count),
            has,
        }
    }

    /// Gives it a scale that is no finer and a zero that is no narrower.
    fn fit(&mut self, scale: i32, zero_threshold: f64) {
        if zero_threshold > self.zero_threshold {
            let bucket = exponential::bucket_of(zero_threshold, self.scale);
            for side in &mut self.sides {
                self.zero_count = self.zero_count.wrapping_add(side.take_until(bucket));
            }
        }
        let bits = i64::from(self.scale) - i64::from(scale);
        for side in &mut self.sides {
            side.coarsen(bits as u32); // the scale is no finer
        }
    }
}
