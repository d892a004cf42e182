//! The scrapers, but for the one of processes.

pub(super) mod cpu;
pub(super) mod disk;
pub(super) mod filesystem;
pub(super) mod load;
pub(super) mod memory;
pub(super) mod network;
pub(super) mod nfs;
pub(super) mod paging;
pub(super) mod processes;
pub(super) mod system;

use tidegate_pdata::compose::{Fields, Request};

pub(super) use super::host::now;
use crate::scrape::{Chosen, Emit, Table};

/// The schema that the Collector's metrics of hosts keep to.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.9.0";
/// What the names of scopes begin with.
const SCOPE: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/\
                     hostmetricsreceiver/internal/scraper/";

/// The scope of a scraper.
pub(super) fn scope(scraper: &str) -> String {
    format!("{SCOPE}{scraper}scraper")
}

/// Begins a resource with a scope.
pub(super) fn begin(scope: &str, request: &mut Request, resource: impl FnOnce(&mut Fields)) {
    request.resource_of(SCHEMA, resource);
    request.scope(scope, env!("CARGO_PKG_VERSION"));
}

/// Begins the metrics of a scraper that has one resource, the host itself.
pub(super) fn emit<'a, T: Table>(
    scraper: &str,
    request: &'a mut Request,
    metrics: &'a mut usize,
    chosen: &'a Chosen<T>,
    start: u64,
    time: u64,
) -> Emit<'a, T> {
    begin(&scope(scraper), request, |_| {});
    Emit::new(request, metrics, chosen, start, time)
}
