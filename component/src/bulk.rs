//! Exporters that collect many batches into one object.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use tidegate_pdata::{Batch, Payload, Signal};
use tokio::time::Instant;

use crate::{Delivered, ExportError, ExporterContext, Items, StartError};

/// Where a batch lies in its queue: unique within the exporter, and on disk for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

/// A batch for open objects to take.
#[derive(Clone, Copy, Debug)]
pub struct Portion<'a> {
    /// Where it lies.
    pub position: Position,
    /// The batch, whole.
    pub batch: &'a Batch,
    /// The items of it that objects are to take; all where it is none.
    pub items: Option<&'a Items>,
    /// When it arrived.
    pub arrived: SystemTime,
}

impl<'a> Portion<'a> {
    /// All of a batch that arrives now.
    #[must_use]
    pub fn whole(position: Position, batch: &'a Batch) -> Self {
        Self {
            position,
            batch,
            items: None,
            arrived: SystemTime::now(),
        }
    }
}

/// What an object holds of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The batch.
    pub position: Position,
    /// Items of it that are in the object; the others are in other objects, if not rejected.
    pub items: Items,
}

/// An object that is closed and waits to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its number within this exporter's life, rising.
    pub ordinal: u64,
    /// Its name at the far end: the same rows get the same name.
    pub name: String,
    /// What it holds, each batch once, in the order in which they were added. A batch stays open
    /// until all of its items are committed.
    pub parts: Vec<Part>,
    /// What else the exporter must know to make the same object again.
    pub recipe: Bytes,
}

impl Sealed {
    /// Items in it.
    #[must_use]
    pub fn items(&self) -> usize {
        self.parts.iter().map(|part| part.items.len()).sum()
    }
}

/// The queue on disk that batches come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What names the log of each signal, by [`Signal::index`]: with a position, unique everywhere.
    pub logs: [[u8; 16]; Signal::ALL.len()],
    /// The first ordinal that no object of a former life has which may still be of importance.
    pub first_ordinal: u64,
}

/// Delivers many batches as one object; positions stay open until `commit` returns.
///
/// `add`, `seal` and `rebuild` run on blocking threads, one call at a time for all signals;
/// `commit` may run beside them, with retry and timeout by the engine.
///
/// With a queue on disk the engine keeps each sealed object in the queue before it is committed.
/// A later life gives those whose commit it does not know the end of to `rebuild`, with the same
/// batches, and commits them again under the same name; what they hold is added to no other
/// object. So every item is in exactly one object, if a commit of what is there already changes
/// nothing.
#[async_trait]
pub trait BulkExporter: Send + Sync {
    /// Opens what must stay open.
    async fn start(&self, _cx: ExporterContext) -> Result<(), StartError> {
        Ok(())
    }

    /// Tells, before anything is added, that batches come from a queue on disk.
    fn resume(&self, origin: Origin);

    /// Adds a batch to the open objects and tells how many of its items go into none.
    ///
    /// `Refused` and `Retryable` mean that there is no room for it now: it comes again when an
    /// object has been sealed or committed, or after a while.
    fn add(&self, portion: &Portion<'_>) -> Result<Delivered, ExportError>;

    /// When `seal` must next run, if anything is open; a time that has passed means now.
    fn due(&self) -> Option<Instant>;

    /// Closes the objects that are due by `now` and hands them out.
    ///
    /// At shutdown `now` lies past every deadline.
    fn seal(&self, now: Instant) -> Vec<Sealed>;

    /// Makes an object that a former life sealed ready to be committed, from the same items of
    /// the same batches, which `fetch` reads; an error of `fetch` is handed on.
    fn rebuild(
        &self,
        sealed: &Sealed,
        fetch: &mut dyn FnMut(Position) -> Result<Payload, ExportError>,
    ) -> Result<(), ExportError>;

    /// Makes a sealed object visible; a repetition never doubles it.
    async fn commit(&self, sealed: &Sealed) -> Result<(), ExportError>;

    /// Whether an object that a former life sealed is visible.
    async fn is_committed(&self, sealed: &Sealed) -> Result<bool, ExportError>;

    /// Lets a sealed object go that could not be committed.
    fn abandon(&self, sealed: &Sealed);

    /// Closes; nothing is in flight any more.
    async fn stop(&self) {}
}
