//! What the kubelet answers at `/pods`: what the summary does not tell of pods.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::summary::or_default;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodList {
    #[serde(deserialize_with = "or_default")]
    items: Vec<Pod>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    volumes: Vec<Volume>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    resources: Requirements,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Requirements {
    limits: Amounts,
    requests: Amounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Amounts {
    cpu: Option<String>,
    memory: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: String,
}

/// A volume, or what a persistent volume is made of: one key that names its type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Volume {
    pub(super) name: String,
    config_map: Option<Value>,
    #[serde(rename = "downwardAPI")]
    downward_api: Option<Value>,
    empty_dir: Option<Value>,
    secret: Option<Value>,
    persistent_volume_claim: Option<Claim>,
    host_path: Option<Value>,
    local: Option<Value>,
    aws_elastic_block_store: Option<BlockStore>,
    gce_persistent_disk: Option<BlockStore>,
    glusterfs: Option<Gluster>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Claim {
    claim_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BlockStore {
    #[serde(rename = "volumeID")]
    volume_id: String,
    pd_name: String,
    fs_type: String,
    partition: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Gluster {
    endpoints: String,
    path: String,
}

/// Attributes that are told of a volume.
pub(super) type Told = Vec<(&'static str, String)>;

impl Volume {
    /// The claim that it stands for.
    pub(super) fn claim(&self) -> Option<&str> {
        self.persistent_volume_claim
            .as_ref()
            .map(|claim| claim.claim_name.as_str())
    }

    /// What is known of it; of a type that is not known nothing.
    pub(super) fn told(&self) -> Told {
        const TYPE: &str = "k8s.volume.type";
        let plain = [
            (&self.config_map, "configMap"),
            (&self.downward_api, "downwardAPI"),
            (&self.empty_dir, "emptyDir"),
            (&self.secret, "secret"),
            (&self.host_path, "hostPath"),
            (&self.local, "local"),
        ];
        if let Some((_, name)) = plain.iter().find(|(source, _)| source.is_some()) {
            return vec![(TYPE, (*name).to_owned())];
        }
        if let Some(claim) = &self.persistent_volume_claim {
            return vec![
                (TYPE, "persistentVolumeClaim".to_owned()),
                ("k8s.persistentvolumeclaim.name", claim.claim_name.clone()),
            ];
        }
        if let Some(store) = &self.aws_elastic_block_store {
            return store.told("awsElasticBlockStore", "aws.volume.id", &store.volume_id);
        }
        if let Some(disk) = &self.gce_persistent_disk {
            return disk.told("gcePersistentDisk", "gce.pd.name", &disk.pd_name);
        }
        if let Some(gluster) = &self.glusterfs {
            return vec![
                (TYPE, "glusterfs".to_owned()),
                ("glusterfs.endpoints.name", gluster.endpoints.clone()),
                ("glusterfs.path", gluster.path.clone()),
            ];
        }
        Vec::new()
    }
}

impl BlockStore {
    fn told(&self, kind: &str, name: &'static str, value: &str) -> Told {
        vec![
            ("k8s.volume.type", kind.to_owned()),
            (name, value.to_owned()),
            ("fs.type", self.fs_type.clone()),
            ("partition", self.partition.to_string()),
        ]
    }
}

/// What containers ask for and may use; 0 where that is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Resources {
    pub(super) cpu_limit: f64,
    pub(super) cpu_request: f64,
    pub(super) memory_limit: f64,
    pub(super) memory_request: f64,
}

impl Resources {
    fn of(container: &Container) -> Self {
        let amount = |text: &Option<String>| text.as_deref().and_then(quantity).unwrap_or(0.0);
        let Requirements { limits, requests } = &container.resources;
        Self {
            cpu_limit: amount(&limits.cpu),
            cpu_request: amount(&requests.cpu),
            memory_limit: amount(&limits.memory),
            memory_request: amount(&requests.memory),
        }
    }

    /// What all of a pod's containers have together; nothing where one of them does not say.
    fn sum(all: &[Self]) -> Self {
        let sum = |of: fn(&Self) -> f64| match all.iter().any(|one| of(one) <= 0.0) {
            true => 0.0,
            false => all.iter().map(of).sum(),
        };
        Self {
            cpu_limit: sum(|one| one.cpu_limit),
            cpu_request: sum(|one| one.cpu_request),
            memory_limit: sum(|one| one.memory_limit),
            memory_request: sum(|one| one.memory_request),
        }
    }
}

/// An amount as Kubernetes writes it: `100m`, `1.5`, `128Mi`, `1e3`.
pub(crate) fn quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(plain) = text.parse::<f64>() {
        return plain.is_finite().then_some(plain);
    }
    let at = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, suffix) = text.split_at(at);
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Pi" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Ei" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// What is known of one pod.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) resources: Resources,
    containers: Vec<(String, Resources)>,
    ids: Vec<(String, String)>,
    volumes: Vec<Volume>,
}

impl Known {
    /// What a container asks for and may use.
    pub(super) fn container(&self, name: &str) -> Resources {
        let found = self.containers.iter().find(|(known, _)| known == name);
        found.map(|(_, resources)| *resources).unwrap_or_default()
    }

    /// The ID of a container, once it has one.
    pub(super) fn id(&self, name: &str) -> Option<&str> {
        let found = self.ids.iter().find(|(known, _)| known == name);
        found.map(|(_, id)| id.as_str()).filter(|id| !id.is_empty())
    }

    /// A volume.
    pub(super) fn volume(&self, name: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.name == name)
    }
}

/// All pods by their UIDs.
pub(super) fn known(list: PodList) -> HashMap<String, Known> {
    let known = list.items.into_iter().map(|pod| {
        let containers = pod.spec.containers.iter();
        let containers: Vec<(String, Resources)> = containers
            .map(|container| (container.name.clone(), Resources::of(container)))
            .collect();
        let all: Vec<Resources> = containers.iter().map(|(_, one)| *one).collect();
        let Status {
            container_statuses,
            init_container_statuses,
        } = pod.status;
        let statuses = container_statuses
            .into_iter()
            .chain(init_container_statuses);
        let known = Known {
            resources: Resources::sum(&all),
            containers,
            ids: statuses
                .map(|status| (status.name, bare(&status.container_id).to_owned()))
                .collect(),
            volumes: pod.spec.volumes,
        };
        (pod.metadata.uid, known)
    });
    known.collect()
}

/// The ID of a container without the runtime before it.
fn bare(id: &str) -> &str {
    id.trim()
        .split_once("://")
        .map_or(id.trim(), |(_, bare)| bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_units() {
        for (text, value) in [
            ("100m", Some(0.1)),
            ("2", Some(2.0)),
            ("1.5", Some(1.5)),
            ("128Mi", Some(134_217_728.0)),
            ("1e3", Some(1000.0)),
            ("2k", Some(2000.0)),
            ("12E", Some(12e18)),
            ("1.5Gi", Some(1_610_612_736.0)),
            ("", None),
            ("many", None),
            ("5x", None),
        ] {
            assert_eq!(quantity(text), value, "{text}");
        }
    }

    #[test]
    fn a_pod_has_no_limit_where_a_container_has_none() {
        let one = Resources {
            cpu_limit: 1.0,
            memory_limit: 100.0,
            ..Resources::default()
        };
        let two = Resources {
            cpu_limit: 0.5,
            ..Resources::default()
        };
        let sum = Resources::sum(&[one, two]);
        assert_eq!((sum.cpu_limit, sum.memory_limit), (1.5, 0.0));
    }
}
