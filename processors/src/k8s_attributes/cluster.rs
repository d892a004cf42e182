//! Following the cluster, once for all instances of a processor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tidegate_component::metrics::{Counter, Gauge};
use tidegate_component::{BuildContext, StartError, Workers};
use tidegate_transport::kubernetes::{AccessKeys, Api, Collection, Event, Surroundings, Watch};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::associate::Associations;
use super::rules::{From, Rules};
use super::table::{Builder, Happened, Kind, Table};

/// The least time between two snapshots, so that a storm of events costs few of them.
const PAUSE: Duration = Duration::from_millis(50);

/// What is followed.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) keys: AccessKeys,
    pub(super) surroundings: Surroundings,
    pub(super) node: Node,
    pub(super) namespace: String,
    pub(super) fields: Vec<String>,
    pub(super) labels: Vec<String>,
    pub(super) wait: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) rules: Arc<Rules>,
    pub(super) associations: Arc<Associations>,
}

/// Of which node pods are looked at.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Of all.
    Any,
    /// Of this one.
    Named(String),
    /// Of the one that a variable names.
    Variable(String),
}

/// The cluster, followed for as long as this is there.
pub(super) struct Cluster {
    state: Arc<State>,
    _stop: watch::Sender<()>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

struct State {
    table: ArcSwap<Table>,
    builder: Mutex<Builder>,
    changed: Notify,
    /// The collections that have not been listed yet.
    missing: watch::Sender<Vec<Kind>>,
    metrics: OwnMetrics,
}

impl Cluster {
    /// The one of this component, which is made and put on its way by the first who asks.
    pub(super) fn of(plan: Plan, cx: &BuildContext) -> Arc<Self> {
        cx.shared.value(|| {
            let (stop, stopped) = watch::channel(());
            let (rules, associations) = (&plan.rules, &plan.associations);
            let builder = Builder::new(Arc::clone(rules), Arc::clone(associations), plan.grace);
            let state = Arc::new(State {
                table: ArcSwap::default(),
                builder: Mutex::new(builder),
                changed: Notify::new(),
                missing: watch::channel(plan.kinds()).0,
                metrics: OwnMetrics::new(cx),
            });
            let own = Arc::clone(&state);
            cx.preparations
                .add(cx.kind, cx.id.clone(), move |workers| async move {
                    begin(&plan, &own, &stopped, &workers)?;
                    match plan.wait {
                        Some(limit) => own.wait(limit).await,
                        None => Ok(()),
                    }
                });
            Self { state, _stop: stop }
        })
    }

    /// What is known now.
    pub(super) fn table(&self) -> Arc<Table> {
        self.state.table.load_full()
    }
}

/// Puts a watch of each collection on its way.
fn begin(
    plan: &Plan,
    state: &Arc<State>,
    stopped: &watch::Receiver<()>,
    workers: &Workers,
) -> Result<(), StartError> {
    let access = plan.keys.access(&plan.surroundings)?;
    let node = plan.node()?;
    // All of them run on one worker, and share its connections.
    let api = Arc::new(Api::new(&access, None)?);
    for kind in plan.kinds() {
        let collection = plan.collection(kind, node.as_deref());
        let (state, api) = (Arc::clone(state), Arc::clone(&api));
        let mut stopped = stopped.clone();
        workers.spawn(0, async move {
            let mut sink = |event: Event<'_>| state.take(kind, event);
            let watch = Watch::new(&api, collection).follow(&mut sink);
            // The sender is never used: it is gone when nobody looks at the table any more.
            tokio::select! {
                () = watch => {}
                _ = stopped.changed() => {}
            }
        });
    }
    let (state, mut stopped) = (Arc::clone(state), stopped.clone());
    workers.spawn(0, async move {
        tokio::select! {
            () = state.publish() => {}
            _ = stopped.changed() => {}
        }
    });
    Ok(())
}

impl Plan {
    fn node(&self) -> Result<Option<String>, StartError> {
        match &self.node {
            Node::Any => Ok(None),
            Node::Named(name) => Ok(Some(name.clone())),
            Node::Variable(name) => {
                let value = self.surroundings.variable(name);
                value.map(Some).ok_or_else(|| StartError {
                    message: format!(
                        "filter::node_from_env_var: {name} is not set; let the pod have it from \
                         its field `spec.nodeName`, or else all pods of the cluster were watched"
                    ),
                    source: None,
                })
            }
        }
    }

    /// The collections that are needed.
    fn kinds(&self) -> Vec<Kind> {
        let (rules, wants) = (&self.rules, &self.rules.wants);
        let needed = |kind: &Kind| match kind {
            Kind::Pods => true,
            Kind::Namespaces => wants.cluster_uid || rules.look_at(From::Namespace),
            Kind::Nodes => wants.node_uid || rules.look_at(From::Node),
            Kind::Deployments => wants.deployment_uid || rules.look_at(From::Deployment),
            Kind::StatefulSets => rules.look_at(From::StatefulSet),
            Kind::DaemonSets => rules.look_at(From::DaemonSet),
            Kind::Jobs => wants.cron_job_uid || rules.look_at(From::Job),
        };
        Kind::ALL.into_iter().filter(needed).collect()
    }

    fn collection(&self, kind: Kind, node: Option<&str>) -> Collection {
        let within = match self.namespace.as_str() {
            "" => String::new(),
            name => format!("namespaces/{name}/"),
        };
        let mut fields = Vec::new();
        let path = match kind {
            Kind::Pods => {
                fields.clone_from(&self.fields);
                fields.extend(node.map(|name| format!("spec.nodeName={name}")));
                format!("/api/v1/{within}pods")
            }
            Kind::Namespaces => {
                if !self.rules.look_at(From::Namespace) {
                    fields.push("metadata.name=kube-system".to_owned());
                }
                "/api/v1/namespaces".to_owned()
            }
            Kind::Nodes => {
                fields.extend(node.map(|name| format!("metadata.name={name}")));
                "/api/v1/nodes".to_owned()
            }
            Kind::Deployments => format!("/apis/apps/v1/{within}deployments"),
            Kind::StatefulSets => format!("/apis/apps/v1/{within}statefulsets"),
            Kind::DaemonSets => format!("/apis/apps/v1/{within}daemonsets"),
            Kind::Jobs => format!("/apis/batch/v1/{within}jobs"),
        };
        let pods = kind == Kind::Pods;
        Collection {
            path,
            fields: fields.join(","),
            labels: if pods {
                self.labels.join(",")
            } else {
                String::new()
            },
            // Of a pod the address and the containers are told elsewhere.
            metadata_only: !pods,
            // All pods of a cluster at once would be hundreds of megabytes of one answer.
            in_pages: pods && node.is_none(),
        }
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Builder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, kind: Kind, event: Event<'_>) {
        let happened = match event {
            Event::Begun => {
                self.lock().begin(kind);
                return;
            }
            Event::Put(json, _) => self.lock().put(kind, json),
            Event::Gone(json) => self.lock().gone(kind, json),
            Event::Listed => {
                let gone = self.lock().listed(kind);
                self.metrics.count(kind, Happened::Deleted, gone);
                self.changed.notify_one();
                // What is waited for is told when the table has been replaced.
                return self.replace_for(kind);
            }
            Event::Idle => {
                self.changed.notify_one();
                return;
            }
        };
        match happened {
            Ok(happened) => self.metrics.count(kind, happened, 1),
            Err(error) => tracing::warn!(%error, ?kind, "an object of Kubernetes makes no sense"),
        }
    }

    fn replace_for(&self, kind: Kind) {
        if self.missing.borrow().contains(&kind) {
            self.replace();
            self.missing
                .send_modify(|missing| missing.retain(|other| *other != kind));
        }
    }

    /// Shows what is known now.
    fn replace(&self) {
        let mut builder = self.lock();
        builder.expire(Instant::now());
        let table = builder.table.clone();
        drop(builder);
        let pods = i64::try_from(table.pods()).unwrap_or(i64::MAX);
        self.metrics.table_size.set(pods);
        self.table.store(Arc::new(table));
    }

    /// Shows what is known whenever it changes.
    async fn publish(&self) {
        loop {
            let due = self.lock().due();
            let expiry = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = expiry => {}
            }
            self.replace();
            sleep(PAUSE).await;
        }
    }

    async fn wait(&self, limit: Duration) -> Result<(), StartError> {
        let mut missing = self.missing.subscribe();
        let listed = missing.wait_for(Vec::is_empty);
        match timeout(limit, listed).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StartError {
                message: format!(
                    "the metadata of the cluster is not there within {limit:?} \
                     (`wait_for_metadata_timeout`): {:?} could not be listed",
                    *self.missing.borrow()
                ),
                source: None,
            }),
        }
    }
}

/// What is counted, under the original's names.
struct OwnMetrics {
    table_size: Gauge,
    counters: Vec<(Kind, [Counter; 3])>,
}

impl OwnMetrics {
    fn new(cx: &BuildContext) -> Self {
        let counters = [
            (Kind::Pods, "pod"),
            (Kind::Namespaces, "namespace"),
            (Kind::Nodes, "node"),
            (Kind::Deployments, "deployment"),
            (Kind::StatefulSets, "statefulset"),
            (Kind::DaemonSets, "daemonset"),
            (Kind::Jobs, "job"),
        ];
        let counters = counters.map(|(kind, name)| {
            let counter = |what: &str| {
                let help = format!(
                    "Number of {name} {} events received",
                    &what[..what.len() - 1]
                );
                let name = format!("otelcol_otelsvc_k8s_{name}_{what}");
                cx.metrics.counter(&name, &help, &[])
            };
            (kind, ["added", "updated", "deleted"].map(counter))
        });
        Self {
            table_size: cx.metrics.gauge(
                "otelcol_otelsvc_k8s_pod_table_size",
                "Size of table containing pod info",
                &[],
            ),
            counters: counters.into(),
        }
    }

    fn count(&self, kind: Kind, happened: Happened, objects: usize) {
        if let Some((_, counters)) = self.counters.iter().find(|(of, _)| *of == kind) {
            counters[happened as usize].add(objects as u64);
        }
    }
}
