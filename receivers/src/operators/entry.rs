//! One log record on its way through operators.

use std::sync::Arc;

use super::value::{Map, Text, Value};

/// Where an entry was read, so that its source is not moved past what operators still hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The file, or whatever it was read from.
    pub(crate) source: u64,
    /// Where it begins there.
    pub(crate) start: u64,
    /// The how manieth it is there, from 1 on.
    pub(crate) count: u64,
    /// The path of the file.
    pub(crate) path: Option<Arc<str>>,
}

/// A log record as operators see it: theirs to change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// When it happened, in nanoseconds since 1970, where that is known.
    pub(crate) timestamp: Option<u64>,
    /// When it was read.
    pub(crate) observed: u64,
    /// Its `SeverityNumber`, 0 where nobody knows.
    pub(crate) severity: u8,
    pub(crate) severity_text: Text,
    pub(crate) scope: Text,
    pub(crate) body: Value,
    pub(crate) attributes: Map,
    pub(crate) resource: Map,
    pub(crate) trace_id: Option<[u8; 16]>,
    pub(crate) span_id: Option<[u8; 8]>,
    pub(crate) trace_flags: u8,
    pub(crate) origin: Origin,
}

#[cfg(test)]
impl Entry {
    /// An entry with this body and nothing else.
    pub(crate) fn with_body(body: impl Into<Value>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }
}
