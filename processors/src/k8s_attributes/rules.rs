//! What is to be added: attributes by their names, and labels and annotations by rules.

use std::collections::BTreeMap;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::Attributes;

/// The kinds of objects that labels and annotations are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum From {
    /// The pod.
    #[default]
    Pod,
    /// Its namespace.
    Namespace,
    /// Its node.
    Node,
    /// Its deployment.
    Deployment,
    /// Its stateful set.
    StatefulSet,
    /// Its daemon set.
    DaemonSet,
    /// Its job.
    Job,
}

impl From {
    /// How attributes begin that have no name of their own. Pods, namespaces and nodes have the
    /// plural from the time before there was a convention.
    pub(super) const fn prefix(self, labels: bool) -> &'static str {
        match (self, labels) {
            (Self::Pod, true) => "k8s.pod.labels.",
            (Self::Pod, false) => "k8s.pod.annotations.",
            (Self::Namespace, true) => "k8s.namespace.labels.",
            (Self::Namespace, false) => "k8s.namespace.annotations.",
            (Self::Node, true) => "k8s.node.labels.",
            (Self::Node, false) => "k8s.node.annotations.",
            (Self::Deployment, true) => "k8s.deployment.label.",
            (Self::Deployment, false) => "k8s.deployment.annotation.",
            (Self::StatefulSet, true) => "k8s.statefulset.label.",
            (Self::StatefulSet, false) => "k8s.statefulset.annotation.",
            (Self::DaemonSet, true) => "k8s.daemonset.label.",
            (Self::DaemonSet, false) => "k8s.daemonset.annotation.",
            (Self::Job, true) => "k8s.job.label.",
            (Self::Job, false) => "k8s.job.annotation.",
        }
    }
}

/// Takes labels or annotations as attributes.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) from: From,
    /// Whether it looks at labels; else at annotations.
    pub(super) labels: bool,
    pub(super) pick: Pick,
}

#[derive(Clone, Debug)]
pub(super) enum Pick {
    /// That of a key, under a name.
    Key { key: String, name: String },
    /// Those whose keys match as a whole, under a name made of groups, or of the key where there is
    /// none.
    Matching { keys: Regex, name: Option<String> },
}

impl Rule {
    fn take(&self, from: &BTreeMap<String, String>, to: &mut Attributes) {
        match &self.pick {
            Pick::Key { key, name } => {
                if let Some(value) = from.get(key) {
                    to.set(name.clone(), value);
                }
            }
            Pick::Matching { keys, name } => {
                for (key, value) in from.iter().filter(|(_, value)| !value.is_empty()) {
                    let Some(groups) = keys.captures(key.as_bytes()) else {
                        continue;
                    };
                    let made = match name {
                        None => format!("{}{key}", self.from.prefix(self.labels)),
                        Some(name) => {
                            let mut made = Vec::new();
                            groups.expand(name.as_bytes(), &mut made);
                            String::from_utf8_lossy(&made).into_owned()
                        }
                    };
                    if !made.is_empty() {
                        to.set(made, value);
                    }
                }
            }
        }
    }
}

/// The attributes that are wanted by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    pub(super) namespace: bool,
    pub(super) pod_name: bool,
    pub(super) pod_uid: bool,
    pub(super) pod_hostname: bool,
    pub(super) pod_ip: bool,
    pub(super) start_time: bool,
    pub(super) replica_set_name: bool,
    pub(super) replica_set_uid: bool,
    pub(super) deployment_name: bool,
    pub(super) deployment_uid: bool,
    pub(super) daemon_set_name: bool,
    pub(super) daemon_set_uid: bool,
    pub(super) stateful_set_name: bool,
    pub(super) stateful_set_uid: bool,
    pub(super) job_name: bool,
    pub(super) job_uid: bool,
    pub(super) cron_job_name: bool,
    pub(super) cron_job_uid: bool,
    pub(super) node_name: bool,
    pub(super) node_uid: bool,
    pub(super) cluster_uid: bool,
    pub(super) container_name: bool,
    pub(super) container_id: bool,
    pub(super) image_name: bool,
    pub(super) image_tag: bool,
    pub(super) image_digests: bool,
    pub(super) service_namespace: bool,
    pub(super) service_name: bool,
    pub(super) service_version: bool,
    pub(super) service_instance_id: bool,
}

/// What is added unless told.
pub(super) const DEFAULT: [&str; 8] = [
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "k8s.pod.start_time",
    "k8s.deployment.name",
    "k8s.node.name",
    "container.image.name",
    "container.image.tag",
];

macro_rules! wanted {
    ($($name:literal => $field:ident,)*) => {
        /// Every attribute that can be wanted.
        pub(super) const KNOWN: &[&str] = &[$($name),*];

        impl Wants {
            /// Wants an attribute; says whether there is one of this name.
            pub(super) fn add(&mut self, name: &str) -> bool {
                match name {
                    $($name => self.$field = true,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

wanted! {
    "k8s.namespace.name" => namespace,
    "k8s.pod.name" => pod_name,
    "k8s.pod.uid" => pod_uid,
    "k8s.pod.hostname" => pod_hostname,
    "k8s.pod.ip" => pod_ip,
    "k8s.pod.start_time" => start_time,
    "k8s.replicaset.name" => replica_set_name,
    "k8s.replicaset.uid" => replica_set_uid,
    "k8s.deployment.name" => deployment_name,
    "k8s.deployment.uid" => deployment_uid,
    "k8s.daemonset.name" => daemon_set_name,
    "k8s.daemonset.uid" => daemon_set_uid,
    "k8s.statefulset.name" => stateful_set_name,
    "k8s.statefulset.uid" => stateful_set_uid,
    "k8s.job.name" => job_name,
    "k8s.job.uid" => job_uid,
    "k8s.cronjob.name" => cron_job_name,
    "k8s.cronjob.uid" => cron_job_uid,
    "k8s.node.name" => node_name,
    "k8s.node.uid" => node_uid,
    "k8s.cluster.uid" => cluster_uid,
    "k8s.container.name" => container_name,
    "container.id" => container_id,
    "container.image.name" => image_name,
    "container.image.tag" => image_tag,
    "container.image.repo_digests" => image_digests,
    "service.namespace" => service_namespace,
    "service.name" => service_name,
    "service.version" => service_version,
    "service.instance.id" => service_instance_id,
}

/// All that is to be added.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) wants: Wants,
    pub(super) rules: Vec<Rule>,
    /// Names of pods that are left alone.
    pub(super) excluded: Vec<Regex>,
}

impl Rules {
    /// Whether something is taken from objects of a kind.
    pub(super) fn look_at(&self, from: From) -> bool {
        self.rules.iter().any(|rule| rule.from == from)
    }

    /// Whether anything is wanted of containers.
    pub(super) const fn of_containers(&self) -> bool {
        let wants = &self.wants;
        wants.container_name
            || wants.container_id
            || wants.image_name
            || wants.image_tag
            || wants.image_digests
            || wants.service_version
            || wants.service_instance_id
    }

    /// Takes labels or annotations of an object of a kind.
    pub(super) fn take(
        &self,
        of: From,
        labels: bool,
        from: &BTreeMap<String, String>,
        to: &mut Attributes,
    ) {
        for rule in &self.rules {
            if rule.from == of && rule.labels == labels {
                rule.take(from, to);
            }
        }
    }
}
