//! What can be edited of metrics and their data points.

use super::editor::{Editor, Level, Target, kind};
use super::records::setters;
use super::value::NewField;
use crate::view::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric, Number, NumberDataPoint,
    SummaryDataPoint, View,
};

/// Edits a metric.
pub type MetricEditor<'e> = Editor<'e, kind::Metric>;
/// Edits a data point.
pub type DataPointEditor<'e> = Editor<'e, kind::DataPoint>;

#[expect(private_interfaces, reason = "sealed")]
impl Target for kind::Metric {
    type View<'a> = Metric<'a>;
    const LEVEL: Level = Level::Metric;
    fn view<'a>(self, bytes: &'a [u8]) -> Metric<'a> {
        Metric::of(bytes)
    }
    fn attributes(self) -> u32 {
        12
    }
    fn is_first(self, number: u32) -> bool {
        number <= 3
    }
}

setters!(Metric {
    /// Sets [`Metric::name`].
    set_name: bytes = 1;
    /// Sets [`Metric::description`].
    set_description: bytes = 2;
    /// Sets [`Metric::unit`].
    set_unit: bytes = 3;
});

impl MetricEditor<'_> {
    /// Sets the `AggregationTemporality`, of a sum or a histogram.
    pub fn set_aggregation_temporality(&mut self, temporality: i32) {
        if let Some(data @ (7 | 9 | 10)) = self.data_number() {
            self.set_inner(
                data,
                2,
                NewField::Varint(i64::from(temporality) as u64).or_absent(),
            );
        }
    }

    /// Sets whether a sum never falls.
    pub fn set_is_monotonic(&mut self, is_monotonic: bool) {
        if let Some(data @ 7) = self.data_number() {
            self.set_inner(
                data,
                3,
                NewField::Varint(u64::from(is_monotonic)).or_absent(),
            );
        }
    }

    fn data_number(&mut self) -> Option<u32> {
        use crate::view::MetricData;
        Some(match self.view().data() {
            MetricData::Empty => return None,
            MetricData::Gauge(_) => 5,
            MetricData::Sum(_) => 7,
            MetricData::Histogram(_) => 9,
            MetricData::ExponentialHistogram(_) => 10,
            MetricData::Summary(_) => 11,
        })
    }
}

impl kind::DataPoint {
    /// The kind of the points in a field of a metric.
    pub(super) const fn in_field(number: u32) -> Option<Self> {
        Some(match number {
            5 | 7 => Self::Number,
            9 => Self::Histogram,
            10 => Self::ExponentialHistogram,
            11 => Self::Summary,
            _ => return None,
        })
    }
}

/// A data point of any kind.
#[derive(Clone, Copy, Debug)]
pub enum DataPoint<'a> {
    /// Of a gauge or a sum.
    Number(NumberDataPoint<'a>),
    /// Of a histogram.
    Histogram(HistogramDataPoint<'a>),
    /// Of an exponential histogram.
    ExponentialHistogram(ExponentialHistogramDataPoint<'a>),
    /// Of a summary.
    Summary(SummaryDataPoint<'a>),
}

#[expect(private_interfaces, reason = "sealed")]
impl Target for kind::DataPoint {
    type View<'a> = DataPoint<'a>;
    const LEVEL: Level = Level::Record;
    #[inline]
    fn view<'a>(self, bytes: &'a [u8]) -> DataPoint<'a> {
        match self {
            Self::Number => DataPoint::Number(View::of(bytes)),
            Self::Histogram => DataPoint::Histogram(View::of(bytes)),
            Self::ExponentialHistogram => DataPoint::ExponentialHistogram(View::of(bytes)),
            Self::Summary => DataPoint::Summary(View::of(bytes)),
        }
    }
    #[inline]
    fn attributes(self) -> u32 {
        match self {
            Self::Number | Self::Summary => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 1,
        }
    }
}

setters!(DataPoint {
    /// Sets since when it counts.
    set_start_time_unix_nano: fixed64 = 2;
    /// Sets when it was taken.
    set_time_unix_nano: fixed64 = 3;
});

impl DataPointEditor<'_> {
    /// The kind of point that it is.
    #[must_use]
    pub const fn kind(&self) -> kind::DataPoint {
        self.target
    }

    /// The metric that it is of, as it was before its points were shown.
    pub fn metric(&mut self) -> Metric<'_> {
        let (metric, store) = self.scratch.draft(Level::Metric);
        Metric::of(metric.last_content(self.segment, store))
    }

    /// Sets its `DataPointFlags`.
    pub fn set_flags(&mut self, flags: u32) {
        let number = match self.target {
            kind::DataPoint::Number | kind::DataPoint::Summary => 8,
            kind::DataPoint::Histogram | kind::DataPoint::ExponentialHistogram => 10,
        };
        self.set(number, NewField::Varint(u64::from(flags)).or_absent());
    }

    /// Sets the value of a point of a gauge or a sum; for points of other kinds it does nothing.
    pub fn set_value(&mut self, value: Option<Number>) {
        if self.target != kind::DataPoint::Number {
            return;
        }
        let (double, int) = match value {
            None => (NewField::Absent, NewField::Absent),
            Some(Number::Double(value)) => (NewField::Fixed64(value.to_bits()), NewField::Absent),
            Some(Number::Int(value)) => (NewField::Absent, NewField::Fixed64(value as u64)),
        };
        self.set(4, double);
        self.set(6, int);
    }
}
