//! What a component is: the traits, how it is built and registered, and what it is given.
//!
//! Components know this crate, `transport` and `pdata`; they see neither the engine nor
//! each other. Queueing, retry, timeouts and concurrency belong to the engine, which wraps
//! any exporter with them.

mod auth;
mod build;
mod bulk;
mod connector;
pub mod delivery;
mod entry;
mod exporter;
mod extension;
mod intake;
mod items;
mod ledger;
pub mod memory;
pub mod metrics;
mod outbox;
pub mod pattern;
mod prepare;
mod processor;
mod receiver;
pub mod status;
mod storage;
#[cfg(feature = "testing")]
pub mod testing;
mod workers;

pub use auth::{ClientAuthenticator, Extensions, Identity, ServerAuthenticator, Unauthenticated};
pub use build::{
    BuildContext, BuildError, DROPPED_ITEMS, LOST_ITEMS, LOST_ITEMS_HELP, Shared, StartError,
};
pub use bulk::{BulkExporter, Origin, Part, Portion, Position, Sealed};
pub use connector::{Connector, Route, Routes};
pub use entry::{ComponentConfig, Entry, Factory, SAME_SIGNAL, Stability};
pub use exporter::{
    AnyExporter, Delivered, ExportError, Exporter, ExporterContext, InlineExporter,
};
pub use extension::{Extension, ExtensionContext};
pub use intake::{Admission, Ceiling, Gate, Gates, Intake, IntakePort, Offered, Promise, Shut};
pub use items::Items;
pub use outbox::{Outbox, Reason, Reasons};
pub use prepare::{Preparation, Preparations};
pub use processor::{Partition, Processor};
pub use receiver::{Receiver, ReceiverContext};
pub use storage::{Notes, Storage, Storages};
pub use workers::{Task, WorkerPool, Workers};

pub use async_trait::async_trait;
pub use tidegate_document::ComponentId;
