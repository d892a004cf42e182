//! Gauges, sums and histograms, five data points to a metric.

use std::ops::Range;

use super::Shape;
use super::record::Record;
use super::values::Values;

const POINTS_PER_METRIC: usize = 5;
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Sum,
    Histogram,
}

/// A `ScopeMetrics` whose points are the series that the template holds at these indices.
pub(super) fn scope_metrics(
    shape: &Shape,
    template: u32,
    items: Range<u32>,
    values: &mut Values,
) -> Record {
    let mut scope = Record::default();
    scope.nest(1, values.scope());
    let first = u64::from(template) * u64::from(shape.items_per_request);
    let series: Vec<u64> = items.map(|item| first + u64::from(item)).collect();
    for group in series.chunks(POINTS_PER_METRIC) {
        let series = group[0];
        scope.nest(2, metric(kind(shape, series), series % 20, group, values));
    }
    scope
}

/// Deals the kinds out by the series' number, so that a series keeps its kind.
fn kind(shape: &Shape, series: u64) -> Kind {
    let percent = (series / POINTS_PER_METRIC as u64 * 37) % 100;
    if percent < u64::from(shape.histogram_percent) {
        Kind::Histogram
    } else if (series / POINTS_PER_METRIC as u64).is_multiple_of(2) {
        Kind::Gauge
    } else {
        Kind::Sum
    }
}

fn metric(kind: Kind, name: u64, series: &[u64], values: &mut Values) -> Record {
    let mut data = Record::default();
    for &series in series {
        data.nest(1, point(kind, series, values));
    }
    let mut metric = Record::default();
    let (what, unit, field) = match kind {
        Kind::Gauge => ("pool.connections.idle", "{connection}", 5),
        Kind::Sum => ("server.requests.handled", "{request}", 7),
        Kind::Histogram => ("server.request.duration", "s", 9),
    };
    if matches!(kind, Kind::Sum | Kind::Histogram) {
        data.uint(2, 2); // cumulative
    }
    if matches!(kind, Kind::Sum) {
        data.uint(3, 1); // monotonic
    }
    metric.str(1, &format!("shop.{name:02}.{what}"));
    metric.str(2, "Measured by the instrumentation of the shop");
    metric.str(3, unit);
    metric.nest(field, data);
    metric
}

fn point(kind: Kind, series: u64, values: &mut Values) -> Record {
    let field = match kind {
        Kind::Gauge | Kind::Sum => 7,
        Kind::Histogram => 9,
    };
    let mut point = Record::default();
    point.time(2, -60_000_000_000);
    point.time(3, 0);
    match kind {
        Kind::Gauge | Kind::Sum => point.double(4, values.below(1_000_000) as f64 / 8.0),
        Kind::Histogram => buckets(&mut point, values),
    }
    point.attribute(field, "http.request.method", &values.method());
    point.attribute(field, "http.route", &values.route());
    point.attribute(field, "server.address", &values.host());
    point.attribute(field, "k8s.pod.name", &format!("shop-5d9c7b-{series:08}"));
    point.int_attribute(field, "http.response.status_code", values.status());
    point
}

fn buckets(point: &mut Record, values: &mut Values) {
    let counts: Vec<u64> = (0..=BOUNDS.len()).map(|_| values.below(500)).collect();
    let count: u64 = counts.iter().sum();
    point.fixed64(4, count);
    point.double(5, count as f64 * 0.125);
    point.packed64(6, counts.into_iter());
    point.packed64(7, BOUNDS.iter().map(|bound| bound.to_bits()));
}
