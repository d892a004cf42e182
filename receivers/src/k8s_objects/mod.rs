//! `k8s_objects`: objects of a cluster as log records, all of them now and then, or each as it changes.

mod config;
mod discover;
mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{
    ComponentId, Receiver, ReceiverContext, StartError, Storage, Workers, async_trait,
};
use tidegate_pdata::Signal;
use tidegate_transport::kubernetes::{AccessKeys, Api, Collection, Surroundings, Watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

pub use config::Config;

use crate::kubernetes::{Follower, Hand, Places, Records};
use crate::scrape::{Running, Stop, stoppable};
use discover::Discovery;
use record::{Pull, Told};

/// What becomes of a kind of objects that the cluster does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// The process does not start.
    Fails,
    /// It is told.
    Told,
    /// It is not.
    Silent,
}

/// How a kind of objects is looked at.
#[derive(Clone, Debug)]
enum Mode {
    /// All of them, as often as this.
    Pull(Duration),
    /// Each as it changes, from a version on, but for some ways of changing.
    Watch {
        since: Option<String>,
        excluded: Vec<&'static str>,
    },
}

/// A kind of objects.
#[derive(Clone, Debug)]
struct Objects {
    name: String,
    group: Option<String>,
    mode: Mode,
    fields: String,
    labels: String,
    namespaces: Vec<String>,
}

/// The receiver.
struct K8sObjects {
    keys: AccessKeys,
    surroundings: Surroundings,
    objects: Vec<Objects>,
    missing: Missing,
    initial: bool,
    storage: Option<Arc<dyn Storage>>,
    running: Vec<Running>,
}

/// What the work on all kinds has in common.
struct Common {
    hand: Hand,
    api: Arc<Api>,
    workers: Workers,
    places: Option<Places>,
    initial: bool,
}

#[async_trait]
impl Receiver for K8sObjects {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let Some(intake) = cx.intake(Signal::Logs) else {
            return Ok(());
        };
        let access = self.keys.access(&self.surroundings)?;
        let common = Common {
            hand: Hand {
                id: cx.id.clone(),
                intake: intake.over("http"),
            },
            api: Arc::new(Api::new(&access, Some(cx.workers.clone()))?),
            workers: cx.workers.clone(),
            places: Places::open(self.storage.clone(), cx.id.to_string()).await?,
            initial: self.initial,
        };
        let mut discovery = Discovery::default();
        let mut found = Vec::new();
        for objects in &self.objects {
            let base = discovery
                .find(&common.api, &objects.name, objects.group.as_deref())
                .await;
            match base {
                Ok(base) => found.push((objects, base)),
                Err(fault) => missed(self.missing, &cx.id, fault)?,
            }
        }
        if found.is_empty() {
            return Err(StartError {
                message: "the cluster has none of the `objects`".to_owned(),
                source: None,
            });
        }
        for (objects, base) in found {
            self.running.extend(common.start(objects, &base));
        }
        Ok(())
    }

    async fn stop(&mut self) {
        let running = self.running.drain(..).map(Running::stop);
        futures_util::future::join_all(running).await;
    }
}

fn missed(missing: Missing, receiver: &ComponentId, fault: String) -> Result<(), StartError> {
    match missing {
        Missing::Fails => Err(StartError {
            message: fault,
            source: None,
        }),
        Missing::Told => {
            tracing::warn!(%receiver, fault, "objects are not looked at");
            Ok(())
        }
        Missing::Silent => Ok(()),
    }
}

impl Common {
    /// Starts to look at a kind of objects, in each of its namespaces.
    fn start(&self, objects: &Objects, base: &str) -> Vec<Running> {
        let all = vec![String::new()];
        let namespaces = match objects.namespaces.is_empty() {
            true => &all,
            false => &objects.namespaces,
        };
        let each = namespaces.iter().map(|namespace| {
            let path = match namespace.as_str() {
                "" => format!("{base}/{}", objects.name),
                namespace => format!("{base}/namespaces/{namespace}/{}", objects.name),
            };
            let collection = Collection {
                path,
                fields: objects.fields.clone(),
                labels: objects.labels.clone(),
                metadata_only: false,
                in_pages: true,
            };
            self.begin(objects, collection)
        });
        each.collect()
    }

    fn begin(&self, objects: &Objects, collection: Collection) -> Running {
        let (hand, api) = (self.hand.clone(), Arc::clone(&self.api));
        match &objects.mode {
            Mode::Pull(every) => {
                let puller = Puller {
                    hand,
                    api,
                    collection,
                    every: *every,
                    name: objects.name.clone(),
                };
                stoppable(&self.workers, |stop| puller.run(stop))
            }
            Mode::Watch { since, excluded } => {
                let key = format!(
                    "{}?{}&{}",
                    collection.path, collection.fields, collection.labels
                );
                let place = self.places.as_ref().map(|places| places.of(key));
                let known = place.as_ref().and_then(|place| place.version());
                let follower = Follower {
                    hand,
                    api,
                    collection,
                    since: since.clone(),
                    tell: Told::new(&objects.name, excluded.clone(), self.initial, known),
                    place,
                };
                follower.start(&self.workers)
            }
        }
    }
}

/// Lists a collection as often as told.
struct Puller {
    hand: Hand,
    api: Arc<Api>,
    collection: Collection,
    every: Duration,
    name: String,
}

impl Puller {
    async fn run(self, mut stop: Stop) {
        let mut ticks = interval_at(Instant::now(), self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while stop.or(ticks.tick()).await.is_some() {
            let mut pull = Pull::new(&self.name);
            let mut watch = Watch::new(&self.api, self.collection.clone());
            // Page by page, so that no more than one of them is here at a time.
            while watch.version().is_none() {
                let mut records = Records::default();
                let mut sink = |event: tidegate_transport::kubernetes::Event<'_>| {
                    pull.tell(event, &mut records);
                };
                if stop.or(watch.advance(&mut sink)).await.is_none() {
                    return;
                }
                if self.hand.over(records, &mut stop).await.is_none() {
                    return;
                }
            }
        }
    }
}
