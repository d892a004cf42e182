//! One round: ask, then tell of the node, and of pod after pod.

use std::collections::HashMap;

use tidegate_component::async_trait;
use tidegate_pdata::compose::Request;

use super::emit;
use super::kubelet::{Capacity, Kubelet};
use super::metrics::{
    CONTAINER_CPU, CONTAINER_FS, CONTAINER_MEMORY, Metrics, NODE_CPU, NODE_FS, NODE_MEMORY,
    NODE_NETWORK, POD_CPU, POD_FS, POD_MEMORY, POD_NETWORK, SYSTEM_CPU,
};
use super::pods::{Known, Resources, Told};
use super::summary::{Container, Node, Pod, Summary, Volume};
use super::usage::Usages;
use crate::host_metrics::now;
use crate::scrape::{Chosen, ChosenAttributes, Emit, Part, Scraper};

const SCOPE: &str =
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/kubeletstatsreceiver";

/// The groups that are told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    pub(super) container: bool,
    pub(super) pod: bool,
    pub(super) node: bool,
    pub(super) volume: bool,
}

/// What is told.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) groups: Groups,
    pub(super) container_ids: bool,
    pub(super) volume_types: bool,
    pub(super) pod_interfaces: bool,
    pub(super) node_interfaces: bool,
    pub(super) node: String,
    pub(super) attributes: ChosenAttributes,
    pub(super) chosen: Chosen<Metrics>,
}

/// What was asked in a round, and how far it has been told.
struct Round {
    time: u64,
    capacity: Capacity,
    pods: std::vec::IntoIter<Pod>,
    known: HashMap<String, Known>,
}

/// The scraper.
pub(super) struct Stats {
    kubelet: Kubelet,
    settings: Settings,
    usages: Usages,
    began: u64,
    round: Option<Round>,
    /// How many metrics the last whole round had.
    usual: usize,
    metrics: usize,
}

impl Stats {
    pub(super) fn new(kubelet: Kubelet, settings: Settings) -> Self {
        Self {
            kubelet,
            settings,
            usages: Usages::default(),
            began: now(),
            round: None,
            usual: 1,
            metrics: 0,
        }
    }

    /// Asks for all of it, and tells of the node.
    async fn begin(&mut self, part: &mut Part) -> Option<Round> {
        let summary = match self.kubelet.summary().await {
            Ok(summary) => summary,
            Err(error) => {
                part.faults
                    .add("the kubelet does not tell what is used", self.usual, || {
                        error.to_string()
                    });
                return None;
            }
        };
        let chosen = &self.settings.chosen;
        let detailed = self.settings.container_ids
            || self.settings.volume_types
            || chosen.any(Metrics::OF_RESOURCES);
        let known = match detailed {
            false => HashMap::new(),
            true => match self.kubelet.pods().await {
                Ok(known) => known,
                Err(error) => {
                    part.faults.add(
                        "the kubelet does not tell of its pods: may the service account get `nodes/pods`?",
                        self.usual,
                        || error.to_string(),
                    );
                    return None;
                }
            },
        };
        let capacity = match chosen.any(Metrics::OF_NODE) {
            false => Capacity::default(),
            true => {
                let capacity = self.kubelet.capacity(&self.settings.node).await;
                capacity.unwrap_or_else(|error| {
                    part.faults
                        .add("the API server does not tell what the node has", 0, || {
                            error.to_string()
                        });
                    Capacity::default()
                })
            }
        };
        self.usages.begin();
        self.metrics = 0;
        let Summary { node, pods } = summary;
        let time = now();
        if self.settings.groups.node {
            self.node(&node, time, part);
        }
        Some(Round {
            time,
            capacity,
            pods: pods.into_iter(),
            known,
        })
    }

    fn node(&mut self, node: &Node, time: u64, part: &mut Part) {
        let settings = &self.settings;
        let attributes = [("k8s.node.name", node.node_name.as_str())];
        if settings.attributes.takes(&attributes) {
            begin(&mut part.request, settings, &attributes);
            let mut out = emit(part, settings, node.start_time.0, time);
            let nothing = (Resources::default(), Capacity::default());
            emit::cpu(
                &mut out,
                &NODE_CPU,
                node.cpu.as_ref(),
                nothing,
                |spent, at| {
                    self.usages
                        .of(&format!("node {}", node.node_name), spent, at)
                },
            );
            emit::fs(&mut out, &NODE_FS, node.fs.as_ref());
            if let Some(fs) = &node.fs {
                emit::int(&mut out, Metrics::NodeInodes, fs.inodes);
                emit::int(&mut out, Metrics::NodeInodesFree, fs.inodes_free);
            }
            emit::memory(&mut out, &NODE_MEMORY, node.memory.as_ref(), nothing);
            let all = settings.node_interfaces;
            emit::network(&mut out, &NODE_NETWORK, node.network.as_ref(), all);
            if let Some(limit) = &node.rlimit {
                emit::int(&mut out, Metrics::NodePidLimit, limit.maxpid);
                emit::int(&mut out, Metrics::NodePidUsage, limit.curproc);
            }
            emit::uptime(&mut out, Metrics::NodeUptime, node.start_time, time);
        }
        for container in &node.system_containers {
            let attributes = [
                ("k8s.node.name", node.node_name.as_str()),
                ("k8s.node.system_container.name", container.name.as_str()),
            ];
            if !settings.attributes.takes(&attributes) {
                continue;
            }
            begin(&mut part.request, settings, &attributes);
            let mut out = emit(part, settings, container.start_time.0, time);
            let nothing = (Resources::default(), Capacity::default());
            emit::cpu(
                &mut out,
                &SYSTEM_CPU,
                container.cpu.as_ref(),
                nothing,
                |spent, at| {
                    let key = format!("system {}", container.name);
                    self.usages.of(&key, spent, at)
                },
            );
            if let Some(memory) = &container.memory {
                emit::int(&mut out, Metrics::SystemMemoryUsage, memory.usage_bytes);
                let working_set = memory.working_set_bytes;
                emit::int(&mut out, Metrics::SystemWorkingSet, working_set);
            }
        }
    }

    /// Tells of a pod and all that is in it.
    async fn pod(&mut self, pod: &Pod, round: &Round, part: &mut Part) {
        let nothing = Known::default();
        let known = round.known.get(&pod.pod_ref.uid);
        if self.settings.groups.pod {
            let resources = known.unwrap_or(&nothing).resources;
            self.pod_itself(pod, (resources, round.capacity), round.time, part);
        }
        if self.settings.groups.container {
            for container in &pod.containers {
                self.container(pod, container, known, round, part);
            }
        }
        if self.settings.groups.volume {
            for volume in &pod.volume {
                self.volume(pod, volume, known, round.time, part).await;
            }
        }
    }

    fn pod_itself(&mut self, pod: &Pod, of: (Resources, Capacity), time: u64, part: &mut Part) {
        let settings = &self.settings;
        let attributes = named(pod);
        if !settings.attributes.takes(&attributes) {
            return;
        }
        begin(&mut part.request, settings, &attributes);
        let mut out = emit(part, settings, pod.start_time.0, time);
        emit::cpu(&mut out, &POD_CPU, pod.cpu.as_ref(), of, |spent, at| {
            self.usages
                .of(&format!("pod {}", pod.pod_ref.uid), spent, at)
        });
        emit::fs(&mut out, &POD_FS, pod.ephemeral_storage.as_ref());
        emit::memory(&mut out, &POD_MEMORY, pod.memory.as_ref(), of);
        let all = settings.pod_interfaces;
        emit::network(&mut out, &POD_NETWORK, pod.network.as_ref(), all);
        emit::uptime(&mut out, Metrics::PodUptime, pod.start_time, time);
    }

    fn container(
        &mut self,
        pod: &Pod,
        container: &Container,
        known: Option<&Known>,
        round: &Round,
        part: &mut Part,
    ) {
        let settings = &self.settings;
        let mut attributes = named(pod).to_vec();
        attributes.push(("k8s.container.name", &container.name));
        if settings.container_ids {
            match known.and_then(|known| known.id(&container.name)) {
                Some(id) => attributes.push(("container.id", id)),
                None => {
                    // Without its ID it would be another resource.
                    part.faults
                        .add("a container that has no ID yet is left out", 0, || {
                            format!("{} of {}", container.name, pod.pod_ref.name)
                        });
                    return;
                }
            }
        }
        if !settings.attributes.takes(&attributes) {
            return;
        }
        begin(&mut part.request, settings, &attributes);
        let resources = known.map(|known| known.container(&container.name));
        let of = (resources.unwrap_or_default(), round.capacity);
        let mut out = emit(part, settings, container.start_time.0, round.time);
        emit::cpu(
            &mut out,
            &CONTAINER_CPU,
            container.cpu.as_ref(),
            of,
            |spent, at| {
                let key = format!("container {} {}", pod.pod_ref.uid, container.name);
                self.usages.of(&key, spent, at)
            },
        );
        emit::fs(&mut out, &CONTAINER_FS, container.rootfs.as_ref());
        emit::memory(&mut out, &CONTAINER_MEMORY, container.memory.as_ref(), of);
        let start = container.start_time;
        emit::uptime(&mut out, Metrics::ContainerUptime, start, round.time);
        out.metric(Metrics::ContainerEphemeralStorage, |points| {
            let parts = [("rootfs", &container.rootfs), ("logs", &container.logs)];
            for (name, fs) in parts {
                if let Some(used) = fs.as_ref().and_then(|fs| fs.used_bytes) {
                    points.int(used, &[name]);
                }
            }
        });
    }

    async fn volume(
        &mut self,
        pod: &Pod,
        volume: &Volume,
        known: Option<&Known>,
        time: u64,
        part: &mut Part,
    ) {
        let told = match self.settings.volume_types {
            false => Some(Told::new()),
            true => self.volume_told(pod, volume, known, part).await,
        };
        let Some(told) = told else { return };
        let settings = &self.settings;
        let mut attributes = named(pod).to_vec();
        attributes.push(("k8s.volume.name", &volume.name));
        attributes.extend(told.iter().map(|(name, value)| (*name, value.as_str())));
        if !settings.attributes.takes(&attributes) {
            return;
        }
        begin(&mut part.request, settings, &attributes);
        let mut out = emit(part, settings, self.began, time);
        emit::int(&mut out, Metrics::PodVolumeUsage, volume.used_bytes);
        for (metric, value) in [
            (Metrics::VolumeAvailable, volume.available_bytes),
            (Metrics::VolumeCapacity, volume.capacity_bytes),
            (Metrics::VolumeInodes, volume.inodes),
            (Metrics::VolumeInodesFree, volume.inodes_free),
            (Metrics::VolumeInodesUsed, volume.inodes_used),
        ] {
            emit::int(&mut out, metric, value);
        }
    }

    /// What more is known of a volume; none where that cannot be found out, as it would be another
    /// resource without it.
    async fn volume_told(
        &mut self,
        pod: &Pod,
        volume: &Volume,
        known: Option<&Known>,
        part: &mut Part,
    ) -> Option<Told> {
        let example = || format!("{} of {}", volume.name, pod.pod_ref.name);
        let Some(found) = known.and_then(|known| known.volume(&volume.name)) else {
            part.faults
                .add("a volume that no pod has is left out", 0, example);
            return None;
        };
        let mut told = found.told();
        if let Some(claim) = found.claim() {
            match self.kubelet.behind(&pod.pod_ref.namespace, claim).await {
                Ok(behind) => {
                    // The type of what is behind it counts.
                    told.retain(|(name, _)| !behind.iter().any(|(other, _)| other == name));
                    told.extend(behind);
                }
                Err(error) => {
                    let what = "the API server does not tell of a volume, which is left out";
                    part.faults
                        .add(what, 0, || format!("{}: {error}", example()));
                    return None;
                }
            }
        }
        Some(told)
    }
}

fn named(pod: &Pod) -> [(&'static str, &str); 3] {
    [
        ("k8s.pod.uid", &pod.pod_ref.uid),
        ("k8s.pod.name", &pod.pod_ref.name),
        ("k8s.namespace.name", &pod.pod_ref.namespace),
    ]
}

fn begin(request: &mut Request, settings: &Settings, attributes: &[(&'static str, &str)]) {
    request.resource(|resource| settings.attributes.write(attributes, resource));
    request.scope(SCOPE, env!("CARGO_PKG_VERSION"));
}

fn emit<'a>(
    part: &'a mut Part,
    settings: &'a Settings,
    start: u64,
    time: u64,
) -> Emit<'a, Metrics> {
    let Part {
        request, metrics, ..
    } = part;
    Emit::new(request, metrics, &settings.chosen, start, time)
}

#[async_trait]
impl Scraper for Stats {
    fn name(&self) -> &'static str {
        "kubelet_stats"
    }

    async fn scrape(&mut self) -> Part {
        let mut part = Part::new();
        let mut round = match self.round.take() {
            Some(round) => round,
            None => match self.begin(&mut part).await {
                Some(round) => round,
                None => return part,
            },
        };
        while part.request.size() < Part::FULL {
            let Some(pod) = round.pods.next() else {
                self.usages.end();
                self.usual = (self.metrics + part.metrics).max(1);
                return part;
            };
            self.pod(&pod, &round, &mut part).await;
        }
        part.more = true;
        self.metrics += part.metrics;
        self.round = Some(round);
        part
    }
}
