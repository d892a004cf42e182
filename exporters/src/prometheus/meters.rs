//! The exporter's own metrics.

use tidegate_component::metrics::{Counter, Gauge, Metrics};

use super::rejection::Rejections;

/// The own metrics of the store.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) series: Gauge,
    pub(super) expired: Counter,
    pub(super) collided: Counter,
    pub(super) outdated: Counter,
    pub(super) rejected: Rejections,
}

impl Meters {
    pub(super) fn new(exporter: &str, metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.counter(name, help, &[]);
        Self {
            series: metrics.gauge("tidegate_prometheus_series", "Series that are shown.", &[]),
            expired: counter(
                "tidegate_prometheus_expired_series",
                "Series that were ended because no points came.",
            ),
            collided: counter(
                "tidegate_prometheus_collided_series",
                "Times that points of different attributes came to the labels of one series.",
            ),
            outdated: counter(
                "tidegate_prometheus_outdated_points",
                "Data points that were older than what is shown.",
            ),
            rejected: Rejections::new(exporter, metrics),
        }
    }
}
