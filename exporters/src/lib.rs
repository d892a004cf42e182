//! Exporters: where telemetry goes.

pub mod awss3;
pub mod debug;
pub mod file;
pub mod googlecloudstorage;
pub mod jaeger;
pub mod nop;
pub mod object_storage;
mod otlp;
pub mod otlp_grpc;
pub mod otlp_http;
pub mod prometheus;
pub mod prometheus_remote_write;

use tidegate_component::{AnyExporter, Entry};

/// Every exporter.
pub static ALL: &[Entry<AnyExporter>] = &[
    Entry::of::<awss3::Config>(),
    Entry::of::<debug::Config>(),
    Entry::of::<file::Config>(),
    Entry::of::<googlecloudstorage::Config>(),
    Entry::of::<jaeger::Config>(),
    Entry::of::<nop::Config>(),
    Entry::of::<object_storage::Config>(),
    Entry::of::<otlp_grpc::Config>(),
    Entry::of::<otlp_http::Config>(),
    Entry::of::<prometheus::Config>(),
    Entry::of::<prometheus_remote_write::Config>(),
];
