//! What is kept of a pod: the attributes that will be added, and those of its containers.

use std::borrow::Cow;

use tidegate_pdata::compose::{Fields, Value};
use tidegate_pdata::splice::{AttributeEditor, NewValue};
use tidegate_pdata::view::AnyValue;

use super::image::{Image, repo_digest};
use super::objects::{Container as Spec, ContainerStatus, OwnerReference, Pod};
use super::rules::{From, Rules, Wants};
use super::{put, set};

/// What says of a pod that it is left alone.
const IGNORE: &str = "opentelemetry.io/k8s-processor/ignore";

type Name = Cow<'static, str>;

/// Attributes to be added; of two with one name the later counts.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<(Name, Box<str>)>);

impl Attributes {
    /// Sets one, unless the value is empty.
    pub(super) fn set(&mut self, name: impl Into<Name>, value: &str) {
        let name = name.into();
        if value.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value.into(),
            None => self.0.push((name, value.into())),
        }
    }

    fn set_if(&mut self, wanted: bool, name: &'static str, value: &str) {
        if wanted {
            self.set(name, value);
        }
    }

    pub(super) fn done(self) -> Box<[(Name, Box<str>)]> {
        self.0.into()
    }
}

/// What owns a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
}

impl Owner {
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "ReplicaSet" => Some(Self::ReplicaSet),
            "StatefulSet" => Some(Self::StatefulSet),
            "DaemonSet" => Some(Self::DaemonSet),
            "Job" => Some(Self::Job),
            _ => None,
        }
    }
}

/// A container of a pod.
#[derive(Debug, Default)]
struct Container {
    name: Box<str>,
    id: Box<str>,
    restarts: i64,
    image_name: Option<Box<str>>,
    image_tag: Option<Box<str>>,
    /// A list of one text, as an `AnyValue`.
    image_digests: Option<Box<[u8]>>,
    version: Option<Box<str>>,
    instance: Option<Box<str>>,
    tell_name: bool,
    tell_id: bool,
}

/// What is kept of a pod.
#[derive(Debug, Default)]
pub(super) struct PodEntry {
    pub(super) uid: Box<str>,
    pub(super) name: Box<str>,
    pub(super) namespace: Box<str>,
    pub(super) node: Box<str>,
    /// The address, where it is the pod's own.
    pub(super) address: Option<Box<str>>,
    /// When it was started, as the API writes it, so that texts compare as times.
    pub(super) start: Box<str>,
    pub(super) ignored: bool,
    pub(super) attributes: Box<[(Name, Box<str>)]>,
    /// The name of its deployment.
    pub(super) deployment: Option<Box<str>>,
    owner: Option<(Owner, Box<str>)>,
    containers: Vec<Container>,
}

impl PodEntry {
    /// What is to be kept of a pod under these rules.
    pub(super) fn new(pod: &Pod, rules: &Rules) -> Self {
        let Pod {
            metadata,
            spec,
            status,
        } = pod;
        let mut owners = metadata.owner_references.iter();
        let owner = owners.find_map(|owner| Some((Owner::of(&owner.kind)?, owner)));
        let address = Some(status.pod_ip.as_str());
        let address = address.filter(|address| !address.is_empty() && !spec.host_network);
        let mut entry = Self {
            uid: metadata.uid.as_str().into(),
            name: metadata.name.as_str().into(),
            namespace: metadata.namespace.as_str().into(),
            node: spec.node_name.as_str().into(),
            address: address.map(Into::into),
            start: status.start_time.as_str().into(),
            ignored: is_ignored(pod, rules),
            ..Self::default()
        };
        if entry.ignored {
            return entry;
        }
        entry.owner = owner.map(|(kind, owner)| (kind, owner.uid.as_str().into()));
        entry.deployment = owner.and_then(|(kind, owner)| deployment(kind, owner, pod));
        entry.attributes = attributes(pod, owner, entry.deployment.as_deref(), rules).done();
        if rules.of_containers() {
            entry.containers = containers(pod, &rules.wants);
        }
        entry
    }

    /// The UID of what owns it, if that is of this kind.
    pub(super) fn owner(&self, kind: Owner) -> Option<&str> {
        let owner = self.owner.as_ref().filter(|(known, _)| *known == kind);
        owner.map(|(_, uid)| &**uid)
    }

    /// The IDs of its containers.
    pub(super) fn container_ids(&self) -> impl Iterator<Item = &str> {
        let ids = self.containers.iter().map(|container| &*container.id);
        ids.filter(|id| !id.is_empty())
    }

    /// The value of one of its attributes.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// Adds what is known of the container that a resource names, or of the only one.
    pub(super) fn add_container(&self, attributes: &mut AttributeEditor<'_>) {
        let Some(container) = self.container(attributes) else {
            return;
        };
        if container.tell_name {
            set(attributes, "k8s.container.name", &container.name);
        }
        for (name, value) in [
            ("container.image.name", &container.image_name),
            ("container.image.tag", &container.image_tag),
            ("service.instance.id", &container.instance),
            ("service.version", &container.version),
        ] {
            if let Some(value) = value {
                set(attributes, name, value);
            }
        }
        // The ID belongs to a run of the container, and the runs before have had others.
        let run = match attributes.get("k8s.container.restart_count") {
            None => Some(container.restarts),
            Some(AnyValue::Int(run)) => Some(run),
            Some(AnyValue::String(text)) => text.to_str().parse().ok(),
            Some(_) => None,
        };
        if run != Some(container.restarts) {
            return;
        }
        if container.tell_id && !container.id.is_empty() {
            set(attributes, "container.id", &container.id);
        }
        if let Some(digests) = &container.image_digests {
            let name = "container.image.repo_digests";
            put(attributes, name, NewValue::Message(digests));
        }
    }

    fn container(&self, attributes: &AttributeEditor<'_>) -> Option<&Container> {
        let is = |name: &str, value: &str| match attributes.get(name) {
            Some(AnyValue::String(text)) if !text.as_bytes().is_empty() => {
                Some(text.as_bytes() == value.as_bytes())
            }
            _ => None,
        };
        let mut containers = self.containers.iter();
        if is("k8s.container.name", "").is_some() {
            return containers.find(|one| is("k8s.container.name", &one.name) == Some(true));
        }
        if is("container.id", "").is_some() {
            return containers.find(|one| is("container.id", &one.id) == Some(true));
        }
        match self.containers.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

fn is_ignored(pod: &Pod, rules: &Rules) -> bool {
    let told = pod.metadata.annotations.get(IGNORE);
    let told = told.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let name = pod.metadata.name.as_bytes();
    told || rules.excluded.iter().any(|names| names.is_match(name))
}

/// The deployment of a pod: its replica set is called after it, with the hash of the pod's template
/// behind, which the pod has as a label. Replica sets that no deployment made know no such hash.
fn deployment(kind: Owner, owner: &OwnerReference, pod: &Pod) -> Option<Box<str>> {
    if kind != Owner::ReplicaSet {
        return None;
    }
    let hash = pod.metadata.labels.get("pod-template-hash")?;
    let name = owner.name.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    (!name.is_empty()).then(|| name.into())
}

/// The cron job of a job: the job is called after it, with the time behind.
fn cron_job(job: &str) -> Option<&str> {
    let (name, time) = job.rsplit_once('-')?;
    let is_time = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    is_time.then_some(name)
}

fn attributes(
    pod: &Pod,
    owner: Option<(Owner, &OwnerReference)>,
    deployment: Option<&str>,
    rules: &Rules,
) -> Attributes {
    let (wants, metadata) = (&rules.wants, &pod.metadata);
    let mut to = Attributes::default();
    to.set_if(wants.pod_name, "k8s.pod.name", &metadata.name);
    // The better it is known who the service is, the later it is set.
    to.set_if(wants.service_name, "service.name", &metadata.name);
    to.set_if(wants.pod_hostname, "k8s.pod.hostname", &pod.spec.hostname);
    to.set_if(wants.pod_ip, "k8s.pod.ip", &pod.status.pod_ip);
    to.set_if(wants.namespace, "k8s.namespace.name", &metadata.namespace);
    to.set_if(
        wants.service_namespace,
        "service.namespace",
        &metadata.namespace,
    );
    to.set_if(
        wants.start_time,
        "k8s.pod.start_time",
        &metadata.creation_timestamp,
    );
    to.set_if(wants.pod_uid, "k8s.pod.uid", &metadata.uid);
    if let Some((kind, owner)) = owner {
        let (name, uid) = match kind {
            Owner::ReplicaSet => (
                (wants.replica_set_name, "k8s.replicaset.name"),
                (wants.replica_set_uid, "k8s.replicaset.uid"),
            ),
            Owner::StatefulSet => (
                (wants.stateful_set_name, "k8s.statefulset.name"),
                (wants.stateful_set_uid, "k8s.statefulset.uid"),
            ),
            Owner::DaemonSet => (
                (wants.daemon_set_name, "k8s.daemonset.name"),
                (wants.daemon_set_uid, "k8s.daemonset.uid"),
            ),
            Owner::Job => (
                (wants.job_name, "k8s.job.name"),
                (wants.job_uid, "k8s.job.uid"),
            ),
        };
        to.set_if(name.0, name.1, &owner.name);
        to.set_if(uid.0, uid.1, &owner.uid);
        to.set_if(wants.service_name, "service.name", &owner.name);
        let cron_job = (kind == Owner::Job)
            .then(|| cron_job(&owner.name))
            .flatten();
        if let Some(name) = cron_job {
            to.set_if(wants.cron_job_name, "k8s.cronjob.name", name);
            to.set_if(wants.service_name, "service.name", name);
        }
    }
    if let Some(name) = deployment {
        to.set_if(wants.deployment_name, "k8s.deployment.name", name);
        to.set_if(wants.service_name, "service.name", name);
    }
    to.set_if(wants.node_name, "k8s.node.name", &pod.spec.node_name);
    rules.take(From::Pod, true, &metadata.labels, &mut to);
    let label = |key: &str| metadata.labels.get(key).map_or("", String::as_str);
    for key in ["app.kubernetes.io/name", "app.kubernetes.io/instance"] {
        to.set_if(wants.service_name, "service.name", label(key));
    }
    let version = label("app.kubernetes.io/version");
    to.set_if(wants.service_version, "service.version", version);
    rules.take(From::Pod, false, &metadata.annotations, &mut to);
    to
}

fn containers(pod: &Pod, wants: &Wants) -> Vec<Container> {
    let specs = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let statuses = &pod.status;
    let statuses = || {
        let containers = statuses.container_statuses.iter();
        containers.chain(&statuses.init_container_statuses)
    };
    let known = |spec: &Spec| {
        let status = statuses().find(|status| status.name == spec.name);
        container(pod, spec, status, wants)
    };
    specs.map(known).collect()
}

fn container(pod: &Pod, spec: &Spec, status: Option<&ContainerStatus>, wants: &Wants) -> Container {
    let image = Image::parse(&spec.image);
    let of = |wanted: bool, text: Option<&str>| text.filter(|_| wanted).map(Into::into);
    let version = image.and_then(|image| image.version());
    let digest = status.and_then(|status| repo_digest(&status.image_id));
    let id = status.map_or("", |status| status.container_id.as_str());
    let namespace = &pod.metadata.namespace;
    let instance = format!("{namespace}.{}.{}", pod.metadata.name, spec.name);
    Container {
        name: spec.name.as_str().into(),
        id: id.split_once("://").map_or(id, |(_, bare)| bare).into(),
        restarts: status.map_or(0, |status| status.restart_count),
        image_name: of(wants.image_name, image.map(|image| image.name)),
        image_tag: of(wants.image_tag, image.and_then(|image| image.told_tag())),
        image_digests: digest.filter(|_| wants.image_digests).map(|digest| {
            let mut list = Fields::new();
            list.any(Value::Array(&[Value::Str(&digest)]));
            list.bytes().into()
        }),
        version: of(wants.service_version, version.as_deref()),
        instance: of(wants.service_instance_id, Some(&instance)),
        tell_name: wants.container_name,
        tell_id: wants.container_id,
    }
}
