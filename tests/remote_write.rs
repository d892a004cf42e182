//! A real Prometheus with its remote-write receiver on: values, labels, exemplars, native histograms, the ends of
//! series, and their order through an outage.
//!
//! The tests say `skipped: …` where `tests/setup` was not run.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt;
use prost::Message;
use serde_json::Value;
use support::peers::peer;
use support::{Process, Tidegate, corpus, eventually, free_port};

/// A Prometheus that is written to and scrapes nothing.
struct Prometheus {
    _process: Process,
    address: String,
}

impl Prometheus {
    fn start(binary: &Path, directory: &Path, address: &str) -> Self {
        let path = directory.join("prometheus.yml");
        std::fs::write(&path, "global: {scrape_interval: 1m}\n").expect("it can be written");
        let mut command = Command::new(binary);
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            .arg("--enable-feature=native-histograms,exemplar-storage");
        let mut process = Process::start("prometheus", &mut command);
        process.wait_listening(address);
        Self {
            _process: process,
            address: address.to_owned(),
        }
    }

    fn api(&self, path: &str, query: &str) -> Result<Value, String> {
        let query: String = query
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
                _ => format!("%{byte:02x}"),
            })
            .collect();
        let answer = support::get(&self.address, &format!("/api/v1/{path}query={query}"))?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        Ok(answer["data"].clone())
    }

    /// The series of a query, each with the text of its last value.
    fn all(&self, query: &str) -> Result<Vec<(Value, String)>, String> {
        let data = self.api("query?", query)?;
        let result = data["result"].as_array().ok_or(data.to_string())?;
        let one = |one: &Value| {
            let value = one["value"][1].as_str().unwrap_or_default();
            (one["metric"].clone(), value.to_owned())
        };
        Ok(result.iter().map(one).collect())
    }

    /// The one series of a query, once there is one.
    fn one(&self, query: &str) -> (Value, String) {
        eventually(&format!("Prometheus knows {query}"), || {
            let mut all = self.all(query)?;
            match all.len() {
                1 => Ok(all.remove(0)),
                _ => Err(format!("{all:?}")),
            }
        })
    }
}

/// A collector that writes to a Prometheus, with a queue on disk or in memory.
struct Rig {
    tidegate: Tidegate,
    otlp: String,
}

impl Rig {
    fn start(prometheus: &str, more: &str, extensions: &str) -> Self {
        let otlp = format!("127.0.0.1:{}", free_port());
        let yaml = format!(
            "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{otlp}'}}}}}}}}
exporters:
  prometheusremotewrite: {{endpoint: 'http://{prometheus}/api/v1/write', send_metadata: true, external_labels: {{region: eu}}{more}}}
{extensions}
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}
"
        );
        let tidegate = Tidegate::start_with(&yaml, &[&otlp], &[]);
        Self { tidegate, otlp }
    }

    fn send(&self, request: &ExportMetricsServiceRequest) {
        let head = "POST /v1/metrics HTTP/1.1\r\ncontent-type: application/x-protobuf";
        let answer = support::http(&self.otlp, head, &request.encode_to_vec());
        let (head, _) = answer.expect("it answers");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
}

/// Now, in nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.expect("it is after 1970").as_nanos();
    u64::try_from(nanos).expect("it is before 2554")
}

/// The corpus at this time, as a Prometheus takes no old samples.
fn at(time: u64) -> ExportMetricsServiceRequest {
    let mut all = corpus::metrics();
    let scopes = all
        .resource_metrics
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &mut scope.metrics) {
        macro_rules! set {
            ($points:expr) => {
                for point in $points.iter_mut() {
                    point.time_unix_nano = time;
                    point.start_time_unix_nano = time - 60_000_000_000;
                }
            };
        }
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => set!(gauge.data_points),
            Some(Data::Sum(sum)) => {
                set!(sum.data_points);
                for exemplar in sum.data_points.iter_mut().flat_map(|p| &mut p.exemplars) {
                    exemplar.time_unix_nano = time;
                }
            }
            Some(Data::Histogram(histogram)) => {
                set!(histogram.data_points);
                let points = histogram.data_points.iter_mut();
                for exemplar in points.flat_map(|point| &mut point.exemplars) {
                    exemplar.time_unix_nano = time;
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                set!(histogram.data_points);
                let points = histogram.data_points.iter_mut();
                for exemplar in points.flat_map(|point| &mut point.exemplars) {
                    exemplar.time_unix_nano = time;
                }
            }
            Some(Data::Summary(summary)) => set!(summary.data_points),
            None => {}
        }
    }
    all
}

/// The counter of requests of the corpus alone, at a time and a value.
fn counter(time: u64, value: i64, flags: u32) -> ExportMetricsServiceRequest {
    let mut all = at(time);
    for scope in all
        .resource_metrics
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_metrics)
    {
        scope
            .metrics
            .retain(|metric| metric.name == "http.server.requests");
        for metric in &mut scope.metrics {
            if let Some(Data::Sum(sum)) = &mut metric.data {
                sum.data_points.truncate(1);
                sum.data_points[0].value = Some(AsInt(value));
                sum.data_points[0].flags = flags;
            }
        }
    }
    all
}

const SERIES: &str = "http_server_requests_total{code='200'}";

fn binary() -> Option<PathBuf> {
    peer("bin/prometheus")
}

#[test]
fn prometheus_knows_what_was_written() {
    let Some(binary) = binary() else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = format!("127.0.0.1:{}", free_port());
    let prometheus = Prometheus::start(&binary, directory.path(), &address);
    let rig = Rig::start(&address, "", "service:");
    let time = now();
    rig.send(&at(time));
    let (labels, value) = prometheus.one(SERIES);
    assert_eq!(value, "17");
    for (name, value) in [
        ("job", "shop/cart"),
        ("instance", "i-1"),
        ("http_route", "/cart"),
        ("otel_scope_version", "1.2.3"),
        ("region", "eu"),
    ] {
        assert_eq!(labels[name], value, "{labels}");
    }
    for (query, value) in [
        ("process_memory_usage_bytes{state='free'}", "0.5"),
        ("odd_gauge_ratio{kind='inf'}", "+Inf"),
        ("queue_depth{queue='a'}", "-3"),
        ("http_server_duration_seconds_count", "6"),
        ("http_server_duration_seconds_bucket{le='+Inf'}", "6"),
        (
            "target_info{host_name='node-1',deployment_environment='test'}",
            "1",
        ),
    ] {
        assert_eq!(prometheus.one(query).1, value, "{query}");
    }
    let exponential = at(time);
    let mut scopes = exponential
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    let point = scopes.find_map(|scope| {
        scope.metrics.iter().find_map(|metric| match &metric.data {
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.first(),
            _ => None,
        })
    });
    let count = prometheus
        .one("histogram_count(rpc_duration_milliseconds)")
        .1;
    assert_eq!(count, point.expect("the corpus has one").count.to_string());
    let exemplars = eventually("Prometheus has the exemplar", || {
        let found = prometheus.api(
            "query_exemplars?start=0&end=4000000000&",
            "http_server_requests_total",
        )?;
        let some = found[0]["exemplars"][0].is_object();
        some.then_some(found.clone()).ok_or(found.to_string())
    });
    let exemplar = &exemplars[0]["exemplars"][0];
    assert_eq!(exemplar["value"], "0.42", "{exemplars}");
    assert_eq!(
        exemplar["labels"]["trace_id"],
        "1f202122232425262728292a2b2c2d2e"
    );
    // The end of a series is told.
    rig.send(&counter(time + 1_000_000_000, 0, 1));
    eventually("the series has ended", || {
        let all = prometheus.all(SERIES)?;
        all.is_empty().then_some(()).ok_or(format!("{all:?}"))
    });
    let log = rig.tidegate.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

/// Writes a rising counter while Prometheus is away, and looks whether all of it arrives: a sample that another of its
/// series has overtaken would be refused.
fn through_an_outage(more: &str, extensions: &str) {
    let Some(binary) = binary() else {
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let address = format!("127.0.0.1:{}", free_port());
    let rig = Rig::start(&address, more, extensions);
    let begin = now() - 120_000_000_000;
    for step in 0..60 {
        rig.send(&counter(
            begin + step * 1_000_000_000,
            step.cast_signed(),
            0,
        ));
    }
    let prometheus = Prometheus::start(&binary, directory.path(), &address);
    for step in 60..90 {
        rig.send(&counter(
            begin + step * 1_000_000_000,
            step.cast_signed(),
            0,
        ));
    }
    eventually("every sample has arrived", || {
        let query = format!("count_over_time({SERIES}[10m])");
        let all = prometheus.all(&query)?;
        let is = all.len() == 1 && all[0].1 == "90";
        is.then_some(()).ok_or(format!("{all:?}"))
    });
    let log = rig.tidegate.stop();
    assert!(!log.contains("out of order"), "{log}");
}

#[test]
fn no_series_overtakes_itself_in_an_outage() {
    through_an_outage("", "service:");
}

#[test]
fn no_series_overtakes_itself_on_its_way_over_a_disk() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let extensions = format!(
        "extensions: {{file_storage: {{directory: '{}'}}}}\nservice:\n  extensions: [file_storage]",
        directory.path().display()
    );
    through_an_outage(", sending_queue: {storage: file_storage}", &extensions);
}
