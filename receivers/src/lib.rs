//! Receivers: what brings telemetry in.

mod doors;
pub mod file_log;
mod files;
mod grouped;
pub mod host_metrics;
#[cfg(any(test, feature = "testing"))]
pub mod hostile;
pub mod jaeger;
pub mod journald;
pub mod k8s_cluster;
pub mod k8s_events;
pub mod k8s_objects;
pub mod kubelet_stats;
mod kubernetes;
pub mod nop;
mod offering;
mod operators;
pub mod otlp;
pub mod prometheus;
mod repeated;
mod scrape;
mod servers;
#[cfg(test)]
mod shelf;
pub mod statsd;
pub mod syslog;
mod text;
pub mod thrift;
mod web;
pub mod zipkin;

use tidegate_component::{Entry, Receiver};

/// Every receiver.
pub static ALL: &[Entry<Box<dyn Receiver>>] = &[
    Entry::of::<file_log::Config>(),
    Entry::of::<host_metrics::Config>(),
    Entry::of::<jaeger::Config>(),
    Entry::of::<k8s_cluster::Config>(),
    Entry::of::<journald::Config>(),
    Entry::of::<k8s_events::Config>(),
    Entry::of::<k8s_objects::Config>(),
    Entry::of::<kubelet_stats::Config>(),
    Entry::of::<nop::Config>(),
    Entry::of::<otlp::Config>(),
    Entry::of::<prometheus::Config>(),
    Entry::of::<statsd::Config>(),
    Entry::of::<syslog::Config>(),
    Entry::of::<zipkin::Config>(),
];
