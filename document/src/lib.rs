//! The tree of a configuration that remembers where everything was written, and the reading of typed settings off it.
//!
//! The way of a configuration through this crate: [`yaml::parse`] makes a [`Node`] tree of a text, [`read`] checks
//! the tree against the schema of a type, collects everything that is wrong as [`Diagnostics`] and gives the typed
//! value; [`Diagnostics::render`] shows each finding under the line that caused it.

pub mod schema;
pub mod yaml;

mod de;
mod diagnostic;
mod id;
mod layers;
mod node;
mod read;
mod redact;
mod reference;
mod render;
mod source;
mod suggest;
mod types;
mod walk;

pub use diagnostic::{Diagnostic, Diagnostics, Kind, Severity};
pub use id::{ComponentId, InvalidId};
pub use layers::split;
pub use node::{Entry, Map, Node, Value};
pub use read::{examine, examine_beside, part, read, read_plain};
pub use redact::{redact, redact_by_name};
pub use reference::{KeyRow, key_rows};
pub use render::Paint;
pub use source::{Location, SourceId, Sources, Span};
pub use suggest::{did_you_mean, nearest};
pub use types::{ByteSize, Duration, OneOrMany, Secret, Spanned};

#[doc(hidden)]
pub mod macros {
    pub use crate::layers::{Layers, keys_of, layer, merged};
    pub use schemars;
    pub use serde;
}
