//! The receiver beside an API server that is scripted from the documentation of the API.

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
use tidegate_component::testing::{FakeDoor, findings, read};
use tidegate_component::{BuildContext, ComponentConfig, Receiver};
use tidegate_transport::kubernetes::Surroundings;
use tidegate_transport::kubernetes::scripted::Server;
use tokio::time::{Instant, sleep};

use super::{Config, K8sCluster};

const PATIENCE: Duration = Duration::from_secs(60);
const PODS: &str = "/api/v1/pods";

/// Values by resource, metric and attributes: `a=b | metric [unit] kind | c=d`.
type Points = BTreeMap<String, f64>;

struct Rig {
    receiver: K8sCluster,
    door: Arc<FakeDoor>,
}

fn nowhere() -> Surroundings {
    Surroundings::made_up(&[], Path::new("/no/account"))
}

impl Rig {
    /// A receiver that tells what it knows five times a second.
    async fn start(server: &Server, keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = server.kubeconfig(folder.path());
        let text = format!(
            "{{auth_type: kubeConfig, kube_config_path: '{}', collection_interval: 200ms, {keys}}}",
            file.display()
        );
        let build = BuildContext::detached("receiver", "k8s_cluster".parse().unwrap());
        let mut receiver = read::<Config>(&text).receiver(&build, nowhere()).unwrap();
        let door = Arc::new(FakeDoor::default());
        receiver.start(door.receiver(build.id)).await.unwrap();
        Self { receiver, door }
    }

    /// Waits for a round in which something holds.
    async fn round(&self, is: impl Fn(&Points) -> bool) -> Points {
        let end = Instant::now() + PATIENCE;
        let mut seen = Points::new();
        while Instant::now() < end {
            let mut round = Points::new();
            for (payload, _) in self.door.take() {
                for segment in payload.segments() {
                    round.extend(points(segment.bytes()));
                }
            }
            if is(&round) {
                return round;
            }
            if !round.is_empty() {
                seen = round;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come to be: {seen:#?}");
    }

    async fn stop(mut self) {
        self.receiver.stop().await;
    }
}

fn points(bytes: &[u8]) -> Points {
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let mut points = Points::new();
    for resource in request.resource_metrics {
        let of = written(&resource.resource.unwrap_or_default().attributes);
        for scope in resource.scope_metrics {
            assert!(scope.scope.unwrap().name.ends_with("/k8sclusterreceiver"));
            for metric in scope.metrics {
                let (kind, numbers) = match metric.data.unwrap() {
                    Data::Gauge(gauge) => ("gauge", gauge.data_points),
                    Data::Sum(sum) if !sum.is_monotonic => ("up-down counter", sum.data_points),
                    other => panic!("{other:?}"),
                };
                assert!(!metric.description.is_empty());
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
    let one = |entry: &KeyValue| {
        let value = entry.value.as_ref().and_then(|value| value.value.as_ref());
        match value {
            Some(Any::StringValue(text)) => format!("{}={text}", entry.key),
            other => panic!("{other:?}"),
        }
    };
    let mut all: Vec<String> = attributes.iter().map(one).collect();
    all.sort();
    all.join(",")
}

fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": "shop", "uid": format!("u-{name}")})
}

/// One object of each kind.
fn whole(server: &Server) {
    let mut node = meta("n1");
    node["namespace"] = Value::Null;
    server.put("/api/v1/nodes", json!({"metadata": node,
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "Unknown"}],
            "allocatable": {"cpu": "3920m", "memory": "2Ki", "ephemeral-storage": "1k", "pods": "110", "hugepages-2Mi": "0"},
            "nodeInfo": {"kubeletVersion": "v1.33", "containerRuntimeVersion": "containerd://2.0", "osImage": "Debian", "operatingSystem": "Linux"},
        }}));
    server.put(
        "/api/v1/namespaces",
        json!({"metadata": {"name": "shop", "uid": "u-shop"}, "status": {"phase": "Active"}}),
    );
    server.put(PODS, json!({"metadata": meta("web"),
        "spec": {"nodeName": "n1",
            "containers": [
                {"name": "c", "image": "reg:5000/a/web:1.2", "resources": {
                    "requests": {"cpu": "100m", "memory": "64Mi", "storage": "1", "ephemeral-storage": "1Gi"},
                    "limits": {"cpu": 2, "memory": "128Mi", "storage": "2", "ephemeral-storage": "2Gi", "gpu": "1"}}},
                {"name": "late"},
            ],
            "initContainers": [{"name": "once"}, {"name": "beside", "image": "b", "restartPolicy": "Always"}]},
        "status": {"phase": "Running", "reason": "Evicted", "qosClass": "Burstable",
            "containerStatuses": [{"name": "c", "ready": true, "restartCount": 3, "containerID": "containerd://abc", "image": "reg:5000/a/web:1.2",
                "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"reason": "OOMKilled"}}}]}}));
    let workload =
        |spec: Value, status: Value| json!({"metadata": meta("w"), "spec": spec, "status": status});
    let three = json!({"replicas": 3});
    server.put(
        "/apis/apps/v1/deployments",
        workload(three.clone(), json!({"availableReplicas": 2})),
    );
    server.put(
        "/apis/apps/v1/replicasets",
        workload(three.clone(), json!({})),
    );
    server.put(
        "/api/v1/replicationcontrollers",
        workload(three.clone(), json!({"availableReplicas": 1})),
    );
    server.put(
        "/apis/apps/v1/statefulsets",
        workload(
            three,
            json!({"readyReplicas": 1, "currentReplicas": 2, "updatedReplicas": 3}),
        ),
    );
    server.put("/apis/apps/v1/daemonsets", workload(json!({}), json!({
        "currentNumberScheduled": 1, "desiredNumberScheduled": 2, "numberMisscheduled": 3, "numberReady": 4})));
    server.put(
        "/apis/batch/v1/jobs",
        workload(
            json!({"completions": 5, "parallelism": 2}),
            json!({"active": 1, "failed": 2, "succeeded": 3}),
        ),
    );
    server.put(
        "/apis/batch/v1/cronjobs",
        workload(json!({}), json!({"active": [{}, {}]})),
    );
    server.put("/apis/autoscaling/v2/horizontalpodautoscalers", workload(
        json!({"minReplicas": 1, "maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "w", "apiVersion": "apps/v1"}}),
        json!({"currentReplicas": 3, "desiredReplicas": 4})));
    let amounts = json!({"hard": {"pods": "10", "requests.cpu": "1500m"}, "used": {"pods": "3"}});
    server.put(
        "/api/v1/resourcequotas",
        workload(json!({}), amounts.clone()),
    );
    server.put("/apis/quota.openshift.io/v1/clusterresourcequotas", json!({"metadata": {"name": "q", "uid": "u-q"},
        "status": {"total": amounts, "namespaces": [{"namespace": "shop", "status": {"hard": {"pods": "4"}, "used": {"pods": "2"}}}]}}));
}

/// All that a cluster of one object of each kind is told by where nobody asks for more.
fn expected() -> Points {
    const OF: [(&str, &[(&str, f64)]); 13] = [
        (
            "k8s.namespace.name=shop,k8s.namespace.uid=u-shop",
            &[("k8s.namespace.phase [] gauge | ", 1.0)],
        ),
        (
            "k8s.node.name=n1,k8s.node.uid=u-n1",
            &[("k8s.node.condition_ready [] gauge | ", 1.0)],
        ),
        (
            "k8s.namespace.name=shop,k8s.node.name=n1,k8s.pod.name=web,k8s.pod.uid=u-web",
            &[("k8s.pod.phase [] gauge | ", 2.0)],
        ),
        (
            "container.id=abc,container.image.name=reg:5000/a/web,container.image.tag=1.2,k8s.container.name=c,k8s.namespace.name=shop,k8s.node.name=n1,k8s.pod.name=web,k8s.pod.uid=u-web",
            &[
                ("k8s.container.cpu_limit [{cpu}] gauge | ", 2.0),
                ("k8s.container.cpu_request [{cpu}] gauge | ", 0.1),
                (
                    "k8s.container.ephemeralstorage_limit [By] gauge | ",
                    2_147_483_648.0,
                ),
                (
                    "k8s.container.ephemeralstorage_request [By] gauge | ",
                    1_073_741_824.0,
                ),
                ("k8s.container.memory_limit [By] gauge | ", 134_217_728.0),
                ("k8s.container.memory_request [By] gauge | ", 67_108_864.0),
                ("k8s.container.ready [] gauge | ", 1.0),
                ("k8s.container.restarts [{restart}] gauge | ", 3.0),
                ("k8s.container.storage_limit [By] gauge | ", 2.0),
                ("k8s.container.storage_request [By] gauge | ", 1.0),
            ],
        ),
        (
            "k8s.deployment.name=w,k8s.deployment.uid=u-w,k8s.namespace.name=shop",
            &[
                ("k8s.deployment.available [{pod}] gauge | ", 2.0),
                ("k8s.deployment.desired [{pod}] gauge | ", 3.0),
            ],
        ),
        (
            "k8s.namespace.name=shop,k8s.replicaset.name=w,k8s.replicaset.uid=u-w",
            &[
                ("k8s.replicaset.available [{pod}] gauge | ", 0.0),
                ("k8s.replicaset.desired [{pod}] gauge | ", 3.0),
            ],
        ),
        (
            "k8s.namespace.name=shop,k8s.replicationcontroller.name=w,k8s.replicationcontroller.uid=u-w",
            &[
                ("k8s.replication_controller.available [{pod}] gauge | ", 1.0),
                ("k8s.replication_controller.desired [{pod}] gauge | ", 3.0),
            ],
        ),
        (
            "k8s.namespace.name=shop,k8s.statefulset.name=w,k8s.statefulset.uid=u-w",
            &[
                ("k8s.statefulset.current_pods [{pod}] gauge | ", 2.0),
                ("k8s.statefulset.desired_pods [{pod}] gauge | ", 3.0),
                ("k8s.statefulset.ready_pods [{pod}] gauge | ", 1.0),
                ("k8s.statefulset.updated_pods [{pod}] gauge | ", 3.0),
            ],
        ),
        (
            "k8s.daemonset.name=w,k8s.daemonset.uid=u-w,k8s.namespace.name=shop",
            &[
                (
                    "k8s.daemonset.current_scheduled_nodes [{node}] gauge | ",
                    1.0,
                ),
                (
                    "k8s.daemonset.desired_scheduled_nodes [{node}] gauge | ",
                    2.0,
                ),
                ("k8s.daemonset.misscheduled_nodes [{node}] gauge | ", 3.0),
                ("k8s.daemonset.ready_nodes [{node}] gauge | ", 4.0),
            ],
        ),
        (
            "k8s.job.name=w,k8s.job.uid=u-w,k8s.namespace.name=shop",
            &[
                ("k8s.job.active_pods [{pod}] gauge | ", 1.0),
                ("k8s.job.desired_successful_pods [{pod}] gauge | ", 5.0),
                ("k8s.job.failed_pods [{pod}] gauge | ", 2.0),
                ("k8s.job.max_parallel_pods [{pod}] gauge | ", 2.0),
                ("k8s.job.successful_pods [{pod}] gauge | ", 3.0),
            ],
        ),
        (
            "k8s.cronjob.name=w,k8s.cronjob.uid=u-w,k8s.namespace.name=shop",
            &[("k8s.cronjob.active_jobs [{job}] gauge | ", 2.0)],
        ),
        (
            "k8s.hpa.name=w,k8s.hpa.uid=u-w,k8s.namespace.name=shop",
            &[
                ("k8s.hpa.current_replicas [{pod}] gauge | ", 3.0),
                ("k8s.hpa.desired_replicas [{pod}] gauge | ", 4.0),
                ("k8s.hpa.max_replicas [{pod}] gauge | ", 9.0),
                ("k8s.hpa.min_replicas [{pod}] gauge | ", 1.0),
            ],
        ),
        (
            "k8s.namespace.name=shop,k8s.resourcequota.name=w,k8s.resourcequota.uid=u-w",
            &[
                (
                    "k8s.resource_quota.hard_limit [{resource}] gauge | resource=pods",
                    10.0,
                ),
                (
                    "k8s.resource_quota.hard_limit [{resource}] gauge | resource=requests.cpu",
                    1500.0,
                ),
                (
                    "k8s.resource_quota.used [{resource}] gauge | resource=pods",
                    3.0,
                ),
            ],
        ),
    ];
    let all = OF.into_iter().flat_map(|(of, points)| {
        let points = points.iter();
        points.map(move |(metric, value)| (format!("{of} | {metric}"), *value))
    });
    all.collect()
}

#[tokio::test]
async fn a_cluster_is_told_by_the_metrics_of_the_original() {
    let server = Server::start().await;
    whole(&server);
    let rig = Rig::start(&server, "").await;
    let expected = expected();
    let round = rig.round(|round| round.len() >= expected.len()).await;
    assert_eq!(round, expected);
    // What changes is told in the next round, and what goes is told no more.
    server.put(
        "/apis/apps/v1/deployments",
        json!({"metadata": meta("w"), "spec": {"replicas": 8}}),
    );
    server.delete(PODS, "shop", "web");
    let round = rig
        .round(|round| {
            round
                .iter()
                .any(|(line, value)| line.contains("deployment.desired") && *value == 8.0)
                && !round.keys().any(|line| line.contains("k8s.pod."))
        })
        .await;
    assert!(
        round
            .keys()
            .any(|line| line.contains("k8s.node.condition_ready"))
    );
    rig.stop().await;
}

#[tokio::test]
async fn more_is_told_where_it_is_asked_for() {
    let server = Server::start().await;
    whole(&server);
    let rig = Rig::start(
        &server,
        "distribution: openshift, node_conditions_to_report: [MemoryPressure, Other], \
         allocatable_types_to_report: [cpu, memory, ephemeral-storage, pods, hugepages-2Mi, gpu], \
         metrics: {k8s.container.status.reason: {enabled: true}, k8s.container.status.state: {enabled: true}, \
           k8s.pod.status_reason: {enabled: true}, k8s.node.condition: {enabled: true}, k8s.pod.phase: {enabled: false}}, \
         resource_attributes: {k8s.pod.qos_class: {enabled: true}, k8s.kubelet.version: {enabled: true}, \
           container.runtime: {enabled: true}, container.runtime.version: {enabled: true}, os.type: {enabled: true}, \
           os.description: {enabled: true}, k8s.hpa.scaletargetref.kind: {enabled: true}, \
           k8s.container.status.last_terminated_reason: {enabled: true}, k8s.pod.uid: {enabled: false}}",
    )
    .await;
    let round = rig
        .round(|round| {
            round
                .keys()
                .any(|line| line.contains("appliedclusterquota.used"))
                && round.len() > 50
        })
        .await;
    let value = |parts: &[&str]| {
        let mut found = round
            .iter()
            .filter(|(line, _)| parts.iter().all(|part| line.contains(part)));
        let (_, value) = found
            .next()
            .unwrap_or_else(|| panic!("{parts:?}: {round:#?}"));
        assert!(found.next().is_none(), "{parts:?}");
        *value
    };
    let node = "container.runtime.version=2.0,container.runtime=containerd,k8s.kubelet.version=v1.33,k8s.node.name=n1,k8s.node.uid=u-n1,os.description=Debian,os.type=linux | ";
    assert_eq!(
        value(&[node, "k8s.node.condition_memory_pressure [] "]),
        -1.0
    );
    assert_eq!(value(&[node, "k8s.node.condition_other [] "]), -1.0);
    assert_eq!(
        value(&[
            node,
            "k8s.node.condition [{condition}] gauge | condition=Ready"
        ]),
        1.0
    );
    assert_eq!(value(&[node, "k8s.node.allocatable_cpu [{cpu}]"]), 3.92);
    assert_eq!(value(&[node, "k8s.node.allocatable_memory [By]"]), 2048.0);
    assert_eq!(
        value(&[node, "k8s.node.allocatable_ephemeral_storage [By]"]),
        1000.0
    );
    assert_eq!(value(&[node, "k8s.node.allocatable_pods [{pod}]"]), 110.0);
    assert_eq!(
        value(&["k8s.pod.qos_class=Burstable", "k8s.pod.status_reason"]),
        1.0
    );
    let container = "k8s.container.status.last_terminated_reason=OOMKilled";
    assert_eq!(value(&[container, "status.reason=CrashLoopBackOff"]), 1.0);
    assert_eq!(
        value(&[container, "up-down counter", "status.reason=Completed"]),
        0.0
    );
    assert_eq!(
        value(&[container, "[{container}]", "status.state=waiting"]),
        1.0
    );
    assert_eq!(value(&[container, "status.state=running"]), 0.0);
    assert_eq!(
        value(&["scaletargetref.kind=Deployment", "hpa.max_replicas"]),
        9.0
    );
    assert_eq!(
        value(&[
            "clusterquota.name=q,openshift.clusterquota.uid=u-q | openshift.clusterquota.limit",
            "resource=requests.cpu"
        ]),
        1500.0
    );
    assert_eq!(
        value(&[
            "appliedclusterquota.limit",
            "k8s.namespace.name=shop,resource=pods"
        ]),
        4.0
    );
    assert!(
        !round
            .keys()
            .any(|line| line.contains("k8s.pod.phase") || line.contains("k8s.pod.uid"))
    );
    assert!(!round.keys().any(|line| line.contains("allocatable_gpu")));
    rig.stop().await;
}

#[tokio::test]
async fn of_some_namespaces_nothing_else_is_asked() {
    let server = Server::start().await;
    whole(&server);
    let rig = Rig::start(&server, "namespaces: [shop, none]").await;
    rig.round(|round| round.keys().any(|line| line.contains("k8s.pod.phase")))
        .await;
    assert!(server.count(&["/api/v1/namespaces/none/pods"]) > 0);
    let other = server
        .requests()
        .into_iter()
        .find(|request| !request.contains("/namespaces/"));
    assert_eq!(other, None);
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_listed_holds_up_nothing_else() {
    let server = Server::start().await;
    server.chunks(64);
    whole(&server);
    for (name, rest) in [
        ("bare", json!({})),
        ("null", json!({"spec": null, "status": null})),
        (
            "odd",
            json!({"spec": {"containers": "three", "nodeName": 7}, "status": [1]}),
        ),
    ] {
        let mut object = rest;
        object["metadata"] = meta(name);
        server.put(PODS, object);
    }
    // Some of the collections are refused, and watches are cut and forgotten, again and again.
    server.refuse(5, 403, None);
    let rig = Rig::start(&server, "").await;
    for round in 0..3 {
        rig.round(|points| {
            points
                .keys()
                .filter(|line| line.contains("k8s.pod.phase"))
                .count()
                == 4
        })
        .await;
        match round {
            0 => server.cut_watches(),
            _ => {
                server.compact();
                server.expire_watches();
            }
        }
    }
    let expected = expected();
    rig.round(|round| expected.keys().all(|line| round.contains_key(line)))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn many_pods_come_in_requests_of_bounded_size() {
    let server = Server::start().await;
    for number in 0..5000 {
        server.put(PODS, json!({"metadata": meta(&format!("p{number:04}")),
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": "Running"}}));
    }
    let rig = Rig::start(&server, "").await;
    let end = Instant::now() + PATIENCE;
    let mut known = Points::new();
    while known.len() < 10_000 {
        assert!(Instant::now() < end, "{} points", known.len());
        for (payload, _) in rig.door.take() {
            for segment in payload.segments() {
                assert!(
                    segment.bytes().len() < 600 << 10,
                    "{}",
                    segment.bytes().len()
                );
                known.extend(points(segment.bytes()));
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    rig.stop().await;
}

#[test]
fn keys_that_cannot_act_are_refused() {
    let build = |text: &str| {
        let context = BuildContext::detached("receiver", "k8s_cluster".parse().unwrap());
        read::<Config>(text).build(&context).map(drop).unwrap_err()
    };
    for (text, path) in [
        ("{auth_type: tls}", "auth_type"),
        ("{context: a}", "context"),
        ("{collection_interval: 0s}", "collection_interval"),
        ("{metadata_exporters: [a]}", "metadata_exporters"),
        ("{namespace: a, namespaces: [b]}", "namespace"),
        (
            "{k8s_leader_elector: k8s_leader_elector}",
            "k8s_leader_elector",
        ),
    ] {
        assert_eq!(build(text).path, path, "{text}");
    }
    for (text, part) in [
        ("{distribution: rancher}", "`rancher`"),
        ("{metrics: {k8s.pod.faze: {enabled: true}}}", "k8s.pod.faze"),
        (
            "{resource_attributes: {k8s.pod.nme: {enabled: true}}}",
            "k8s.pod.nme",
        ),
    ] {
        let (_, found) = findings::<Config>(text);
        assert!(found.concat().contains(part), "{found:?}");
    }
}
