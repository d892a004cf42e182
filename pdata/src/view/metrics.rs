//! Metrics and their data points.

use super::attributes::Attributes;
use super::field::{FromField, zigzag};
use super::repeated::{FixedList, Repeated, Varints, View};
use super::text::Text;
use crate::wire::Field;

message! {
    /// One metric with its data points.
    Metric, MetricFields<'a> {
        /// Its name.
        name: Text<'a> = 1,
        /// What it measures.
        description: Text<'a> = 2,
        /// The unit of its values, in UCUM.
        unit: Text<'a> = 3,
        /// Its kind and data points.
        data: MetricData<'a> = 5 | 7 | 9 | 10 | 11,
        /// What else is known of it, without being part of its identity.
        metadata: Attributes<'a> = 12,
    }
}

/// The kind of a metric, with its data points.
#[derive(Clone, Copy, Debug, Default)]
pub enum MetricData<'a> {
    /// None, or one that this schema does not have.
    #[default]
    Empty,
    /// Values of a moment.
    Gauge(Gauge<'a>),
    /// Values that add up.
    Sum(Sum<'a>),
    /// Counts in buckets with explicit bounds.
    Histogram(Histogram<'a>),
    /// Counts in buckets whose bounds are powers of a base.
    ExponentialHistogram(ExponentialHistogram<'a>),
    /// Quantiles computed by the source.
    Summary(Summary<'a>),
}

impl<'a> FromField<'a> for MetricData<'a> {
    #[inline]
    fn read(&mut self, field: &Field<'a>, _: &'a [u8]) {
        let bytes = field.bytes;
        *self = match field.number {
            5 => Self::Gauge(View::of(bytes)),
            7 => Self::Sum(View::of(bytes)),
            9 => Self::Histogram(View::of(bytes)),
            10 => Self::ExponentialHistogram(View::of(bytes)),
            11 => Self::Summary(View::of(bytes)),
            _ => Self::Empty,
        };
    }
}

message! {
    /// Values of a moment.
    Gauge, GaugeFields<'a> {
        /// Its points.
        data_points: Repeated<'a, NumberDataPoint<'a>> = 1,
    }
}

message! {
    /// Values that add up.
    Sum, SumFields<'a> {
        /// Its points.
        data_points: Repeated<'a, NumberDataPoint<'a>> = 1,
        /// Its `AggregationTemporality`.
        aggregation_temporality: i32 = 2,
        /// Whether it never falls.
        is_monotonic: bool = 3,
    }
}

message! {
    /// Counts in buckets with explicit bounds.
    Histogram, HistogramFields<'a> {
        /// Its points.
        data_points: Repeated<'a, HistogramDataPoint<'a>> = 1,
        /// Its `AggregationTemporality`.
        aggregation_temporality: i32 = 2,
    }
}

message! {
    /// Counts in buckets whose bounds are powers of a base.
    ExponentialHistogram, ExponentialHistogramFields<'a> {
        /// Its points.
        data_points: Repeated<'a, ExponentialHistogramDataPoint<'a>> = 1,
        /// Its `AggregationTemporality`.
        aggregation_temporality: i32 = 2,
    }
}

message! {
    /// Quantiles computed by the source.
    Summary, SummaryFields<'a> {
        /// Its points.
        data_points: Repeated<'a, SummaryDataPoint<'a>> = 1,
    }
}

/// The value of a number point or of an exemplar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A floating-point number.
    Double(f64),
    /// A whole number.
    Int(i64),
}

impl Number {
    /// The number as a double, rounded where it must be.
    #[must_use]
    pub const fn to_double(self) -> f64 {
        match self {
            Self::Double(value) => value,
            Self::Int(value) => value as f64,
        }
    }
}

impl<'a> FromField<'a> for Option<Number> {
    /// In points as in exemplars the whole number has the field 6.
    #[inline]
    fn read(&mut self, field: &Field<'a>, _: &'a [u8]) {
        *self = Some(if field.number == 6 {
            Number::Int(field.scalar as i64)
        } else {
            Number::Double(field.double())
        });
    }
}

message! {
    /// A point of a gauge or a sum.
    NumberDataPoint, NumberDataPointFields<'a> {
        /// Since when it counts, in nanoseconds since 1970; 0 where nobody knows.
        start_time_unix_nano: u64 = 2,
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: u64 = 3,
        /// Its value.
        value: Option<Number> = 4 | 6,
        /// Examples of what went into it.
        exemplars: Repeated<'a, Exemplar<'a>> = 5,
        /// Its attributes.
        attributes: Attributes<'a> = 7,
        /// Its `DataPointFlags`.
        flags: u32 = 8,
    }
}

message! {
    /// A point of a histogram.
    HistogramDataPoint, HistogramDataPointFields<'a> {
        /// Since when it counts, in nanoseconds since 1970; 0 where nobody knows.
        start_time_unix_nano: u64 = 2,
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: u64 = 3,
        /// Values counted.
        count: u64 = 4,
        /// Their sum, where it is known.
        sum: Option<f64> = 5,
        /// How many values each bucket has: one more than there are bounds, or none at all.
        bucket_counts: FixedList<'a, u64> = 6,
        /// The upper bounds of all buckets but the last, each within its bucket.
        explicit_bounds: FixedList<'a, f64> = 7,
        /// Examples of what went into it.
        exemplars: Repeated<'a, Exemplar<'a>> = 8,
        /// Its attributes.
        attributes: Attributes<'a> = 9,
        /// Its `DataPointFlags`.
        flags: u32 = 10,
        /// The least value, where it is known.
        min: Option<f64> = 11,
        /// The greatest value, where it is known.
        max: Option<f64> = 12,
    }
}

message! {
    /// A point of an exponential histogram.
    ExponentialHistogramDataPoint, ExponentialHistogramDataPointFields<'a> {
        /// Its attributes.
        attributes: Attributes<'a> = 1,
        /// Since when it counts, in nanoseconds since 1970; 0 where nobody knows.
        start_time_unix_nano: u64 = 2,
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: u64 = 3,
        /// Values counted.
        count: u64 = 4,
        /// Their sum, where it is known.
        sum: Option<f64> = 5,
        /// The base of the bounds is 2 to the power of 2 to the power of minus this.
        scale: i32 = 6 => zigzag,
        /// Values that are zero or too close to it.
        zero_count: u64 = 7,
        /// The buckets of positive values.
        positive: Option<Buckets<'a>> = 8,
        /// The buckets of negative values, by magnitude.
        negative: Option<Buckets<'a>> = 9,
        /// Its `DataPointFlags`.
        flags: u32 = 10,
        /// Examples of what went into it.
        exemplars: Repeated<'a, Exemplar<'a>> = 11,
        /// The least value, where it is known.
        min: Option<f64> = 12,
        /// The greatest value, where it is known.
        max: Option<f64> = 13,
        /// How close to zero counts as zero.
        zero_threshold: f64 = 14,
    }
}

message! {
    /// Neighbouring buckets of an exponential histogram.
    Buckets, BucketsFields<'a> {
        /// The index of the first bucket.
        offset: i32 = 1 => zigzag,
        /// How many values each bucket has.
        bucket_counts: Varints<'a> = 2,
    }
}

message! {
    /// A point of a summary.
    SummaryDataPoint, SummaryDataPointFields<'a> {
        /// Since when it counts, in nanoseconds since 1970; 0 where nobody knows.
        start_time_unix_nano: u64 = 2,
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: u64 = 3,
        /// Values counted.
        count: u64 = 4,
        /// Their sum.
        sum: f64 = 5,
        /// Quantiles and the values there.
        quantile_values: Repeated<'a, ValueAtQuantile<'a>> = 6,
        /// Its attributes.
        attributes: Attributes<'a> = 7,
        /// Its `DataPointFlags`.
        flags: u32 = 8,
    }
}

message! {
    /// The value at a quantile.
    ValueAtQuantile, ValueAtQuantileFields {
        /// The quantile, from 0 (the least value) to 1 (the greatest).
        quantile: f64 = 1,
        /// The value there.
        value: f64 = 2,
    }
}

message! {
    /// An example of what went into a point.
    Exemplar, ExemplarFields<'a> {
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: u64 = 2,
        /// Its value.
        value: Option<Number> = 3 | 6,
        /// The span during which it was taken: 8 bytes, or none.
        span_id: &'a [u8] = 4,
        /// The trace during which it was taken: 16 bytes, or none.
        trace_id: &'a [u8] = 5,
        /// Attributes of the measurement that the point does not have.
        filtered_attributes: Attributes<'a> = 7,
    }
}
