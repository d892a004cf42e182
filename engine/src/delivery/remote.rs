//! The sink of an exporter that delivers batch by batch.

use std::sync::Arc;

use async_trait::async_trait;
use tidegate_component::{Exporter, Promise, StartError};
use tidegate_pdata::{Batch, Refusal};
use tokio::time::Instant;

use super::books::Books;
use super::health::Health as Pulse;
use super::lane::Lane;
use super::settings::{Overflow, Settings};
use crate::sink::{Account, Depth, Health, Room, Sink, SinkSettings};

/// A lane as the graph sees it.
pub(super) struct Remote(Arc<Lane>);

impl Remote {
    pub(super) fn new(
        exporter: Arc<dyn Exporter>,
        settings: Settings,
        books: Arc<Books>,
        around: &SinkSettings,
    ) -> Self {
        let name: Arc<str> = around.id.to_string().into();
        let health = Pulse::new(Arc::clone(&name), around.signal);
        Self(Lane::new(
            name,
            exporter,
            settings,
            books,
            health,
            around.workers.clone(),
        ))
    }
}

/// Whether the door may let more in before a queue with these books.
pub(super) fn room(overflow: Overflow, books: &Books, refusal: impl FnOnce() -> Refusal) -> Room {
    match overflow {
        Overflow::DropNew | Overflow::DropOldest => Room::Free,
        Overflow::Refuse | Overflow::Wait if !books.is_full() => Room::Free,
        Overflow::Refuse => Room::Refused(refusal()),
        Overflow::Wait => Room::Later,
    }
}

/// What a sink promises whose settings say whether it carries receipts.
pub(super) const fn promise(settings: &Settings) -> Promise {
    if settings.carries {
        Promise::Delivered
    } else {
        Promise::Memory
    }
}

#[async_trait]
impl Sink for Remote {
    fn put(&self, batch: Batch) {
        self.0.put(batch);
    }

    fn room(&self) -> Room {
        let lane = &self.0;
        room(lane.settings.overflow, &lane.books, || lane.refusal())
    }

    fn promise(&self) -> Promise {
        promise(&self.0.settings)
    }

    fn binds(&self) -> bool {
        self.0.settings.binds
    }

    fn depth(&self) -> Depth {
        self.0.books.depth()
    }

    fn account(&self) -> Account {
        self.0.books.account()
    }

    fn health(&self) -> Health {
        Health {
            error: self.0.health.error(),
        }
    }

    async fn start(&self) -> Result<(), StartError> {
        self.0.start();
        Ok(())
    }

    async fn drain(&self, deadline: Instant) {
        self.0.drain(deadline).await;
    }
}
