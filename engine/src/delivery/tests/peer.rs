//! A peer that answers as a script says and remembers every call.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use tidegate_component::{Delivered, ExportError, Exporter};
use tidegate_pdata::{Batch, ContextKeys};
use tokio::time::Instant;

use super::records;

/// What the peer answers.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// It takes the batch.
    Take,
    /// It takes the batch but for so many items.
    TakeBut(u64),
    /// It is not there.
    Away,
    /// It asks to wait.
    Busy(Option<Duration>),
    /// It will never take the batch; a part of it perhaps.
    Reject { divisible: bool },
    /// The exporter panics.
    Panic,
    /// It never answers.
    Hang,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) at: Instant,
    pub(super) records: Vec<u32>,
}

type Script = dyn Fn(&[u32], usize) -> Answer + Send + Sync;

pub(super) struct Peer {
    script: Box<Script>,
    /// How long it takes to answer.
    slowness: Duration,
    /// Whether batches reach it in the order in which they were put.
    pub(super) ordered: bool,
    calls: Mutex<Vec<Call>>,
    taken: Mutex<Vec<u32>>,
    /// The tenants that the batches taken came from, as their contexts say.
    tenants: Mutex<Vec<Option<String>>>,
    active: AtomicUsize,
    most_active: AtomicUsize,
}

impl Peer {
    /// A peer that answers by the records of a batch and the number of the call, from 0.
    pub(super) fn new(script: impl Fn(&[u32], usize) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            script: Box::new(script),
            slowness: Duration::ZERO,
            ordered: false,
            calls: Mutex::default(),
            taken: Mutex::default(),
            tenants: Mutex::default(),
            active: AtomicUsize::new(0),
            most_active: AtomicUsize::new(0),
        }
    }

    /// A peer that always answers the same.
    pub(super) fn always(answer: Answer) -> Self {
        Self::new(move |_, _| answer.clone())
    }

    /// A peer that is away until this time from now on.
    pub(super) fn away_for(time: Duration) -> Self {
        let back = Instant::now() + time;
        Self::new(move |_, _| {
            if Instant::now() < back {
                Answer::Away
            } else {
                Answer::Take
            }
        })
    }

    pub(super) fn slow(mut self, slowness: Duration) -> Self {
        self.slowness = slowness;
        self
    }

    pub(super) const fn in_order(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// The records taken, as they came.
    pub(super) fn taken_in_order(&self) -> Vec<u32> {
        self.taken.lock().unwrap().clone()
    }

    /// The records of each call, in order.
    pub(super) fn calls(&self) -> Vec<Vec<u32>> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|call| call.records.clone()).collect()
    }

    /// When each call came, in milliseconds from the first.
    pub(super) fn times(&self) -> Vec<u128> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .map(|call| (call.at - calls[0].at).as_millis())
            .collect()
    }

    /// The records taken, sorted.
    pub(super) fn taken(&self) -> Vec<u32> {
        let mut taken = self.taken.lock().unwrap().clone();
        taken.sort_unstable();
        taken
    }

    /// The tenant of each batch taken.
    pub(super) fn tenants(&self) -> Vec<Option<String>> {
        self.tenants.lock().unwrap().clone()
    }

    pub(super) fn most_active(&self) -> usize {
        self.most_active.load(SeqCst)
    }
}

#[async_trait]
impl Exporter for Peer {
    fn reads(&self) -> ContextKeys {
        ContextKeys::default().metadata("tenant")
    }

    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        let records = records(batch.payload());
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Call {
                at: Instant::now(),
                records: records.clone(),
            });
            calls.len() - 1
        };
        let active = self.active.fetch_add(1, SeqCst) + 1;
        self.most_active.fetch_max(active, SeqCst);
        tokio::time::sleep(self.slowness).await;
        self.active.fetch_sub(1, SeqCst);
        let endpoint = "peer:4317".into();
        match (self.script)(&records, number) {
            Answer::Take => {
                self.taken.lock().unwrap().extend(records);
                let tenant = batch.context().metadata("tenant").next();
                self.tenants.lock().unwrap().push(tenant.map(str::to_owned));
                Ok(Delivered::default())
            }
            Answer::TakeBut(rejected) => Ok(Delivered {
                rejected,
                message: Some("too old".to_owned()),
            }),
            Answer::Away => Err(ExportError::Retryable {
                endpoint,
                source: "connection refused".into(),
            }),
            Answer::Busy(after) => Err(ExportError::Refused { endpoint, after }),
            Answer::Reject { divisible } => Err(ExportError::Permanent {
                endpoint,
                reason: "cannot read it".to_owned(),
                divisible,
            }),
            Answer::Panic => panic!("the peer told it to"),
            Answer::Hang => std::future::pending().await,
        }
    }
}
