//! A whole request, container by container.

use super::fields::{Begun, Fields};
use crate::{MalformedRequest, Payload, Reservation, Signal};

/// Fields that containers of all signals number alike.
mod container {
    /// Of the request: what belongs to a resource.
    pub(super) const RESOURCE: u32 = 1;
    /// Of that: the resource or the scope itself.
    pub(super) const ITSELF: u32 = 1;
    /// Of that: the scopes of a resource, the records of a scope.
    pub(super) const CHILDREN: u32 = 2;
    /// Of that: the URL of its schema.
    pub(super) const SCHEMA_URL: u32 = 3;
}

/// Fields of `InstrumentationScope`.
mod scope {
    pub(super) const NAME: u32 = 1;
    pub(super) const VERSION: u32 = 2;
}

/// Fields of `Metric` and of its data.
mod metric {
    pub(super) const NAME: u32 = 1;
    pub(super) const DESCRIPTION: u32 = 2;
    pub(super) const UNIT: u32 = 3;
    pub(super) const METADATA: u32 = 12;
    pub(super) const POINTS: u32 = 1;
    pub(super) const TEMPORALITY: u32 = 2;
    pub(super) const IS_MONOTONIC: u32 = 3;
}

/// What containers take at least: their length rarely has to be moved.
const LARGE: usize = 1 << 14;

/// What a point's value is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// The point before.
    Delta = 1,
    /// The start of the stream.
    Cumulative = 2,
}

/// What the points of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The last value.
    Gauge,
    /// A sum.
    Sum {
        /// What its values are relative to.
        temporality: Temporality,
        /// Whether it only ever rises.
        monotonic: bool,
    },
    /// A histogram with explicit bounds.
    Histogram(Temporality),
    /// A histogram with exponential bounds.
    ExponentialHistogram(Temporality),
    /// Quantiles.
    Summary,
}

impl Kind {
    /// A cumulative sum that only ever rises.
    pub const COUNTER: Self = Self::Sum {
        temporality: Temporality::Cumulative,
        monotonic: true,
    };

    /// A cumulative sum that rises and falls.
    pub const UP_DOWN_COUNTER: Self = Self::Sum {
        temporality: Temporality::Cumulative,
        monotonic: false,
    };

    const fn field(self) -> u32 {
        match self {
            Self::Gauge => 5,
            Self::Sum { .. } => 7,
            Self::Histogram(_) => 9,
            Self::ExponentialHistogram(_) => 10,
            Self::Summary => 11,
        }
    }

    /// Writes what comes behind the points.
    fn finish(self, data: &mut Fields) {
        match self {
            Self::Gauge | Self::Summary => {}
            Self::Sum {
                temporality,
                monotonic,
            } => {
                data.uint(metric::TEMPORALITY, temporality as u64);
                data.uint(metric::IS_MONOTONIC, monotonic.into());
            }
            Self::Histogram(temporality) | Self::ExponentialHistogram(temporality) => {
                data.uint(metric::TEMPORALITY, temporality as u64);
            }
        }
    }
}

/// A container that is open.
#[derive(Debug)]
struct Open {
    begun: Begun,
    /// Items in the request when it was opened.
    before: usize,
    schema_url: String,
}

/// A metric that is open.
#[derive(Debug)]
struct OpenMetric {
    begun: Begun,
    data: Begun,
    kind: Kind,
    before: usize,
    /// Attributes of the metric itself, encoded.
    metadata: Vec<u8>,
}

/// A request that is being composed.
///
/// Beginning a resource ends the one before, as a scope does, and a metric. Containers in which
/// nothing was put are left out.
#[derive(Debug)]
pub struct Request {
    signal: Signal,
    fields: Fields,
    items: usize,
    resource: Option<Open>,
    scope: Option<Open>,
    metric: Option<OpenMetric>,
}

impl Request {
    /// An empty request of a signal.
    #[must_use]
    pub fn new(signal: Signal) -> Self {
        Self {
            signal,
            fields: Fields::new(),
            items: 0,
            resource: None,
            scope: None,
            metric: None,
        }
    }

    /// Its signal.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// Spans, log records or data points in it.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.items
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.fields.len()
    }

    /// Begins a resource, whose fields `write` writes: attributes have number 1.
    pub fn resource(&mut self, write: impl FnOnce(&mut Fields)) {
        self.resource_of("", write);
    }

    /// Begins a resource under a schema.
    pub fn resource_of(&mut self, schema_url: &str, write: impl FnOnce(&mut Fields)) {
        self.end_resource();
        let begun = self.fields.begin(container::RESOURCE, LARGE);
        self.fields.message(container::ITSELF, write);
        self.resource = Some(self.opened(begun, schema_url));
    }

    /// Begins a scope of the resource.
    pub fn scope(&mut self, name: &str, version: &str) {
        self.scope_of("", |scope| {
            scope.string(scope::NAME, name);
            scope.string(scope::VERSION, version);
        });
    }

    /// Begins a scope under a schema, whose fields `write` writes: name 1, version 2, attributes 3.
    pub fn scope_of(&mut self, schema_url: &str, write: impl FnOnce(&mut Fields)) {
        self.end_scope();
        if self.resource.is_none() {
            self.resource(|_| {});
        }
        let begun = self.fields.begin(container::CHILDREN, LARGE);
        self.fields.message(container::ITSELF, write);
        self.scope = Some(self.opened(begun, schema_url));
    }

    /// Writes a span or a log record of the scope; a metric is begun by [`Request::metric`].
    pub fn record(&mut self, write: impl FnOnce(&mut Fields)) {
        debug_assert!(self.signal != Signal::Metrics, "metrics have points");
        self.need_scope();
        self.fields.message(container::CHILDREN, write);
        self.items += 1;
    }

    /// Writes records of the scope that were encoded elsewhere, each as a field of number 2.
    pub fn records(&mut self, count: usize, encoded: &[u8]) {
        debug_assert!(self.signal != Signal::Metrics, "metrics have points");
        self.need_scope();
        self.fields.raw(encoded);
        self.items += count;
    }

    /// Begins a metric of the scope.
    pub fn metric(&mut self, name: &str, description: &str, unit: &str, kind: Kind) {
        debug_assert!(self.signal == Signal::Metrics, "{:?}", self.signal);
        self.end_metric();
        self.need_scope();
        let begun = self.fields.begin(container::CHILDREN, LARGE);
        self.fields.string(metric::NAME, name);
        self.fields.string(metric::DESCRIPTION, description);
        self.fields.string(metric::UNIT, unit);
        let data = self.fields.begin(kind.field(), LARGE);
        self.metric = Some(OpenMetric {
            begun,
            data,
            kind,
            before: self.items,
            metadata: Vec::new(),
        });
    }

    /// Gives the metric an attribute of its own.
    pub fn metadata(&mut self, key: &str, value: &str) {
        if let Some(open) = &mut self.metric {
            let mut entry = Fields::new();
            entry.attribute(metric::METADATA, key, value);
            open.metadata.extend_from_slice(entry.bytes());
        }
    }

    /// Writes a data point of the metric.
    pub fn point(&mut self, write: impl FnOnce(&mut Fields)) {
        debug_assert!(self.metric.is_some(), "a point belongs to a metric");
        self.fields.message(metric::POINTS, write);
        self.items += 1;
    }

    /// The request, checked as everything from outside is; `hold` is what it weighs in the budget.
    ///
    /// # Errors
    /// When what was written keeps to no schema: a fault of the one who wrote.
    pub fn finish(mut self, hold: Option<Reservation>) -> Result<Payload, MalformedRequest> {
        self.end_resource();
        if self.items == 0 {
            return Ok(Payload::empty(self.signal));
        }
        let admitted = Payload::admit(self.signal, self.fields.into_bytes(), hold)?;
        Ok(admitted.payload)
    }

    fn opened(&self, begun: Begun, schema_url: &str) -> Open {
        Open {
            begun,
            before: self.items,
            schema_url: schema_url.to_owned(),
        }
    }

    fn need_scope(&mut self) {
        if self.scope.is_none() {
            self.scope_of("", |_| {});
        }
    }

    fn end_metric(&mut self) {
        let Some(open) = self.metric.take() else {
            return;
        };
        if open.before == self.items {
            self.fields.drop_back(&open.begun);
            return;
        }
        open.kind.finish(&mut self.fields);
        self.fields.end(open.data);
        self.fields.raw(&open.metadata);
        self.fields.end(open.begun);
    }

    fn end_scope(&mut self) {
        self.end_metric();
        let scope = self.scope.take();
        self.close(scope);
    }

    fn end_resource(&mut self) {
        self.end_scope();
        let resource = self.resource.take();
        self.close(resource);
    }

    fn close(&mut self, container: Option<Open>) {
        let Some(open) = container else {
            return;
        };
        if open.before == self.items {
            self.fields.drop_back(&open.begun);
            return;
        }
        self.fields.string(container::SCHEMA_URL, &open.schema_url);
        self.fields.end(open.begun);
    }
}
