//! From what a user names on the command line to the graph it describes.
//!
//! [`load`] reads, merges and expands the texts into one document that knows where everything was written;
//! [`describe`] makes [`Settings`] of it, checking all that can be checked without knowing a component; the settings
//! of the components themselves stay trees, to be read by those who know them. [`print()`] and [`whole_schema`] give the
//! document and its language back out.

mod collector;
mod describe;
mod expand;
mod load;
mod merge;
mod names;
mod print;
mod provider;
mod schema;
mod settings;
mod surroundings;
#[cfg(test)]
mod testing;

pub mod telemetry;

pub use collector::is_collectors;
pub use describe::{Options, UnknownKeys, describe};
pub use load::{Loaded, Request, go_variables, load};
pub use names::{Kind, RENAMED, canonical, spellings};
pub use print::{Format, Mode, print};
pub use schema::whole_schema;
pub use settings::{
    Component, Components, Handover, Pipeline, PipelineId, Reference, Service, Settings,
};
pub use surroundings::{Process, Surroundings};
