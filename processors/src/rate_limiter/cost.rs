//! What a request costs whom: per tenant, without a look at any record that need not be.

use std::borrow::Cow;
use std::collections::HashMap;

use tidegate_pdata::view::{ByResource, LogRecord, Metric, MetricData, Repeated, Span, View};
use tidegate_pdata::{Context, Payload, Signal};

use super::Strategy;
use super::key::KeyBy;

/// What each tenant has to pay for a request.
pub(super) type Costs<'a> = Vec<(Cow<'a, str>, u64)>;

/// The costs of a request from this sender.
///
/// Where the key lies in the resources, each tenant pays for its own resources, and for a request that
/// holds anything of it.
pub(super) fn costs<'a>(
    strategy: Strategy,
    keys: &'a KeyBy,
    payload: &'a Payload,
    sender: &'a Context,
) -> Costs<'a> {
    if !keys.is_in_resource() {
        return vec![(keys.key(sender, &[]), whole(strategy, payload))];
    }
    let segments = payload.segments().iter();
    let mut resources = segments.flat_map(|segment| Repeated::<&'a [u8]>::new(segment.bytes(), 1));
    let (first, second) = (resources.next(), resources.next());
    let (Some(first), Some(second)) = (first, second) else {
        let resource = first.unwrap_or_default();
        return vec![(keys.key(sender, resource), whole(strategy, payload))];
    };
    let mut costs: HashMap<Cow<'a, str>, u64> = HashMap::new();
    for resource in [first, second].into_iter().chain(resources) {
        let cost = costs.entry(keys.key(sender, resource)).or_default();
        match strategy {
            Strategy::Requests => *cost = 1,
            Strategy::Bytes => *cost += resource.len() as u64,
            Strategy::Records | Strategy::Items => *cost += items(payload.signal(), resource),
        }
    }
    costs.into_iter().collect()
}

fn whole(strategy: Strategy, payload: &Payload) -> u64 {
    match strategy {
        Strategy::Requests => 1,
        Strategy::Bytes => payload.bytes() as u64,
        Strategy::Records | Strategy::Items => payload.items() as u64,
    }
}

/// Spans, data points or log records of a resource.
fn items(signal: Signal, resource: &[u8]) -> u64 {
    let items = match signal {
        Signal::Traces => records::<Span<'_>>(resource).count(),
        Signal::Logs => records::<LogRecord<'_>>(resource).count(),
        Signal::Metrics => records::<Metric<'_>>(resource).map(points).sum(),
    };
    items as u64
}

fn records<'a, R: View<'a>>(resource: &'a [u8]) -> impl Iterator<Item = R> {
    let group: ByResource<'a, R> = View::of(resource);
    group.scopes().flat_map(|scope| scope.records())
}

fn points(metric: Metric<'_>) -> usize {
    match metric.data() {
        MetricData::Gauge(gauge) => gauge.data_points().count(),
        MetricData::Sum(sum) => sum.data_points().count(),
        MetricData::Histogram(histogram) => histogram.data_points().count(),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        MetricData::Summary(summary) => summary.data_points().count(),
        MetricData::Empty => 0,
    }
}
