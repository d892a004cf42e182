//! What is told of requests between services, by all workers together.

use std::time::Duration;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tidegate_pdata::Signal;
use tidegate_pdata::compose::{
    Fields, Kind, Request, Temporality, exponential_point, histogram_point, number_point,
};
use tidegate_pdata::view::Attributes;
use tokio::time::Instant;

use super::store::Edge;
use crate::aggregate::{Aggregate, Shape};
use crate::clock::Moment;

/// How long a series is told that nothing is added to.
const STALE: Duration = Duration::from_secs(15 * 60);

/// What was counted of the requests between two services.
struct Series {
    requests: u64,
    failed: u64,
    server: Aggregate,
    client: Aggregate,
    seen: Instant,
}

/// A metric, and what it tells of a series.
type Counted<T> = (&'static str, fn(&Series) -> T);
/// How long requests took, seen from one side.
type Took = for<'s> fn(&'s Series) -> &'s Aggregate;

/// All series, by their attributes as fields of number 1.
pub(super) struct Graph {
    series: HashMap<Box<[u8]>, Series, RandomState>,
    shape: Shape,
    start: u64,
    most: usize,
    extra_label: bool,
    swept: Instant,
    /// Whether something was counted that no point has told yet.
    pub(super) is_news: bool,
}

impl Graph {
    pub(super) fn new(shape: Shape, most: usize, extra_label: bool) -> Self {
        let now = Moment::now();
        Self {
            series: HashMap::default(),
            shape,
            start: now.wall,
            most,
            extra_label,
            swept: now.at,
            is_news: false,
        }
    }

    /// Counts a request; says whether there was room.
    pub(super) fn add(&mut self, edge: &Edge, now: Instant) -> bool {
        let mut key = Fields::new();
        key.attribute(1, "client", &edge.client);
        key.attribute(1, "server", &edge.server);
        key.attribute(1, "connection_type", edge.connection.name());
        key.attribute(1, "failed", edge.failed);
        for (name, value) in &edge.dimensions {
            key.attribute(1, name, value);
        }
        if self.extra_label {
            key.attribute(1, "virtual_node", edge.absent);
        }
        if !self.series.contains_key(key.bytes()) {
            if self.series.len() >= self.most {
                return false;
            }
            let series = Series {
                requests: 0,
                failed: 0,
                server: Aggregate::new(&self.shape),
                client: Aggregate::new(&self.shape),
                seen: now,
            };
            self.series.insert(key.bytes().into(), series);
        }
        if let Some(series) = self.series.get_mut(key.bytes()) {
            series.requests += 1;
            series.failed += u64::from(edge.failed);
            series.server.observe(edge.server_took, 1, &self.shape);
            series.client.observe(edge.client_took, 1, &self.shape);
            series.seen = now;
            self.is_news = true;
        }
        true
    }

    /// Forgets series that nothing was added to for long, if it is time to look.
    pub(super) fn sweep(&mut self, now: Instant, interval: Duration) {
        if now.saturating_duration_since(self.swept) < interval {
            return;
        }
        self.swept = now;
        self.series
            .retain(|_, series| now.saturating_duration_since(series.seen) <= STALE);
    }

    /// Bytes that all of it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let series = self.series.values();
        let held = series.map(|series| series.server.bytes() + series.client.bytes());
        let keys = self.series.keys().map(|key| key.len() + 64);
        held.chain(keys).sum()
    }

    /// Writes a request of all that was counted.
    pub(super) fn write(&mut self, now: u64) -> Request {
        self.is_news = false;
        let mut request = Request::new(Signal::Metrics);
        request.resource(|_| {});
        request.scope("traces_service_graph", "");
        let counts: [Counted<u64>; 2] = [
            ("traces_service_graph_request_total", |series| {
                series.requests
            }),
            ("traces_service_graph_request_failed_total", |series| {
                series.failed
            }),
        ];
        for (name, count) in counts {
            request.metric(name, "", "", Kind::COUNTER);
            for (key, series) in self.series.iter().filter(|(_, series)| count(series) > 0) {
                request.point(|point| {
                    point.fixed64(number_point::START_TIME, self.start);
                    point.fixed64(number_point::TIME, now);
                    point.int(number_point::AS_INT, count(series) as i64);
                    attributes(key, number_point::ATTRIBUTES, point);
                });
            }
        }
        let kind = match self.shape {
            Shape::Exponential(_) => Kind::ExponentialHistogram(Temporality::Cumulative),
            _ => Kind::Histogram(Temporality::Cumulative),
        };
        let durations: [(&str, Took); 2] = [
            ("traces_service_graph_request_server", |series| {
                &series.server
            }),
            ("traces_service_graph_request_client", |series| {
                &series.client
            }),
        ];
        for (name, aggregate) in durations {
            request.metric(name, "", "s", kind);
            for (key, series) in &self.series {
                let aggregate = aggregate(series);
                let number = match aggregate.is_exponential() {
                    true => exponential_point::ATTRIBUTES,
                    false => histogram_point::ATTRIBUTES,
                };
                request.point(|point| {
                    point.fixed64(histogram_point::START_TIME, self.start);
                    point.fixed64(histogram_point::TIME, now);
                    aggregate.write(&self.shape, point);
                    attributes(key, number, point);
                });
            }
        }
        request
    }
}

fn attributes(key: &[u8], number: u32, point: &mut Fields) {
    for entry in Attributes::new(key, 1).entries() {
        point.some_bytes(number, entry.bytes());
    }
}
