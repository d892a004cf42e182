//! Connectors: what joins pipelines.

pub mod forward;

use tidegate_component::{Connector, Entry};

/// Every connector.
pub static ALL: &[Entry<Box<dyn Connector>>] = &[Entry::of::<forward::Config>()];
