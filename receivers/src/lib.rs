//! Receivers: what brings telemetry in.

pub mod host_metrics;
pub mod otlp;
pub mod prometheus;

mod scrape;

use tidegate_component::{Entry, Receiver};

/// Every receiver.
pub static ALL: &[Entry<Box<dyn Receiver>>] = &[
    Entry::of::<host_metrics::Config>(),
    Entry::of::<otlp::Config>(),
    Entry::of::<prometheus::Config>(),
];
