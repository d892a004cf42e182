//! Views: reading OTLP where it lies.
//!
//! A view is a slice with a type. Nothing is decoded or allocated; each view offers two ways in:
//!
//! - a method per field (`span.name()`), which walks the message up to that field: right for one or two fields;
//! - `fields()`, which walks the message once and returns all of them: right for three and more.
//!
//! Nested messages come as views and repeated fields as iterators over the bytes, so neither way
//! reads what is not asked for: `fields()` steps over the attributes, and iterating them walks from the first.
//! Fields are named as in the schema; numbers are as wide as there, enumerations are their
//! number (`opentelemetry-proto` names them), and whatever the schema does not know is stepped over.
//!
//! Views expect the canonical form that the door makes: each singular field once, scalars packed.
//! On any other bytes they return something, end early, and never panic.

#[macro_use]
mod message;
mod attributes;
mod field;
mod logs;
mod metrics;
mod origin;
mod render;
mod repeated;
mod text;
mod traces;
mod value;

#[cfg(test)]
pub(crate) mod tests;

pub use attributes::{Attributes, KeyValue};
pub use logs::{LogRecord, LogRecordFields};
pub use metrics::*;
pub use origin::{
    ByResource, ByScope, EntityRef, EntityRefFields, Groups, Resource, ResourceFields,
    ResourceLogs, ResourceMetrics, ResourceSpans, Scope, ScopeFields, ScopeLogs, ScopeMetrics,
    ScopeSpans,
};
pub use repeated::{Fixed, FixedList, Repeated, Varints, View};
pub use text::Text;
pub use traces::{
    Span, SpanEvent, SpanEventFields, SpanFields, SpanLink, SpanLinkFields, Status, StatusFields,
};
pub use value::AnyValue;
