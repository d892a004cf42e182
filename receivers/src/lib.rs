//! Receivers: what brings telemetry in.

mod doors;
pub mod file_log;
mod files;
pub mod host_metrics;
pub mod nop;
mod operators;
pub mod otlp;
pub mod prometheus;
mod scrape;
mod servers;
mod web;

use tidegate_component::{Entry, Receiver};

/// Every receiver.
pub static ALL: &[Entry<Box<dyn Receiver>>] = &[
    Entry::of::<file_log::Config>(),
    Entry::of::<host_metrics::Config>(),
    Entry::of::<nop::Config>(),
    Entry::of::<otlp::Config>(),
    Entry::of::<prometheus::Config>(),
];
