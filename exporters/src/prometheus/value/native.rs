//! Exponential histograms: Prometheus's native ones, whose buckets are kept sparse.

use tidegate_pdata::view::{
    Buckets as BucketsView, ExponentialHistogramDataPoint, ExponentialHistogramDataPointFields,
};

use super::{Exemplar, Meaning, Point, Value};
use crate::prometheus::rejection::Rejection;

/// The finest and the coarsest scale that Prometheus has.
const SCALES: std::ops::RangeInclusive<i32> = -4..=8;
/// Buckets with something in them that one side may have; above, the scale is made coarser.
const MAX_BUCKETS: usize = 4096;
/// How far from 1 a bucket may be: ten times farther than a double reaches at the finest scale.
const MAX_INDEX: i64 = 1 << 22;
/// Exemplars kept of a point.
const MAX_EXEMPLARS: usize = 64;

/// An exponential histogram.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Native {
    /// From −4 to 8.
    pub(crate) scale: i32,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) zero_count: u64,
    /// Zero where the source said nothing of it.
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Buckets,
    pub(crate) negative: Buckets,
    pub(crate) exemplars: Vec<Exemplar>,
}

/// Buckets with something in them, by ascending index; the one of index i ends at base to the power of i + 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Buckets(Vec<(i32, u64)>);

impl Buckets {
    fn read(view: Option<BucketsView<'_>>, coarser_by: u32) -> Result<Self, Rejection> {
        let Some(view) = view else {
            return Ok(Self::default());
        };
        let fields = view.fields();
        let mut buckets = Self::default();
        let counts = fields.bucket_counts.zip(i64::from(fields.offset)..);
        for (count, index) in counts.filter(|(count, _)| *count > 0) {
            let index = index >> coarser_by.min(63);
            let index = i32::try_from(index)
                .ok()
                .filter(|index| i64::from(*index).abs() <= MAX_INDEX)
                .ok_or(Rejection::Malformed)?;
            buckets.push(index, count);
        }
        Ok(buckets)
    }

    /// Adds to the last bucket, or to one behind it.
    fn push(&mut self, index: i32, count: u64) {
        match self.0.last_mut() {
            Some((last, held)) if *last == index => *held = held.saturating_add(count),
            _ => self.0.push((index, count)),
        }
    }

    fn coarsen(&mut self, by: u32) {
        let mut coarse = Self(Vec::with_capacity(self.0.len()));
        for (index, count) in &self.0 {
            coarse.push(*index >> by.min(31), *count);
        }
        *self = coarse;
    }

    fn add(&mut self, other: &Self) {
        let held = std::mem::take(self);
        self.0.reserve(held.0.len().max(other.0.len()));
        let (mut ours, mut theirs) = (held.iter().peekable(), other.iter().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.0 <= b.0 => ours.next(),
                (Some(_), None) => ours.next(),
                _ => theirs.next(),
            };
            let Some((index, count)) = next else { break };
            self.push(index, count);
        }
    }

    /// Takes the buckets out that end at or below a threshold, and gives what was in them.
    fn take_below(&mut self, threshold: f64, scale: i32) -> u64 {
        let width = f64::from(-scale).exp2();
        let ends_above = |index: i32| ((f64::from(index) + 1.0) * width).exp2() > threshold;
        let keep = self.0.partition_point(|(index, _)| !ends_above(*index));
        self.0
            .drain(..keep)
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    fn total(&self) -> u128 {
        self.0.iter().map(|(_, count)| u128::from(*count)).sum()
    }

    /// Indices and counts, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i32, u64)> {
        self.0.iter().copied()
    }
}

impl Native {
    pub(crate) fn read(point: &ExponentialHistogramDataPointFields<'_>) -> Result<Self, Rejection> {
        if point.scale < *SCALES.start() {
            return Err(Rejection::Scale);
        }
        let scale = point.scale.min(*SCALES.end());
        let coarser_by = point.scale.abs_diff(scale);
        let mut exemplars: Vec<Exemplar> = Exemplar::all(point.exemplars).collect();
        exemplars.drain(..exemplars.len().saturating_sub(MAX_EXEMPLARS));
        let mut native = Self {
            scale,
            count: point.count,
            sum: point.sum.unwrap_or(0.0),
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: Buckets::read(point.positive, coarser_by)?,
            negative: Buckets::read(point.negative, coarser_by)?,
            exemplars,
        };
        if !native.adds_up() {
            return Err(Rejection::Malformed);
        }
        native.fit()?;
        Ok(native)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self) + size_of_val(&*self.positive.0) + size_of_val(&*self.negative.0)
    }

    /// Where the sum is no number, some values may be in no bucket.
    fn adds_up(&self) -> bool {
        let inside = self.positive.total() + self.negative.total() + u128::from(self.zero_count);
        let count = u128::from(self.count);
        inside == count || self.sum.is_nan() && inside < count
    }

    fn coarsen_to(&mut self, scale: i32) {
        let by = self.scale.abs_diff(scale);
        if by > 0 {
            self.positive.coarsen(by);
            self.negative.coarsen(by);
            self.scale = scale;
        }
    }

    /// Makes the scale coarser until there are few enough buckets.
    fn fit(&mut self) -> Result<(), Rejection> {
        while self.positive.0.len().max(self.negative.0.len()) > MAX_BUCKETS {
            if self.scale == *SCALES.start() {
                return Err(Rejection::Malformed);
            }
            self.coarsen_to(self.scale - 1);
        }
        Ok(())
    }

    /// Lets everything within the threshold count as zero.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold > self.zero_threshold {
            for side in [&mut self.positive, &mut self.negative] {
                let more = side.take_below(threshold, self.scale);
                self.zero_count = self.zero_count.saturating_add(more);
            }
            self.zero_threshold = threshold;
        }
    }

    fn add(&mut self, mut other: Self) -> Result<(), Rejection> {
        let mut sum = self.clone();
        let scale = sum.scale.min(other.scale);
        sum.coarsen_to(scale);
        other.coarsen_to(scale);
        let threshold = sum.zero_threshold.max(other.zero_threshold);
        sum.widen_zero(threshold);
        other.widen_zero(threshold);
        sum.positive.add(&other.positive);
        sum.negative.add(&other.negative);
        sum.zero_count = sum.zero_count.saturating_add(other.zero_count);
        sum.count = sum.count.saturating_add(other.count);
        sum.sum += other.sum;
        sum.exemplars = other.exemplars;
        sum.fit()?;
        *self = sum;
        Ok(())
    }
}

impl<'a> Point<'a> for ExponentialHistogramDataPointFields<'a> {
    fields_of_every_point!('a, ExponentialHistogramDataPoint);

    fn first(&self, _: Meaning<'_>) -> Result<Value, Rejection> {
        Native::read(self).map(|native| Value::Native(Box::new(native)))
    }

    fn add_to(&self, value: &mut Value, _: Meaning<'_>) -> Result<bool, Rejection> {
        match value {
            Value::Native(held) => held.add(Native::read(self)?).map(|()| true),
            _ => Ok(false),
        }
    }
}
