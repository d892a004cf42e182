//! The door: the only place where data is refused for want of room.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tidegate_component::metrics::{Counter, Metrics};
use tidegate_component::{Admission, Ceiling, Gate, IntakePort, Offered, Promise, Shut};
use tidegate_pdata::{
    Batch, Budget, Client, Context, NoRoom, Outcome, Payload, Pending, Receipt, Refusal, Signal,
    is_fair,
};
use tokio::time::{Instant, timeout_at};

use crate::graph::{Graph, Place, local};
use crate::sink::{Room, Sink};

/// How long an answer may take where the client gives no deadline.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// What a refused sender is told to wait.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// A receiver's door for one signal.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) graph: Arc<Graph>,
    /// Its number among the graph's doors.
    pub(crate) door: u32,
    pub(crate) budget: Arc<Budget>,
    /// The gates of every pipeline that a batch passes, through connectors as well.
    pub(crate) gates: Arc<[Arc<dyn Gate>]>,
    /// The lowest ceiling that a gate sets.
    pub(crate) ceiling: Option<Ceiling>,
    /// Every queue that a batch reaches.
    pub(crate) sinks: Arc<[Arc<dyn Sink>]>,
    pub(crate) promise: Promise,
    /// Set when the process takes no more data.
    pub(crate) closing: Arc<AtomicBool>,
    /// Where the next batch is run that comes from a thread that is no worker's.
    pub(crate) turn: Arc<AtomicU64>,
    /// Items whose batch was dropped without an answer for its sender, who hears of a failure.
    pub(crate) lost_receipts: Counter,
    pub(crate) metrics: Metrics,
    pub(crate) transport: &'static str,
    /// Made at the first use, so that a door that nobody uses shows no series.
    pub(crate) counts: OnceLock<DoorCounts>,
}

/// What a door counts, under the Collector's names.
#[derive(Clone, Debug)]
pub(crate) struct DoorCounts {
    accepted: Counter,
    refused: Counter,
    failed: Counter,
    /// Requests turned away before anything behind the door saw them, by what was full.
    budget: Counter,
    queue: Counter,
    gate: Counter,
    share: Counter,
    stopping: Counter,
}

impl DoorCounts {
    /// The series of one receiver, signal and transport.
    fn new(metrics: &Metrics, signal: Signal, transport: &str) -> Self {
        let labels = [("transport", transport), ("signal", signal.name())];
        let items = |word: &str, help: &str| {
            let name = format!("otelcol_receiver_{word}_{}", signal.items());
            metrics.counter(&name, help, &labels[..1])
        };
        let turned = |reason: &str| {
            let labels = [labels[0], labels[1], ("reason", reason)];
            let help = "Requests turned away at the door, by reason.";
            metrics.counter("tidegate_receiver_refused_requests", help, &labels)
        };
        Self {
            accepted: items("accepted", "Items brought into the pipelines."),
            refused: items("refused", "Items that the pipelines did not take."),
            failed: items("failed", "Items that failed within the process."),
            budget: turned("budget"),
            queue: turned("queue"),
            gate: turned("gate"),
            share: turned("share"),
            stopping: turned("stopping"),
        }
    }
}

impl Port {
    fn signal(&self) -> Signal {
        self.graph.doors[self.door as usize].signal
    }

    fn counts(&self) -> &DoorCounts {
        let make = || DoorCounts::new(&self.metrics, self.signal(), self.transport);
        self.counts.get_or_init(make)
    }

    /// Asks everything but the budget for room.
    fn open(&self, bytes: usize, sender: &Context) -> Result<(), Shut> {
        if self.closing.load(Acquire) {
            return Err(refuse(&self.counts().stopping, "shutting down"));
        }
        for gate in &*self.gates {
            if let Some(refusal) = gate.refusal(bytes, sender) {
                self.counts().gate.add(1);
                return Err(Shut::Refused(refusal));
            }
        }
        for sink in &*self.sinks {
            match sink.room() {
                Room::Free => {}
                Room::Later => return Err(Shut::Full),
                Room::Refused(refusal) => {
                    self.counts().queue.add(1);
                    return Err(Shut::Refused(refusal));
                }
            }
            if sender
                .client()
                .is_some_and(|client| self.crowds(client, &**sink))
            {
                return Err(refuse(&self.counts().share, QUEUE_SHARE));
            }
        }
        Ok(())
    }

    /// Whether a client holds more of a queue that refuses than its share.
    ///
    /// What it holds of the queue is reckoned from what it holds of the budget.
    fn crowds(&self, client: &Client, sink: &dyn Sink) -> bool {
        let Some((size, capacity)) = sink.fill() else {
            return false;
        };
        let free = capacity.saturating_sub(size);
        if is_fair(size, 0, free) {
            return false;
        }
        let used = self.budget.used().max(1);
        let held = client.held().min(used);
        let part = (size as u128 * held as u128 / used as u128) as usize;
        !is_fair(part, 0, free)
    }

    /// Reserves room in the budget for a client.
    fn reserve(&self, bytes: usize, client: Option<&Client>) -> Result<Admission, Shut> {
        let ceiling = self.ceiling.map_or(usize::MAX, |ceiling| ceiling.bytes);
        let admission = self.budget.admit(bytes, client, ceiling);
        admission.map_err(|full| match (full, self.ceiling) {
            (NoRoom::Share, _) => refuse(&self.counts().share, BUDGET_SHARE),
            (NoRoom::Ceiling, Some(ceiling)) => refuse(&self.counts().gate, ceiling.reason),
            (NoRoom::Ceiling, None) | (NoRoom::Spent, _) => {
                refuse(&self.counts().budget, "the memory budget is spent")
            }
        })
    }

    /// Charges every gate for a request, or none where one refuses it.
    fn charge(&self, payload: &Payload, sender: &Context) -> Result<(), Refusal> {
        for (at, gate) in self.gates.iter().enumerate() {
            if let Err(refusal) = gate.charge(payload, sender) {
                for charged in &self.gates[..at] {
                    charged.discharge(payload, sender);
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Counts an answer and passes it on.
    fn answer(&self, outcome: Outcome, items: usize) -> Outcome {
        let counts = self.counts();
        let counter = match &outcome {
            kept if kept.is_kept() => &counts.accepted,
            Outcome::Lost => {
                self.lost_receipts.add(items as u64);
                &counts.failed
            }
            _ => &counts.refused,
        };
        counter.add(items as u64);
        outcome
    }

    /// The worker for a batch that comes from elsewhere.
    fn next_worker(&self) -> usize {
        let workers = self.graph.workers() as u64;
        usize::try_from(self.turn.fetch_add(1, Relaxed) % workers).unwrap_or(0)
    }
}

fn refuse(counter: &Counter, reason: &'static str) -> Shut {
    counter.add(1);
    Shut::Refused(refusal(reason))
}

const fn refusal(reason: &'static str) -> Refusal {
    Refusal::new(reason, COME_AGAIN)
}

/// What a client hears that holds most of what is full.
const BUDGET_SHARE: &str = "memory is short, and this client holds more than its share of it";
const QUEUE_SHARE: &str = "a queue is nearly full, and this client holds more than its share of it";

fn by(until: Option<Instant>) -> Instant {
    until.unwrap_or_else(|| Instant::now() + LONGEST_WAIT)
}

/// Counts items as refused when the sender goes before it is answered.
struct Unanswered<'a>(&'a Counter, u64);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

#[async_trait]
impl IntakePort for Port {
    fn admit(&self, bytes: usize, sender: &Context) -> Result<Admission, Shut> {
        self.open(bytes, sender)?;
        self.reserve(bytes, sender.client())
    }

    async fn enter(
        &self,
        bytes: usize,
        sender: &Context,
        until: Option<Instant>,
    ) -> Result<Admission, Refusal> {
        let look = || match self.admit(bytes, sender) {
            Ok(admission) => Some(Ok(admission)),
            Err(Shut::Refused(refusal)) => Some(Err(refusal)),
            Err(Shut::Full) => None,
        };
        let waited = timeout_at(by(until), self.budget.wait(look)).await;
        waited.unwrap_or_else(|_| {
            self.counts().queue.add(1);
            Err(refusal("a queue stays full"))
        })
    }

    async fn ready(&self, bytes: usize) -> Admission {
        let nobody = Context::default();
        let look = || {
            self.open(bytes, &nobody).ok()?;
            // More than the whole budget would never get in: it gets in alone.
            let alone = self.budget.used() == 0;
            let admission = self.reserve(bytes, None).ok();
            admission.or_else(|| alone.then(|| self.budget.overdraw(bytes)))
        };
        self.budget.wait(look).await
    }

    fn offer(&self, payload: Payload, context: Context) -> Offered {
        let items = payload.items();
        if items == 0 {
            return Offered::Settled(Outcome::Delivered);
        }
        debug_assert_eq!(payload.signal(), self.signal());
        if self.graph.shut.load(Acquire) {
            let outcome = Outcome::Refused(refusal("shutting down"));
            return Offered::Settled(self.answer(outcome, items));
        }
        if let Err(refusal) = self.charge(&payload, &context) {
            self.counts().gate.add(1);
            self.counts().refused.add(items as u64);
            return Offered::Refused(refusal);
        }
        let (receipt, pending) = Receipt::new();
        let batch = Batch::new(payload, context, receipt);
        let place = Place::Door(self.door);
        match local(self.graph.id) {
            Some(local) => local.run(place, batch),
            None => self.graph.hand_over(self.next_worker(), place, batch),
        }
        match pending.now() {
            Some(outcome) => Offered::Settled(self.answer(outcome, items)),
            None => Offered::Open(pending),
        }
    }

    async fn wait(&self, pending: Pending, items: usize, until: Option<Instant>) -> Outcome {
        let unanswered = Unanswered(&self.counts().refused, items as u64);
        let outcome = timeout_at(by(until), pending.outcome()).await;
        std::mem::forget(unanswered);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(_) => {
                pending.expire();
                let late = || Outcome::Refused(refusal("no answer in time"));
                pending.now().unwrap_or_else(late)
            }
        };
        self.answer(outcome, items)
    }

    fn promise(&self) -> Promise {
        self.promise
    }

    fn failed(&self, items: usize) {
        self.counts().failed.add(items as u64);
    }

    fn over(&self, transport: &'static str) -> Arc<dyn IntakePort> {
        Arc::new(Self {
            transport,
            counts: OnceLock::new(),
            ..self.clone()
        })
    }
}
