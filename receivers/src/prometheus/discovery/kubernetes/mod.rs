//! `kubernetes_sd_configs`: targets that a cluster of Kubernetes has.
//!
//! Collections are watched ([`Shelf`]), each once for however many jobs; of their objects only what some rule reads is
//! kept ([`wants`], [`objects`]). A job makes its targets of them anew ([`groups`]) where they changed.

mod groups;
mod objects;
mod wants;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{StartError, Workers};
use tidegate_transport::client::HttpSettings;
use tidegate_transport::kubernetes::{
    AccessKeys, Api, AuthType, Collection, Event, Surroundings, Token, Watch,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::kubernetes::{Keeper, ObjectKey};
use crate::prometheus::config::HttpKeys;
use crate::prometheus::job::Job;
use crate::prometheus::labels::Group;
use crate::prometheus::scrape::credentials::Credentials;
use crate::prometheus::scrape::{Key, Pool, Updates};
use groups::{Shelf, Shelves};
use objects::{Kind, Reader};
use wants::Wants;

use super::Source;

/// Targets are made anew at most so often.
const PAUSE: Duration = Duration::from_secs(2);

/// How long after it could not be found out how to speak to the API server that is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Objects that are looked at before others get their turn on this thread.
const AT_A_TIME: usize = 128;

/// What targets are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::prometheus) enum Role {
    /// The ports of the containers of pods.
    Pod,
    /// The ports of services.
    Service,
    /// The addresses behind services, as `Endpoints` have them.
    Endpoints,
    /// The addresses behind services, as `EndpointSlices` have them.
    EndpointSlice,
    /// The kubelets of nodes.
    Node,
    /// The paths of ingresses.
    Ingress,
}

impl Role {
    /// As the configuration names it.
    pub(in crate::prometheus) const fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Service => "service",
            Self::Endpoints => "endpoints",
            Self::EndpointSlice => "endpointslice",
            Self::Node => "node",
            Self::Ingress => "ingress",
        }
    }

    /// As the API names the objects.
    pub(in crate::prometheus) const fn plural(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Service => "services",
            Self::Endpoints => "endpoints",
            Self::EndpointSlice => "endpointslices",
            Self::Node => "nodes",
            Self::Ingress => "ingresses",
        }
    }

    const fn group(self) -> &'static str {
        match self {
            Self::EndpointSlice => "/apis/discovery.k8s.io/v1",
            Self::Ingress => "/apis/networking.k8s.io/v1",
            Self::Pod | Self::Service | Self::Endpoints | Self::Node => "/api/v1",
        }
    }

    /// Whether targets of this role depend on objects of that one, so that these may be selected.
    pub(in crate::prometheus) fn selects(self, other: Self) -> bool {
        match self {
            Self::Pod => matches!(other, Self::Pod | Self::Node),
            Self::Endpoints | Self::EndpointSlice => {
                other == self || matches!(other, Self::Pod | Self::Service)
            }
            Self::Service | Self::Node | Self::Ingress => other == self,
        }
    }
}

/// Which objects of a kind count.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct Selector {
    pub(in crate::prometheus) role: Role,
    pub(in crate::prometheus) labels: String,
    pub(in crate::prometheus) fields: String,
}

/// What else is told of targets.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct Attach {
    /// The labels and annotations of the node: of pods and endpoints.
    pub(super) node: bool,
    /// The labels and annotations of the namespace.
    pub(super) namespace: bool,
    /// The deployment of a pod: of pods and endpoints.
    pub(super) deployment: bool,
    /// The job of a pod: of pods and endpoints.
    pub(super) job: bool,
    /// The cron job of a pod: of pods and endpoints.
    pub(super) cronjob: bool,
}

/// An API server that is named, with how it is spoken to.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct Server {
    pub(in crate::prometheus) url: String,
    /// What the two below were made of, which tells them from others.
    pub(in crate::prometheus) keys: HttpKeys,
    pub(in crate::prometheus) client: HttpSettings,
    pub(in crate::prometheus) credentials: Credentials,
}

/// Where the API server is.
#[derive(Clone, Debug)]
pub(in crate::prometheus) enum Way {
    /// Where a pod finds it.
    Pod,
    /// Where a kubeconfig file says.
    File(String),
    /// Here.
    Server(Box<Server>),
}

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pod, Self::Pod) => true,
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Server(one), Self::Server(other)) => {
                one.url == other.url && one.keys == other.keys
            }
            _ => false,
        }
    }
}

impl Way {
    fn api(&self, surroundings: &Surroundings, workers: &Workers) -> Result<Api, StartError> {
        let keys = match self {
            Self::Server(server) => {
                let channel = server.client.start(Some(workers.clone()))?;
                let token = Token::By(Arc::new(server.credentials.clone()));
                return Ok(Api::over(channel, &server.url, token));
            }
            Self::Pod => AccessKeys::default(),
            Self::File(path) => AccessKeys {
                auth_type: AuthType::KubeConfig,
                kube_config_path: path.clone(),
                ..AccessKeys::default()
            },
        };
        Api::new(&keys.access(surroundings)?, Some(workers.clone()))
    }
}

/// What of a cluster is made targets.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct Kubernetes {
    pub(in crate::prometheus) way: Way,
    pub(in crate::prometheus) role: Role,
    /// The namespaces to look into; all of them where there are none.
    pub(in crate::prometheus) namespaces: Vec<String>,
    pub(in crate::prometheus) own_namespace: bool,
    pub(in crate::prometheus) selectors: Vec<Selector>,
    pub(in crate::prometheus) attach: Attach,
}

/// A collection that is watched.
struct Watched {
    way: Way,
    kind: Kind,
    collection: Collection,
    shelf: Arc<Shelf>,
}

/// The clusters that the jobs of a receiver look into.
pub(in crate::prometheus) struct Clusters {
    wants: Arc<Wants>,
    surroundings: Surroundings,
    watched: Mutex<Vec<Watched>>,
    changed: Arc<watch::Sender<()>>,
}

impl Clusters {
    /// Those of these jobs.
    pub(in crate::prometheus) fn new(jobs: &[Arc<Job>]) -> Self {
        let of_cluster = |source: &Source| matches!(source, Source::Kubernetes(_));
        let jobs = jobs.iter().filter(|job| job.sources.iter().any(of_cluster));
        Self {
            wants: Arc::new(Wants::new(jobs.flat_map(|job| &job.relabel))),
            surroundings: Surroundings::default(),
            watched: Mutex::default(),
            changed: Arc::new(watch::channel(()).0),
        }
    }

    /// Sets a source to work.
    ///
    /// # Errors
    /// When the namespace of this pod is to be looked into and cannot be read.
    pub(super) fn start(
        &self,
        mut cluster: Kubernetes,
        source: usize,
        pool: &Pool,
    ) -> Result<(), StartError> {
        if cluster.own_namespace {
            let path = self.surroundings.account("namespace");
            let own = std::fs::read_to_string(&path).map_err(|error| {
                let message = format!("cannot read the own namespace in {}", path.display());
                StartError::new(message, error)
            })?;
            cluster.namespaces.push(own.trim().to_owned());
        }
        let mut namespaces: Vec<&str> = cluster.namespaces.iter().map(String::as_str).collect();
        if namespaces.is_empty() || cluster.role == Role::Node {
            namespaces = vec![""];
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        let rooms = namespaces.iter().map(|namespace| Room {
            shelves: self.shelves(&cluster, namespace, pool),
            seen: Vec::new(),
            prints: HashMap::new(),
        });
        let rooms = rooms.collect();
        let changed = self.changed.subscribe();
        pool.spawn(source, |updates| follow(rooms, changed, updates));
        Ok(())
    }

    fn shelves(&self, cluster: &Kubernetes, namespace: &str, pool: &Pool) -> Shelves {
        let (role, attach) = (cluster.role, cluster.attach);
        let shelf = |kind: Kind, namespace: &str| self.shelf(cluster, kind, namespace, pool);
        let of_role = |role: Role| shelf(Kind::Of(role), namespace);
        let of_pods = matches!(role, Role::Pod | Role::Endpoints | Role::EndpointSlice);
        let behind = of_pods && role != Role::Pod;
        let jobs = of_pods && (attach.job || attach.cronjob);
        Shelves {
            own: shelf(
                Kind::Of(role),
                if role == Role::Node { "" } else { namespace },
            ),
            services: behind.then(|| of_role(Role::Service)),
            pods: behind.then(|| of_role(Role::Pod)),
            nodes: (of_pods && attach.node).then(|| shelf(Kind::Of(Role::Node), "")),
            namespaces: (role != Role::Node && attach.namespace)
                .then(|| shelf(Kind::Namespaces, "")),
            replica_sets: (of_pods && attach.deployment)
                .then(|| shelf(Kind::ReplicaSets, namespace)),
            jobs: jobs.then(|| shelf(Kind::Jobs, namespace)),
            attach,
        }
    }

    /// The objects of a collection, which is watched from now on if it was not yet.
    fn shelf(&self, cluster: &Kubernetes, kind: Kind, namespace: &str, pool: &Pool) -> Arc<Shelf> {
        let collection = cluster.collection(kind, namespace);
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let known = watched.iter().find(|one| {
            let (theirs, ours) = (&one.collection, &collection);
            one.kind == kind
                && one.way == cluster.way
                && (&theirs.path, &theirs.fields, &theirs.labels)
                    == (&ours.path, &ours.fields, &ours.labels)
        });
        if let Some(known) = known {
            return Arc::clone(&known.shelf);
        }
        let shelf = Arc::new(Shelf::default());
        let (wants, changed) = (Arc::clone(&self.wants), Arc::clone(&self.changed));
        let reader = Reader::new(kind, wants, changed);
        let keeper = Keeper::new(Arc::clone(&shelf), reader, collection.path.clone());
        pool.work(keep(
            cluster.way.clone(),
            self.surroundings.clone(),
            pool.workers().clone(),
            collection.clone(),
            keeper,
        ));
        watched.push(Watched {
            way: cluster.way.clone(),
            kind,
            collection,
            shelf: Arc::clone(&shelf),
        });
        shelf
    }
}

impl Kubernetes {
    fn collection(&self, kind: Kind, namespace: &str) -> Collection {
        let (group, plural) = match kind {
            Kind::Of(role) => (role.group(), role.plural()),
            Kind::Namespaces => ("/api/v1", "namespaces"),
            Kind::ReplicaSets => ("/apis/apps/v1", "replicasets"),
            Kind::Jobs => ("/apis/batch/v1", "jobs"),
        };
        let of = match namespace {
            "" => String::new(),
            name => format!("/namespaces/{name}"),
        };
        let selector = match kind {
            Kind::Of(role) => self.selectors.iter().find(|one| one.role == role),
            Kind::Namespaces | Kind::ReplicaSets | Kind::Jobs => None,
        };
        let (fields, labels) = selector.map_or_else(Default::default, |one| {
            (one.fields.clone(), one.labels.clone())
        });
        Collection {
            path: format!("{group}{of}/{plural}"),
            metadata_only: !matches!(kind, Kind::Of(_)),
            // What a node's agent selects is little, and the server has it at hand.
            in_pages: fields.is_empty(),
            fields,
            labels,
        }
    }
}

/// Keeps a shelf for as long as it is polled.
async fn keep(
    way: Way,
    surroundings: Surroundings,
    workers: Workers,
    collection: Collection,
    mut keeper: Keeper<Reader>,
) {
    let mut told = None;
    let api = loop {
        match way.api(&surroundings, &workers) {
            Ok(api) => break api,
            Err(fault) => {
                let fault = fault.to_string();
                if told.as_ref() != Some(&fault) {
                    let path = &collection.path;
                    tracing::error!(path, fault, "cannot find targets in Kubernetes");
                    told = Some(fault);
                }
                sleep(AGAIN).await;
            }
        }
    };
    let mut sink = |event: Event<'_>| keeper.take(event);
    Watch::new(&api, collection).follow(&mut sink).await;
}

/// What a source has made of the objects of a namespace, or of all.
struct Room {
    shelves: Shelves,
    /// The versions of the shelves that were looked at last.
    seen: Vec<u64>,
    prints: HashMap<ObjectKey, u64>,
}

/// Brings the targets of all rooms, again whenever objects change that they are made of.
async fn follow(mut rooms: Vec<Room>, mut changed: watch::Receiver<()>, updates: Updates) {
    let mut rest = Instant::now();
    loop {
        changed.mark_unchanged();
        for room in &mut rooms {
            if room.look(&updates).await {
                rest = Instant::now() + PAUSE;
            }
        }
        // The sender is there for as long as anything is watched.
        if changed.changed().await.is_err() {
            return;
        }
        sleep_until(rest).await;
    }
}

impl Room {
    /// Brings what has changed; says whether anything had.
    async fn look(&mut self, updates: &Updates) -> bool {
        let versions: Vec<u64> = self.shelves.each().map(|shelf| shelf.version()).collect();
        // Until all has been listed, targets would lack labels.
        if versions == self.seen || versions.contains(&0) {
            return false;
        }
        self.seen = versions;
        let all = self.shelves.own.all();
        let there: HashSet<&ObjectKey> = all.iter().map(|(key, _)| key).collect();
        let gone = self.prints.keys().filter(|key| !there.contains(key));
        let gone: Vec<ObjectKey> = gone.cloned().collect();
        let mut parts: Vec<(Key, Vec<Group>)> = Vec::new();
        for (number, (key, kept)) in all.iter().enumerate() {
            let print = self.shelves.print(kept);
            if self.prints.insert(Arc::clone(key), print) != Some(print) {
                parts.push((Arc::clone(key), self.shelves.groups(&kept.object)));
            }
            if number % AT_A_TIME == AT_A_TIME - 1 {
                updates.change(std::mem::take(&mut parts)).await;
                tokio::task::yield_now().await;
            }
        }
        for key in gone {
            self.prints.remove(&key);
            parts.push((key, Vec::new()));
        }
        updates.change(parts).await;
        true
    }
}
