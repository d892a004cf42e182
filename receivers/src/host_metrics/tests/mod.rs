//! The receiver against a made-up host, against broken ones, and against the host at hand.

mod bad_input;
mod config;
mod entity;
mod golden;
mod made_up;
mod real;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, metric::Data};
use prost::Message;
use tidegate_component::testing::{FakeDoor, read};
use tidegate_component::{BuildContext, Receiver};
use tidegate_pdata::Signal;

use super::{Config, HostMetrics};

/// The made-up host.
fn made_up() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host")
}

/// A point with everything around it.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    resource: String,
    scope: String,
    metric: String,
    unit: String,
    description: String,
    kind: &'static str,
    /// `a=b,c=d`.
    attributes: String,
    keys: Vec<String>,
    start: u64,
    time: u64,
    value: f64,
    is_int: bool,
}

/// A receiver before a door that takes everything.
struct Rig {
    receiver: HostMetrics,
    door: Arc<FakeDoor>,
    build: BuildContext,
}

impl Rig {
    /// A receiver of this YAML without the root path, which scrapes every ten seconds.
    async fn start(root: &Path, scrapers: &str) -> Self {
        let text = format!(
            "{{collection_interval: 10s, initial_delay: 0s, root_path: '{}', \
             scrapers: {{{scrapers}}}}}",
            root.display()
        );
        let build = BuildContext::detached("receiver", "host_metrics".parse().unwrap());
        let receiver = read::<Config>(&text).receiver(&build).unwrap();
        Self::run(receiver, build).await
    }

    /// Starts a receiver.
    async fn run(mut receiver: HostMetrics, build: BuildContext) -> Self {
        let door = Arc::new(FakeDoor::default());
        let mut cx = door.receiver(build.id.clone());
        cx.intakes[Signal::Logs.index()] = None;
        receiver.start(cx).await.unwrap();
        Self {
            receiver,
            door,
            build,
        }
    }

    /// The points of the next round.
    async fn round(&self) -> Vec<Point> {
        let mut points = Vec::new();
        while points.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            points = self.taken();
        }
        points
    }

    /// The points that came so far.
    fn taken(&self) -> Vec<Point> {
        let taken = self.door.take().into_iter();
        taken
            .flat_map(|(payload, _)| {
                let segments = payload.segments().iter();
                let points = segments.flat_map(|segment| points(segment.bytes()));
                points.collect::<Vec<_>>()
            })
            .collect()
    }

    /// One of the counters of a scraper.
    fn counter(&self, name: &str, scraper: &str) -> u64 {
        let metrics = &self.build.metrics;
        metrics.counter(name, "", &[("scraper", scraper)]).value()
    }

    fn scraped(&self, scraper: &str) -> u64 {
        self.counter("otelcol_scraper_scraped_metric_points", scraper)
    }

    fn errored(&self, scraper: &str) -> u64 {
        self.counter("otelcol_scraper_errored_metric_points", scraper)
    }
}

/// What one scraper makes of a host at the first scrape.
async fn first(root: &Path, scraper: &str) -> (Vec<Point>, u64) {
    let mut rig = Rig::start(root, scraper).await;
    let name = scraper.split(':').next().unwrap_or(scraper);
    while rig.scraped(name) + rig.errored(name) == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rig.receiver.stop().await;
    (rig.taken(), rig.errored(name))
}

fn points(bytes: &[u8]) -> Vec<Point> {
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let mut points = Vec::new();
    for resource in request.resource_metrics {
        assert_eq!(
            resource.schema_url,
            "https://opentelemetry.io/schemas/1.9.0"
        );
        let of = written(&resource.resource.unwrap_or_default().attributes);
        for scope in resource.scope_metrics {
            let name = scope.scope.unwrap_or_default().name;
            for metric in scope.metrics {
                let (kind, numbers) = match metric.data.unwrap() {
                    Data::Gauge(gauge) => ("gauge", gauge.data_points),
                    Data::Sum(sum) => {
                        assert_eq!(sum.aggregation_temporality, 2, "{}", metric.name);
                        match sum.is_monotonic {
                            true => ("counter", sum.data_points),
                            false => ("up-down counter", sum.data_points),
                        }
                    }
                    other => panic!("{}: {other:?}", metric.name),
                };
                points.extend(numbers.into_iter().map(|number| Point {
                    resource: of.clone(),
                    scope: name.clone(),
                    metric: metric.name.clone(),
                    unit: metric.unit.clone(),
                    description: metric.description.clone(),
                    kind,
                    ..point(&number)
                }));
            }
        }
    }
    points
}

fn point(number: &NumberDataPoint) -> Point {
    let (value, is_int) = match number.value.unwrap() {
        Number::AsDouble(value) => (value, false),
        Number::AsInt(value) => (value as f64, true),
    };
    Point {
        resource: String::new(),
        scope: String::new(),
        metric: String::new(),
        unit: String::new(),
        description: String::new(),
        kind: "",
        attributes: written(&number.attributes),
        keys: number
            .attributes
            .iter()
            .map(|one| one.key.clone())
            .collect(),
        start: number.start_time_unix_nano,
        time: number.time_unix_nano,
        value,
        is_int,
    }
}

fn written(attributes: &[KeyValue]) -> String {
    let one = |attribute: &KeyValue| {
        let value = attribute.value.as_ref().and_then(|any| any.value.as_ref());
        match value {
            Some(Value::StringValue(text)) => format!("{}={text}", attribute.key),
            Some(Value::IntValue(number)) => format!("{}={number}", attribute.key),
            other => panic!("{}: {other:?}", attribute.key),
        }
    };
    attributes.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The values of a metric by the attributes of its points.
fn values(points: &[Point], metric: &str) -> Vec<(String, f64)> {
    let of = points.iter().filter(|point| point.metric == metric);
    of.map(|point| (point.attributes.clone(), point.value))
        .collect()
}

/// The value of the one point that has these attributes.
fn value(points: &[Point], metric: &str, attributes: &str) -> f64 {
    let all = values(points, metric);
    let found = all.iter().find(|(of, _)| of == attributes);
    found
        .unwrap_or_else(|| panic!("{metric} {attributes}: {all:?}"))
        .1
}
