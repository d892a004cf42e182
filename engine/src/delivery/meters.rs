//! The Collector's own metrics of an exporter's delivery.

use tidegate_component::metrics::{Counter, Gauge, Histogram, Metrics};
use tidegate_component::{DROPPED_ITEMS, LOST_ITEMS, LOST_ITEMS_HELP, Reason};
use tidegate_pdata::Signal;

/// The Collector's bounds for the size of a batch that is sent.
const BATCH_SIZES: [f64; 22] = [
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0,
    6000.0, 7000.0, 8000.0, 9000.0, 10_000.0, 20_000.0, 30_000.0, 50_000.0, 100_000.0,
];

/// Series of one exporter and signal, under the Collector's names.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) sent: Counter,
    pub(super) send_failed: Counter,
    pub(super) enqueue_failed: Counter,
    pub(super) in_flight: Gauge,
    pub(super) batch_size: Histogram,
    pub(super) breaker: Gauge,
}

impl Meters {
    /// Makes the series; `metrics` carries the exporter's label.
    pub(super) fn new(metrics: &Metrics, signal: Signal, capacity: usize) -> Self {
        let by_items = |what: &str, help: &str| {
            metrics.counter(
                &format!("otelcol_exporter_{what}_{}", signal.items()),
                help,
                &[],
            )
        };
        let data_type = [("data_type", signal.name())];
        let gauge = |what: &str, help: &str| {
            metrics.gauge(&format!("otelcol_exporter_{what}"), help, &data_type)
        };
        gauge(
            "queue_capacity",
            "Fixed capacity of the sending queue, as its sizer counts.",
        )
        .set(i64::try_from(capacity).unwrap_or(i64::MAX));
        Self {
            sent: by_items("sent", "Items that the destination took."),
            send_failed: by_items("send_failed", "Items that were given up."),
            enqueue_failed: by_items(
                "enqueue_failed",
                "Items that the sending queue had no room for.",
            ),
            in_flight: gauge(
                "in_flight_requests",
                "Requests from their first attempt to their end.",
            ),
            batch_size: metrics.histogram(
                "otelcol_exporter_queue_batch_send_size",
                "Items of each request that is sent.",
                &data_type,
                &BATCH_SIZES,
            ),
            breaker: metrics.gauge(
                "tidegate_exporter_breaker_state",
                "State of the circuit breaker: 0 closed, 1 half-open, 2 open.",
                &data_type,
            ),
        }
    }
}

/// Serves the size of a queue as it is when it is read.
pub(super) fn queue_size(
    metrics: &Metrics,
    signal: Signal,
    size: impl Fn() -> usize + Send + Sync + 'static,
) {
    metrics.gauge_of(
        "otelcol_exporter_queue_size",
        "What the sending queue holds, as its sizer counts.",
        &[("data_type", signal.name())],
        move || i64::try_from(size()).unwrap_or(i64::MAX),
    );
}

/// A reason for which an exporter's delivery loses items, as a line of the ledger.
pub(super) fn loss(metrics: &Metrics, signal: Signal, name: &'static str) -> Reason {
    let labels = labels(signal, name);
    Reason::loss(name, metrics.counter(LOST_ITEMS, LOST_ITEMS_HELP, &labels))
}

/// The same reason where the senders are told, so that nothing is lost.
pub(super) fn returned(metrics: &Metrics, signal: Signal, name: &'static str) -> Reason {
    let help = "Items dropped by decision, by reason.";
    let labels = labels(signal, name);
    Reason::new(name, metrics.counter(DROPPED_ITEMS, help, &labels))
}

/// Items that another exporter keeps, by the reason for which they were given up.
pub(super) fn letters(metrics: &Metrics, signal: Signal, name: &'static str) -> Counter {
    let help = "Items that were given up and that another exporter keeps, by reason.";
    metrics.counter("tidegate_dead_letter_items", help, &labels(signal, name))
}

const fn labels(signal: Signal, name: &'static str) -> [(&'static str, &'static str); 3] {
    [
        ("pipeline", ""),
        ("signal", signal.name()),
        ("reason", name),
    ]
}
