//! Data points: counters, gauges and histograms of the shop's services, cumulative.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum, number_data_point::Value,
};

use super::shop::{ROUTES, Shop, text};

const CUMULATIVE: i32 = 2;
const BOUNDS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// The state that cumulative points add up.
#[derive(Default)]
pub(super) struct Totals {
    start: u64,
    requests: HashMap<(u32, usize), u64>,
    durations: HashMap<(u32, usize), Durations>,
    service: u32,
}

#[derive(Clone, Default)]
struct Durations {
    buckets: [u64; BOUNDS.len() + 1],
    sum: f64,
}

/// About `count` data points at `now` (Unix time in nanoseconds), of one service after the other.
pub(super) fn metrics(
    shop: &mut Shop,
    totals: &mut Totals,
    now: u64,
    count: usize,
) -> ExportMetricsServiceRequest {
    if totals.start == 0 {
        totals.start = now;
    }
    let service = totals.service % shop.settings.services;
    totals.service = totals.service.wrapping_add(1);
    let (mut requests, mut durations, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..count {
        let route = at / 3 % ROUTES.len();
        match at % 3 {
            0 => requests.push(request_count(shop, totals, service, route, now)),
            1 => durations.push(duration(shop, totals, service, route, now)),
            _ => sessions.push(session(shop, now)),
        }
    }
    let sum = Data::Sum(Sum {
        data_points: requests,
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    });
    let histogram = Data::Histogram(Histogram {
        data_points: durations,
        aggregation_temporality: CUMULATIVE,
    });
    let gauge = Data::Gauge(Gauge {
        data_points: sessions,
    });
    let metrics = vec![
        metric("shop.requests", "{request}", "Requests served.", sum),
        metric(
            "http.server.request.duration",
            "s",
            "Duration of requests.",
            histogram,
        ),
        metric(
            "shop.session.items",
            "{item}",
            "Items in a user's cart.",
            gauge,
        ),
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(shop.resource(service)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(shop.scope()),
                metrics: metrics
                    .into_iter()
                    .filter(|metric| points(metric) > 0)
                    .collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(name: &str, unit: &str, description: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        _ => 0,
    }
}

fn labels(route: usize) -> Vec<KeyValue> {
    let route = ROUTES[route];
    vec![
        text("http.request.method", route.method),
        text("http.route", route.path),
    ]
}

fn request_count(
    shop: &mut Shop,
    totals: &mut Totals,
    service: u32,
    route: usize,
    now: u64,
) -> NumberDataPoint {
    let total = totals.requests.entry((service, route)).or_default();
    *total += 1 + shop.below(20);
    NumberDataPoint {
        attributes: labels(route),
        start_time_unix_nano: totals.start,
        time_unix_nano: now,
        value: Some(Value::AsInt(i64::try_from(*total).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    }
}

fn duration(
    shop: &mut Shop,
    totals: &mut Totals,
    service: u32,
    route: usize,
    now: u64,
) -> HistogramDataPoint {
    let total = totals.durations.entry((service, route)).or_default();
    for _ in 0..10 {
        let seconds = shop.micros(ROUTES[route].micros) as f64 / 1e6;
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        total.buckets[bucket] += 1;
        total.sum += seconds;
    }
    HistogramDataPoint {
        attributes: labels(route),
        start_time_unix_nano: totals.start,
        time_unix_nano: now,
        count: total.buckets.iter().sum(),
        sum: Some(total.sum),
        bucket_counts: total.buckets.to_vec(),
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn session(shop: &mut Shop, now: u64) -> NumberDataPoint {
    let items = shop.below(12);
    NumberDataPoint {
        attributes: vec![text("user.id", shop.user())],
        time_unix_nano: now,
        value: Some(Value::AsInt(i64::try_from(items).unwrap_or(0))),
        ..NumberDataPoint::default()
    }
}
