//! Connectors: what joins pipelines.

mod aggregate;
mod clock;
mod made;

pub mod count;
pub mod failover;
pub mod forward;
pub mod otlpjson;
pub mod routing;
pub mod service_graph;
pub mod span_metrics;

use tidegate_component::{Connector, Entry};

/// Every connector.
pub static ALL: &[Entry<Box<dyn Connector>>] = &[
    Entry::of::<count::Config>(),
    Entry::of::<failover::Config>(),
    Entry::of::<forward::Config>(),
    Entry::of::<otlpjson::Config>(),
    Entry::of::<routing::Config>(),
    Entry::of::<service_graph::Config>(),
    Entry::of::<span_metrics::Config>(),
];
