//! Exporters: what delivers telemetry.

use tidegate_component::{Entry, AnyExporter};

/// Every exporter.
pub static ALL: &[Entry<AnyExporter>] = &[];
