//! The exporter's own metrics.

use std::array;

use http::HeaderMap;
use tidegate_component::BuildContext;
use tidegate_component::metrics::Counter;

use super::convert::Rejected;
use crate::prometheus::rejection::Rejection;

/// What a peer of remote write 2.0 says that it wrote: the header, and what it counts.
const WRITTEN: [(&str, &str); 3] = [
    ("x-prometheus-remote-write-samples-written", "samples"),
    ("x-prometheus-remote-write-histograms-written", "histograms"),
    ("x-prometheus-remote-write-exemplars-written", "exemplars"),
];

#[derive(Debug)]
pub(super) struct Meters {
    pub(super) sent: Counter,
    series: Counter,
    failed: Counter,
    collided: Counter,
    rejected: [Counter; Rejection::ALL.len()],
    written: [Counter; WRITTEN.len()],
}

impl Meters {
    pub(super) fn new(cx: &BuildContext, parallel: usize) -> Self {
        let name = |what: &str| format!("otelcol_exporter_prometheusremotewrite_{what}");
        let counter = |what: &str, help: &str| cx.metrics.counter(&name(what), help, &[]);
        let consumers = "Requests of one batch that are sent at a time.";
        let consumers = cx.metrics.gauge(&name("consumers"), consumers, &[]);
        consumers.set(i64::try_from(parallel).unwrap_or(i64::MAX));
        Self {
            sent: counter("sent_batches", "Requests sent, whatever came of them."),
            series: counter(
                "translated_time_series",
                "Series that were made of data points.",
            ),
            failed: counter(
                "failed_translations",
                "Batches with data points that cannot be written.",
            ),
            collided: cx.metrics.counter(
                "tidegate_remote_write_collided_samples",
                "Samples left out for a later one of the same series and time.",
                &[],
            ),
            rejected: array::from_fn(|at| {
                cx.metrics.counter(
                    "tidegate_remote_write_rejected_points",
                    "Data points that cannot be written, by reason.",
                    &[("reason", Rejection::ALL[at].name())],
                )
            }),
            written: array::from_fn(|at| {
                let kind = WRITTEN[at].1;
                let help = format!("What a peer of remote write 2.0 says that it wrote: {kind}.");
                counter(&format!("written_{kind}"), &help)
            }),
        }
    }

    /// Counts a batch that was delivered.
    pub(super) fn translated(&self, series: usize, collided: usize) {
        self.series.add(series as u64);
        self.collided.add(collided as u64);
    }

    /// Counts what of a delivered batch could not be written.
    pub(super) fn rejected(&self, rejected: &Rejected) {
        if rejected.total() > 0 {
            self.failed.add(1);
            for (counter, points) in self.rejected.iter().zip(rejected.by_reason()) {
                counter.add(*points);
            }
        }
    }

    /// Counts what the peer says that it wrote; false where it says nothing.
    pub(super) fn written(&self, headers: &HeaderMap) -> bool {
        let mut said = false;
        for ((header, _), counter) in WRITTEN.iter().zip(&self.written) {
            let value = headers.get(*header).and_then(|value| value.to_str().ok());
            if let Some(count) = value.and_then(|text| text.parse().ok()) {
                counter.add(count);
                said = true;
            }
        }
        said
    }
}
