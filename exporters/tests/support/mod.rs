//! What an exporter needs to run in a test.
#![allow(unreachable_pub, reason = "the files of a test are one crate")]

use tidegate_component::ExporterContext;
use tidegate_component::testing::HereWorkers;
use tidegate_pdata::Budget;

/// What an exporter of this name is started with.
pub fn context(name: &str) -> ExporterContext {
    ExporterContext {
        id: name.parse().expect("a name"),
        workers: HereWorkers::workers(),
        budget: Budget::new(usize::MAX),
        timeout: None,
    }
}
