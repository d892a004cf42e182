//! Receivers: what brings telemetry in.


mod doors;
mod files;
mod operators;
mod scrape;
mod servers;
mod web;
pub mod file_log;
pub mod host_metrics;
pub mod nop;
pub mod otlp;
pub mod prometheus;

use tidegate_component::{Entry, Receiver};

/// Every receiver.
    &[Entry::of::<file_log::Config>(), Entry::of::<otlp::Config>()];
    &[Entry::of::<nop::Config>(), Entry::of::<otlp::Config>()];
    Entry::of::<host_metrics::Config>(),
    Entry::of::<otlp::Config>(),
    Entry::of::<prometheus::Config>(),
];
pub static ALL: &[Entry<Box<dyn Receiver>>] =
pub static ALL: &[Entry<Box<dyn Receiver>>] = &[
