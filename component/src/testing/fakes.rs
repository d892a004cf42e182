//! Fakes of what stands around a component.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tidegate_document::ComponentId;
use tidegate_journal::{Log, Stored};
use tidegate_pdata::{
    Batch, Budget, Context, Outcome, Payload, Pending, Refusal, Reservation, Signal,
};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::status::{LedgerRow, Phase, PipelineStatus, StatusSource};
use crate::{
    Admission, Delivered, ExportError, Exporter, Intake, IntakePort, Offered, Promise,
    ReceiverContext, Shut, StartError, Storage, Task, WorkerPool, Workers,
};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calling thread as the only worker, on the runtime that it is in.
#[derive(Debug)]
pub struct HereWorkers(Handle);

impl HereWorkers {
    /// A handle to it; to be asked for within a current-thread runtime.
    #[must_use]
    pub fn workers() -> Workers {
        Workers::new(Arc::new(Self(Handle::current())))
    }
}

impl WorkerPool for HereWorkers {
    fn count(&self) -> usize {
        1
    }

    fn spawn(&self, _: usize, task: Task) {
        self.0.spawn(task);
    }

    fn current(&self) -> Option<usize> {
        Some(0)
    }

    fn next(&self) -> usize {
        0
    }
}

/// A failure that passes.
#[must_use]
pub fn unavailable() -> ExportError {
    ExportError::Retryable {
        endpoint: "peer:4317".into(),
        source: "connection refused".into(),
    }
}

type Answer = Box<dyn Fn() -> Result<Delivered, ExportError> + Send + Sync>;

/// An exporter whose peer answers by a script, and takes everything when that is over.
#[derive(Default)]
pub struct FakePeer {
    script: Mutex<VecDeque<Answer>>,
    always: Option<Answer>,
    taken: Mutex<Vec<Payload>>,
    calls: Mutex<Vec<Instant>>,
}

impl FakePeer {
    /// A peer that always fails like this.
    #[must_use]
    pub fn always(failure: impl Fn() -> ExportError + Send + Sync + 'static) -> Self {
        Self {
            always: Some(Box::new(move || Err(failure()))),
            ..Self::default()
        }
    }

    /// Adds an answer to the script.
    #[must_use]
    pub fn then(
        self,
        answer: impl Fn() -> Result<Delivered, ExportError> + Send + Sync + 'static,
    ) -> Self {
        lock(&self.script).push_back(Box::new(answer));
        self
    }

    /// What it took.
    #[must_use]
    pub fn taken(&self) -> Vec<Payload> {
        lock(&self.taken).clone()
    }

    /// Items that it took.
    #[must_use]
    pub fn items(&self) -> usize {
        lock(&self.taken).iter().map(Payload::items).sum()
    }

    /// When it was called.
    #[must_use]
    pub fn calls(&self) -> Vec<Instant> {
        lock(&self.calls).clone()
    }
}

#[async_trait]
impl Exporter for FakePeer {
    async fn export(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        lock(&self.calls).push(Instant::now());
        let next = lock(&self.script).pop_front();
        let answer = match (next.as_ref(), self.always.as_ref()) {
            (Some(answer), _) | (None, Some(answer)) => answer(),
            (None, None) => Ok(Delivered::default()),
        };
        if answer.is_ok() {
            lock(&self.taken).push(batch.payload().clone());
        }
        answer
    }
}

/// The pipelines behind a receiver: takes what comes and answers as it is told.
pub struct FakeDoor {
    budget: Arc<Budget>,
    shut: Mutex<Option<Shut>>,
    /// None leaves senders waiting.
    outcome: Mutex<Option<Outcome>>,
    taken: Mutex<Vec<(Payload, Context)>>,
    transports: Mutex<Vec<&'static str>>,
    untils: Mutex<Vec<Option<Instant>>>,
    failed: Mutex<usize>,
}

impl Default for FakeDoor {
    fn default() -> Self {
        Self {
            budget: Budget::new(usize::MAX),
            shut: Mutex::default(),
            outcome: Mutex::new(Some(Outcome::TakenOver)),
            taken: Mutex::default(),
            transports: Mutex::default(),
            untils: Mutex::default(),
            failed: Mutex::default(),
        }
    }
}

impl FakeDoor {
    /// A door before a budget of this many bytes.
    #[must_use]
    pub fn within(bytes: usize) -> Self {
        Self {
            budget: Budget::new(bytes),
            ..Self::default()
        }
    }

    /// What a receiver is started with, this door standing for all three signals.
    ///
    /// To be asked for within a current-thread runtime, which becomes the only worker.
    #[must_use]
    pub fn receiver(self: &Arc<Self>, id: ComponentId) -> ReceiverContext {
        ReceiverContext {
            id,
            workers: HereWorkers::workers(),
            budget: Arc::clone(&self.budget),
            intakes: Signal::ALL.map(|_| Some(self.intake())),
        }
    }

    /// The door as receivers see it.
    #[must_use]
    pub fn intake(self: &Arc<Self>) -> Intake {
        Intake::new(Arc::new(Port(Arc::clone(self))))
    }

    /// Shuts the door, or opens it.
    pub fn shut(&self, shut: Option<Shut>) {
        *lock(&self.shut) = shut;
        self.budget.ring();
    }

    /// Answers like this from now on; none leaves senders without an answer.
    pub fn answer(&self, outcome: Option<Outcome>) {
        *lock(&self.outcome) = outcome;
    }

    /// Takes what came in.
    #[must_use]
    pub fn take(&self) -> Vec<(Payload, Context)> {
        std::mem::take(&mut lock(&self.taken))
    }

    /// Items that came in since the last [`FakeDoor::take`].
    #[must_use]
    pub fn items(&self) -> usize {
        lock(&self.taken)
            .iter()
            .map(|(payload, _)| payload.items())
            .sum()
    }

    /// The transports under which the receiver counts.
    #[must_use]
    pub fn transports(&self) -> Vec<&'static str> {
        lock(&self.transports).clone()
    }

    /// The times by which senders wanted to be answered that had to wait.
    #[must_use]
    pub fn untils(&self) -> Vec<Option<Instant>> {
        lock(&self.untils).clone()
    }

    /// Items that the receiver could not bring in.
    #[must_use]
    pub fn failed(&self) -> usize {
        *lock(&self.failed)
    }

    /// The budget before which it stands.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    fn admit(&self, bytes: usize) -> Result<Reservation, Shut> {
        if let Some(shut) = lock(&self.shut).clone() {
            return Err(shut);
        }
        self.budget.try_reserve(bytes).ok_or_else(|| {
            Shut::Refused(Refusal::new(
                "the memory budget is spent",
                std::time::Duration::from_secs(1),
            ))
        })
    }
}

struct Port(Arc<FakeDoor>);

#[async_trait]
impl IntakePort for Port {
    fn admit(&self, bytes: usize, _: &Context) -> Result<Admission, Shut> {
        self.0.admit(bytes)
    }

    async fn enter(
        &self,
        bytes: usize,
        _: &Context,
        until: Option<Instant>,
    ) -> Result<Admission, Refusal> {
        lock(&self.0.untils).push(until);
        let look = || match self.0.admit(bytes) {
            Ok(admission) => Some(Ok(admission)),
            Err(Shut::Refused(refusal)) => Some(Err(refusal)),
            Err(Shut::Full) => None,
        };
        self.0.budget.wait(look).await
    }

    async fn ready(&self, bytes: usize) -> Admission {
        self.0.budget.wait(|| self.0.admit(bytes).ok()).await
    }

    fn offer(&self, payload: Payload, context: Context) -> Offered {
        lock(&self.0.taken).push((payload, context));
        match lock(&self.0.outcome).clone() {
            Some(outcome) => Offered::Settled(outcome),
            None => Offered::Open(tidegate_pdata::Receipt::new().1),
        }
    }

    async fn wait(&self, _: Pending, _: usize, until: Option<Instant>) -> Outcome {
        lock(&self.0.untils).push(until);
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
        Outcome::Refused(Refusal::new(
            "no answer in time",
            std::time::Duration::from_secs(1),
        ))
    }

    fn promise(&self) -> Promise {
        Promise::Memory
    }

    fn failed(&self, items: usize) {
        *lock(&self.0.failed) += items;
    }

    fn over(&self, transport: &'static str) -> Arc<dyn IntakePort> {
        lock(&self.0.transports).push(transport);
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

/// A storage that can be named and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeStorage;

impl Storage for FakeStorage {
    fn promise(&self) -> Promise {
        Promise::Memory
    }

    fn max_age(&self) -> Option<std::time::Duration> {
        None
    }

    fn log(&self, name: &str) -> Result<Log, StartError> {
        let message = format!("cannot open the log {name:?}");
        Err(StartError::new(message, "this storage keeps nothing"))
    }

    fn unclaimed(&self) -> Result<Vec<Stored>, StartError> {
        Ok(Vec::new())
    }

    fn flush(&self) {}
}

/// A process that runs and has no pipelines, as extensions see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdleStatus;

impl StatusSource for IdleStatus {
    fn phase(&self) -> Phase {
        Phase::Running
    }

    fn pipelines(&self) -> Vec<PipelineStatus> {
        Vec::new()
    }

    fn ledger(&self) -> Vec<LedgerRow> {
        Vec::new()
    }
}
