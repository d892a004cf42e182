//! The door: where a receiver hands telemetry to its pipelines.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tidegate_pdata::{Context, Outcome, Payload, Pending, Refusal, Reservation};
use tokio::time::Instant;

/// What a pipeline answers for when it says that it has a batch, from weakest to strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// A component holds it in memory.
    Memory,
    /// It is on disk.
    Durable,
    /// The far end has it.
    Delivered,
}

impl Promise {
    /// The word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Durable => "durable",
            Self::Delivered => "delivered",
        }
    }
}

/// Leave to bring a request in, held while its body arrives.
pub type Admission = Reservation;

/// Why the door does not open now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The sender is told to come again.
    Refused(Refusal),
    /// A queue is full whose owner wants senders to wait.
    Full,
}

/// What became of a payload by the time its chains had run.
#[derive(Debug)]
pub enum Offered {
    /// It is settled: so it always is where the promise is memory.
    Settled(Outcome),
    /// Something behind the door still works on it.
    Open(Pending),
    /// The door did not let it in: nothing behind it has seen any of it.
    Refused(Refusal),
}

/// What the engine implements for one receiver and signal.
#[async_trait]
pub trait IntakePort: Send + Sync {
    /// Asks every pipeline behind it for room for a sender.
    fn admit(&self, bytes: usize, sender: &Context) -> Result<Admission, Shut>;
    /// Waits for room while the door is [`Shut::Full`], at the latest until `until`.
    async fn enter(
        &self,
        bytes: usize,
        sender: &Context,
        until: Option<Instant>,
    ) -> Result<Admission, Refusal>;
    /// Waits for room, whatever shuts the door.
    async fn ready(&self, bytes: usize) -> Admission;
    /// Asks the gates that look at what is brought, and runs the chains, on this thread where it is a
    /// worker's.
    fn offer(&self, payload: Payload, context: Context) -> Offered;
    /// Waits for the outcome of `items` items, at the latest until `until`.
    async fn wait(&self, pending: Pending, items: usize, until: Option<Instant>) -> Outcome;
    /// What an answer is worth.
    fn promise(&self) -> Promise;
    /// Counts items that could not be brought in through the receiver's own fault.
    fn failed(&self, items: usize);
    /// The same door, which counts under this transport.
    fn over(&self, transport: &'static str) -> Arc<dyn IntakePort>;
}

/// A receiver's door to every pipeline of one signal that it feeds.
///
/// Usable from any thread; from a worker's thread the batch runs its chain right there.
#[derive(Clone)]
pub struct Intake(Arc<dyn IntakePort>);

impl Intake {
    /// A door on this port.
    #[must_use]
    pub fn new(port: Arc<dyn IntakePort>) -> Self {
        Self(port)
    }

    /// The same door, which counts under this transport: `grpc`, `http`.
    #[must_use]
    pub fn over(&self, transport: &'static str) -> Self {
        Self(self.0.over(transport))
    }

    /// Asks for room for `bytes` of this sender before a body is read.
    ///
    /// Answers at once, but where a full queue was told to make senders wait: then it answers by
    /// `until`, or by the engine's own bound. The admission grows and shrinks with
    /// [`Reservation::try_resize`] while the body comes in and inflates, and goes into the
    /// segment. A refusal says when to try again.
    pub async fn admit(
        &self,
        bytes: usize,
        sender: &Context,
        until: Option<Instant>,
    ) -> Result<Admission, Refusal> {
        match self.0.admit(bytes, sender) {
            Ok(admission) => Ok(admission),
            Err(Shut::Refused(refusal)) => Err(refusal),
            Err(Shut::Full) => self.0.enter(bytes, sender, until).await,
        }
    }

    /// Waits for room, as receivers do that can read their input again later.
    pub async fn ready(&self, bytes: usize) -> Admission {
        match self.0.admit(bytes, &Context::default()) {
            Ok(admission) => admission,
            Err(_) => self.0.ready(bytes).await,
        }
    }

    /// Brings a payload in and says how it ended.
    ///
    /// Counts it as accepted, refused or failed. At `until`, or after the engine's own bound
    /// where there is none, the answer is a refusal and what nobody took yet is discarded; a
    /// receiver sets it to four fifths of the time that its client gives.
    pub async fn deliver(
        &self,
        payload: Payload,
        context: Context,
        until: Option<Instant>,
    ) -> Outcome {
        let brought = self.bring(payload, context, until).await;
        brought.unwrap_or_else(Outcome::Refused)
    }

    /// Does what [`Intake::deliver`] does, for receivers that tell their clients whose fault a refusal is.
    ///
    /// # Errors
    /// When the door itself refuses what is brought, as over a quota: nothing behind it has seen
    /// any of it.
    pub async fn bring(
        &self,
        payload: Payload,
        context: Context,
        until: Option<Instant>,
    ) -> Result<Outcome, Refusal> {
        let items = payload.items();
        match self.0.offer(payload, context) {
            Offered::Settled(outcome) => Ok(outcome),
            Offered::Open(pending) => Ok(self.0.wait(pending, items, until).await),
            Offered::Refused(refusal) => Err(refusal),
        }
    }

    /// What a kept outcome is worth here.
    #[must_use]
    pub fn promise(&self) -> Promise {
        self.0.promise()
    }

    /// Counts items that could not be brought in through the receiver's own fault.
    pub fn failed(&self, items: usize) {
        self.0.failed(items);
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Intake").field(&self.promise()).finish()
    }
}

/// A condition under which a processor wants the door of its pipeline shut.
///
/// It is asked for each request: a few loads at most.
pub trait Gate: Send + Sync {
    /// Why a request of at least `bytes` bytes from this sender should not come in now; asked
    /// before its body is read. Nothing is charged yet: the request may be turned away elsewhere.
    fn refusal(&self, bytes: usize, sender: &Context) -> Option<Refusal>;

    /// Charges a request whose body has been read, or says why it should not come in after all.
    ///
    /// # Errors
    /// When it must not come in; nothing is charged then.
    fn charge(&self, _payload: &Payload, _sender: &Context) -> Result<(), Refusal> {
        Ok(())
    }

    /// Takes a charge back, as another gate refused the request.
    fn discharge(&self, _payload: &Payload, _sender: &Context) {}

    /// Bytes of the budget that may be used when a request has come in and inflated.
    fn ceiling(&self) -> Option<Ceiling> {
        None
    }
}

/// How much of the budget may be used as far as one gate goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// The bytes.
    pub bytes: usize,
    /// What is said when they are used.
    pub reason: &'static str,
}

/// The gates before one pipeline, set while its processors are built.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<Vec<Arc<dyn Gate>>>>);

impl Gates {
    /// Sets a gate; setting the same one again, as each worker's instance does, changes nothing.
    pub fn add(&self, gate: Arc<dyn Gate>) {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !gates.iter().any(|known| Arc::ptr_eq(known, &gate)) {
            gates.push(gate);
        }
    }

    /// The gates set so far.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<dyn Gate>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl std::fmt::Debug for Gates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gates").field(&self.list().len()).finish()
    }
}
