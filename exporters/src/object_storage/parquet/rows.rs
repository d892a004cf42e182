//! Rows before they are written: where each record lies in the bytes that came.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tidegate_pdata::view::{
    ByResource, ByScope, ExponentialHistogramDataPoint, HistogramDataPoint, LogRecord, Metric,
    MetricData, NumberDataPoint, Repeated, Span, SummaryDataPoint, View,
};
use tidegate_pdata::{Payload, Signal};

use super::table::Table;

/// What a record's containers say of themselves, looked for once: their fields may lie behind
/// all of their records.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Around<'a> {
    /// The `Resource`.
    pub(super) resource: &'a [u8],
    pub(super) resource_schema: &'a [u8],
    /// The `InstrumentationScope`.
    pub(super) scope: &'a [u8],
    pub(super) scope_schema: &'a [u8],
    pub(super) temporality: i32,
    pub(super) is_monotonic: bool,
    /// Bytes of what a row repeats of them.
    pub(in super::super) bytes: usize,
}

/// A record with the messages that it stands in; `metric` is empty where there is none.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Place<'a> {
    /// Which segment of the payload it lies in.
    pub(in super::super) segment: usize,
    pub(in super::super) table: Table,
    pub(in super::super) resource: &'a [u8],
    pub(in super::super) scope: &'a [u8],
    pub(in super::super) metric: &'a [u8],
    pub(in super::super) record: &'a [u8],
    pub(in super::super) around: Around<'a>,
}

impl Place<'_> {
    /// The record's time: a span's start, a log record's time or when it was observed, a point's
    /// time; 0 where nobody knows.
    pub(in super::super) fn time(&self) -> u64 {
        match self.table {
            Table::Spans => Span::of(self.record).start_time_unix_nano(),
            Table::Logs => {
                let log = LogRecord::of(self.record);
                match log.time_unix_nano() {
                    0 => log.observed_time_unix_nano(),
                    time => time,
                }
            }
            Table::Gauge | Table::Sum => NumberDataPoint::of(self.record).time_unix_nano(),
            Table::Histogram => HistogramDataPoint::of(self.record).time_unix_nano(),
            Table::ExponentialHistogram => {
                ExponentialHistogramDataPoint::of(self.record).time_unix_nano()
            }
            Table::Summary => SummaryDataPoint::of(self.record).time_unix_nano(),
        }
    }
}

/// Visits every record of a payload in order.
pub(in super::super) fn walk<'a>(payload: &'a Payload, visit: &mut dyn FnMut(Place<'a>)) {
    for (at, segment) in payload.segments().iter().enumerate() {
        let whole = segment.bytes();
        match payload.signal() {
            Signal::Traces => {
                walk_records::<Span<'a>>(at, Table::Spans, Repeated::new(whole, 1), visit);
            }
            Signal::Logs => {
                walk_records::<LogRecord<'a>>(at, Table::Logs, Repeated::new(whole, 1), visit);
            }
            Signal::Metrics => walk_points(at, Repeated::new(whole, 1), visit),
        }
    }
}

impl<'a> Around<'a> {
    fn resource<R>(resource: &ByResource<'a, R>) -> Self {
        let (own, schema) = (
            resource.resource().bytes(),
            resource.schema_url().as_bytes(),
        );
        Self {
            resource: own,
            resource_schema: schema,
            bytes: own.len() + schema.len(),
            ..Self::default()
        }
    }

    fn scope<R>(self, scope: &ByScope<'a, R>) -> Self {
        let (own, schema) = (scope.scope().bytes(), scope.schema_url().as_bytes());
        Self {
            scope: own,
            scope_schema: schema,
            bytes: self.bytes + own.len() + schema.len(),
            ..self
        }
    }

    fn metric(self, metric: &Metric<'a>, data: &MetricData<'a>) -> Self {
        let (temporality, is_monotonic) = match data {
            MetricData::Sum(sum) => (sum.aggregation_temporality(), sum.is_monotonic()),
            MetricData::Histogram(data) => (data.aggregation_temporality(), false),
            MetricData::ExponentialHistogram(data) => (data.aggregation_temporality(), false),
            _ => (0, false),
        };
        Self {
            temporality,
            is_monotonic,
            bytes: self.bytes + metric.bytes().len().saturating_sub(data_len(data)),
            ..self
        }
    }
}

/// A view that is a whole message.
trait Whole<'a>: View<'a> {
    fn whole(&self) -> &'a [u8];
}

macro_rules! whole {
    ($($view:ident),*) => {$(
        impl<'a> Whole<'a> for $view<'a> {
            fn whole(&self) -> &'a [u8] {
                self.bytes()
            }
        }
    )*};
}

whole!(
    Span,
    LogRecord,
    NumberDataPoint,
    HistogramDataPoint,
    ExponentialHistogramDataPoint,
    SummaryDataPoint
);

fn walk_records<'a, R: Whole<'a>>(
    segment: usize,
    table: Table,
    resources: Repeated<'a, ByResource<'a, R>>,
    visit: &mut dyn FnMut(Place<'a>),
) {
    for resource in resources {
        let own = Around::resource(&resource);
        for scope in resource.scopes() {
            let around = own.scope(&scope);
            for record in scope.records() {
                visit(Place {
                    segment,
                    table,
                    resource: resource.bytes(),
                    scope: scope.bytes(),
                    metric: &[],
                    record: record.whole(),
                    around,
                });
            }
        }
    }
}

fn walk_points<'a>(
    segment: usize,
    resources: Repeated<'a, ByResource<'a, Metric<'a>>>,
    visit: &mut dyn FnMut(Place<'a>),
) {
    for resource in resources {
        let own = Around::resource(&resource);
        for scope in resource.scopes() {
            let around = own.scope(&scope);
            for metric in scope.records() {
                let data = metric.data();
                let place = Place {
                    segment,
                    table: Table::Gauge,
                    resource: resource.bytes(),
                    scope: scope.bytes(),
                    metric: metric.bytes(),
                    record: &[],
                    around: around.metric(&metric, &data),
                };
                match data {
                    MetricData::Empty => {}
                    MetricData::Gauge(data) => {
                        points(place, Table::Gauge, data.data_points(), visit);
                    }
                    MetricData::Sum(data) => points(place, Table::Sum, data.data_points(), visit),
                    MetricData::Histogram(data) => {
                        points(place, Table::Histogram, data.data_points(), visit);
                    }
                    MetricData::ExponentialHistogram(data) => {
                        points(
                            place,
                            Table::ExponentialHistogram,
                            data.data_points(),
                            visit,
                        );
                    }
                    MetricData::Summary(data) => {
                        points(place, Table::Summary, data.data_points(), visit);
                    }
                }
            }
        }
    }
}

/// Bytes of the part of a metric that holds its points.
const fn data_len(data: &MetricData<'_>) -> usize {
    match data {
        MetricData::Empty => 0,
        MetricData::Gauge(data) => data.bytes().len(),
        MetricData::Sum(data) => data.bytes().len(),
        MetricData::Histogram(data) => data.bytes().len(),
        MetricData::ExponentialHistogram(data) => data.bytes().len(),
        MetricData::Summary(data) => data.bytes().len(),
    }
}

fn points<'a, P: Whole<'a>>(
    place: Place<'a>,
    table: Table,
    points: Repeated<'a, P>,
    visit: &mut dyn FnMut(Place<'a>),
) {
    for point in points {
        visit(Place {
            table,
            record: point.whole(),
            ..place
        });
    }
}

/// A payload that rows point into, counted as held for as long as one of them is there.
#[derive(Debug)]
pub(in super::super) struct Source {
    payload: Payload,
    held: Arc<AtomicUsize>,
}

impl Source {
    pub(in super::super) fn new(payload: Payload, held: &Arc<AtomicUsize>) -> Self {
        held.fetch_add(payload.bytes(), Relaxed);
        Self {
            payload,
            held: Arc::clone(held),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.held.fetch_sub(self.payload.bytes(), Relaxed);
    }
}

/// Where a message lies in its segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    start: u32,
    len: u32,
}

impl Range {
    /// The range of a part of `whole`; none past 4 GiB.
    fn of(part: &[u8], whole: &[u8]) -> Option<Self> {
        if part.is_empty() {
            return Some(Self::default());
        }
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        Some(Self {
            start: u32::try_from(start).ok()?,
            len: u32::try_from(part.len()).ok()?,
        })
    }

    fn get(self, whole: &[u8]) -> &[u8] {
        let (start, len) = (self.start as usize, self.len as usize);
        whole.get(start..start + len).unwrap_or_default()
    }
}

/// The containers of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Container {
    source: u32,
    segment: u32,
    resource: Range,
    scope: Range,
    metric: Range,
    around: Ranges,
}

/// Where the parts of [`Around`] lie, and what it says beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranges {
    parts: [Range; 4],
    temporality: i32,
    is_monotonic: bool,
    bytes: usize,
}

impl Ranges {
    fn of(around: &Around<'_>, whole: &[u8]) -> Option<Self> {
        Some(Self {
            parts: [
                Range::of(around.resource, whole)?,
                Range::of(around.resource_schema, whole)?,
                Range::of(around.scope, whole)?,
                Range::of(around.scope_schema, whole)?,
            ],
            temporality: around.temporality,
            is_monotonic: around.is_monotonic,
            bytes: around.bytes,
        })
    }

    fn get<'a>(&self, whole: &'a [u8]) -> Around<'a> {
        let [resource, resource_schema, scope, scope_schema] = self.parts;
        Around {
            resource: resource.get(whole),
            resource_schema: resource_schema.get(whole),
            scope: scope.get(whole),
            scope_schema: scope_schema.get(whole),
            temporality: self.temporality,
            is_monotonic: self.is_monotonic,
            bytes: self.bytes,
        }
    }
}

/// One row: which containers, where, and what it is sorted by.
#[derive(Clone, Copy, Debug)]
struct Row {
    container: u32,
    record: Range,
    service: u32,
    time: u64,
}

/// The rows of a row group to be.
#[derive(Debug, Default)]
pub(super) struct Rows {
    sources: Vec<Arc<Source>>,
    containers: Vec<Container>,
    rows: Vec<Row>,
    services: HashMap<Box<[u8]>, u32>,
    /// The service of the last container.
    service: u32,
    bytes: usize,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of the records, each with what it repeats of its containers.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row; false, and nothing added, where it lies past what can be pointed to.
    pub(super) fn add(&mut self, source: &Arc<Source>, place: &Place<'_>, time: u64) -> bool {
        let Some((container, record)) = self.locate(source, place) else {
            return false;
        };
        if self.containers.last() != Some(&container) {
            let before = self.containers.last();
            let same = |last: &Container| {
                (last.source, last.segment, last.resource)
                    == (container.source, container.segment, container.resource)
            };
            if !before.is_some_and(same) {
                self.service = self.service(place.resource);
            }
            self.containers.push(container);
        }
        self.rows.push(Row {
            container: self.containers.len() as u32 - 1,
            record,
            service: self.service,
            time,
        });
        self.bytes += place.record.len() + place.around.bytes;
        true
    }

    fn locate(&mut self, source: &Arc<Source>, place: &Place<'_>) -> Option<(Container, Range)> {
        let whole = source.payload.segments().get(place.segment)?.bytes();
        if !self
            .sources
            .last()
            .is_some_and(|last| Arc::ptr_eq(last, source))
        {
            self.sources.push(Arc::clone(source));
        }
        let container = Container {
            source: u32::try_from(self.sources.len()).ok()? - 1,
            segment: u32::try_from(place.segment).ok()?,
            resource: Range::of(place.resource, whole)?,
            scope: Range::of(place.scope, whole)?,
            metric: Range::of(place.metric, whole)?,
            around: Ranges::of(&place.around, whole)?,
        };
        Some((container, Range::of(place.record, whole)?))
    }

    fn service(&mut self, resource: &[u8]) -> u32 {
        let name = super::service_name(resource).map_or(&[][..], |name| name.as_bytes());
        if let Some(service) = self.services.get(name) {
            return *service;
        }
        let service = self.services.len() as u32;
        self.services.insert(name.into(), service);
        service
    }

    /// Sorts the rows by service and time; equal ones stay in the order in which they came.
    pub(super) fn sort(&mut self) {
        let mut names: Vec<_> = self.services.iter().collect();
        names.sort();
        let mut ranks = vec![0; names.len()];
        for (rank, (_, service)) in names.into_iter().enumerate() {
            ranks[*service as usize] = rank;
        }
        self.rows
            .sort_by_key(|row| (ranks[row.service as usize], row.time));
    }

    /// The records in their order, each with the number of its containers.
    pub(super) fn iter(&self, table: Table) -> impl Iterator<Item = (u32, Place<'_>)> {
        self.rows.iter().filter_map(move |row| {
            let container = self.containers.get(row.container as usize)?;
            let source = self.sources.get(container.source as usize)?;
            let segment = source.payload.segments().get(container.segment as usize)?;
            let whole = segment.bytes();
            let place = Place {
                segment: container.segment as usize,
                table,
                resource: container.resource.get(whole),
                scope: container.scope.get(whole),
                metric: container.metric.get(whole),
                record: row.record.get(whole),
                around: container.around.get(whole),
            };
            Some((row.container, place))
        })
    }

    /// Lets all rows go, and the bytes they pointed into.
    pub(super) fn clear(&mut self) {
        self.sources.clear();
        self.containers.clear();
        self.rows.clear();
        self.services.clear();
        self.bytes = 0;
    }
}
