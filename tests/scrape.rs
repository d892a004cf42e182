//! The `prometheus` receiver before real pages: those of our own exporter, in every format, and those of a
//! real Prometheus.
//!
//! The second test says `skipped: …` where `tests/setup` was not run.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::process::Command;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value};
use prost::Message;
use support::peers::peer;
use support::sink::Sink;
use support::{Process, Tidegate, corpus, eventually, free_port};

/// The formats, and the protocols that ask for them.
const FORMATS: [(&str, &str); 3] = [
    ("text", "PrometheusText0.0.4"),
    ("open", "OpenMetricsText1.0.0"),
    ("proto", "PrometheusProto"),
];

/// A receiver for each format, each with a sink of its own.
fn scraping(target: &str, keys: &str, more: &str, sinks: &[Sink; 3]) -> String {
    let mut yaml =
        format!("service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n{more}");
    let (mut receivers, mut exporters) = (String::new(), String::new());
    for ((name, protocol), sink) in FORMATS.iter().zip(sinks) {
        yaml += &format!(
            "    metrics/{name}: {{receivers: [prometheus/{name}], exporters: [otlp_http/{name}]}}\n"
        );
        receivers += &format!(
            "  prometheus/{name}: {{config: {{scrape_configs: [{{job_name: peer, scrape_interval: 500ms, \
             scrape_protocols: [{protocol}], static_configs: [{{targets: ['{target}']}}]{keys}}}]}}}}\n"
        );
        exporters += &format!(
            "  otlp_http/{name}: {{endpoint: 'http://{}', compression: none}}\n",
            sink.address()
        );
    }
    format!("{yaml}receivers:\n{receivers}exporters:\n{exporters}")
}

type Attributes = Vec<(String, String)>;

fn texts(list: &[KeyValue]) -> Attributes {
    let text = |entry: &KeyValue| match entry.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some((entry.key.clone(), text.clone())),
        other => Some((entry.key.clone(), format!("{other:?}"))),
    };
    let mut all: Attributes = list.iter().filter_map(text).collect();
    all.sort();
    all
}

/// What a point says, but for its time.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Number(f64),
    Histogram(u64, Option<f64>, Vec<f64>, Vec<u64>),
    Exponential(u64, f64, i32, u64),
    Summary(u64, f64, Vec<(f64, f64)>),
    Nothing,
}

/// The points of a request by metric, resource and attributes.
type Points = BTreeMap<(String, Attributes, Attributes), Said>;

fn points(request: &ExportMetricsServiceRequest) -> Points {
    let mut points = Points::new();
    for resource in &request.resource_metrics {
        let of = texts(&resource.resource.as_ref().expect("it has one").attributes);
        for metric in resource.scope_metrics.iter().flat_map(|s| &s.metrics) {
            let mut add = |attributes: &[KeyValue], said: Said| {
                let key = (metric.name.clone(), of.clone(), texts(attributes));
                points.insert(key, said);
            };
            match metric.data.as_ref().expect("it has points") {
                Data::Gauge(gauge) => {
                    for point in &gauge.data_points {
                        add(&point.attributes, number(point.value.as_ref()));
                    }
                }
                Data::Sum(sum) => {
                    for point in &sum.data_points {
                        add(&point.attributes, number(point.value.as_ref()));
                    }
                }
                Data::Histogram(histogram) => {
                    for point in &histogram.data_points {
                        let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
                        let said =
                            Said::Histogram(point.count, point.sum, bounds.clone(), counts.clone());
                        add(&point.attributes, said);
                    }
                }
                Data::ExponentialHistogram(histogram) => {
                    for point in &histogram.data_points {
                        let sum = point.sum.unwrap_or_default();
                        let said =
                            Said::Exponential(point.count, sum, point.scale, point.zero_count);
                        add(&point.attributes, said);
                    }
                }
                Data::Summary(summary) => {
                    for point in &summary.data_points {
                        let quantiles = point.quantile_values.iter();
                        let quantiles = quantiles.map(|q| (q.quantile, q.value)).collect();
                        add(
                            &point.attributes,
                            Said::Summary(point.count, point.sum, quantiles),
                        );
                    }
                }
            }
        }
    }
    points
}

fn number(value: Option<&Value>) -> Said {
    match value {
        Some(Value::AsDouble(value)) => Said::Number(*value),
        Some(Value::AsInt(value)) => Said::Number(*value as f64),
        None => Said::Nothing,
    }
}

/// The points of the last scrape that has this metric.
fn last(sink: &Sink, metric: &str) -> Points {
    eventually(&format!("{metric} is scraped"), || {
        let received = sink.received();
        let found = received.metrics.iter().rev().map(points);
        let mut found = found.filter(|points| points.keys().any(|(name, _, _)| name == metric));
        found.next().ok_or(received.metrics.len())
    })
}

/// What the scrapes tell of themselves differs from one to the next.
fn without_scrapes(points: Points) -> Points {
    let about = |name: &str| name == "up" || name.starts_with("scrape_");
    points
        .into_iter()
        .filter(|((name, _, _), _)| !about(name))
        .collect()
}

#[test]
fn what_our_exporter_shows_is_scraped_again() {
    let sinks = [Sink::start(), Sink::start(), Sink::start()];
    let [otlp, page] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let way_in = "    metrics/in: {receivers: [otlp], exporters: [prometheus]}\n";
    let keys = ", honor_labels: true, scrape_native_histograms: true";
    let yaml = scraping(&page, keys, way_in, &sinks)
        .replace(
            "receivers:\n  prometheus/text",
            &format!("receivers:\n  otlp: {{protocols: {{http: {{endpoint: '{otlp}'}}}}}}\n  prometheus/text"),
        )
        .replace(
            "exporters:\n  otlp_http/text",
            &format!("exporters:\n  prometheus: {{endpoint: '{page}', enable_open_metrics: true}}\n  otlp_http/text"),
        );
    let tidegate = Tidegate::start_with(&yaml, &[&otlp, &page], &[]);
    let head = "POST /v1/metrics HTTP/1.1\r\ncontent-type: application/x-protobuf";
    let answer = support::http(&otlp, head, &corpus::metrics().encode_to_vec());
    assert!(answer.expect("it answers").0.starts_with("HTTP/1.1 200"));
    let [text, open, proto] = sinks
        .each_ref()
        .map(|sink| without_scrapes(last(sink, "http_server_requests_total")));
    let requests = |points: &Points| {
        let one = |((name, _, attributes), said): (&(String, Attributes, Attributes), &Said)| {
            let code = attributes.iter().any(|(name, _)| name == "code");
            (name == "http_server_requests_total" && code).then(|| said.clone())
        };
        points.iter().find_map(one)
    };
    assert!(matches!(requests(&text), Some(Said::Number(value)) if value > 0.0));
    // OpenMetrics and text say the same; protobuf has native histograms where they have none.
    // As text, since one of the values is not a number, which equals nothing.
    assert_eq!(format!("{text:?}"), format!("{open:?}"));
    let native = |said: &Said| matches!(said, Said::Exponential(..));
    assert!(proto.values().any(native), "{proto:?}");
    for (key, said) in &text {
        if let Some(other) = proto.get(key)
            && !native(other)
        {
            assert_eq!(format!("{said:?}"), format!("{other:?}"), "{key:?}");
        }
    }
    let numbers = |points: &Points| {
        let values = points.values();
        values
            .filter(|said| matches!(said, Said::Number(_)))
            .count()
    };
    assert_eq!(numbers(&text), numbers(&proto));
    tidegate.stop();
}

#[test]
fn a_real_prometheus_is_scraped_in_all_its_formats() {
    let Some(binary) = peer("bin/prometheus") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = directory.path().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 1h}\n").expect("it can be written");
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new(binary);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            directory.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    let mut process = Process::start("prometheus", &mut command);
    process.wait_listening(&address);
    let sinks = [Sink::start(), Sink::start(), Sink::start()];
    let tidegate = Tidegate::start_with(&scraping(&address, "", "", &sinks), &[], &[]);
    let scraped = sinks
        .each_ref()
        .map(|sink| last(sink, "prometheus_http_request_duration_seconds"));
    for points in &scraped {
        let up = |((name, _, _), said): (&(String, _, _), &Said)| {
            name == "up" && *said == Said::Number(1.0)
        };
        assert!(points.iter().any(up), "{points:?}");
        let histogram = |((name, _, _), said): (&(String, _, _), &Said)| {
            name == "prometheus_http_request_duration_seconds"
                && matches!(said, Said::Histogram(count, ..) if *count > 0)
        };
        assert!(points.iter().any(histogram));
        let summary = |((name, _, _), said): (&(String, _, _), &Said)| {
            name == "go_gc_duration_seconds"
                && matches!(said, Said::Summary(_, _, q) if q.len() == 5)
        };
        assert!(points.iter().any(summary));
    }
    // Each format has the same metrics, but for those that begin with the first use of a format.
    let names = |points: &Points| {
        let mut names: Vec<String> = points.keys().map(|(name, _, _)| name.clone()).collect();
        names.dedup();
        names
    };
    let [text, open, proto] = scraped.each_ref().map(names);
    for other in [&open, &proto] {
        let missing: Vec<_> = text.iter().filter(|name| !other.contains(name)).collect();
        assert!(missing.len() * 20 < text.len(), "{missing:?}");
    }
    tidegate.stop();
}
