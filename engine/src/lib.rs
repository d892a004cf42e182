//! The engine: from a configuration to pipelines that run.
//!
//! ```text
//! receiver ─ door ─ processors ─┬─ queue ─ exporter
//!                               ├─ inline exporter
//!                               └─ connector ─ processors ─ …
//! ```
//!
//! [`Plan`] reads and checks a configuration and opens nothing. [`Engine`] runs what was
//! planned on its [`Pool`] of workers: a batch runs its chain on the worker that received it,
//! without waiting, up to the queues of the exporters. [`Running`] is stopped with a deadline
//! and then says what became of every item.

mod delivery;
mod graph;
mod intake;
mod ledger;
mod plan;
mod run;
mod sink;
pub mod telemetry;
#[cfg(test)]
mod testing;
mod wiring;
mod workers;

pub use plan::{Plan, Registry};
pub use run::{Engine, Running, StartFailure};
pub use tidegate_component::memory::{default_budget, total_memory};
pub use workers::{Pool, WORKERS_VARIABLE, default_workers};
