//! The sink of an exporter that delivers batch by batch.

use std::sync::Arc;

use async_trait::async_trait;
use tidegate_component::{Exporter, Promise, StartError};
use tidegate_pdata::Batch;
use tokio::time::Instant;

use super::books::Books;
use super::entrance::Entrance;
use super::health::Health as Pulse;
use super::lane::Lane;
use super::letters::Letters;
use super::settings::Settings;
use super::store::Store;
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
        let name: Arc<str> = around.id.as_str().into();
        let health = Arc::new(Pulse::new(Arc::clone(&name), around.signal.name()));
        let store = Store::of(around, &books);
        let letters = Letters::of(around, &health);
        let entrance = Entrance::new(settings, books, store, letters);
        let workers = around.workers.clone();
        Self(Lane::new(name, exporter, entrance, health, workers))
    }
}

#[async_trait]
impl Sink for Remote {
    fn put(&self, batch: Batch) {
        self.0.put(batch);
    }

    fn room(&self) -> Room {
        self.0.entrance.room(|| self.0.refusal())
    }

    fn fill(&self) -> Option<(usize, usize)> {
        self.0.entrance.fill()
    }

    fn promise(&self) -> Promise {
        self.0.entrance.promise()
    }

    fn promise_with_recourse(&self) -> Promise {
        self.0.entrance.promise_with_recourse()
    }

    fn binds(&self) -> bool {
        self.0.entrance.binds()
    }

    fn depth(&self) -> Depth {
        self.0.entrance.books.depth()
    }

    fn account(&self) -> Account {
        self.0.entrance.books.account()
    }

    fn health(&self) -> Health {
        Health {
            error: self.0.health.error(),
            breaker: Some(self.0.breaker.state()),
        }
    }

    async fn start(&self) -> Result<(), StartError> {
        self.0.start()
    }

    async fn drain(&self, deadline: Instant) {
        self.0.drain(deadline).await;
    }
}
