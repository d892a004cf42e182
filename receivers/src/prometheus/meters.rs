//! What the receiver tells of itself beside what every receiver does.

use tidegate_component::metrics::{Counter, Gauge, Metrics};

use super::translate::Rejected;

/// Its own metrics.
#[derive(Clone, Debug)]
pub(super) struct Meters {
    /// Scrapes that went well.
    pub(super) scraped: Counter,
    /// Scrapes that failed.
    pub(super) failed: Counter,
    /// Scrapes that were left out because there was no room for what they would bring.
    pub(super) skipped: Counter,
    /// Targets that are scraped.
    pub(super) targets: Gauge,
    /// Series that are followed.
    pub(super) series: Gauge,
    duplicate: Counter,
    times: Counter,
    unbounded: Counter,
    falling: Counter,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let scrapes = |result| {
            let labels = [("result", result)];
            metrics.counter(
                "tidegate_prometheus_scrapes",
                "Scrapes, by result.",
                &labels,
            )
        };
        let rejected = |reason| {
            let name = "tidegate_prometheus_rejected_samples";
            let help = "Samples of a page that became no data point, by reason.";
            metrics.counter(name, help, &[("reason", reason)])
        };
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Self {
            scraped: scrapes("ok"),
            failed: scrapes("failed"),
            skipped: scrapes("no_room"),
            targets: gauge("tidegate_prometheus_targets", "Targets that are scraped."),
            series: gauge(
                "tidegate_prometheus_series",
                "Series whose end will be told.",
            ),
            duplicate: rejected("duplicate"),
            times: rejected("inconsistent_times"),
            unbounded: rejected("no_bound"),
            falling: rejected("falling_buckets"),
        }
    }

    /// Counts what a page held that became no point.
    pub(super) fn reject(&self, rejected: &Rejected) {
        self.duplicate.add(rejected.duplicate);
        self.times.add(rejected.times);
        self.unbounded.add(rejected.unbounded);
        self.falling.add(rejected.falling);
    }
}
