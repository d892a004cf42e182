//! Connectors: what joins pipelines.

pub mod failover;
pub mod forward;
pub mod otlpjson;

use tidegate_component::{Connector, Entry};

/// Every connector.
pub static ALL: &[Entry<Box<dyn Connector>>] = &[
    Entry::of::<failover::Config>(),
    Entry::of::<forward::Config>(),
    Entry::of::<otlpjson::Config>(),
];
