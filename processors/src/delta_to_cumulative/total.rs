//! Totals, and points that are added to them.

use tidegate_pdata::compose::{Fields, exponential_point, histogram_point};
use tidegate_pdata::exponential::{self, Buckets};
use tidegate_pdata::splice::{DataPoint, DataPointEditor, NewField};
use tidegate_pdata::view::{
    Attributes, ExponentialHistogramDataPointFields, HistogramDataPointFields, Number,
    NumberDataPointFields,
};

use super::Fate;
use crate::series::Kept;

/// The flag of a point that says that there is no value.
const NO_RECORDED_VALUE: u32 = 1;
/// Buckets that a total of exponential histograms has at most on a side.
const MOST_BUCKETS: i64 = 160;

/// A point that is looked at.
pub(super) enum Taken<'a> {
    Number(NumberDataPointFields<'a>),
    Histogram(HistogramDataPointFields<'a>),
    Exponential(ExponentialHistogramDataPointFields<'a>),
}

/// Picks a field that all points have.
macro_rules! common {
    ($($name:ident -> $type:ty = $field:ident;)*) => {$(
        pub(super) const fn $name(&self) -> $type {
            match self {
                Self::Number(point) => point.$field,
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
            DataPoint::Number(point) => Self::Number(point.fields()),
            DataPoint::Histogram(point) => Self::Histogram(point.fields()),
            DataPoint::ExponentialHistogram(point) => Self::Exponential(point.fields()),
            DataPoint::Summary(_) => return None,
        })
    }

    pub(super) const fn has_no_value(&self) -> bool {
        self.flags() & NO_RECORDED_VALUE != 0
    }
}

/// The total of a series.
pub(super) struct Total {
    start: u64,
    time: u64,
    value: Value,
}

enum Value {
    Number(Option<Number>),
    Histogram(Box<Histogram>),
    Exponential(Box<Exponential>),
}

/// What a distribution has beside its buckets.
#[derive(Clone, Copy)]
struct Summary {
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

impl Summary {
    /// Adds another; what one of the two does not know nobody knows of both.
    fn add(&mut self, other: Self) {
        let both = |a: Option<f64>, b: Option<f64>, of: fn(f64, f64) -> f64| Some(of(a?, b?));
        self.count = self.count.wrapping_add(other.count);
        self.sum = both(self.sum, other.sum, |a, b| a + b);
        self.min = both(self.min, other.min, f64::min);
        self.max = both(self.max, other.max, f64::max);
    }
}

struct Histogram {
    summary: Summary,
    counts: Vec<u64>,
    bounds: Vec<f64>,
}

struct Exponential {
    summary: Summary,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    sides: [Buckets; 2],
}

impl Kept for Total {
    fn more(&self) -> usize {
        match &self.value {
            Value::Number(_) => 0,
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

/// What came of adding a point.
pub(super) enum Added {
    /// It is the first of its total, and passes as it is.
    First,
    /// It becomes the total.
    Total(Written),
    /// It is left out.
    Not(Fate),
}

/// A total to be written in place of a point; buckets lie in the [`Room`].
pub(super) struct Written {
    start: u64,
    value: WrittenValue,
}

enum WrittenValue {
    Number(Option<Number>),
    Histogram(Summary),
    Exponential {
        summary: Summary,
        scale: i32,
        zero_count: u64,
        zero_threshold: f64,
    },
}

impl Total {
    pub(super) fn of(taken: &Taken<'_>) -> Self {
        Self {
            start: taken.start(),
            time: taken.time(),
            value: match taken {
                Taken::Number(point) => Value::Number(point.value),
                Taken::Histogram(point) => Value::Histogram(Box::new(Histogram::of(point))),
                Taken::Exponential(point) => Value::Exponential(Box::new(Exponential::of(point))),
            },
        }
    }

    /// Adds a point.
    pub(super) fn add(&mut self, taken: &Taken<'_>, room: &mut Room) -> Added {
        if self.time == 0 {
            *self = Self::of(taken);
            return Added::First;
        }
        if taken.start() < self.start {
            return Added::Not(Fate::OlderStart);
        }
        if taken.time() <= self.time {
            return Added::Not(Fate::Late);
        }
        let value = match (&mut self.value, taken) {
            (Value::Number(total), Taken::Number(point)) => {
                *total = sum(*total, point.value);
                WrittenValue::Number(*total)
            }
            (Value::Histogram(total), Taken::Histogram(point)) => {
                if !point.explicit_bounds.eq(total.bounds.iter().copied()) {
                    // Nothing can be added to other buckets: the total begins anew.
                    *self = Self::of(taken);
                    return Added::First;
                }
                total.add(point);
                room.packed.clear();
                for count in &total.counts {
                    room.packed.extend_from_slice(&count.to_le_bytes());
                }
                WrittenValue::Histogram(total.summary)
            }
            (Value::Exponential(total), Taken::Exponential(point)) => {
                total.add(Exponential::of(point));
                for (written, side) in room.sides.iter_mut().zip(&total.sides) {
                    written.clear();
                    side.write(written);
                }
                WrittenValue::Exponential {
                    summary: total.summary,
                    scale: total.scale,
                    zero_count: total.zero_count,
                    zero_threshold: total.zero_threshold,
                }
            }
            // Cannot be: what a series is of is part of its ID.
            _ => return Added::Not(Fate::Late),
        };
        self.time = taken.time();
        Added::Total(Written {
            start: self.start,
            value,
        })
    }
}

/// The sum of two numbers; a whole one where both are.
fn sum(total: Option<Number>, more: Option<Number>) -> Option<Number> {
    Some(match (total, more) {
        (total, None) => return total,
        (None, Some(more)) => more,
        (Some(Number::Int(total)), Some(Number::Int(more))) => {
            Number::Int(total.wrapping_add(more))
        }
        (Some(total), Some(more)) => Number::Double(total.to_double() + more.to_double()),
    })
}

impl Histogram {
    fn of(point: &HistogramDataPointFields<'_>) -> Self {
        Self {
            summary: Summary {
                count: point.count,
                sum: point.sum,
                min: point.min,
                max: point.max,
            },
            counts: point.bucket_counts.collect(),
            bounds: point.explicit_bounds.collect(),
        }
    }

    /// Adds a point with the same bounds.
    fn add(&mut self, point: &HistogramDataPointFields<'_>) {
        for (total, count) in self.counts.iter_mut().zip(point.bucket_counts) {
            *total = total.wrapping_add(count);
        }
        self.summary.add(Summary {
            count: point.count,
            sum: point.sum,
            min: point.min,
            max: point.max,
        });
    }
}

impl Exponential {
    fn of(point: &ExponentialHistogramDataPointFields<'_>) -> Self {
        Self {
            summary: Summary {
                count: point.count,
                sum: point.sum,
                min: point.min,
                max: point.max,
            },
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            sides: [point.positive, point.negative].map(Buckets::read),
        }
    }

    fn add(&mut self, mut other: Self) {
        let scale = self.scale.min(other.scale);
        self.coarsen_to(scale);
        other.coarsen_to(scale);
        for side in self.sides.iter_mut().chain(&mut other.sides) {
            side.trim();
        }
        let sides = self.sides.iter().zip(&other.sides);
        let bits = sides.map(|(a, b)| {
            let reach = match (a.reach(), b.reach()) {
                (Some(a), Some(b)) => (a.0.min(b.0), a.1.max(b.1)),
                (a, b) => {
                    return a
                        .or(b)
                        .map_or(0, |reach| exponential::bits_to_fit(reach, MOST_BUCKETS));
                }
            };
            exponential::bits_to_fit(reach, MOST_BUCKETS)
        });
        let bits = bits.max().unwrap_or(0);
        let scale = scale.saturating_sub(bits as i32);
        self.coarsen_to(scale);
        other.coarsen_to(scale);
        let zero = self.zero_threshold.max(other.zero_threshold);
        self.widen_zero(zero);
        other.widen_zero(zero);
        for (total, more) in self.sides.iter_mut().zip(&other.sides) {
            total.add(more);
            total.trim();
        }
        self.zero_count = self.zero_count.wrapping_add(other.zero_count);
        self.summary.add(other.summary);
    }

    fn coarsen_to(&mut self, scale: i32) {
        let bits = i64::from(self.scale) - i64::from(scale);
        for side in &mut self.sides {
            side.coarsen(bits as u32); // the scale is no finer
        }
        self.scale = scale;
    }

    /// Has everything up to a threshold count as zero, and what is in the same bucket with it.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        let bucket = exponential::bucket_of(threshold, self.scale);
        for side in &mut self.sides {
            self.zero_count = self.zero_count.wrapping_add(side.take_until(bucket));
        }
        self.zero_threshold = exponential::upper_bound(bucket, self.scale);
    }
}

/// Room for buckets on their way into a point.
#[derive(Default)]
pub(super) struct Room {
    packed: Vec<u8>,
    sides: [Fields; 2],
}

impl Room {
    /// Writes a total in place of a point.
    pub(super) fn write(&self, total: &Written, point: &mut DataPointEditor<'_>) {
        point.set_start_time_unix_nano(total.start);
        match &total.value {
            WrittenValue::Number(value) => point.set_value(*value),
            WrittenValue::Histogram(summary) => {
                use histogram_point::{BUCKET_COUNTS, COUNT, MAX, MIN, SUM};
                write_summary(summary, [COUNT, SUM, MIN, MAX], point);
                let counts = match &self.packed[..] {
                    [] => NewField::Absent,
                    counts => NewField::Bytes(counts),
                };
                point.set(BUCKET_COUNTS, counts);
            }
            WrittenValue::Exponential {
                summary,
                scale,
                zero_count,
                zero_threshold,
            } => {
                use exponential_point::{
                    COUNT, MAX, MIN, NEGATIVE, POSITIVE, SCALE, SUM, ZERO_COUNT, ZERO_THRESHOLD,
                };
                write_summary(summary, [COUNT, SUM, MIN, MAX], point);
                let zigzag = ((*scale << 1) ^ (*scale >> 31)) as u32;
                point.set(SCALE, NewField::Varint(zigzag.into()));
                point.set(ZERO_COUNT, NewField::Fixed64(*zero_count));
                point.set(ZERO_THRESHOLD, NewField::Fixed64(zero_threshold.to_bits()));
                for (field, side) in [POSITIVE, NEGATIVE].into_iter().zip(&self.sides) {
                    let buckets = match side.bytes() {
                        [] => NewField::Absent,
                        buckets => NewField::Bytes(buckets),
                    };
                    point.set(field, buckets);
                }
            }
        }
    }
}

fn write_summary(summary: &Summary, fields: [u32; 4], point: &mut DataPointEditor<'_>) {
    let double = |value: Option<f64>| match value {
        Some(value) => NewField::Fixed64(value.to_bits()),
        None => NewField::Absent,
    };
    let [count, sum, min, max] = fields;
    point.set(count, NewField::Fixed64(summary.count));
    point.set(sum, double(summary.sum));
    point.set(min, double(summary.min));
    point.set(max, double(summary.max));
}
