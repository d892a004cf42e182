//! Scraping: what receivers share that look at something once an interval and make metrics of it.
//!
//! A [`Controller`] runs the scrapers of one receiver: after an initial delay, at each interval, one
//! after the other and never two rounds at a time. A [`Scraper`] gives what it read in [`Part`]s;
//! those that block, as readers of `/proc` do, are a [`Reader`] in a [`Blocking`]. What could be
//! read is sent, what could not is a fault: counted, and told once an hour.

mod account;
mod attributes;
mod blocking;
mod choices;
mod controller;
mod emit;
mod faults;
mod metric;
mod schedule;
#[cfg(test)]
mod tests;

use tidegate_component::async_trait;
use tidegate_pdata::Signal;
use tidegate_pdata::compose::Request;

pub(crate) use attributes::{AttributeChoices, AttributeTable, ChosenAttributes};
pub(crate) use blocking::{Blocking, Reader};
pub(crate) use choices::{Choices, Chosen};
pub(crate) use controller::{Controller, Running, Stop, stoppable};
pub(crate) use emit::{Emit, Points};
pub(crate) use faults::Faults;
pub(crate) use metric::{Metric, Table, metrics};
pub(crate) use schedule::Schedule;

/// Something that is looked at once an interval.
#[async_trait]
pub(crate) trait Scraper: Send {
    /// Its name: the value of the label `scraper`.
    fn name(&self) -> &'static str;

    /// Reads all of it, or the next part where the one before said that there is more.
    ///
    /// It may be dropped at any await when it takes too long, and is called again later.
    async fn scrape(&mut self) -> Part;
}

/// What one call of a scraper gave.
#[derive(Debug)]
pub(crate) struct Part {
    /// The metrics.
    pub(crate) request: Request,
    /// How many metrics there are in it.
    pub(crate) metrics: usize,
    /// What could not be read.
    pub(crate) faults: Faults,
    /// Whether another call goes on from here, so that no request grows beyond measure.
    pub(crate) more: bool,
}

impl Part {
    /// The size at which a scraper ends a part.
    pub(crate) const FULL: usize = 512 << 10;

    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            request: Request::new(Signal::Metrics),
            metrics: 0,
            faults: Faults::default(),
            more: false,
        }
    }
}
