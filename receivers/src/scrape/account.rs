//! What is counted and told of one scraper.

use std::time::Duration;

use tidegate_component::ComponentId;
use tidegate_component::metrics::{Counter, Metrics};
use tokio::time::Instant;

use super::Faults;

/// How long a fault that was told is not told again.
const QUIET: Duration = Duration::from_secs(3600);

/// The counters of a scraper, under the Collector's names, and the faults that were told.
///
/// Despite the names the Collector counts metrics here, not their points; so does this.
#[derive(Debug)]
pub(super) struct Account {
    scraped: Counter,
    errored: Counter,
    told: Vec<(&'static str, Instant)>,
}

impl Account {
    pub(super) fn new(metrics: &Metrics, scraper: &'static str) -> Self {
        let counter = |name, help| metrics.counter(name, help, &[("scraper", scraper)]);
        Self {
            scraped: counter(
                "otelcol_scraper_scraped_metric_points",
                "Number of metric points successfully scraped.",
            ),
            errored: counter(
                "otelcol_scraper_errored_metric_points",
                "Number of metric points that were unable to be scraped.",
            ),
            told: Vec::new(),
        }
    }

    /// Counts what a scrape gave and what it lacks, and tells of faults not told for an hour.
    pub(super) fn add(
        &mut self,
        metrics: usize,
        faults: &Faults,
        receiver: &ComponentId,
        scraper: &'static str,
    ) {
        self.scraped.add(metrics as u64);
        self.errored.add(faults.metrics() as u64);
        for fault in faults.iter() {
            if self.is_news(fault.what) {
                let (times, first) = (fault.times, fault.example.as_str());
                tracing::warn!(%receiver, scraper, times, first, "{}", fault.what);
            }
        }
    }

    pub(super) fn is_news(&mut self, what: &'static str) -> bool {
        let now = Instant::now();
        match self.told.iter_mut().find(|(known, _)| *known == what) {
            Some((_, told)) if now.duration_since(*told) < QUIET => false,
            Some((_, told)) => {
                *told = now;
                true
            }
            None => {
                self.told.push((what, now));
                true
            }
        }
    }
}
