//! Where records come from: resources and scopes, alike for the three signals.

use std::marker::PhantomData;
use std::slice;

use super::attributes::Attributes;
use super::logs::LogRecord;
use super::metrics::Metric;
use super::repeated::{Repeated, View};
use super::text::Text;
use super::traces::Span;
use crate::{Payload, Segment, Signal};

message! {
    /// What the records are about: a service, a host, a device.
    Resource, ResourceFields<'a> {
        /// Its attributes.
        attributes: Attributes<'a> = 1,
        /// Attributes that its sender left out.
        dropped_attributes_count: u32 = 2,
        /// The entities that make it up.
        entity_refs: Repeated<'a, EntityRef<'a>> = 3,
    }
}

message! {
    /// An entity whose attributes are among those of the resource.
    EntityRef, EntityRefFields<'a> {
        /// The schema of the entity's attributes.
        schema_url: Text<'a> = 1,
        /// Its type.
        r#type: Text<'a> = 2,
        /// Keys of the resource's attributes that identify it.
        id_keys: Repeated<'a, Text<'a>> = 3,
        /// Keys of the resource's attributes that describe it.
        description_keys: Repeated<'a, Text<'a>> = 4,
    }
}

message! {
    /// The library that made the records.
    Scope, ScopeFields<'a> {
        /// Its name.
        name: Text<'a> = 1,
        /// Its version.
        version: Text<'a> = 2,
        /// Its attributes.
        attributes: Attributes<'a> = 3,
        /// Attributes that its sender left out.
        dropped_attributes_count: u32 = 4,
    }
}

/// A resource with its records, by scope.
#[derive(Debug)]
pub struct ByResource<'a, R> {
    bytes: &'a [u8],
    record: PhantomData<R>,
}

/// A scope with its records.
#[derive(Debug)]
pub struct ByScope<'a, R> {
    bytes: &'a [u8],
    record: PhantomData<R>,
}

/// A resource with its spans.
pub type ResourceSpans<'a> = ByResource<'a, Span<'a>>;
/// A resource with its metrics.
pub type ResourceMetrics<'a> = ByResource<'a, Metric<'a>>;
/// A resource with its log records.
pub type ResourceLogs<'a> = ByResource<'a, LogRecord<'a>>;
/// A scope with its spans.
pub type ScopeSpans<'a> = ByScope<'a, Span<'a>>;
/// A scope with its metrics.
pub type ScopeMetrics<'a> = ByScope<'a, Metric<'a>>;
/// A scope with its log records.
pub type ScopeLogs<'a> = ByScope<'a, LogRecord<'a>>;

impl<'a, R> ByResource<'a, R> {
    /// The message.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The resource; an empty one where it is absent.
    #[must_use]
    pub fn resource(&self) -> Resource<'a> {
        Resource::of(singular(self.bytes, 1))
    }

    /// The schema of the resource.
    #[must_use]
    pub fn schema_url(&self) -> Text<'a> {
        Text::new(singular(self.bytes, 3))
    }

    /// Its scopes.
    #[must_use]
    pub const fn scopes(&self) -> Repeated<'a, ByScope<'a, R>> {
        Repeated::new(self.bytes, 2)
    }
}

impl<'a, R> ByScope<'a, R> {
    /// The message.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The scope; an empty one where it is absent.
    #[must_use]
    pub fn scope(&self) -> Scope<'a> {
        Scope::of(singular(self.bytes, 1))
    }

    /// The schema of the records.
    #[must_use]
    pub fn schema_url(&self) -> Text<'a> {
        Text::new(singular(self.bytes, 3))
    }

    /// Its records, whatever the signal.
    #[must_use]
    pub const fn records(&self) -> Repeated<'a, R> {
        Repeated::new(self.bytes, 2)
    }
}

impl<'a> ScopeSpans<'a> {
    /// Its spans.
    #[must_use]
    pub const fn spans(&self) -> Repeated<'a, Span<'a>> {
        self.records()
    }
}

impl<'a> ScopeMetrics<'a> {
    /// Its metrics.
    #[must_use]
    pub const fn metrics(&self) -> Repeated<'a, Metric<'a>> {
        self.records()
    }
}

impl<'a> ScopeLogs<'a> {
    /// Its log records.
    #[must_use]
    pub const fn log_records(&self) -> Repeated<'a, LogRecord<'a>> {
        self.records()
    }
}

/// The content of a length-prefixed field that comes once; empty where it does not.
fn singular(message: &[u8], number: u32) -> &[u8] {
    crate::wire::Cursor::new(message)
        .find(|field| field.number == number)
        .map_or(&[], |field| field.bytes)
}

/// The resources of a payload with their records, over all its segments.
#[derive(Clone, Debug)]
pub struct Groups<'a, R> {
    current: Repeated<'a, ByResource<'a, R>>,
    segments: slice::Iter<'a, Segment>,
}

impl<'a, R> Iterator for Groups<'a, R> {
    type Item = ByResource<'a, R>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(group) = self.current.next() {
                return Some(group);
            }
            self.current = Repeated::new(self.segments.next()?.bytes(), 1);
        }
    }
}

impl Payload {
    /// The resources with their spans; none where the signal is another.
    #[must_use]
    pub fn resource_spans(&self) -> Groups<'_, Span<'_>> {
        self.groups(Signal::Traces)
    }

    /// The resources with their metrics; none where the signal is another.
    #[must_use]
    pub fn resource_metrics(&self) -> Groups<'_, Metric<'_>> {
        self.groups(Signal::Metrics)
    }

    /// The resources with their log records; none where the signal is another.
    #[must_use]
    pub fn resource_logs(&self) -> Groups<'_, LogRecord<'_>> {
        self.groups(Signal::Logs)
    }

    fn groups<R>(&self, signal: Signal) -> Groups<'_, R> {
        let segments = if self.signal() == signal {
            self.segments()
        } else {
            &[]
        };
        Groups {
            current: Repeated::default(),
            segments: segments.iter(),
        }
    }
}

// Derives would ask the same of `R`, which is only a mark.
impl<R> Clone for ByResource<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for ByResource<'_, R> {}
impl<R> Clone for ByScope<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for ByScope<'_, R> {}

impl<'a, R> View<'a> for ByResource<'a, R> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            record: PhantomData,
        }
    }
}

impl<'a, R> View<'a> for ByScope<'a, R> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            record: PhantomData,
        }
    }
}
