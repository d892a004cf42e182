//! What is known of the cluster: built from events, looked into by batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tidegate_pdata::splice::AttributeEditor;
use tidegate_pdata::view::AnyValue;
use tokio::time::Instant;

use super::associate::Associations;
use super::extract::{Attributes, PodEntry};
use super::objects::{Object, Pod};
use super::rules::{From, Rules};

type Pairs = Box<[(std::borrow::Cow<'static, str>, Box<str>)]>;

/// What is kept of a node.
#[derive(Debug)]
pub(super) struct NodeEntry {
    pub(super) uid: Box<str>,
    pub(super) attributes: Pairs,
}

/// What is kept of a workload.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) attributes: Pairs,
    /// The UID of the cron job that made the job.
    pub(super) cron_job: Option<Box<str>>,
}

/// A snapshot of all that is known. Cloning shares what is kept of each object.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pods: HashMap<Box<[u8]>, Arc<PodEntry>>,
    namespaces: HashMap<Box<str>, Arc<Pairs>>,
    nodes: HashMap<Box<str>, Arc<NodeEntry>>,
    workloads: HashMap<Box<str>, Arc<Workload>>,
    /// The UIDs of deployments, by namespace and name.
    deployments: HashMap<Box<str>, Arc<str>>,
    cluster_uid: Option<Arc<str>>,
}

impl Table {
    /// The pod of a key, unless it is one that is left alone.
    pub(super) fn pod(&self, key: &[u8]) -> Option<&PodEntry> {
        let pod = self.pods.get(key)?;
        (!pod.ignored).then_some(&**pod)
    }

    /// What is added of a namespace.
    pub(super) fn namespace(&self, name: &str) -> &[(std::borrow::Cow<'static, str>, Box<str>)] {
        self.namespaces.get(name).map_or(&[], |pairs| &***pairs)
    }

    /// A node.
    pub(super) fn node(&self, name: &str) -> Option<&NodeEntry> {
        self.nodes.get(name).map(|node| &**node)
    }

    /// A workload by its UID.
    pub(super) fn workload(&self, uid: &str) -> Option<&Workload> {
        self.workloads.get(uid).map(|workload| &**workload)
    }

    /// The UID of a pod's deployment, where deployments are watched.
    pub(super) fn deployment(&self, pod: &PodEntry) -> Option<&str> {
        if self.deployments.is_empty() {
            return None;
        }
        let name = pod.deployment.as_deref()?;
        let key = place(&pod.namespace, name);
        self.deployments.get(&*key).map(|uid| &**uid)
    }

    /// The UID of the cluster: that of its namespace `kube-system`.
    pub(super) fn cluster_uid(&self) -> Option<&str> {
        self.cluster_uid.as_deref()
    }

    /// Does something with what is known, or else with what the resource says of itself.
    pub(super) fn with(
        &self,
        attributes: &mut AttributeEditor<'_>,
        known: Option<&str>,
        name: &str,
        then: impl FnOnce(&mut AttributeEditor<'_>, &str),
    ) {
        if let Some(known) = known.filter(|known| !known.is_empty()) {
            then(attributes, known);
            return;
        }
        let told = match attributes.get(name) {
            Some(AnyValue::String(text)) if !text.as_bytes().is_empty() => {
                text.to_str().into_owned()
            }
            _ => return,
        };
        then(attributes, &told);
    }

    /// How many keys of pods there are.
    pub(super) fn pods(&self) -> usize {
        self.pods.len()
    }
}

fn place(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
}

/// The collections that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Pods,
    Namespaces,
    Nodes,
    Deployments,
    StatefulSets,
    DaemonSets,
    Jobs,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::Pods,
        Self::Namespaces,
        Self::Nodes,
        Self::Deployments,
        Self::StatefulSets,
        Self::DaemonSets,
        Self::Jobs,
    ];
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Added,
    Updated,
    Deleted,
}

/// An object that is kept, in which round of listing it was last seen, and under which keys.
#[derive(Debug)]
struct Kept {
    round: u64,
    keys: Vec<Box<[u8]>>,
    name: Box<str>,
}

/// A pod that is gone and found for a while yet.
#[derive(Debug)]
struct Leaving {
    until: Instant,
    uid: Box<str>,
    keys: Vec<Box<[u8]>>,
}

/// Builds the table.
#[derive(Debug)]
pub(super) struct Builder {
    rules: Arc<Rules>,
    associations: Arc<Associations>,
    grace: Duration,
    pub(super) table: Table,
    kept: HashMap<(Kind, Box<str>), Kept>,
    leaving: VecDeque<Leaving>,
    rounds: [u64; Kind::ALL.len()],
}

impl Builder {
    pub(super) fn new(rules: Arc<Rules>, associations: Arc<Associations>, grace: Duration) -> Self {
        Self {
            rules,
            associations,
            grace,
            table: Table::default(),
            kept: HashMap::new(),
            leaving: VecDeque::new(),
            rounds: [0; Kind::ALL.len()],
        }
    }

    /// Begins a round of listing.
    pub(super) fn begin(&mut self, kind: Kind) {
        self.rounds[kind as usize] += 1;
    }

    /// Lets go of what did not come up in the round; gives how many objects these were.
    pub(super) fn listed(&mut self, kind: Kind) -> usize {
        let round = self.rounds[kind as usize];
        let gone = self.kept.iter();
        let gone = gone.filter(|((of, _), kept)| *of == kind && kept.round != round);
        let gone: Vec<Box<str>> = gone.map(|((_, uid), _)| uid.clone()).collect();
        for uid in &gone {
            self.forget(kind, uid);
        }
        gone.len()
    }

    /// Takes an object as it is now.
    ///
    /// # Errors
    /// When it makes no sense.
    pub(super) fn put(&mut self, kind: Kind, json: &str) -> Result<Happened, serde_json::Error> {
        let round = self.rounds[kind as usize];
        let (uid, name, keys) = match kind {
            Kind::Pods => self.put_pod(&serde_json::from_str(json)?),
            _ => self.put_object(kind, &serde_json::from_str(json)?),
        };
        let kept = Kept { round, keys, name };
        Ok(match self.kept.insert((kind, uid), kept) {
            Some(_) => Happened::Updated,
            None => Happened::Added,
        })
    }

    /// Lets an object go.
    ///
    /// # Errors
    /// When it makes no sense.
    pub(super) fn gone(&mut self, kind: Kind, json: &str) -> Result<Happened, serde_json::Error> {
        let object: Object = serde_json::from_str(json)?;
        self.forget(kind, &object.metadata.uid);
        Ok(Happened::Deleted)
    }

    fn put_pod(&mut self, pod: &Pod) -> (Box<str>, Box<str>, Vec<Box<[u8]>>) {
        let entry = Arc::new(PodEntry::new(pod, &self.rules));
        let keys = self.associations.keys(&entry);
        if let Some(before) = self.kept.get(&(Kind::Pods, entry.uid.clone())) {
            for key in before.keys.iter().filter(|key| !keys.contains(key)) {
                remove(&mut self.table, key, &entry.uid);
            }
        }
        for key in &keys {
            // An address is used again: an event of a pod that had it comes late.
            let newer = self.table.pods.get(key);
            if newer.is_some_and(|other| other.uid != entry.uid && other.start > entry.start) {
                continue;
            }
            self.table.pods.insert(key.clone(), Arc::clone(&entry));
        }
        (entry.uid.clone(), entry.name.clone(), keys)
    }

    fn put_object(&mut self, kind: Kind, object: &Object) -> (Box<str>, Box<str>, Vec<Box<[u8]>>) {
        let metadata = &object.metadata;
        let uid: Box<str> = metadata.uid.as_str().into();
        let mut name: Box<str> = metadata.name.as_str().into();
        let pairs = |from: From| {
            let mut to = Attributes::default();
            self.rules.take(from, true, &metadata.labels, &mut to);
            self.rules.take(from, false, &metadata.annotations, &mut to);
            to.done()
        };
        match kind {
            Kind::Pods => {}
            Kind::Namespaces => {
                if &*name == "kube-system" && self.rules.wants.cluster_uid {
                    self.table.cluster_uid = Some(metadata.uid.as_str().into());
                }
                let pairs = Arc::new(pairs(From::Namespace));
                self.table.namespaces.insert(name.clone(), pairs);
            }
            Kind::Nodes => {
                let node = NodeEntry {
                    uid: uid.clone(),
                    attributes: pairs(From::Node),
                };
                self.table.nodes.insert(name.clone(), Arc::new(node));
            }
            Kind::Deployments | Kind::StatefulSets | Kind::DaemonSets | Kind::Jobs => {
                let from = match kind {
                    Kind::Deployments => From::Deployment,
                    Kind::StatefulSets => From::StatefulSet,
                    Kind::DaemonSets => From::DaemonSet,
                    _ => From::Job,
                };
                let mut owners = metadata.owner_references.iter();
                let cron_job = owners.find(|owner| owner.kind == "CronJob");
                let cron_job = cron_job.filter(|_| self.rules.wants.cron_job_uid);
                let workload = Workload {
                    attributes: pairs(from),
                    cron_job: cron_job.map(|owner| owner.uid.as_str().into()),
                };
                let workload = Arc::new(workload);
                self.table.workloads.insert(uid.clone(), workload);
                name = place(&metadata.namespace, &metadata.name);
                if kind == Kind::Deployments {
                    let uid = metadata.uid.as_str().into();
                    self.table.deployments.insert(name.clone(), uid);
                }
            }
        }
        (uid, name, Vec::new())
    }

    fn forget(&mut self, kind: Kind, uid: &str) {
        let Some(kept) = self.kept.remove(&(kind, uid.into())) else {
            return;
        };
        match kind {
            // What it sent is still on its way.
            Kind::Pods => self.leaving.push_back(Leaving {
                until: Instant::now() + self.grace,
                uid: uid.into(),
                keys: kept.keys,
            }),
            Kind::Namespaces => {
                self.table.namespaces.remove(&kept.name);
            }
            Kind::Nodes => {
                self.table.nodes.remove(&kept.name);
            }
            Kind::Deployments | Kind::StatefulSets | Kind::DaemonSets | Kind::Jobs => {
                self.table.workloads.remove(uid);
                let same = self.table.deployments.get(&kept.name);
                if kind == Kind::Deployments && same.is_some_and(|known| **known == *uid) {
                    self.table.deployments.remove(&kept.name);
                }
            }
        }
    }

    /// Lets go of pods that have been gone for long enough; says whether there were any.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(leaving) = self.leaving.pop_front_if(|first| first.until <= now) {
            any = true;
            // It may have come back meanwhile, as after a list that lacked it.
            if self.kept.contains_key(&(Kind::Pods, leaving.uid.clone())) {
                continue;
            }
            for key in &leaving.keys {
                remove(&mut self.table, key, &leaving.uid);
            }
        }
        any
    }

    /// When there is something to let go of.
    pub(super) fn due(&self) -> Option<Instant> {
        self.leaving.front().map(|first| first.until)
    }
}

/// Takes a key out of the table that still leads to this pod.
fn remove(table: &mut Table, key: &[u8], uid: &str) {
    if table.pods.get(key).is_some_and(|pod| *pod.uid == *uid) {
        table.pods.remove(key);
    }
}
