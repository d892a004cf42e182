//! The door: what comes in from outside is checked to its last field, counted, and brought
//! into the canonical form that everything behind it relies on.
//!
//! # Canonical form
//! A request is canonical when it is well-formed and, in every message of the schema:
//! - a singular field stands at most once, and of a oneof at most one member;
//! - a packed field stands at most once, and packed;
//! - these fields come before all others that the schema knows of in their message:
//!   `resource` in `ResourceSpans`, `ResourceMetrics` and `ResourceLogs`; `scope` in
//!   `ScopeSpans`, `ScopeMetrics` and `ScopeLogs`; `name`, `description` and `unit` in
//!   `Metric`; `key` in `KeyValue`. So whoever reads children has what they need of the
//!   parents. (`schema_url` and a sum's temporality come after the children in most encodings);
//! - the tags of fields that the schema knows take as few bytes as they can: a field number
//!   below 16 is one byte.
//!
//! Nothing else is promised. The order of fields is free but for the above: the encoders of Go,
//! Java and .NET each have their own. Numbers and lengths may be padded (.NET writes lengths of
//! four bytes), integers may have more bits than their type, which readers cut off as protobuf
//! says, fields may have their default value, an attribute may have no key or no value, unknown
//! fields may stand anywhere, groups among them, and text need not be UTF-8.
//!
//! The SDKs' encodings are canonical as they come. One exception is known: .NET writes the
//! buckets of exponential histograms unpacked.
//!
//! # What is refused
//! Bytes that are no protobuf message; known fields of another wire type than the schema's,
//! groups included; messages and groups nested more than [`MAX_DEPTH`] levels below the request.

mod explain;
mod rewrite;
pub(crate) mod schema;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

#[cfg(doc)]
use crate::wire::MAX_DEPTH;
use crate::wire::Malformed;
use crate::{Payload, Reservation, Segment, Signal};

/// A request that passed the door.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Its telemetry, in canonical form.
    pub payload: Payload,
    /// Whether it came in another form and was written anew.
    pub rewritten: bool,
}

/// A request that the door refuses: sending it again is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedRequest {
    /// The names of the fields that lead to the fault, joined by dots; empty at the top.
    pub path: String,
    /// What is wrong, and at which byte of the request.
    pub cause: Malformed,
}

impl std::fmt::Display for MalformedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}", self.cause)
        } else {
            write!(f, "{}: {}", self.path, self.cause)
        }
    }
}

impl std::error::Error for MalformedRequest {}

impl Payload {
    /// Takes in a request of a signal from outside: checks it to full depth, counts its items
    /// and brings it into canonical form.
    ///
    /// The bytes are kept as they are where they are canonical already, so they should lie in a
    /// buffer of their own, of their size. `hold` is resized to what is kept, past the limit of
    /// the budget if need be.
    ///
    /// # Errors
    /// When the bytes are no such request; the error names the field and the byte.
    pub fn admit(
        signal: Signal,
        bytes: Bytes,
        hold: Option<Reservation>,
    ) -> Result<Admitted, MalformedRequest> {
        if let Some(items) = walk::canonical_items(signal, &bytes) {
            let hold = hold.map(Arc::new);
            return Ok(Admitted {
                payload: Self::from_segment(signal, Segment::new(bytes, items, hold)),
                rewritten: false,
            });
        }
        Self::admit_odd(signal, &bytes, hold)
    }

    #[cold]
    fn admit_odd(
        signal: Signal,
        bytes: &[u8],
        hold: Option<Reservation>,
    ) -> Result<Admitted, MalformedRequest> {
        explain::check(signal, bytes)?;
        let (bytes, items) = rewrite::canonicalise(signal, bytes);
        let hold = hold.map(|mut hold| {
            hold.resize(bytes.len());
            Arc::new(hold)
        });
        Ok(Admitted {
            payload: Self::from_segment(signal, Segment::new(bytes, items, hold)),
            rewritten: true,
        })
    }
}

/// The items of a request, if it is well-formed and canonical: what everything that makes
/// segments must uphold.
#[must_use]
pub fn canonical_items(signal: Signal, request: &[u8]) -> Option<usize> {
    walk::canonical_items(signal, request)
}
