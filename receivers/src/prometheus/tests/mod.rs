//! The receiver as a whole, before targets that are scripted.

mod consul;
mod discovery;
mod faults;
mod kubernetes;
mod oauth2;
mod peer;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use prost::Message;
use tidegate_component::testing::FakeDoor;
use tidegate_component::{BuildContext, ComponentConfig, Receiver};
use tidegate_document::{read, yaml};
use tokio::time::{Instant, sleep, timeout};

use super::Config;
use peer::{Peer, Reply};

/// How long anything may take that happens at once on a machine at rest.
const PATIENCE: Duration = Duration::from_secs(60);

/// A point that came in.
#[derive(Clone, Debug, PartialEq)]
struct Came {
    metric: String,
    /// The resource's instance.
    instance: String,
    attributes: Vec<(String, String)>,
    /// None where the stream has ended.
    value: Option<f64>,
}

/// A receiver at work, and what it brought.
struct Rig {
    door: Arc<FakeDoor>,
    receiver: Box<dyn Receiver>,
    came: Vec<Came>,
}

impl Rig {
    /// Starts a receiver of this configuration.
    async fn start(text: &str) -> Self {
        Self::before(Arc::new(FakeDoor::default()), text).await
    }

    async fn before(door: Arc<FakeDoor>, text: &str) -> Self {
        let node = yaml::parse_str(text).unwrap_or_else(|found| panic!("{text}: {found}"));
        let config: Config = read(&node).unwrap_or_else(|found| panic!("{text}: {found}"));
        let id: tidegate_component::ComponentId = "prometheus".parse().unwrap();
        let context = BuildContext::detached("receiver", id.clone());
        let mut receiver = config.build(&context).unwrap();
        receiver.start(door.receiver(id)).await.unwrap();
        Self {
            door,
            receiver,
            came: Vec::new(),
        }
    }

    /// Starts one with a job of these keys, which scrapes these targets five times a second.
    async fn scraping(targets: &[&Peer], keys: &str) -> Self {
        let targets: Vec<String> = targets.iter().map(|peer| format!("'{peer}'")).collect();
        let keys = if keys.is_empty() {
            String::new()
        } else {
            format!(", {keys}")
        };
        Self::start(&format!(
            "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, static_configs: [{{targets: [{}]}}]{keys}}}]}}",
            targets.join(", ")
        ))
        .await
    }

    /// Waits for a point that came since the last look; all up to it are looked at no more.
    async fn wait_for(&mut self, what: impl Fn(&Came) -> bool) -> Came {
        let until = Instant::now() + PATIENCE;
        loop {
            for (payload, _) in self.door.take() {
                for segment in payload.segments() {
                    self.came.extend(points(segment.bytes()));
                }
            }
            if let Some(at) = self.came.iter().position(&what) {
                return self.came.drain(..=at).next_back().unwrap();
            }
            assert!(Instant::now() < until, "it did not come: {:?}", self.came);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for a value of a metric.
    async fn value(&mut self, metric: &str, value: f64) -> Came {
        let what = |came: &Came| came.metric == metric && came.value == Some(value);
        self.wait_for(what).await
    }

    /// Waits for the end of a stream of a metric.
    async fn ended(&mut self, metric: &str) -> Came {
        let what = |came: &Came| came.metric == metric && came.value.is_none();
        self.wait_for(what).await
    }

    async fn stop(mut self) {
        let stopped = timeout(PATIENCE, self.receiver.stop()).await;
        assert!(stopped.is_ok(), "it does not stop");
    }
}

fn text(list: &[KeyValue], key: &str) -> String {
    let value = list.iter().find(|entry| entry.key == key);
    match value.and_then(|entry| entry.value.as_ref()?.value.clone()) {
        Some(any_value::Value::StringValue(text)) => text,
        _ => String::new(),
    }
}

/// The number points of a request; of others, their count.
fn points(request: &[u8]) -> Vec<Came> {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let mut came = Vec::new();
    for resource in &request.resource_metrics {
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        let instance = text(attributes, "service.instance.id");
        let metrics = resource
            .scope_metrics
            .iter()
            .flat_map(|scope| &scope.metrics);
        for metric in metrics {
            let points: Vec<(Vec<KeyValue>, Option<f64>)> = match metric.data.as_ref().unwrap() {
                Data::Gauge(gauge) => gauge.data_points.iter().map(number).collect(),
                Data::Sum(sum) => sum.data_points.iter().map(number).collect(),
                Data::Histogram(histogram) => histogram
                    .data_points
                    .iter()
                    .map(|point| (point.attributes.clone(), Some(point.count as f64)))
                    .collect(),
                Data::ExponentialHistogram(histogram) => histogram
                    .data_points
                    .iter()
                    .map(|point| (point.attributes.clone(), Some(point.count as f64)))
                    .collect(),
                Data::Summary(summary) => summary
                    .data_points
                    .iter()
                    .map(|point| (point.attributes.clone(), Some(point.count as f64)))
                    .collect(),
            };
            came.extend(points.into_iter().map(|(attributes, value)| {
                Came {
                    metric: metric.name.clone(),
                    instance: instance.clone(),
                    attributes: attributes
                        .iter()
                        .map(|entry| (entry.key.clone(), text(&attributes, &entry.key)))
                        .collect(),
                    value,
                }
            }));
        }
    }
    came
}

fn number(
    point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint,
) -> (Vec<KeyValue>, Option<f64>) {
    let value = match point.value {
        Some(number_data_point::Value::AsDouble(value)) => Some(value),
        _ => None,
    };
    (point.attributes.clone(), value)
}

#[tokio::test]
async fn a_target_is_scraped_again_and_again() {
    let peer =
        Peer::serving(|count| Reply::page(&format!("# TYPE n counter\nn{{a=\"b\"}} {count}\n")))
            .await;
    let mut rig = Rig::scraping(&[&peer], "extra_scrape_metrics: true, sample_limit: 9").await;
    let point = rig.value("n", 1.0).await;
    assert_eq!(point.attributes, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(point.instance, peer.to_string());
    rig.value("up", 1.0).await;
    rig.value("scrape_samples_scraped", 1.0).await;
    rig.value("scrape_samples_post_metric_relabeling", 1.0)
        .await;
    rig.value("scrape_series_added", 1.0).await;
    rig.value("scrape_sample_limit", 9.0).await;
    rig.value("n", 2.0).await;
    rig.value("scrape_series_added", 0.0).await;
    rig.value("n", 3.0).await;
    assert_eq!(rig.door.transports(), ["http"]);
    let request = peer.request();
    assert!(
        request.starts_with("GET /metrics HTTP/1.1\r\n"),
        "{request}"
    );
    for header in [
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,",
        "accept-encoding: gzip\r\n",
        "x-prometheus-scrape-timeout-seconds: 0.2\r\n",
    ] {
        assert!(request.contains(header), "{request}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_the_keys_say_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let keys = format!(
        "metrics_path: '/x y', params: {{m: [p, 'q&r'], z: ü}}, enable_compression: false, \
         authorization: {{type: Token, credentials_file: '{}'}}, \
         http_headers: {{X-Shop: {{values: [one], secrets: [two]}}}}",
        token.display()
    );
    let mut rig = Rig::scraping(&[&peer], &keys).await;
    rig.value("a", 1.0).await;
    let request = peer.request();
    assert!(
        request.starts_with("GET /x%20y?m=p&m=q%26r&z=%C3%BC HTTP/1.1\r\n"),
        "{request}"
    );
    for header in [
        "authorization: Token s3cret\r\n",
        "x-shop: one\r\n",
        "x-shop: two\r\n",
        "accept-encoding: identity\r\n",
    ] {
        assert!(request.contains(header), "{request}");
    }
    // A token that is written anew is read anew.
    std::fs::write(&token, "0ther").unwrap();
    peer.wait_for("authorization: Token 0ther\r\n").await;
    rig.stop().await;
    let mut rig = Rig::scraping(&[&peer], "basic_auth: {username: me, password: pass}").await;
    rig.value("a", 1.0).await;
    peer.wait_for("authorization: Basic bWU6cGFzcw==\r\n").await;
    rig.stop().await;
}

#[tokio::test]
async fn each_format_is_read_as_its_content_type_says() {
    // The family `n`, a counter, with one metric of the value 7.
    let protobuf = [
        &[21, 10, 1, b'n', 24, 0, 34, 14, 26, 9, 9][..],
        &7_f64.to_le_bytes(),
        &[48, 232, 7],
    ]
    .concat();
    let open = "# TYPE n counter\nn_total 7\n# EOF\n";
    for (content_type, page, metric) in [
        (
            "application/openmetrics-text; version=1.0.0",
            open.as_bytes().to_vec(),
            "n_total",
        ),
        ("text/plain", b"n 7\n".to_vec(), "n"),
        ("something/else", b"n 7\n".to_vec(), "n"),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            protobuf,
            "n",
        ),
    ] {
        let peer = Peer::serving(move |_| Reply::of(content_type, &page)).await;
        let mut rig = Rig::scraping(&[&peer], "").await;
        rig.value(metric, 7.0).await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn relabelling_makes_targets() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let address = peer.to_string();
    let text = format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, \
         static_configs: [{{targets: [one, two, three], labels: {{zone: x}}}}], relabel_configs: [\
         {{source_labels: [__address__], regex: three, action: drop}}, \
         {{source_labels: [__address__], target_label: instance}}, \
         {{source_labels: [__address__], target_label: __param_name}}, \
         {{source_labels: [__address__], regex: two, replacement: /second, target_label: __metrics_path__}}, \
         {{target_label: __address__, replacement: '{address}'}}]}}]}}"
    );
    let mut rig = Rig::start(&text).await;
    let of =
        |instance: &'static str| move |came: &Came| came.metric == "a" && came.instance == instance;
    let point = rig.wait_for(of("one")).await;
    assert_eq!(point.attributes, [("zone".to_owned(), "x".to_owned())]);
    rig.wait_for(of("two")).await;
    peer.wait_for("GET /metrics?name=one HTTP/1.1").await;
    peer.wait_for("GET /second?name=two HTTP/1.1").await;
    assert!(!peer.has("three"));
    rig.stop().await;
}
