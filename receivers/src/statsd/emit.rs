//! What has added up, as OTLP.

use tidegate_pdata::Signal;
use tidegate_pdata::compose::{
    Fields, Kind, Request, Temporality, exponential_point, histogram_point, number_point,
    summary_point,
};

use super::config::{CounterType, Settings, View};
use super::exponential::{Exponential, Side};
use super::sockets::Sender;
use super::table::{Explicit, Metric, State, Table};

/// The scope that the original names.
const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/statsdreceiver";

/// Bytes after which a request is followed by another.
const LARGE: usize = 512 << 10;

/// The times of points.
#[derive(Clone, Copy)]
struct Times {
    since: u64,
    now: u64,
}

/// The requests of each sender.
pub(super) fn requests(
    table: Table,
    now: u64,
    settings: &Settings,
) -> impl Iterator<Item = (Sender, Vec<Request>)> {
    let times = Times {
        since: table.since,
        now,
    };
    table.senders.into_iter().map(move |(sender, mut metrics)| {
        // Points of one name belong to one metric.
        metrics.sort_by(|a, b| (&a.name, a.of).cmp(&(&b.name, b.of)));
        (sender, write(&metrics, times, settings))
    })
}

fn write(metrics: &[Metric], times: Times, settings: &Settings) -> Vec<Request> {
    let mut done = Vec::new();
    let mut request = begin();
    let mut last: Option<(&str, Kind)> = None;
    for metric in metrics {
        if request.size() > LARGE {
            done.push(std::mem::replace(&mut request, begin()));
            last = None;
        }
        let Some(kind) = kind(metric, settings) else {
            continue;
        };
        if last != Some((&metric.name, kind)) {
            request.metric(&metric.name, "", "", kind);
            last = Some((&metric.name, kind));
        }
        points(&mut request, metric, times, settings);
    }
    if request.items() > 0 {
        done.push(request);
    }
    done
}

fn begin() -> Request {
    let mut request = Request::new(Signal::Metrics);
    request.resource(|_| {});
    request.scope(SCOPE, env!("CARGO_PKG_VERSION"));
    request
}

const fn kind(metric: &Metric, settings: &Settings) -> Option<Kind> {
    Some(match &metric.state {
        State::Nothing => return None,
        State::Gauge(..) | State::Gauges(_) => Kind::Gauge,
        State::Counter(..) => Kind::Sum {
            temporality: Temporality::Delta,
            monotonic: settings.monotonic,
        },
        State::Summary(_) => Kind::Summary,
        State::Exponential(_) => Kind::ExponentialHistogram(Temporality::Delta),
        State::Explicit(_) => Kind::Histogram(Temporality::Delta),
    })
}

fn points(request: &mut Request, metric: &Metric, times: Times, settings: &Settings) {
    let Times { since, now } = times;
    let attributes = |point: &mut Fields, number: u32| {
        for (key, value) in &metric.tags {
            point.attribute(number, key, &**value);
        }
        if settings.metric_type {
            point.attribute(number, "metric_type", metric.of.name());
        }
    };
    let gauge = |request: &mut Request, value: f64, time: u64| {
        request.point(|point| {
            point.fixed64(number_point::TIME, time);
            point.double(number_point::AS_DOUBLE, value);
            attributes(point, number_point::ATTRIBUTES);
        });
    };
    match &metric.state {
        State::Nothing => {}
        State::Gauge(value, time) => gauge(request, *value, *time),
        State::Gauges(values) => {
            for (value, time) in values {
                gauge(request, *value, *time);
            }
        }
        State::Counter(sum, time) => request.point(|point| {
            point.fixed64(number_point::START_TIME, since);
            point.fixed64(number_point::TIME, if *time > 0 { *time } else { now });
            match settings.counter {
                CounterType::Float => point.double(number_point::AS_DOUBLE, *sum),
                _ => point.int(number_point::AS_INT, *sum as i64),
            }
            attributes(point, number_point::ATTRIBUTES);
        }),
        State::Summary(values) => {
            let View::Summary(percentiles) = settings.view(metric.of) else {
                return;
            };
            request.point(|point| {
                point.fixed64(summary_point::START_TIME, since);
                point.fixed64(summary_point::TIME, now);
                summary(point, values.clone(), percentiles);
                attributes(point, summary_point::ATTRIBUTES);
            });
        }
        State::Explicit(histogram) => request.point(|point| {
            point.fixed64(histogram_point::START_TIME, since);
            point.fixed64(histogram_point::TIME, now);
            explicit(point, histogram);
            attributes(point, histogram_point::ATTRIBUTES);
        }),
        State::Exponential(histogram) => request.point(|point| {
            attributes(point, exponential_point::ATTRIBUTES);
            point.fixed64(exponential_point::START_TIME, since);
            point.fixed64(exponential_point::TIME, now);
            exponential(point, histogram);
        }),
    }
}

fn summary(point: &mut Fields, mut values: Vec<(f64, f64)>, percentiles: &[f64]) {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count: f64 = values.iter().map(|(_, weight)| weight).sum();
    let sum: f64 = values.iter().map(|(value, weight)| value * weight).sum();
    point.fixed64(summary_point::COUNT, count as u64);
    point.double(summary_point::SUM, sum);
    for percentile in percentiles {
        point.message(summary_point::QUANTILES, |out| {
            let quantile = percentile / 100.0;
            out.double(summary_point::QUANTILE, quantile);
            out.double(summary_point::VALUE, at(&values, quantile * count));
        });
    }
}

/// The first value up to which so much weight has come together.
fn at(values: &[(f64, f64)], weight: f64) -> f64 {
    let mut sum = 0.0;
    let reached = values.iter().find(|(_, own)| {
        sum += own;
        sum >= weight
    });
    // What is lost in rounding may leave the last one short.
    reached.or(values.last()).map_or(0.0, |(value, _)| *value)
}

fn explicit(point: &mut Fields, histogram: &Explicit) {
    point.fixed64(histogram_point::COUNT, histogram.count);
    point.double(histogram_point::SUM, histogram.sum);
    let counts = histogram.counts.iter().copied();
    point.packed_fixed64(histogram_point::BUCKET_COUNTS, counts);
    let bounds = histogram.bounds.iter().copied();
    point.packed_doubles(histogram_point::EXPLICIT_BOUNDS, bounds);
    if histogram.count > 0 {
        point.double(histogram_point::MIN, histogram.min);
        point.double(histogram_point::MAX, histogram.max);
    }
}

fn exponential(point: &mut Fields, histogram: &Exponential) {
    point.fixed64(exponential_point::COUNT, histogram.count);
    point.double(exponential_point::SUM, histogram.sum);
    point.zigzag(exponential_point::SCALE, histogram.scale);
    point.fixed64(exponential_point::ZERO_COUNT, histogram.zeros);
    for (number, side) in [
        (exponential_point::POSITIVE, &histogram.positive),
        (exponential_point::NEGATIVE, &histogram.negative),
    ] {
        buckets(point, number, side);
    }
    if histogram.count > 0 {
        point.double(exponential_point::MIN, histogram.min);
        point.double(exponential_point::MAX, histogram.max);
    }
}

fn buckets(point: &mut Fields, number: u32, side: &Side) {
    let ends = side.first_key_value().zip(side.last_key_value());
    let Some(((first, _), (last, _))) = ends else {
        return;
    };
    point.message(number, |out| {
        out.zigzag(exponential_point::OFFSET, *first);
        let counts = (*first..=*last).map(|at| side.get(&at).copied().unwrap_or(0));
        out.packed_varints(exponential_point::BUCKET_COUNTS, counts);
    });
}
