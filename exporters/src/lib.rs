//! Exporters: what delivers telemetry.

pub mod nop;
pub mod otlp;

use tidegate_component::{AnyExporter, Entry};

/// Every exporter.
pub static ALL: &[Entry<AnyExporter>] = &[
    Entry::of::<nop::Config>(),
    Entry::of::<otlp::GrpcConfig>(),
    Entry::of::<otlp::jaeger::Config>(),
];
