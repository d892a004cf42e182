//! The lake's own metrics.

use tidegate_component::metrics::{Counter, Gauge, Metrics};

/// Handles to them.
pub(super) struct Meters {
    pub(super) objects: Counter,
    pub(super) bytes: Counter,
    pub(super) repeated: Counter,
    pub(super) inexact: Counter,
    pub(super) open: Gauge,
    pub(super) waiting: Gauge,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.counter(name, help, &[]);
        Self {
            objects: counter("tidegate_object_storage_objects", "Objects committed."),
            bytes: counter(
                "tidegate_object_storage_bytes",
                "Bytes of the objects committed.",
            ),
            repeated: counter(
                "tidegate_object_storage_repeated_objects",
                "Objects that were there already when they were committed, by an attempt whose answer was lost.",
            ),
            inexact: counter(
                "tidegate_object_storage_inexact_records",
                "Records that typed columns cannot hold exactly and that are kept as OTLP beside them.",
            ),
            open: metrics.gauge(
                "tidegate_object_storage_open_objects",
                "Objects that are being filled.",
                &[],
            ),
            waiting: metrics.gauge(
                "tidegate_object_storage_waiting_objects",
                "Objects that are sealed and not yet committed.",
                &[],
            ),
        }
    }
}
