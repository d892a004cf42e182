//! Receivers bring telemetry in.

use async_trait::async_trait;
use std::sync::Arc;
use tidegate_pdata::{Budget, Signal};

use crate::{Intake, StartError, Workers};
use tidegate_document::ComponentId;

/// Brings telemetry in.
#[async_trait]
pub trait Receiver: Send {
    /// Opens listeners or files, deals them over the workers, returns when ready to take data.
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError>;

    /// Stops taking data; returns when nothing is in flight.
    async fn stop(&mut self);
}

/// What a receiver gets at its start.
#[derive(Clone, Debug)]
pub struct ReceiverContext {
    /// Its name in the configuration.
    pub id: ComponentId,
    /// Where its connections and files run.
    pub workers: Workers,
    /// The byte budget of the process.
    pub budget: Arc<Budget>,
    /// The door per signal; none where no pipeline of the signal names the receiver.
    pub intakes: [Option<Intake>; 3],
}

impl ReceiverContext {
    /// The door of one signal; none where no pipeline of it names this receiver.
    #[must_use]
    pub const fn intake(&self, signal: Signal) -> Option<&Intake> {
        self.intakes[signal.index()].as_ref()
    }
}
