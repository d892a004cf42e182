//! Delivery: what stands between the end of a chain and an exporter.
//!
//! ```text
//! put ─▶ (collect) ─▶ queue ─▶ consumers ─▶ attempt ─▶ delivered, dropped by reason
//!                       ▲                     │
//!                       └──── waiting ◀───────┘ backoff, or the breaker is open
//! ```
//!
//! Every exporter has a lane of this kind for each signal. Whoever puts never waits; a batch in
//! backoff waits among others by the time it is due and holds no consumer; all that comes in is
//! charged to the [`books`] until it ends, delivered or dropped for a reason that has a name.

mod attempt;
mod backoff;
mod books;
mod breaker;
mod bulk;
mod collect;
mod deliver;
mod entrance;
mod handover;
mod health;
mod isolate;
mod job;
mod lane;
mod letters;
mod meters;
mod pieces;
mod remote;
mod settings;
mod store;
mod sync;
mod tasks;
mod waiting;

#[cfg(test)]
mod modelled;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tidegate_component::{AnyExporter, BuildError};

use crate::sink::{Sink, SinkSettings};
use books::Books;
use settings::Settings;

/// Builds the delivery of one exporter and signal: checks its keys and opens nothing.
pub(crate) fn sink(around: SinkSettings) -> Result<Arc<dyn Sink>, Vec<BuildError>> {
    let settings = Settings::new(&around.keys, around.defaults, around.alone)?;
    let books = Books::new(
        &around.metrics,
        around.signal,
        settings.sizer,
        settings.capacity,
        Arc::clone(&around.budget),
    );
    Ok(match &around.exporter {
        AnyExporter::Remote(exporter) => {
            let exporter = Arc::clone(exporter);
            Arc::new(remote::Remote::new(exporter, settings, books, &around))
        }
        AnyExporter::Bulk(exporter) => {
            Arc::new(bulk::Bulk::new(exporter, settings, books, &around))
        }
        AnyExporter::Inline(_) => {
            let what = "takes batches on the spot and has no delivery";
            return Err(vec![BuildError::at("", what)]);
        }
    })
}
