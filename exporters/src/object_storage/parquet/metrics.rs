//! What the tables of data points share: the metric, the times, the attributes, the exemplars.

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, UInt32Builder,
};
use tidegate_pdata::view::{Attributes, Exemplar, Metric, Number, Repeated, View};

use super::Settings;
use super::attributes::AttributeColumns;
use super::columns::{Columns, Ids, Lists, Times, put_name, put_text, put_text_or_null};
use super::promoted::Promoted;
use super::rows::Place;

/// The names of `AggregationTemporality`.
pub(super) const TEMPORALITIES: &[&str] = &[
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];

/// What the tables of points differ in before the points themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    /// A gauge or a summary: none.
    None,
    /// A sum: temporality, and whether it never falls.
    Sum,
    /// A histogram: temporality.
    Histogram,
}

/// The fields that points of all kinds have.
pub(super) struct Common<'a> {
    pub(super) start: u64,
    pub(super) time: u64,
    pub(super) attributes: Attributes<'a>,
    pub(super) flags: u32,
}

/// Columns of what all points have.
pub(super) struct PointColumns {
    name: StringBuilder,
    description: StringBuilder,
    unit: StringBuilder,
    metadata: AttributeColumns,
    aggregation: Aggregation,
    temporality: StringBuilder,
    monotonic: BooleanBuilder,
    start: Times,
    time: Times,
    attributes: AttributeColumns,
    flags: UInt32Builder,
}

impl PointColumns {
    pub(super) fn new(aggregation: Aggregation) -> Self {
        Self {
            name: StringBuilder::new(),
            description: StringBuilder::new(),
            unit: StringBuilder::new(),
            metadata: AttributeColumns::default(),
            aggregation,
            temporality: StringBuilder::new(),
            monotonic: BooleanBuilder::new(),
            start: Times::default(),
            time: Times::default(),
            attributes: AttributeColumns::default(),
            flags: UInt32Builder::new(),
        }
    }

    pub(super) fn put(
        &mut self,
        place: &Place<'_>,
        point: &Common<'_>,
        promoted: &mut Promoted,
        exact: &mut bool,
    ) {
        let metric = Metric::of(place.metric).fields();
        put_text(&mut self.name, metric.name, exact);
        put_text_or_null(&mut self.description, metric.description, exact);
        put_text_or_null(&mut self.unit, metric.unit, exact);
        self.metadata.put(metric.metadata, exact);
        if self.aggregation != Aggregation::None {
            put_name(
                &mut self.temporality,
                TEMPORALITIES,
                place.around.temporality,
            );
        }
        if self.aggregation == Aggregation::Sum {
            self.monotonic.append_value(place.around.is_monotonic);
        }
        self.start.put(point.start, exact);
        self.time.put(point.time, exact);
        self.attributes
            .put_promoting(point.attributes, Some(promoted), exact);
        self.flags.append_value(point.flags);
    }

    pub(super) fn finish(&mut self, columns: &mut Columns) {
        columns.always("metric_name", self.name.finish());
        columns.maybe("metric_description", self.description.finish());
        columns.maybe("metric_unit", self.unit.finish());
        self.metadata.finish("metric_metadata_attribute", columns);
        if self.aggregation != Aggregation::None {
            columns.always("aggregation_temporality", self.temporality.finish());
        }
        if self.aggregation == Aggregation::Sum {
            columns.always("is_monotonic", self.monotonic.finish());
        }
        columns.maybe("start_time", self.start.finish());
        columns.maybe("time", self.time.finish());
        self.attributes.finish("metric_attribute", columns);
        columns.always("flags", self.flags.finish());
    }
}

/// Columns of a number: as a double, and as the whole number that it is.
#[derive(Default)]
pub(super) struct Numbers {
    value: Float64Builder,
    int_value: Int64Builder,
}

impl Numbers {
    pub(super) fn put(&mut self, number: Option<Number>) {
        self.value.append_option(number.map(Number::to_double));
        self.int_value.append_option(match number {
            Some(Number::Int(value)) => Some(value),
            _ => None,
        });
    }

    pub(super) fn finish(&mut self, columns: &mut Columns) {
        columns.maybe("value", self.value.finish());
        columns.maybe("int_value", self.int_value.finish());
    }
}

/// A column of lists of exemplars.
pub(super) struct Exemplars {
    lists: Lists,
    time: Times,
    numbers: Numbers,
    trace_id: Ids,
    span_id: Ids,
    attributes: AttributeColumns,
}

impl Exemplars {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            lists: Lists::default(),
            time: Times::default(),
            numbers: Numbers::default(),
            trace_id: Ids::new(settings.ids),
            span_id: Ids::new(settings.ids),
            attributes: AttributeColumns::default(),
        }
    }

    pub(super) fn put<'a>(&mut self, exemplars: Repeated<'a, Exemplar<'a>>, exact: &mut bool) {
        for exemplar in exemplars {
            let exemplar = exemplar.fields();
            self.time.put(exemplar.time_unix_nano, exact);
            self.numbers.put(exemplar.value);
            self.trace_id.put(exemplar.trace_id);
            self.span_id.put(exemplar.span_id);
            self.attributes.put(exemplar.filtered_attributes, exact);
        }
        self.lists.end(self.numbers.value.len());
    }

    pub(super) fn finish(&mut self, columns: &mut Columns) {
        let mut inner = Columns::default();
        inner.maybe("time", self.time.finish());
        self.numbers.finish(&mut inner);
        inner.push("trace_id", true, self.trace_id.finish());
        inner.push("span_id", true, self.span_id.finish());
        self.attributes.finish("filtered_attribute", &mut inner);
        columns.always("exemplars", self.lists.of_structs(inner));
    }
}
