//! `k8s_attributes`: says of telemetry which pod it comes from, and what Kubernetes knows of that pod.
//!
//! Pods of the node (or of all nodes) are listed and watched, and of each what the configuration asks
//! for is kept, as the attributes that will be added: a kilobyte or so. Of namespaces, nodes and
//! workloads metadata alone is asked for, and only where the configuration names it; replica sets are
//! not watched, as a pod says enough of its deployment. A batch looks into a snapshot that is
//! replaced as a whole, without a lock.

mod associate;
mod cluster;
mod config;
mod extract;
mod image;
mod objects;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_component::metrics::Counter;
use tidegate_component::{Outbox, Processor};
use tidegate_pdata::splice::{AttributeEditor, Edits, NewValue, ResourceEditor, Splicer, Visit};
use tidegate_pdata::view::AnyValue;
use tidegate_pdata::{Batch, Context};

pub use config::Config;

use associate::{Associations, Found};
use cluster::Cluster;
use extract::PodEntry;
use rules::Wants;
use table::Table;

/// What a batch's resources are counted in.
#[derive(Clone, Debug)]
struct Counts {
    associated: Counter,
    unknown: Counter,
    missed: Counter,
}

struct K8sAttributes {
    splicer: Splicer,
    associations: Arc<Associations>,
    wants: Wants,
    /// None where the address of the sender is all that is added.
    cluster: Option<Arc<Cluster>>,
    counts: Counts,
    /// Room for the key of a resource's pod.
    key: Vec<u8>,
}

impl Processor for K8sAttributes {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        let table = self.cluster.as_ref().map(|cluster| cluster.table());
        let peer = peer(&context);
        let mut edit = Edit {
            associations: &self.associations,
            wants: &self.wants,
            table: table.as_deref(),
            peer: peer.as_deref(),
            counts: &self.counts,
            key: &mut self.key,
        };
        let payload = self.splicer.edit(payload, &mut edit);
        out.push(Batch::new(payload, context, receipt));
    }
}

/// The address of the sender.
fn peer(context: &Context) -> Option<String> {
    let peer = context.peer()?;
    Some(peer.ip().to_canonical().to_string())
}

struct Edit<'a> {
    associations: &'a Associations,
    wants: &'a Wants,
    table: Option<&'a Table>,
    peer: Option<&'a str>,
    counts: &'a Counts,
    key: &'a mut Vec<u8>,
}

impl Edits for Edit<'_> {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        let mut attributes = resource.attributes();
        let found = self.associations.key(&attributes, self.peer, self.key);
        if let Found::Key {
            address: Some(address),
        } = &found
            && (self.table.is_none() || self.wants.pod_ip)
        {
            set(&mut attributes, "k8s.pod.ip", address);
        }
        let Some(table) = self.table else {
            return Visit::Skip;
        };
        let pod = match found {
            Found::Nothing => None,
            Found::Key { .. } => {
                let pod = table.pod(self.key);
                if pod.is_none() {
                    self.counts.missed.add(1);
                }
                pod
            }
        };
        match pod {
            Some(_) => self.counts.associated.add(1),
            None => self.counts.unknown.add(1),
        }
        self.add(&mut attributes, table, pod);
        Visit::Skip
    }
}

impl Edit<'_> {
    /// Adds what is known of a pod and of what stands around it.
    fn add(&self, attributes: &mut AttributeEditor<'_>, table: &Table, pod: Option<&PodEntry>) {
        if let Some(pod) = pod {
            for (name, value) in &pod.attributes {
                set(attributes, name, value);
            }
            pod.add_container(attributes);
        }
        if let Some(uid) = table.cluster_uid()
            && pod.is_some()
        {
            set(attributes, "k8s.cluster.uid", uid);
        }
        let namespace = pod.map(|pod| pod.namespace.as_ref());
        table.with(
            attributes,
            namespace,
            "k8s.namespace.name",
            |attributes, name| {
                for (name, value) in table.namespace(name) {
                    set(attributes, name, value);
                }
                if self.wants.service_namespace {
                    set(attributes, "service.namespace", name);
                }
            },
        );
        let node = pod.map(|pod| pod.node.as_ref());
        table.with(attributes, node, "k8s.node.name", |attributes, name| {
            if let Some(node) = table.node(name) {
                for (name, value) in &node.attributes {
                    set(attributes, name, value);
                }
                if self.wants.node_uid {
                    set(attributes, "k8s.node.uid", &node.uid);
                }
            }
        });
        if let Some(deployment) = pod.and_then(|pod| table.deployment(pod)) {
            if self.wants.deployment_uid {
                set(attributes, "k8s.deployment.uid", deployment);
            }
            workload(attributes, table, deployment);
        } else {
            table.with(attributes, None, "k8s.deployment.uid", |attributes, uid| {
                workload(attributes, table, uid);
            });
        }
        for (kind, name) in [
            (extract::Owner::StatefulSet, "k8s.statefulset.uid"),
            (extract::Owner::DaemonSet, "k8s.daemonset.uid"),
            (extract::Owner::Job, "k8s.job.uid"),
        ] {
            let owner = pod.and_then(|pod| pod.owner(kind));
            table.with(attributes, owner, name, |attributes, uid| {
                workload(attributes, table, uid);
            });
        }
    }
}

fn workload(attributes: &mut AttributeEditor<'_>, table: &Table, uid: &str) {
    if let Some(workload) = table.workload(uid) {
        for (name, value) in &workload.attributes {
            set(attributes, name, value);
        }
        if let Some(cron_job) = &workload.cron_job {
            set(attributes, "k8s.cronjob.uid", cron_job);
        }
    }
}

/// Sets an attribute that is absent or empty.
fn set(attributes: &mut AttributeEditor<'_>, name: &str, value: &str) {
    put(attributes, name, NewValue::Str(value));
}

fn put(attributes: &mut AttributeEditor<'_>, name: &str, value: NewValue<'_>) {
    let empty = match attributes.get(name) {
        None | Some(AnyValue::Empty) => true,
        Some(AnyValue::String(text)) => text.as_bytes().is_empty(),
        Some(_) => false,
    };
    if empty {
        attributes.upsert(name, value);
    }
}
