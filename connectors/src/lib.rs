//! Connectors: what joins pipelines.

pub mod failover;
pub mod forward;

use tidegate_component::{Connector, Entry};

/// Every connector.
pub static ALL: &[Entry<Box<dyn Connector>>] = &[
    Entry::of::<failover::Config>(),
    Entry::of::<forward::Config>(),
];
