//! `kubelet_stats`: what a node of Kubernetes, its pods, containers and volumes use, as the kubelet tells.
//!
//! Once an interval the kubelet is asked for its summary, and for its pods where they are to be told
//! of in more detail. Its token is read again for each request.

mod config;
mod emit;
mod kubelet;
mod metrics;
mod pods;
mod scraper;
mod summary;
#[cfg(test)]
mod tests;
mod usage;

use tidegate_component::metrics::Metrics as OwnMetrics;
use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_transport::kubernetes::{Api, Surroundings};

pub use config::Config;
pub(crate) use pods::quantity;

use crate::scrape::{Controller, Running, Schedule};
use config::Access;
use kubelet::Kubelet;
use scraper::{Settings, Stats};

/// The receiver.
struct KubeletStats {
    access: Access,
    surroundings: Surroundings,
    schedule: Schedule,
    settings: Settings,
    metrics: OwnMetrics,
    running: Option<Running>,
}

#[async_trait]
impl Receiver for KubeletStats {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let access = self.access.kubelet(&self.surroundings)?;
        let api = Api::new(&access, Some(cx.workers.clone()))?;
        let server = match &self.access.server {
            Some(keys) => {
                let access = keys.access(&self.surroundings)?;
                Some(Api::new(&access, Some(cx.workers.clone()))?)
            }
            None => None,
        };
        let stats = Stats::new(Kubelet::new(api, server), self.settings.clone());
        let scrapers = vec![Box::new(stats) as _];
        let controller = Controller::new(&cx, &self.metrics, self.schedule.clone(), scrapers);
        self.running = controller.map(|controller| controller.start(&cx.workers));
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }
}
