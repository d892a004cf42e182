//! A real Prometheus scrapes what was sent: values, labels, exemplars, native histograms; promtool finds
//! nothing to say.
//!
//! The test says `skipped: …` where `tests/setup` was not run.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use serde_json::Value;
use support::peers::peer;
use support::{Process, Tidegate, corpus, eventually, free_port};

/// A Prometheus that scrapes one endpoint twice a second.
struct Prometheus {
    _process: Process,
    _directory: tempfile::TempDir,
    address: String,
}

impl Prometheus {
    fn start(binary: &Path, target: &str, features: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
             scrape_configs:\n\
             - {{job_name: tidegate, honor_labels: true, static_configs: [{{targets: ['{target}']}}]}}\n"
        );
        let path = directory.path().join("prometheus.yml");
        std::fs::write(&path, config).expect("it can be written");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(binary);
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--enable-feature={features}"));
        let mut process = Process::start("prometheus", &mut command);
        process.wait_listening(&address);
        Self {
            _process: process,
            _directory: directory,
            address,
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

    /// The one series of a query, once there is one: its labels and its value.
    fn one(&self, query: &str) -> (Value, String) {
        eventually(&format!("Prometheus knows {query}"), || {
            let data = self.api("query?", query)?;
            match data["result"].as_array().map(Vec::as_slice) {
                Some([one]) => {
                    let value = one["value"][1].as_str().unwrap_or_default();
                    Ok((one["metric"].clone(), value.to_owned()))
                }
                _ => Err(data.to_string()),
            }
        })
    }

    /// Waits until a query has this value.
    fn becomes(&self, query: &str, value: &str) {
        eventually(&format!("{query} is {value}"), || match self.one(query).1 {
            found if found == value => Ok(()),
            found => Err(found),
        });
    }
}

/// A collector with its Prometheus endpoint.
struct Rig {
    tidegate: Tidegate,
    otlp: String,
    scrape: String,
}

impl Rig {
    fn start() -> Self {
        let [otlp, scrape] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let yaml = "
receivers: {otlp: {protocols: {http: {endpoint: '${env:OTLP}'}}}}
processors: {batch: {timeout: 50ms}}
exporters: {prometheus: {endpoint: '${env:SCRAPE}', enable_open_metrics: true}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [otlp], processors: [batch], exporters: [prometheus]}}
";
        let environment = [("OTLP", &*otlp), ("SCRAPE", &*scrape)];
        let tidegate = Tidegate::start_with(yaml, &[&otlp, &scrape], &environment);
        Self {
            tidegate,
            otlp,
            scrape,
        }
    }

    fn send(&self, request: &ExportMetricsServiceRequest) {
        let head = "POST /v1/metrics HTTP/1.1\r\ncontent-type: application/x-protobuf";
        let answer = support::http(&self.otlp, head, &request.encode_to_vec());
        let (head, _) = answer.expect("it answers");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
}

/// The corpus a second later, its counter of requests being at this.
fn later(requests: i64) -> ExportMetricsServiceRequest {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt;
    let mut all = corpus::metrics();
    let scopes = all
        .resource_metrics
        .iter_mut()
        .flat_map(|resource| &mut resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &mut scope.metrics) {
        if let ("http.server.requests", Some(Data::Sum(sum))) = (&*metric.name, &mut metric.data) {
            sum.data_points[0].time_unix_nano += 1_000_000_000;
            sum.data_points[0].value = Some(AsInt(requests));
        }
    }
    all
}

#[test]
fn prometheus_knows_what_was_sent() {
    let Some(binary) = peer("bin/prometheus") else {
        return;
    };
    let rig = Rig::start();
    rig.send(&corpus::metrics());
    let prometheus = Prometheus::start(&binary, &rig.scrape, "exemplar-storage");
    prometheus.becomes("up", "1");
    let (labels, value) = prometheus.one("http_server_requests_total{code='200'}");
    assert_eq!(value, "17");
    for (name, value) in [
        ("job", "shop/cart"),
        ("instance", "i-1"),
        ("http_route", "/cart"),
        ("otel_scope_version", "1.2.3"),
    ] {
        assert_eq!(labels[name], value, "{labels}");
    }
    for (query, value) in [
        ("process_memory_usage_bytes{state='free'}", "0.5"),
        ("odd_gauge_ratio{kind='nan'}", "NaN"),
        ("odd_gauge_ratio{kind='inf'}", "+Inf"),
        ("odd_gauge_ratio{kind='-inf'}", "-Inf"),
        ("queue_depth{queue='a'}", "-3"),
        ("delta_requests_total{code='200'}", "5"),
        ("http_server_duration_seconds_count", "6"),
        ("http_server_duration_seconds_bucket{le='+Inf'}", "6"),
        (
            "target_info{host_name='node-1',deployment_environment='test'}",
            "1",
        ),
    ] {
        assert_eq!(prometheus.one(query).1, value, "{query}");
    }
    let exemplars = prometheus.api(
        "query_exemplars?start=0&end=4000000000&",
        "http_server_requests_total",
    );
    let exemplars = exemplars.expect("it answers");
    let exemplar = &exemplars[0]["exemplars"][0];
    assert_eq!(exemplar["value"], "0.42", "{exemplars}");
    assert_eq!(
        exemplar["labels"]["trace_id"],
        "1f202122232425262728292a2b2c2d2e"
    );
    rig.send(&later(20));
    prometheus.becomes("http_server_requests_total{code='200'}", "20");
    let log = rig.tidegate.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn prometheus_takes_exponential_histograms_as_native_ones() {
    let Some(binary) = peer("bin/prometheus") else {
        return;
    };
    let rig = Rig::start();
    let request = corpus::metrics();
    rig.send(&request);
    let prometheus = Prometheus::start(&binary, &rig.scrape, "native-histograms");
    let mut sent = request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    let sent = sent.find_map(|scope| {
        scope.metrics.iter().find_map(|metric| match &metric.data {
            Some(Data::ExponentialHistogram(histogram)) => {
                Some((metric, &histogram.data_points[0]))
            }
            _ => None,
        })
    });
    let (metric, point) = sent.expect("the corpus has one");
    assert_eq!((&*metric.name, &*metric.unit), ("rpc.duration", "ms"));
    let count = prometheus
        .one("histogram_count(rpc_duration_milliseconds)")
        .1;
    assert_eq!(count, point.count.to_string());
    let sum = prometheus.one("histogram_sum(rpc_duration_milliseconds)").1;
    assert_eq!(sum.parse(), Ok(point.sum.expect("it has a sum")));
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Some(promtool) = peer("bin/promtool") else {
        return;
    };
    let rig = Rig::start();
    let mut request = corpus::metrics();
    for resource in &mut request.resource_metrics {
        for scope in &mut resource.scope_metrics {
            // The others have names or units that promtool would not have chosen.
            scope.metrics.retain(|metric| {
                matches!(
                    &*metric.name,
                    "http.server.requests"
                        | "http.server.duration"
                        | "process.memory.usage"
                        | "queue.depth"
                )
            });
        }
    }
    rig.send(&request);
    let text = eventually("it serves the metrics", || {
        let text = support::get(&rig.scrape, "/metrics")?;
        match text.contains("http_server_requests_total{") {
            true => Ok(text),
            false => Err(text),
        }
    });
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}
