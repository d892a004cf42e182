//! Delivery to an exporter that collects batches into objects.
//!
//! ```text
//! put ─▶ (collect) ─▶ inbox ─▶ add ─▶ open objects ─▶ seal ─▶ commit ─▶ delivered, given up
//!                              └ a blocking thread, one call at a time ┘
//! ```
//!
//! One driver serves all signals of an exporter. A batch leaves the queue as it is added; its items
//! are held until the objects that have them are committed or given up. While commits fail, what
//! comes stays in the queue as the bytes that it is.

mod commit;
mod driver;
mod open;
mod work;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use tidegate_component::{BulkExporter, Promise, StartError};
use tidegate_pdata::{Batch, Refusal, Signal};
use tokio::time::Instant;

use self::driver::Driver;
use super::books::Books;
use super::entrance::{Entrance, Next};
use super::health::Health as Pulse;
use super::job::{COME_AGAIN, Job, QUEUE_FULL};
use super::settings::Settings;
use crate::sink::{Account, Depth, Health, Room, Sink, SinkSettings};

/// The sink of one signal before an exporter that collects.
pub(super) struct Bulk {
    entrance: Arc<Entrance>,
    inbox: Inbox,
}

/// One signal's way to the driver.
#[derive(Clone)]
struct Inbox {
    driver: Arc<Driver>,
    signal: Signal,
}

impl Bulk {
    pub(super) fn new(
        exporter: &Arc<dyn BulkExporter>,
        settings: Settings,
        books: Arc<Books>,
        around: &SinkSettings,
    ) -> Self {
        let driver = around.shared.value(|| {
            let (name, workers) = (around.id.as_str().into(), around.workers.clone());
            Driver::new(name, Arc::clone(exporter), settings.clone(), workers)
        });
        driver.join(Arc::clone(&books));
        let signal = around.signal;
        Self {
            entrance: Arc::new(Entrance::new(settings, books, None)),
            inbox: Inbox { driver, signal },
        }
    }
}

impl Next for Inbox {
    fn submit(&self, job: Job) {
        self.driver.submit(self.signal, job);
    }

    fn withdraw(&self) -> Option<Job> {
        self.driver.withdraw(self.signal)
    }

    fn health(&self) -> &Pulse {
        self.driver.health()
    }

    // An object stays open for as long as it is told to; nobody should wait for that.
    fn tries_soon(&self) -> bool {
        false
    }
}

#[async_trait]
impl Sink for Bulk {
    fn put(&self, batch: Batch) {
        self.entrance.put(batch, &self.inbox);
    }

    fn room(&self) -> Room {
        self.entrance.room(|| Refusal::new(QUEUE_FULL, COME_AGAIN))
    }

    fn fill(&self) -> Option<(usize, usize)> {
        self.entrance.fill()
    }

    fn promise(&self) -> Promise {
        self.entrance.promise()
    }

    fn binds(&self) -> bool {
        self.entrance.binds()
    }

    fn depth(&self) -> Depth {
        self.entrance.books.depth()
    }

    fn account(&self) -> Account {
        self.entrance.books.account()
    }

    fn health(&self) -> Health {
        Health {
            error: self.inbox.driver.health().error(),
            breaker: None,
        }
    }

    async fn start(&self) -> Result<(), StartError> {
        self.inbox.driver.start();
        if self.entrance.collector.is_some() {
            let (entrance, inbox) = (Arc::clone(&self.entrance), self.inbox.clone());
            let tasks = self.inbox.driver.tasks();
            tasks.spawn(tasks.home(), async move {
                if let Some(collector) = &entrance.collector {
                    collector.run(&inbox).await;
                }
            });
        }
        Ok(())
    }

    async fn drain(&self, deadline: Instant) {
        if let Some(collector) = &self.entrance.collector {
            collector.hurry();
        }
        let driver = &self.inbox.driver;
        driver.drain(&self.entrance.books, deadline).await;
        if let Some(collector) = &self.entrance.collector {
            collector.cut_off(driver.health());
        }
        driver.leave();
    }
}
