//! The keys of `k8s_cluster`.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Receiver, Stability};
use tidegate_document::Duration;
use tidegate_pdata::Signals;
use tidegate_transport::kubernetes::{AccessKeys, Surroundings};

use super::metrics::{Attributes, Metrics};
use super::objects::OfNodes;
use super::{K8sCluster, Settings};
use crate::kubernetes::no_elector;
use crate::scrape::{AttributeChoices, Choices, Chosen, ChosenAttributes, Schedule};

tidegate_document::layered! {
    /// Tells what the API server knows of a cluster: nodes, pods, containers, workloads, quotas. One process of a cluster
    /// is enough.
    #[derive(Clone, Debug)]
    pub struct Config {
        access: AccessKeys,
        own: Own,
    }
}

/// What a cluster is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Distribution {
    /// Kubernetes.
    #[default]
    Kubernetes,
    /// OpenShift, which has quotas of whole clusters.
    OpenShift,
}

/// The keys beside those of the API server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// How often metrics are made.
    collection_interval: Duration,
    /// Conditions of nodes, each of which has a metric of its own, as `k8s.node.condition_ready`.
    node_conditions_to_report: Vec<String>,
    /// What of nodes' allocatable resources is told, each under a metric of its own: cpu, memory, ephemeral-storage, pods…
    allocatable_types_to_report: Vec<String>,
    /// kubernetes, or openshift with its quotas of whole clusters.
    distribution: Distribution,
    /// The namespaces to look into; all of them unless told. Where some are named, neither nodes nor namespaces are looked
    /// at.
    namespaces: Vec<String>,
    /// The older form of `namespaces`, for one.
    namespace: String,
    /// Accepted and without effect: metadata are not told of on their own.
    #[schemars(extend("x-no-effect" = "metadata are not told of on their own"))]
    metadata_collection_interval: Option<Duration>,
    /// Must be empty: no exporter takes metadata.
    metadata_exporters: Vec<String>,
    /// An extension that elects one of several processes: not built.
    k8s_leader_elector: Option<String>,
    /// The metrics that it makes.
    metrics: Choices<Metrics>,
    /// What is told of a resource itself.
    resource_attributes: AttributeChoices<Attributes>,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            collection_interval: Duration::from_secs(10),
            node_conditions_to_report: vec!["Ready".to_owned()],
            allocatable_types_to_report: Vec::new(),
            distribution: Distribution::default(),
            namespaces: Vec::new(),
            namespace: String::new(),
            metadata_collection_interval: None,
            metadata_exporters: Vec::new(),
            k8s_leader_elector: None,
            metrics: Choices::default(),
            resource_attributes: AttributeChoices::default(),
        }
    }
}

impl Config {
    /// Checks the keys and makes the receiver.
    pub(super) fn receiver(
        &self,
        cx: &BuildContext,
        surroundings: Surroundings,
    ) -> Result<K8sCluster, BuildError> {
        let own = &self.own;
        self.access.check("")?;
        no_elector(own.k8s_leader_elector.as_deref())?;
        if !own.metadata_exporters.is_empty() {
            let message = "no exporter takes the metadata of a cluster";
            return Err(BuildError::at("metadata_exporters", message)
                .remedy("take the key out; `k8s_objects` tells of objects as log records"));
        }
        let mut namespaces = own.namespaces.clone();
        if !own.namespace.is_empty() {
            if !namespaces.is_empty() {
                let message = "`namespaces` names namespaces too";
                return Err(BuildError::at("namespace", message).remedy("keep `namespaces` alone"));
            }
            namespaces.push(own.namespace.clone());
        }
        // Before the first round there is time to list what there is.
        let interval = own.collection_interval;
        let schedule = Schedule::new(interval, interval, Duration::default());
        schedule.check()?;
        Ok(K8sCluster {
            keys: self.access.clone(),
            surroundings,
            schedule,
            namespaces,
            openshift: own.distribution == Distribution::OpenShift,
            of_nodes: OfNodes {
                conditions: own.node_conditions_to_report.clone(),
                allocatable: own.allocatable_types_to_report.clone(),
            },
            settings: Settings {
                chosen: Chosen::new(&own.metrics),
                attributes: ChosenAttributes::new(&own.resource_attributes, "resource_attributes")?,
            },
            metrics: cx.metrics.clone(),
            watches: Vec::new(),
            running: None,
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "k8s_cluster";
    const SIGNALS: Signals = Signals::METRICS;
    const STABILITY: Stability = Stability::Alpha;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        Ok(Box::new(self.receiver(cx, Surroundings::default())?))
    }
}
