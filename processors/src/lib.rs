//! Processors: what changes batches on their way.

pub mod batch;

use tidegate_component::{Entry, Processor};

/// Every processor.
pub static ALL: &[Entry<Box<dyn Processor>>] = &[Entry::of::<batch::Config>()];
