//! `k8s_events`: the events of a cluster, as log records.

mod config;
mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{Receiver, ReceiverContext, StartError, Storage, async_trait};
use tidegate_pdata::Signal;
use tidegate_transport::kubernetes::{AccessKeys, Api, Collection, Surroundings};

pub use config::Config;

use crate::host_metrics::now;
use crate::kubernetes::{Follower, Hand, Places};
use crate::scrape::Running;
use record::Events;

/// How often what changes again and again is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    /// Each time.
    Each,
    /// Once in this time for each event.
    Every(Duration),
    /// Never.
    None,
}

/// The receiver.
struct K8sEvents {
    keys: AccessKeys,
    surroundings: Surroundings,
    namespaces: Vec<String>,
    changes: Changes,
    storage: Option<Arc<dyn Storage>>,
    running: Vec<Running>,
}

#[async_trait]
impl Receiver for K8sEvents {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let Some(intake) = cx.intake(Signal::Logs) else {
            return Ok(());
        };
        let access = self.keys.access(&self.surroundings)?;
        let api = Arc::new(Api::new(&access, Some(cx.workers.clone()))?);
        let places = Places::open(self.storage.clone(), cx.id.to_string()).await?;
        let all = vec![String::new()];
        let namespaces = match self.namespaces.is_empty() {
            true => &all,
            false => &self.namespaces,
        };
        for namespace in namespaces {
            let path = match namespace.as_str() {
                "" => "/api/v1/events".to_owned(),
                name => format!("/api/v1/namespaces/{name}/events"),
            };
            let place = places.as_ref().map(|places| places.of(path.clone()));
            // What happened while nobody looked is told where the place is known; else a cluster's whole past would be.
            let known = place.as_ref().and_then(|place| place.version());
            let follower = Follower {
                hand: Hand {
                    id: cx.id.clone(),
                    intake: intake.over("http"),
                },
                api: Arc::clone(&api),
                collection: Collection {
                    path,
                    in_pages: true,
                    ..Collection::default()
                },
                since: None,
                tell: Events::new(now(), self.changes, known),
                place,
            };
            self.running.push(follower.start(&cx.workers));
        }
        Ok(())
    }

    async fn stop(&mut self) {
        let running = self.running.drain(..).map(Running::stop);
        futures_util::future::join_all(running).await;
    }
}
