//! The tables of data points, one for each kind of metric.

use arrow_array::ListArray;
use arrow_array::builder::{ArrayBuilder, Float64Builder, Int32Builder, UInt64Builder};
use tidegate_pdata::view::{
    Buckets, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint,
    View,
};

use super::Settings;
use super::columns::{Columns, CountLists, Lists};
use super::metrics::{Aggregation, Common, Exemplars, Numbers, PointColumns};
use super::promoted::Promoted;
use super::rows::Place;
use super::table::RecordColumns;

/// The fields that points of all kinds have under the same names.
macro_rules! common {
    ($point:ident) => {
        Common {
            start: $point.start_time_unix_nano,
            time: $point.time_unix_nano,
            attributes: $point.attributes,
            flags: $point.flags,
        }
    };
}

/// The points of gauges and sums.
pub(super) struct NumberPoints {
    common: PointColumns,
    value: Numbers,
    exemplars: Exemplars,
}

impl NumberPoints {
    pub(super) fn new(settings: &Settings, aggregation: Aggregation) -> Self {
        Self {
            common: PointColumns::new(aggregation),
            value: Numbers::default(),
            exemplars: Exemplars::new(settings),
        }
    }
}

impl RecordColumns for NumberPoints {
    fn put(&mut self, place: &Place<'_>, promoted: &mut Promoted, exact: &mut bool) {
        let point = NumberDataPoint::of(place.record).fields();
        self.common.put(place, &common!(point), promoted, exact);
        self.value.put(point.value);
        self.exemplars.put(point.exemplars, exact);
    }

    fn finish(&mut self, columns: &mut Columns) {
        self.common.finish(columns);
        self.value.finish(columns);
        self.exemplars.finish(columns);
    }
}

/// How many values a distribution counted, their sum and their extremes.
#[derive(Default)]
struct Totals {
    count: UInt64Builder,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
}

impl Totals {
    fn put(&mut self, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
        self.count.append_value(count);
        self.sum.append_option(sum);
        self.min.append_option(min);
        self.max.append_option(max);
    }

    fn finish(&mut self, columns: &mut Columns) {
        columns.always("count", self.count.finish());
        columns.maybe("sum", self.sum.finish());
        columns.maybe("min", self.min.finish());
        columns.maybe("max", self.max.finish());
    }
}

/// The points of histograms.
pub(super) struct HistogramPoints {
    common: PointColumns,
    totals: Totals,
    bounds: DoubleLists,
    counts: CountLists,
    exemplars: Exemplars,
}

impl HistogramPoints {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            common: PointColumns::new(Aggregation::Histogram),
            totals: Totals::default(),
            bounds: DoubleLists::default(),
            counts: CountLists::default(),
            exemplars: Exemplars::new(settings),
        }
    }
}

impl RecordColumns for HistogramPoints {
    fn put(&mut self, place: &Place<'_>, promoted: &mut Promoted, exact: &mut bool) {
        let point = HistogramDataPoint::of(place.record).fields();
        self.common.put(place, &common!(point), promoted, exact);
        self.totals
            .put(point.count, point.sum, point.min, point.max);
        self.bounds.put(point.explicit_bounds);
        self.counts.put(point.bucket_counts);
        self.exemplars.put(point.exemplars, exact);
    }

    fn finish(&mut self, columns: &mut Columns) {
        self.common.finish(columns);
        self.totals.finish(columns);
        columns.always("explicit_bounds", self.bounds.finish());
        columns.always("bucket_counts", self.counts.finish());
        self.exemplars.finish(columns);
    }
}

/// The points of exponential histograms.
pub(super) struct ExponentialPoints {
    common: PointColumns,
    totals: Totals,
    scale: Int32Builder,
    zero_count: UInt64Builder,
    zero_threshold: Float64Builder,
    positive: BucketColumns,
    negative: BucketColumns,
    exemplars: Exemplars,
}

impl ExponentialPoints {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            common: PointColumns::new(Aggregation::Histogram),
            totals: Totals::default(),
            scale: Int32Builder::new(),
            zero_count: UInt64Builder::new(),
            zero_threshold: Float64Builder::new(),
            positive: BucketColumns::default(),
            negative: BucketColumns::default(),
            exemplars: Exemplars::new(settings),
        }
    }
}

impl RecordColumns for ExponentialPoints {
    fn put(&mut self, place: &Place<'_>, promoted: &mut Promoted, exact: &mut bool) {
        let point = ExponentialHistogramDataPoint::of(place.record).fields();
        self.common.put(place, &common!(point), promoted, exact);
        self.totals
            .put(point.count, point.sum, point.min, point.max);
        self.scale.append_value(point.scale);
        self.zero_count.append_value(point.zero_count);
        self.zero_threshold.append_value(point.zero_threshold);
        self.positive.put(point.positive);
        self.negative.put(point.negative);
        self.exemplars.put(point.exemplars, exact);
    }

    fn finish(&mut self, columns: &mut Columns) {
        self.common.finish(columns);
        self.totals.finish(columns);
        columns.always("scale", self.scale.finish());
        columns.always("zero_count", self.zero_count.finish());
        columns.always("zero_threshold", self.zero_threshold.finish());
        self.positive.finish("positive", columns);
        self.negative.finish("negative", columns);
        self.exemplars.finish(columns);
    }
}

/// Columns of the buckets of one sign; null where the point has none.
#[derive(Default)]
struct BucketColumns {
    offset: Int32Builder,
    counts: CountLists,
}

impl BucketColumns {
    fn put(&mut self, buckets: Option<Buckets<'_>>) {
        if let Some(buckets) = buckets {
            let buckets = buckets.fields();
            self.offset.append_value(buckets.offset);
            self.counts.put(buckets.bucket_counts);
        } else {
            self.offset.append_null();
            self.counts.absent();
        }
    }

    fn finish(&mut self, sign: &str, columns: &mut Columns) {
        columns.maybe(&format!("{sign}_offset"), self.offset.finish());
        columns.maybe(&format!("{sign}_bucket_counts"), self.counts.finish());
    }
}

/// The points of summaries.
pub(super) struct SummaryPoints {
    common: PointColumns,
    count: UInt64Builder,
    sum: Float64Builder,
    lists: Lists,
    quantile: Float64Builder,
    value: Float64Builder,
}

impl SummaryPoints {
    pub(super) fn new() -> Self {
        Self {
            common: PointColumns::new(Aggregation::None),
            count: UInt64Builder::new(),
            sum: Float64Builder::new(),
            lists: Lists::default(),
            quantile: Float64Builder::new(),
            value: Float64Builder::new(),
        }
    }
}

impl RecordColumns for SummaryPoints {
    fn put(&mut self, place: &Place<'_>, promoted: &mut Promoted, exact: &mut bool) {
        let point = SummaryDataPoint::of(place.record).fields();
        self.common.put(place, &common!(point), promoted, exact);
        self.count.append_value(point.count);
        self.sum.append_value(point.sum);
        for quantile in point.quantile_values {
            let quantile = quantile.fields();
            self.quantile.append_value(quantile.quantile);
            self.value.append_value(quantile.value);
        }
        self.lists.end(self.value.len());
    }

    fn finish(&mut self, columns: &mut Columns) {
        self.common.finish(columns);
        columns.always("count", self.count.finish());
        columns.always("sum", self.sum.finish());
        let mut inner = Columns::default();
        inner.always("quantile", self.quantile.finish());
        inner.always("value", self.value.finish());
        columns.always("quantiles", self.lists.of_structs(inner));
    }
}

/// A column of lists of doubles.
#[derive(Default)]
struct DoubleLists {
    lists: Lists,
    values: Float64Builder,
}

impl DoubleLists {
    fn put(&mut self, values: impl Iterator<Item = f64>) {
        values.for_each(|value| self.values.append_value(value));
        self.lists.end(self.values.len());
    }

    fn finish(&mut self) -> ListArray {
        self.lists.of(self.values.finish())
    }
}
