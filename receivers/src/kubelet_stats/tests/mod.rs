//! The receiver before a kubelet that is scripted from the documentation of its API.

mod config;
mod rounds;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message;
use serde_json::{Value, json};
use tidegate_component::testing::{FakeDoor, read};
use tidegate_component::{BuildContext, Receiver};
use tidegate_transport::kubernetes::Surroundings;
use tidegate_transport::kubernetes::scripted::Server;
use tokio::time::{Instant, sleep};

use super::{Config, KubeletStats};

const PATIENCE: Duration = Duration::from_secs(60);
const SUMMARY: &str = "/stats/summary";

/// Values by resource, metric and attributes: `a=b | metric [unit] kind | c=d`.
type Points = BTreeMap<String, f64>;

struct Rig {
    receiver: KubeletStats,
    door: Arc<FakeDoor>,
    build: BuildContext,
}

impl Rig {
    /// A receiver of this YAML, which asks the server five times a second.
    async fn start(text: &str, surroundings: Surroundings) -> Self {
        let text =
            format!("{{collection_interval: 200ms, initial_delay: 0s, timeout: 30s, {text}}}");
        let build = BuildContext::detached("receiver", "kubelet_stats".parse().unwrap());
        let mut receiver = read::<Config>(&text)
            .receiver(&build, surroundings)
            .unwrap();
        let door = Arc::new(FakeDoor::default());
        receiver
            .start(door.receiver(build.id.clone()))
            .await
            .unwrap();
        Self {
            receiver,
            door,
            build,
        }
    }

    /// Asks without authentication.
    async fn asking(server: &Server, text: &str) -> Self {
        let text = format!("auth_type: none, endpoint: '{}', {text}", server.url());
        Self::start(&text, nowhere()).await
    }

    /// Waits for a round that has a point like this; gives the whole round.
    async fn round(&self, part: &str) -> Points {
        let end = Instant::now() + PATIENCE;
        let mut seen = Points::new();
        while Instant::now() < end {
            for (payload, _) in self.door.take() {
                let mut round = Points::new();
                for segment in payload.segments() {
                    round.extend(points(segment.bytes()));
                }
                if round.keys().any(|line| line.contains(part)) {
                    return round;
                }
                seen = round;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{part} did not come: {seen:#?}");
    }

    fn errored(&self) -> u64 {
        let name = "otelcol_scraper_errored_metric_points";
        let labels = [("scraper", "kubelet_stats")];
        self.build.metrics.counter(name, "", &labels).value()
    }
}

fn nowhere() -> Surroundings {
    Surroundings::made_up(&[], Path::new("/no/account"))
}

fn points(bytes: &[u8]) -> Points {
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let mut points = Points::new();
    for resource in request.resource_metrics {
        let of = written(&resource.resource.unwrap_or_default().attributes);
        for scope in resource.scope_metrics {
            assert!(scope.scope.unwrap().name.ends_with("/kubeletstatsreceiver"));
            for metric in scope.metrics {
                let (kind, numbers) = match metric.data.unwrap() {
                    Data::Gauge(gauge) => ("gauge", gauge.data_points),
                    Data::Sum(sum) if sum.is_monotonic => ("counter", sum.data_points),
                    Data::Sum(sum) => ("up-down counter", sum.data_points),
                    other => panic!("{other:?}"),
                };
                for number in numbers {
                    let attributes = written(&number.attributes);
                    let line = format!(
                        "{of} | {} [{}] {kind} | {attributes}",
                        metric.name, metric.unit
                    );
                    assert!(number.time_unix_nano > 0);
                    let value = match number.value.unwrap() {
                        Number::AsDouble(value) => value,
                        Number::AsInt(value) => value as f64,
                    };
                    points.insert(line, value);
                }
            }
        }
    }
    points
}

fn written(attributes: &[KeyValue]) -> String {
    let one = |attribute: &KeyValue| match attribute.value.as_ref().unwrap().value.as_ref() {
        Some(Any::StringValue(text)) => format!("{}={text}", attribute.key),
        other => panic!("{}: {other:?}", attribute.key),
    };
    let mut all: Vec<String> = attributes.iter().map(one).collect();
    all.sort();
    all.join(",")
}

/// A summary as a kubelet gives it, its CPUs having spent so many seconds at a second.
fn summary(spent: u64, second: u64) -> Value {
    let time = format!("2026-01-02T03:{:02}:{:02}Z", second / 60, second % 60);
    let start = "2026-01-01T00:00:00Z";
    let cpu = |share: u64| json!({"time": time, "usageNanoCores": 1, "usageCoreNanoSeconds": spent * share * 1_000_000_000});
    let memory = |base: u64| {
        json!({
            "time": time, "availableBytes": base, "usageBytes": base + 1, "workingSetBytes": base + 2,
            "rssBytes": base + 3, "pageFaults": base + 4, "majorPageFaults": base + 5,
        })
    };
    let fs = |base: u64| {
        json!({
            "time": time, "availableBytes": base, "capacityBytes": base + 1, "usedBytes": base + 2,
            "inodesFree": base + 3, "inodes": base + 4, "inodesUsed": base + 5,
        })
    };
    let network = json!({
        "time": time, "name": "eth0", "rxBytes": 1, "rxErrors": 2, "txBytes": 3, "txErrors": 4,
        "interfaces": [
            {"name": "eth0", "rxBytes": 1, "rxErrors": 2, "txBytes": 3, "txErrors": 4},
            {"name": "eth1", "rxBytes": 5, "rxErrors": 6, "txBytes": 7, "txErrors": 8},
        ],
    });
    let mut volume = fs(500);
    volume["name"] = json!("data");
    volume["pvcRef"] = json!({"name": "claim", "namespace": "shop"});
    json!({
        "node": {
            "nodeName": "n1", "startTime": start, "cpu": cpu(4), "memory": memory(100),
            "network": network, "fs": fs(200),
            "rlimit": {"time": time, "maxpid": 4_000_000, "curproc": 300},
            "runtime": {"imageFs": fs(900)},
            "systemContainers": [
                {"name": "kubelet", "startTime": start, "cpu": cpu(1), "memory": memory(300), "userDefinedMetrics": null},
            ],
        },
        "pods": [{
            "podRef": {"name": "cart-1", "namespace": "shop", "uid": "u1"}, "startTime": start,
            "containers": [{
                "name": "app", "startTime": start, "cpu": cpu(2), "memory": memory(400),
                "rootfs": fs(600), "logs": fs(700), "userDefinedMetrics": null,
            }],
            "cpu": cpu(2), "memory": memory(450), "network": network,
            "volume": [volume], "ephemeral-storage": fs(800),
        }, {
            "podRef": {"name": "new", "namespace": "shop", "uid": "u2"}, "startTime": start,
            "containers": null,
        }],
    })
}

/// What the kubelet says of its pods.
fn pods(id: &str) -> Value {
    json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": {},
        "items": [{
            "metadata": {"name": "cart-1", "namespace": "shop", "uid": "u1"},
            "spec": {
                "containers": [{"name": "app", "image": "cart:1", "resources": {
                    "limits": {"cpu": "4", "memory": "1Ki"}, "requests": {"cpu": "500m"},
                }}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}],
            },
            "status": {"containerStatuses": [{"name": "app", "containerID": id}]},
        }],
    })
}
