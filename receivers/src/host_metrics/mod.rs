//! `host_metrics`: what the host at hand uses, read from `/proc`, `/sys` and its file systems.
//!
//! Each scraper of the configuration is a reader of the shared scaffold in [`crate::scrape`]. The
//! names, units, words and values of the metrics are the Collector's. In a pipeline of logs the
//! receiver tells periodically that the host exists.

mod config;
mod entity;
mod host;
pub(crate) mod matching;
mod mounts;
mod process;
mod scrapers;
#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;

use tidegate_component::metrics::Metrics;
use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};

pub use config::Config;
pub(crate) use host::now;

use crate::scrape::{Controller, Running, Schedule, Scraper};
use entity::Entity;
use host::Host;

/// Makes a scraper when the receiver starts.
type Make = Box<dyn Fn() -> Box<dyn Scraper> + Send>;

/// The receiver.
struct HostMetrics {
    host: Host,
    schedule: Schedule,
    scrapers: Vec<Make>,
    entity: Entity,
    metrics: Metrics,
    running: Vec<Running>,
}

#[async_trait]
impl Receiver for HostMetrics {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let root = self.host.root();
        if let Err(error) = std::fs::metadata(root) {
            let message = format!("there is no `root_path` {}", root.display());
            return Err(StartError::new(message, error));
        }
        let scrapers = self.scrapers.iter().map(|make| make()).collect();
        let controller = Controller::new(&cx, &self.metrics, self.schedule.clone(), scrapers);
        let scraping = controller.map(|controller| controller.start(&cx.workers));
        let telling = self.entity.start(&cx);
        self.running.extend(scraping.into_iter().chain(telling));
        Ok(())
    }

    async fn stop(&mut self) {
        let running = self.running.drain(..).map(Running::stop);
        futures_util::future::join_all(running).await;
    }
}

/// A variable of the environment.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}
