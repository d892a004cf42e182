//! A queue that keeps what comes and settles it as it is told.

use std::sync::{Arc, Mutex};

use tidegate_component::{Promise, StartError, async_trait};
use tidegate_pdata::{Batch, Outcome, Payload};
use tokio::time::Instant;

use crate::sink::{Account, Depth, Health, Room, Sink};

/// What a fake exporter or queue took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bin(Arc<Mutex<Vec<Payload>>>);

impl Bin {
    pub(crate) fn items(&self) -> usize {
        self.0.lock().unwrap().iter().map(Payload::items).sum()
    }

    /// Items of each batch, in the order in which they came.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.0.lock().unwrap().iter().map(Payload::items).collect()
    }

    pub(crate) fn payloads(&self) -> Vec<Payload> {
        self.0.lock().unwrap().clone()
    }

    fn put(&self, payload: &Payload) {
        self.0.lock().unwrap().push(payload.clone());
    }
}

/// What a fake queue is told to do.
#[derive(Clone)]
pub(crate) struct Script {
    /// How a receipt is settled; none keeps the batch unsettled until the test ends.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) promise: Promise,
    pub(crate) binds: bool,
    pub(crate) room: Arc<Mutex<Room>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            outcome: Some(Outcome::TakenOver),
            promise: Promise::Memory,
            binds: false,
            room: Arc::new(Mutex::new(Room::Free)),
        }
    }
}

pub(crate) struct FakeSink {
    bin: Bin,
    script: Script,
    kept: Mutex<Vec<Batch>>,
}

impl FakeSink {
    pub(crate) fn new(bin: Bin, script: Script) -> Self {
        Self {
            bin,
            script,
            kept: Mutex::default(),
        }
    }
}

#[async_trait]
impl Sink for FakeSink {
    fn put(&self, batch: Batch) {
        self.bin.put(batch.payload());
        match &self.script.outcome {
            Some(outcome) => batch.into_parts().2.settle(outcome),
            None => self.kept.lock().unwrap().push(batch),
        }
    }

    fn room(&self) -> Room {
        self.script.room.lock().unwrap().clone()
    }

    fn promise(&self) -> Promise {
        self.script.promise
    }

    fn binds(&self) -> bool {
        self.script.binds
    }

    fn depth(&self) -> Depth {
        Depth::default()
    }

    fn account(&self) -> Account {
        Account {
            taken: self.bin.items() as u64,
            consumed: self.bin.items() as u64,
            ..Account::default()
        }
    }

    fn health(&self) -> Health {
        Health::default()
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn drain(&self, _: Instant) {}
}
