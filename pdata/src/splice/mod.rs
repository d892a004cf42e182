//! The splicer: editing OTLP without decoding it.
//!
//! A processor states what it wants while the splicer walks a payload: an implementation of
//! [`Edits`] is shown each resource, scope and record through an [`Editor`], which reads and
//! edits it and reads what it just edited. What results is a list of patches; one write per segment
//! copies what no patch touches and mends the lengths around what one does. Unknown fields survive, a
//! segment without a change is passed on as it is, and bytes that nobody touched are the same bytes.
//!
//! ```
//! use tidegate_pdata::splice::{Edits, SpanEditor, Splicer, Verdict};
//!
//! struct Redact;
//!
//! impl Edits for Redact {
//!     fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
//!         let mut attributes = span.attributes();
//!         attributes.delete("enduser.id");
//!         attributes.upsert("redacted", true);
//!         Verdict::Keep
//!     }
//! }
//!
//! # let payload = tidegate_pdata::Payload::empty(tidegate_pdata::Signal::Traces);
//! let mut splicer = Splicer::default(); // one per processor: it keeps its scratch space
//! let payload = splicer.edit(payload, &mut Redact);
//! ```

mod attributes;
mod draft;
mod editor;
mod metrics;
mod open;
mod records;
mod slot;
mod store;
mod table;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use attributes::AttributeEditor;
pub use editor::{Editor, Target, kind};
pub use metrics::{DataPoint, DataPointEditor, MetricEditor};
pub use open::{Open, Part, ReadAttributes, Reading};
pub use records::{
    LogRecordEditor, ResourceEditor, ScopeEditor, SpanEditor, SpanEventEditor, SpanLinkEditor,
};
pub use store::Held;
pub use value::{NewField, NewValue};

use editor::Scratch;
use walk::Walk;

use crate::{Payload, Segment};

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, with its edits.
    Keep,
    /// It is left out. What then holds no record any more goes with it: its metric, scope and resource.
    Drop,
}

/// What becomes of something that holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// It stays, with its edits, and what it holds is shown next.
    Enter,
    /// It stays, with its edits, and what it holds is not shown.
    Skip,
    /// It is left out with all that it holds.
    Drop,
}

impl From<bool> for Verdict {
    /// Whether to keep it.
    fn from(keep: bool) -> Self {
        if keep { Self::Keep } else { Self::Drop }
    }
}

/// What a processor does to a payload, in the order of the bytes.
///
/// Only the methods for what a processor deals with need to be there; the rest let everything pass.
/// A processor of resources alone returns [`Visit::Skip`] and spares the walk over their records.
pub trait Edits {
    /// Shows a resource, before its scopes.
    fn resource(&mut self, _resource: &mut ResourceEditor<'_>) -> Visit {
        Visit::Enter
    }

    /// Shows a scope, before its records.
    fn scope(&mut self, _scope: &mut ScopeEditor<'_>) -> Visit {
        Visit::Enter
    }

    /// Shows a span.
    fn span(&mut self, _span: &mut SpanEditor<'_>) -> Verdict {
        Verdict::Keep
    }

    /// Shows a log record.
    fn log_record(&mut self, _record: &mut LogRecordEditor<'_>) -> Verdict {
        Verdict::Keep
    }

    /// Shows a metric, before its data points.
    fn metric(&mut self, _metric: &mut MetricEditor<'_>) -> Visit {
        Visit::Enter
    }

    /// Shows a data point.
    fn data_point(&mut self, _point: &mut DataPointEditor<'_>) -> Verdict {
        Verdict::Keep
    }
}

/// Space that is kept from payload to payload, so that editing records allocates nothing.
#[derive(Debug, Default)]
pub struct Splicer {
    scratch: Scratch,
}

impl Splicer {
    /// Shows a payload to `edits` and returns what they make of it.
    ///
    /// Items are counted exactly, each new segment takes its size from the budget of the one
    /// that it comes from, and a segment of which nothing is left is left out.
    pub fn edit<E: Edits>(&mut self, payload: Payload, edits: &mut E) -> Payload {
        let signal = payload.signal();
        let mut edited = Payload::empty(signal);
        for segment in payload.into_segments() {
            self.scratch.clear();
            let growth = Walk::new(segment.bytes(), signal, &mut self.scratch, edits).run();
            if self.scratch.store.patches.is_empty() {
                edited.push(segment);
                continue;
            }
            let items = segment.items().saturating_add_signed(growth);
            if items == 0 && segment.items() > 0 {
                continue;
            }
            let bytes = Bytes::from(self.scratch.store.finish(segment.bytes()));
            let hold = (segment.hold()).map(|hold| Arc::new(hold.overdraw(bytes.len())));
            edited.push(Segment::new(bytes, items, hold));
        }
        self.scratch.shrink();
        edited
    }
}
