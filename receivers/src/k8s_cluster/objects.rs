//! What is kept of a cluster's objects: what metrics are made of, and no more.

use serde_json::Value;

use super::metrics::Metrics;
use crate::kubelet_stats::quantity;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pod,
    Node,
    Namespace,
    ReplicationController,
    ResourceQuota,
    Deployment,
    ReplicaSet,
    DaemonSet,
    StatefulSet,
    Job,
    CronJob,
    Autoscaler,
    ClusterQuota,
}

impl Kind {
    pub(super) const ALL: [Self; 13] = [
        Self::Pod,
        Self::Node,
        Self::Namespace,
        Self::ReplicationController,
        Self::ResourceQuota,
        Self::Deployment,
        Self::ReplicaSet,
        Self::DaemonSet,
        Self::StatefulSet,
        Self::Job,
        Self::CronJob,
        Self::Autoscaler,
        Self::ClusterQuota,
    ];

    /// Whether its objects belong to a namespace.
    pub(super) const fn has_namespace(self) -> bool {
        !matches!(self, Self::Node | Self::Namespace | Self::ClusterQuota)
    }

    /// The path of the collection, in a namespace where one is named.
    pub(super) fn path(self, namespace: &str) -> String {
        let (group, name) = match self {
            Self::Pod => ("/api/v1", "pods"),
            Self::Node => ("/api/v1", "nodes"),
            Self::Namespace => ("/api/v1", "namespaces"),
            Self::ReplicationController => ("/api/v1", "replicationcontrollers"),
            Self::ResourceQuota => ("/api/v1", "resourcequotas"),
            Self::Deployment => ("/apis/apps/v1", "deployments"),
            Self::ReplicaSet => ("/apis/apps/v1", "replicasets"),
            Self::DaemonSet => ("/apis/apps/v1", "daemonsets"),
            Self::StatefulSet => ("/apis/apps/v1", "statefulsets"),
            Self::Job => ("/apis/batch/v1", "jobs"),
            Self::CronJob => ("/apis/batch/v1", "cronjobs"),
            Self::Autoscaler => ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
            Self::ClusterQuota => ("/apis/quota.openshift.io/v1", "clusterresourcequotas"),
        };
        match namespace {
            "" => format!("{group}/{name}"),
            namespace => format!("{group}/namespaces/{namespace}/{name}"),
        }
    }

    /// The attributes that tell its name and its UID.
    const fn named(self) -> [&'static str; 2] {
        match self {
            Self::Pod => ["k8s.pod.name", "k8s.pod.uid"],
            Self::Node => ["k8s.node.name", "k8s.node.uid"],
            Self::Namespace => ["k8s.namespace.name", "k8s.namespace.uid"],
            Self::ReplicationController => [
                "k8s.replicationcontroller.name",
                "k8s.replicationcontroller.uid",
            ],
            Self::ResourceQuota => ["k8s.resourcequota.name", "k8s.resourcequota.uid"],
            Self::Deployment => ["k8s.deployment.name", "k8s.deployment.uid"],
            Self::ReplicaSet => ["k8s.replicaset.name", "k8s.replicaset.uid"],
            Self::DaemonSet => ["k8s.daemonset.name", "k8s.daemonset.uid"],
            Self::StatefulSet => ["k8s.statefulset.name", "k8s.statefulset.uid"],
            Self::Job => ["k8s.job.name", "k8s.job.uid"],
            Self::CronJob => ["k8s.cronjob.name", "k8s.cronjob.uid"],
            Self::Autoscaler => ["k8s.hpa.name", "k8s.hpa.uid"],
            Self::ClusterQuota => ["openshift.clusterquota.name", "openshift.clusterquota.uid"],
        }
    }
}

/// Attributes of a resource, none of them empty.
pub(super) type Told = Box<[(&'static str, Box<str>)]>;

/// What is kept of an object: resources with their points.
#[derive(Debug, PartialEq)]
pub(super) struct Object {
    pub(super) attributes: Told,
    pub(super) points: Box<[Point]>,
    /// Of a node: metrics whose names are made of what is asked for.
    pub(super) made: Box<[Made]>,
    /// Of a pod: its containers.
    pub(super) containers: Box<[Container]>,
}

/// A point of a metric, with the values of its attributes.
#[derive(Debug, PartialEq)]
pub(super) struct Point {
    pub(super) metric: Metrics,
    pub(super) value: Number,
    pub(super) attributes: Box<[Box<str>]>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

/// A point of a metric that has a name of its own.
#[derive(Debug, PartialEq)]
pub(super) struct Made {
    pub(super) name: Box<str>,
    pub(super) description: Box<str>,
    pub(super) unit: Box<str>,
    pub(super) value: Number,
}

/// A container's resource.
#[derive(Debug, PartialEq)]
pub(super) struct Container {
    pub(super) attributes: Told,
    pub(super) points: Box<[Point]>,
    /// The state that it is in, and why.
    pub(super) state: Option<(&'static str, Box<str>)>,
}

/// What of nodes is told under names of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct OfNodes {
    pub(super) conditions: Vec<String>,
    pub(super) allocatable: Vec<String>,
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}

fn int(value: &Value, path: &str) -> Option<i64> {
    value.pointer(path).and_then(Value::as_i64)
}

fn list<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    let list = value.pointer(path).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn entries<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value
        .pointer(path)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// An amount as Kubernetes writes it.
fn amount(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => quantity(text),
        value => value.as_f64(),
    }
}

/// An amount in whole units, as the API rounds it: up.
fn whole(amount: f64) -> Number {
    // A thousandth of a thousandth is what is lost in the reckoning of suffixes.
    Number::Int((amount - 1e-6).ceil() as i64)
}

fn told(attributes: impl IntoIterator<Item = (&'static str, String)>) -> Told {
    let kept = attributes
        .into_iter()
        .filter(|(_, value)| !value.is_empty());
    kept.map(|(name, value)| (name, value.into_boxed_str()))
        .collect()
}

fn plain(metric: Metrics, value: i64) -> Point {
    Point {
        metric,
        value: Number::Int(value),
        attributes: Box::default(),
    }
}

/// What an object is called in its collection.
pub(super) fn key(object: &Value) -> String {
    let (namespace, name) = (
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    );
    format!("{namespace}/{name}")
}

impl Object {
    /// What is kept of an object.
    pub(super) fn read(kind: Kind, object: &Value, of_nodes: &OfNodes) -> Self {
        let [name, uid] = kind.named();
        let mut attributes = vec![
            (name, text(object, "/metadata/name").to_owned()),
            (uid, text(object, "/metadata/uid").to_owned()),
        ];
        if kind.has_namespace() {
            let namespace = text(object, "/metadata/namespace");
            attributes.push(("k8s.namespace.name", namespace.to_owned()));
        }
        let (mut made, mut containers) = (Vec::new(), Vec::new());
        let points = match kind {
            Kind::Pod => {
                let node = text(object, "/spec/nodeName").to_owned();
                attributes.push(("k8s.node.name", node));
                containers = self::containers(object, &attributes);
                attributes.push((
                    "k8s.pod.qos_class",
                    text(object, "/status/qosClass").to_owned(),
                ));
                pod(object)
            }
            Kind::Node => {
                attributes.extend(machine(object));
                made = of_nodes.made(object);
                conditions(object)
            }
            Kind::Autoscaler => {
                attributes.extend(
                    [
                        ("k8s.hpa.scaletargetref.apiversion", "apiVersion"),
                        ("k8s.hpa.scaletargetref.kind", "kind"),
                        ("k8s.hpa.scaletargetref.name", "name"),
                    ]
                    .map(|(name, key)| {
                        let path = format!("/spec/scaleTargetRef/{key}");
                        (name, text(object, &path).to_owned())
                    }),
                );
                numbers(kind, object)
            }
            Kind::ResourceQuota => [
                quotas(Metrics::QuotaLimit, object, "/status/hard", &[]),
                quotas(Metrics::QuotaUsed, object, "/status/used", &[]),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Kind::ClusterQuota => cluster_quota(object),
            _ => numbers(kind, object),
        };
        Self {
            attributes: told(attributes),
            points: points.into(),
            made: made.into(),
            containers: containers.into(),
        }
    }
}

fn pod(object: &Value) -> Vec<Point> {
    let phase = match text(object, "/status/phase") {
        "Pending" => 1,
        "Running" => 2,
        "Succeeded" => 3,
        "Failed" => 4,
        _ => 5,
    };
    let reason = match text(object, "/status/reason") {
        "Evicted" => 1,
        "NodeAffinity" => 2,
        "NodeLost" => 3,
        "Shutdown" => 4,
        "UnexpectedAdmissionError" => 5,
        _ => 6,
    };
    vec![
        plain(Metrics::PodPhase, phase),
        plain(Metrics::PodStatusReason, reason),
    ]
}

/// The numbers of kinds that have nothing else.
fn numbers(kind: Kind, object: &Value) -> Vec<Point> {
    // What is always told, and what only where the object has it.
    let always = |metric, path: &str| Some(plain(metric, int(object, path).unwrap_or(0)));
    let given = |metric, path: &str| int(object, path).map(|value| plain(metric, value));
    let points = match kind {
        Kind::Namespace => {
            let phase = match text(object, "/status/phase") {
                "Active" => 1,
                "Terminating" => 0,
                _ => -1,
            };
            vec![Some(plain(Metrics::NamespacePhase, phase))]
        }
        Kind::Deployment => vec![
            given(Metrics::DeploymentDesired, "/spec/replicas"),
            always(Metrics::DeploymentAvailable, "/status/availableReplicas"),
        ],
        Kind::ReplicaSet if int(object, "/spec/replicas").is_some() => vec![
            given(Metrics::ReplicaSetDesired, "/spec/replicas"),
            always(Metrics::ReplicaSetAvailable, "/status/availableReplicas"),
        ],
        Kind::ReplicationController if int(object, "/spec/replicas").is_some() => vec![
            given(Metrics::ControllerDesired, "/spec/replicas"),
            always(Metrics::ControllerAvailable, "/status/availableReplicas"),
        ],
        Kind::DaemonSet => vec![
            always(Metrics::CurrentNodes, "/status/currentNumberScheduled"),
            always(Metrics::DesiredNodes, "/status/desiredNumberScheduled"),
            always(Metrics::MisscheduledNodes, "/status/numberMisscheduled"),
            always(Metrics::ReadyNodes, "/status/numberReady"),
        ],
        Kind::StatefulSet if int(object, "/spec/replicas").is_some() => vec![
            given(Metrics::StatefulSetDesired, "/spec/replicas"),
            always(Metrics::StatefulSetReady, "/status/readyReplicas"),
            always(Metrics::StatefulSetCurrent, "/status/currentReplicas"),
            always(Metrics::StatefulSetUpdated, "/status/updatedReplicas"),
        ],
        Kind::Job => vec![
            always(Metrics::JobActive, "/status/active"),
            always(Metrics::JobFailed, "/status/failed"),
            always(Metrics::JobSuccessful, "/status/succeeded"),
            given(Metrics::JobDesired, "/spec/completions"),
            given(Metrics::JobParallel, "/spec/parallelism"),
        ],
        Kind::CronJob => {
            let active = list(object, "/status/active").len();
            let active = i64::try_from(active).unwrap_or(i64::MAX);
            vec![Some(plain(Metrics::ActiveJobs, active))]
        }
        Kind::Autoscaler => vec![
            always(Metrics::HpaMax, "/spec/maxReplicas"),
            given(Metrics::HpaMin, "/spec/minReplicas"),
            always(Metrics::HpaCurrent, "/status/currentReplicas"),
            always(Metrics::HpaDesired, "/status/desiredReplicas"),
        ],
        _ => Vec::new(),
    };
    points.into_iter().flatten().collect()
}

/// What a node is made of.
fn machine(object: &Value) -> Vec<(&'static str, String)> {
    let info = |key: &str| text(object, &format!("/status/nodeInfo/{key}")).to_owned();
    let runtime = info("containerRuntimeVersion");
    let (runtime, version) = runtime.split_once("://").unwrap_or((&runtime, ""));
    vec![
        ("k8s.kubelet.version", info("kubeletVersion")),
        ("container.runtime", runtime.to_owned()),
        ("container.runtime.version", version.to_owned()),
        ("os.description", info("osImage")),
        ("os.type", info("operatingSystem").to_lowercase()),
    ]
}

fn status(condition: &Value) -> i64 {
    match text(condition, "/status") {
        "True" => 1,
        "False" => 0,
        _ => -1,
    }
}

fn conditions(object: &Value) -> Vec<Point> {
    let conditions = list(object, "/status/conditions").iter();
    let points = conditions.map(|condition| Point {
        metric: Metrics::NodeCondition,
        value: Number::Int(status(condition)),
        attributes: [text(condition, "/type").into()].into(),
    });
    points.collect()
}

impl OfNodes {
    /// What of a node is told under names of its own.
    fn made(&self, object: &Value) -> Vec<Made> {
        let mut made = Vec::new();
        let conditions = list(object, "/status/conditions");
        for wanted in &self.conditions {
            let found = conditions.iter().find(|one| text(one, "/type") == wanted);
            made.push(Made {
                name: format!("k8s.node.condition_{}", snake(wanted)).into(),
                description: format!(
                    "{wanted} condition status of the node (true=1, false=0, unknown=-1)"
                )
                .into(),
                unit: "".into(),
                value: Number::Int(found.map_or(-1, status)),
            });
        }
        for wanted in &self.allocatable {
            let all = object.pointer("/status/allocatable");
            let Some(amount) = all.and_then(|all| amount(all.get(wanted)?)) else {
                continue;
            };
            let (unit, value) = match wanted.as_str() {
                "cpu" => (
                    "{cpu}",
                    Number::Double((amount * 1000.0 - 1e-6).ceil() / 1000.0),
                ),
                "memory" | "ephemeral-storage" | "storage" => ("By", whole(amount)),
                "pods" => ("{pod}", whole(amount)),
                other => (other, whole(amount)),
            };
            let unit = match unit.starts_with(['{', 'B']) {
                true => unit.to_owned(),
                false => format!("{{{unit}}}"),
            };
            made.push(Made {
                name: format!("k8s.node.allocatable_{}", snake(wanted)).into(),
                description: format!("Amount of {wanted} allocatable on the node").into(),
                unit: unit.into(),
                value,
            });
        }
        made
    }
}

/// `MemoryPressure` as `memory_pressure`, `PIDPressure` as `pid_pressure`, `ephemeral-storage` as `ephemeral_storage`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.trim().chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 1);
        let begins = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || before.is_ascii_uppercase()
                        && after.is_some_and(|after| after.is_ascii_lowercase())
            });
        if begins {
            out.push('_');
        }
        match letter {
            ' ' | '-' | '.' | '_' => out.push('_'),
            letter => out.push(letter.to_ascii_lowercase()),
        }
    }
    out
}

/// The amounts of a quota, those of CPUs in thousandths.
fn quotas(metric: Metrics, object: &Value, path: &str, before: &[&str]) -> Vec<Point> {
    let amounts = entries(object, path).filter_map(|(resource, value)| {
        let amount = amount(value)?;
        let of_cpu = resource.ends_with(".cpu");
        let attributes = before.iter().copied().chain([resource.as_str()]);
        Some(Point {
            metric,
            value: whole(if of_cpu { amount * 1000.0 } else { amount }),
            attributes: attributes.map(Into::into).collect(),
        })
    });
    amounts.collect()
}

fn cluster_quota(object: &Value) -> Vec<Point> {
    let mut points = quotas(Metrics::ClusterLimit, object, "/status/total/hard", &[]);
    points.extend(quotas(
        Metrics::ClusterUsed,
        object,
        "/status/total/used",
        &[],
    ));
    for (metric, path) in [
        (Metrics::AppliedLimit, "/status/hard"),
        (Metrics::AppliedUsed, "/status/used"),
    ] {
        for applied in list(object, "/status/namespaces") {
            let namespace = text(applied, "/namespace");
            points.extend(quotas(metric, applied, path, &[namespace]));
        }
    }
    points
}

/// A pod's containers, those that run beside them from its beginning too.
fn containers(object: &Value, pod: &[(&'static str, String)]) -> Vec<Container> {
    let beside = list(object, "/spec/initContainers").iter();
    let beside = beside.filter(|one| text(one, "/restartPolicy") == "Always");
    let all = list(object, "/spec/containers").iter().chain(beside);
    let of_status = |key| list(object, key).iter();
    let all = all.map(|container| {
        let name = text(container, "/name");
        let status = of_status("/status/containerStatuses")
            .chain(of_status("/status/initContainerStatuses"))
            .find(|status| text(status, "/name") == name);
        self::container(container, status, pod)
    });
    all.collect()
}

fn container(
    container: &Value,
    status: Option<&Value>,
    pod: &[(&'static str, String)],
) -> Container {
    let mut points = Vec::new();
    for (path, [cpu, memory, storage, ephemeral]) in [
        (
            "/resources/requests",
            [
                Metrics::CpuRequest,
                Metrics::MemoryRequest,
                Metrics::StorageRequest,
                Metrics::EphemeralRequest,
            ],
        ),
        (
            "/resources/limits",
            [
                Metrics::CpuLimit,
                Metrics::MemoryLimit,
                Metrics::StorageLimit,
                Metrics::EphemeralLimit,
            ],
        ),
    ] {
        for (resource, value) in entries(container, path) {
            let Some(amount) = amount(value) else {
                continue;
            };
            let (metric, value) = match resource.as_str() {
                "cpu" => (
                    cpu,
                    Number::Double((amount * 1000.0 - 1e-6).ceil() / 1000.0),
                ),
                "memory" => (memory, whole(amount)),
                "storage" => (storage, whole(amount)),
                "ephemeral-storage" => (ephemeral, whole(amount)),
                _ => continue,
            };
            points.push(Point {
                metric,
                value,
                attributes: Box::default(),
            });
        }
    }
    let mut attributes = pod.to_vec();
    attributes.push(("k8s.container.name", text(container, "/name").to_owned()));
    let mut state = None;
    let mut image = text(container, "/image");
    if let Some(status) = status {
        points.push(plain(
            Metrics::Restarts,
            int(status, "/restartCount").unwrap_or(0),
        ));
        let ready = status.pointer("/ready").and_then(Value::as_bool);
        points.push(plain(Metrics::Ready, i64::from(ready.unwrap_or(false))));
        let id = text(status, "/containerID");
        let id = id.split_once("://").map_or(id, |(_, id)| id);
        attributes.push(("container.id", id.to_owned()));
        let ended = text(status, "/lastState/terminated/reason").to_owned();
        attributes.push(("k8s.container.status.last_terminated_reason", ended));
        if !text(status, "/image").is_empty() {
            image = text(status, "/image");
        }
        let states = ["terminated", "running", "waiting"];
        state = states.into_iter().find_map(|state| {
            let found = status.pointer("/state")?.get(state)?;
            Some((state, text(found, "/reason").into()))
        });
    }
    let (name, tag) = image_of(image);
    attributes.push(("container.image.name", name.to_owned()));
    attributes.push(("container.image.tag", tag.to_owned()));
    Container {
        attributes: told(attributes),
        points: points.into(),
        state,
    }
}

/// An image's name and its tag, which is `latest` where neither a tag nor a digest is written.
fn image_of(image: &str) -> (&str, &str) {
    let (rest, digest) = image.split_once('@').unwrap_or((image, ""));
    // A colon before the last slash belongs to the registry's port.
    let from = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[from..].rfind(':') {
        Some(at) => (&rest[..from + at], &rest[from + at + 1..]),
        None if digest.is_empty() && !rest.is_empty() => (rest, "latest"),
        None => (rest, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_original() {
        for (name, expected) in [
            ("Ready", "ready"),
            ("MemoryPressure", "memory_pressure"),
            ("PIDPressure", "pid_pressure"),
            ("NetworkUnavailable", "network_unavailable"),
            ("ephemeral-storage", "ephemeral_storage"),
            ("cpu", "cpu"),
        ] {
            assert_eq!(snake(name), expected);
        }
        for (image, expected) in [
            ("web", ("web", "latest")),
            ("r:5000/a/web:1.2", ("r:5000/a/web", "1.2")),
            ("r:5000/web", ("r:5000/web", "latest")),
            ("web@sha256:1", ("web", "")),
            ("web:1@sha256:1", ("web", "1")),
            ("", ("", "")),
        ] {
            assert_eq!(image_of(image), expected);
        }
    }

    #[test]
    fn amounts_are_rounded_up_to_what_is_told() {
        for (text, expected) in [("1", 1), ("1500m", 2), ("1Ki", 1024), ("0", 0), ("8", 8)] {
            let value = amount(&Value::from(text)).unwrap();
            assert_eq!(whole(value), Number::Int(expected), "{text}");
        }
    }
}
