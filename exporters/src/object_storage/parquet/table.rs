//! The tables: a record's own columns, those asked for, those of its origin, and what is left over.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use serde::{Deserialize, Serialize};
use tidegate_pdata::Signal;

use super::Settings;
use super::columns::{Columns, Leftovers};
use super::leftover::request_of;
use super::logs::Logs;
use super::metrics::Aggregation;
use super::origin::{Origin, OriginColumns};
use super::points::{ExponentialPoints, HistogramPoints, NumberPoints, SummaryPoints};
use super::promoted::Promoted;
use super::rows::Place;
use super::spans::Spans;

/// What rows are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Table {
    Spans,
    Logs,
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Table {
    pub(in super::super) const ALL: [Self; 7] = [
        Self::Spans,
        Self::Logs,
        Self::Gauge,
        Self::Sum,
        Self::Histogram,
        Self::ExponentialHistogram,
        Self::Summary,
    ];

    pub(in super::super) const fn signal(self) -> Signal {
        match self {
            Self::Spans => Signal::Traces,
            Self::Logs => Signal::Logs,
            _ => Signal::Metrics,
        }
    }

    /// The kind of metric, for tables of data points.
    pub(in super::super) const fn kind(self) -> Option<&'static str> {
        match self {
            Self::Spans | Self::Logs => None,
            Self::Gauge => Some("gauge"),
            Self::Sum => Some("sum"),
            Self::Histogram => Some("histogram"),
            Self::ExponentialHistogram => Some("exponential_histogram"),
            Self::Summary => Some("summary"),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Logs => "logs",
            Self::Gauge => "gauge",
            Self::Sum => "sum",
            Self::Histogram => "histogram",
            Self::ExponentialHistogram => "exponential_histogram",
            Self::Summary => "summary",
        }
    }

    /// The column of the time that rows are sorted by.
    pub(super) const fn time_column(self) -> &'static str {
        match self {
            Self::Spans => "start_time",
            _ => "time",
        }
    }

    fn columns(self, settings: &Settings) -> Box<dyn RecordColumns> {
        match self {
            Self::Spans => Box::new(Spans::new(settings)),
            Self::Logs => Box::new(Logs::new(settings)),
            Self::Gauge => Box::new(NumberPoints::new(settings, Aggregation::None)),
            Self::Sum => Box::new(NumberPoints::new(settings, Aggregation::Sum)),
            Self::Histogram => Box::new(HistogramPoints::new(settings)),
            Self::ExponentialHistogram => Box::new(ExponentialPoints::new(settings)),
            Self::Summary => Box::new(SummaryPoints::new()),
        }
    }
}

/// The columns of a record's own fields.
pub(super) trait RecordColumns: Send {
    /// Adds a row.
    fn put(&mut self, place: &Place<'_>, promoted: &mut Promoted, exact: &mut bool);

    /// Takes the columns out and is empty again.
    fn finish(&mut self, columns: &mut Columns);
}

/// All columns of a table.
pub(super) struct TableColumns {
    record: Box<dyn RecordColumns>,
    promoted: Promoted,
    origin: OriginColumns,
    leftovers: Leftovers,
    table: Table,
}

impl TableColumns {
    pub(super) fn new(table: Table, settings: &Settings) -> Self {
        Self {
            record: table.columns(settings),
            promoted: Promoted::new(&settings.columns),
            origin: OriginColumns::default(),
            leftovers: Leftovers::default(),
            table,
        }
    }

    /// Adds a row and tells whether its cells hold the record exactly.
    pub(super) fn put(&mut self, place: &Place<'_>, origin: &Origin<'_>) -> bool {
        let mut exact = true;
        self.record.put(place, &mut self.promoted, &mut exact);
        self.promoted.end(origin.resource_attributes());
        self.origin.put(origin, &mut exact);
        if exact {
            self.leftovers.none();
        } else {
            self.leftovers.put(&request_of(place, self.table.signal()));
        }
        exact
    }

    /// Takes the rows out.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = Columns::default();
        self.record.finish(&mut columns);
        self.promoted.finish(&mut columns);
        self.origin.finish(&mut columns);
        columns.maybe("otlp", self.leftovers.finish());
        columns.into_batch()
    }
}
