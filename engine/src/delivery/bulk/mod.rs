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

mod again;
mod commit;
mod driver;
mod letters;
mod open;
mod sealing;
mod seals;
mod work;

#[cfg(test)]
mod lives;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use tidegate_component::{BulkExporter, Promise, StartError};
use tidegate_pdata::{Batch, Refusal, Signal};
use tokio::time::Instant;

use self::driver::Driver;
use super::books::Books;
use super::entrance::{Entrance, Next};
use super::health::Health as Pulse;
use super::job::{COME_AGAIN, Job, QUEUE_FULL};
use super::letters::Letters;
use super::settings::Settings;
use super::store::{Gate, Outlet, Reader, Store, arrived};
use crate::sink::{Account, Depth, Health, Room, Sink, SinkSettings};

/// The sink of one signal before an exporter that collects.
pub(super) struct Bulk(Arc<End>);

/// One signal's way to the driver.
struct End {
    entrance: Entrance,
    driver: Arc<Driver>,
    signal: Signal,
    this: Weak<Self>,
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
            let storage = around.storage.clone();
            Driver::new(
                name,
                Arc::clone(exporter),
                settings.clone(),
                workers,
                storage,
            )
        });
        let (signal, store) = (around.signal, Store::of(around, &books));
        let letters = Letters::of(around, driver.health());
        let entrance = Entrance::new(settings, books, store, letters);
        driver.join(signal, &entrance);
        Self(Arc::new_cyclic(|this| End {
            entrance,
            driver,
            signal,
            this: Weak::clone(this),
        }))
    }
}

impl Next for End {
    fn submit(&self, job: Job) {
        let Some(store) = &self.entrance.store else {
            self.driver.submit(self.signal, job);
            return;
        };
        if let Some(end) = self.this.upgrade() {
            store.append(job, move |job, told| {
                if let Some(job) = arrived(&*end, job, told) {
                    end.take(job);
                }
            });
        }
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

impl Outlet for End {
    fn name(&self) -> &str {
        &self.driver.name
    }

    fn health(&self) -> &Pulse {
        self.driver.health()
    }

    fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    fn is_there(&self) -> bool {
        true
    }

    fn gate(&self, _now: Instant) -> Gate {
        // What there is no room for stays in memory, of which a store takes little.
        Gate::Open
    }

    fn take(&self, job: Job) {
        self.driver.submit(self.signal, job);
    }
}

#[async_trait]
impl Sink for Bulk {
    fn put(&self, batch: Batch) {
        self.0.entrance.put(batch, &*self.0);
    }

    fn room(&self) -> Room {
        self.0
            .entrance
            .room(|| Refusal::new(QUEUE_FULL, COME_AGAIN))
    }

    fn fill(&self) -> Option<(usize, usize)> {
        self.0.entrance.fill()
    }

    fn promise(&self) -> Promise {
        self.0.entrance.promise()
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
            error: self.0.driver.health().error(),
            breaker: Some(self.0.driver.breaker.state()),
        }
    }

    async fn start(&self) -> Result<(), StartError> {
        let end = &self.0;
        let tasks = end.driver.tasks();
        if let Some(store) = &end.entrance.store {
            store.open()?;
            let outlet = Arc::clone(end) as Arc<dyn Outlet>;
            if let Some(reader) = Reader::new(outlet, store) {
                tasks.spawn(tasks.home(), reader.run());
            }
        }
        end.driver.start()?;
        if end.entrance.collector.is_some() {
            let end = Arc::clone(end);
            tasks.spawn(tasks.home(), async move {
                if let Some(collector) = &end.entrance.collector {
                    collector.run(&*end).await;
                }
            });
        }
        Ok(())
    }

    async fn drain(&self, deadline: Instant) {
        let end = &self.0;
        if let Some(collector) = &end.entrance.collector {
            collector.hurry();
        }
        end.driver.drain(&end.entrance.books, deadline).await;
        if let Some(collector) = &end.entrance.collector {
            collector.cut_off(end.driver.health());
        }
        end.driver.leave();
        if let Some(letters) = &end.entrance.letters {
            letters.close();
        }
    }
}
