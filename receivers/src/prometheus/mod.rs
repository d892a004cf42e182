//! Scraping targets that speak Prometheus' formats.
//!
//! A job finds its targets ([`discovery`]), and each of them has a task of its own ([`scrape`]) that fetches
//! its page at its own point of the interval, reads it ([`exposition`]) and makes a request of OTLP of it
//! ([`translate`]). A target that is slow, or never ends, holds up nobody but itself.

mod config;
mod discovery;
pub mod exposition;
mod job;
mod labels;
mod meters;
mod relabel;
mod scrape;
mod translate;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_pdata::Signal;

pub use config::Config;

use job::Job;
use meters::Meters;
use scrape::Running;

/// The receiver.
struct Prometheus {
    jobs: Vec<Arc<Job>>,
    meters: Meters,
    running: Option<Running>,
}

impl Prometheus {
    const fn new(jobs: Vec<Arc<Job>>, meters: Meters) -> Self {
        Self {
            jobs,
            meters,
            running: None,
        }
    }
}

#[async_trait]
impl Receiver for Prometheus {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let Some(intake) = cx.intake(Signal::Metrics) else {
            return Ok(());
        };
        let intake = intake.over("http");
        self.running = Some(Running::start(&self.jobs, &cx, &intake, &self.meters)?);
        Ok(())
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }
}
