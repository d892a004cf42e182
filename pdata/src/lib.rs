//! The telemetry data model: OTLP protobuf kept as bytes.
//!
//! A [`Batch`] is a list of segments, each a whole `Export…ServiceRequest` in
//! canonical form, with the context it came with and the receipt that answers for it.
//! Everything that reads goes through views over the bytes, everything that edits
//! through the splicer; neither decodes a record into owned types.

mod batch;
mod budget;
pub mod compose;
mod context;
mod door;
pub mod exponential;
pub mod json;
mod receipt;
pub mod series;
mod signal;
pub mod splice;
mod split;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod view;
pub mod wire;

pub use batch::{Batch, Payload, Segment};
pub use budget::{Budget, Client, NoRoom, Reservation, SHARE, is_fair, origin};
pub use context::{Context, ContextBuilder, ContextKeys};
pub use door::{Admitted, MalformedRequest, canonical_items};
pub use receipt::{Outcome, Pending, Receipt, Recourse, Refusal};
pub use signal::{Signal, Signals};
pub use split::Dealt;
