//! The door: where a receiver hands telemetry to its pipelines.

use std::sync::Arc;

use async_trait::async_trait;
use tidegate_pdata::{Context, Outcome, Payload, Refusal, Reservation};
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

/// Leave to bring a request in, held while its body arrives.
pub type Admission = Reservation;

/// What the engine implements for one receiver and signal.
#[async_trait]
pub trait IntakePort: Send + Sync {
    /// Asks every pipeline behind it for room.
    fn admit(&self, bytes: usize) -> Result<Admission, Refusal>;
    /// Waits for room.
    async fn ready(&self, bytes: usize) -> Admission;
    /// Brings a payload in and waits for its receipt, at the latest until `until`.
    async fn deliver(&self, payload: Payload, context: Context, until: Option<Instant>) -> Outcome;
    /// What an answer is worth.
    fn promise(&self) -> Promise;
    /// Counts items that could not be brought in through the receiver's own fault.
    fn failed(&self, items: usize);
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

    /// Asks for room for `bytes` before a body is read.
    ///
    /// The admission grows and shrinks with [`Reservation::try_resize`] while the body comes
    /// in and inflates, and goes into the segment. A refusal says when to try again.
    pub fn admit(&self, bytes: usize) -> Result<Admission, Refusal> {
        self.0.admit(bytes)
    }

    /// Waits for room, as receivers do that can read their input again later.
    pub async fn ready(&self, bytes: usize) -> Admission {
        self.0.ready(bytes).await
    }

    /// Brings a payload in and says how it ended.
    ///
    /// Counts it as accepted or refused. With `until`, or after the engine's own bound where
    /// there is none, the answer is a refusal and what nobody took yet is discarded.
    pub async fn deliver(
        &self,
        payload: Payload,
        context: Context,
        until: Option<Instant>,
    ) -> Outcome {
        self.0.deliver(payload, context, until).await
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
