//! Exporters: where telemetry goes.

pub mod debug;
pub mod file;
pub mod jaeger;
pub mod nop;
mod otlp;
pub mod otlp_grpc;
pub mod otlp_http;
pub mod prometheus;

use tidegate_component::{AnyExporter, Entry};

/// Every exporter.
pub static ALL: &[Entry<AnyExporter>] = &[
    Entry::of::<debug::Config>(),
    Entry::of::<file::Config>(),
    Entry::of::<jaeger::Config>(),
    Entry::of::<nop::Config>(),
    Entry::of::<otlp_grpc::Config>(),
    Entry::of::<otlp_http::Config>(),
    Entry::of::<prometheus::Config>(),
];
