//! `k8s_cluster`: what the API server knows of a cluster, as metrics.
//!
//! Each kind of object is watched, and of each object only the numbers are kept that are told of it ([`objects`]). Once an
//! interval all that is known is told ([`scraper`]).

mod config;
mod metrics;
mod objects;
mod scraper;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_component::metrics::Metrics as OwnMetrics;
use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_transport::kubernetes::{AccessKeys, Api, Collection, Event, Surroundings, Watch};

pub use config::Config;

use crate::kubernetes::{Keeper, ObjectKey, Read, Shelf};
use crate::scrape::{Chosen, ChosenAttributes, Controller, Running, Schedule, stoppable};
use metrics::Metrics;
use objects::{Kind, Object, OfNodes};
use scraper::Cluster;

/// The receiver.
struct K8sCluster {
    keys: AccessKeys,
    surroundings: Surroundings,
    schedule: Schedule,
    /// The namespaces to look into; all of them, and what is in none, where there are none.
    namespaces: Vec<String>,
    openshift: bool,
    of_nodes: OfNodes,
    settings: Settings,
    metrics: OwnMetrics,
    watches: Vec<Running>,
    running: Option<Running>,
}

/// What is told.
#[derive(Clone, Debug)]
struct Settings {
    chosen: Chosen<Metrics>,
    attributes: ChosenAttributes,
}

/// Reads objects of one kind.
struct Reader {
    kind: Kind,
    of_nodes: Arc<OfNodes>,
}

impl Read for Reader {
    type Object = Object;

    fn read(&mut self, json: &str) -> Result<(ObjectKey, Object), serde_json::Error> {
        let object = serde_json::from_str(json)?;
        let kept = Object::read(self.kind, &object, &self.of_nodes);
        Ok((objects::key(&object).into(), kept))
    }

    fn key(&self, json: &str) -> Result<ObjectKey, serde_json::Error> {
        let object = serde_json::from_str(json)?;
        Ok(objects::key(&object).into())
    }
}

impl K8sCluster {
    /// The collections to watch.
    fn collections(&self) -> Vec<(Kind, String)> {
        let mut collections = Vec::new();
        for kind in Kind::ALL {
            if kind == Kind::ClusterQuota && !self.openshift {
                continue;
            }
            if self.namespaces.is_empty() {
                collections.push((kind, kind.path("")));
            } else if kind.has_namespace() {
                let paths = self.namespaces.iter().map(|name| (kind, kind.path(name)));
                collections.extend(paths);
            }
        }
        collections
    }
}

#[async_trait]
impl Receiver for K8sCluster {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let access = self.keys.access(&self.surroundings)?;
        let api = Arc::new(Api::new(&access, Some(cx.workers.clone()))?);
        let of_nodes = Arc::new(self.of_nodes.clone());
        let mut shelves = Vec::new();
        let mut watches = Vec::new();
        for (kind, path) in self.collections() {
            let shelf = Arc::new(Shelf::default());
            let reader = Reader {
                kind,
                of_nodes: Arc::clone(&of_nodes),
            };
            let mut keeper = Keeper::new(Arc::clone(&shelf), reader, path.clone());
            shelves.push(shelf);
            let collection = Collection {
                path,
                in_pages: true,
                ..Collection::default()
            };
            watches.push((collection, move |event: Event<'_>| keeper.take(event)));
        }
        let cluster = Cluster::new(shelves, self.settings.clone());
        let scrapers = vec![Box::new(cluster) as _];
        let controller = Controller::new(&cx, &self.metrics, self.schedule.clone(), scrapers);
        let Some(controller) = controller else {
            return Ok(());
        };
        for (collection, mut sink) in watches {
            let api = Arc::clone(&api);
            self.watches
                .push(stoppable(&cx.workers, |mut stop| async move {
                    let follow = Watch::new(&api, collection).follow(&mut sink);
                    // It ends by being stopped alone.
                    let _ = stop.or(follow).await;
                }));
        }
        self.running = Some(controller.start(&cx.workers));
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        join_all(self.watches.drain(..).map(Running::stop)).await;
    }
}
