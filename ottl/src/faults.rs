//! How components meet faults of statements and conditions.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::metrics::Counter;
use tidegate_component::{BuildContext, BuildError, Outbox, Reason};
use tidegate_pdata::{Batch, Context, Payload, Receipt};

use crate::error::Error;
use crate::fault::Fault;

/// What happens when a statement or condition fails for a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ErrorMode {
    /// It is counted and logged, and the next one is carried out.
    #[default]
    Ignore,
    /// It is counted, and the next one is carried out.
    Silent,
    /// The whole batch is turned away.
    Propagate,
}

/// Meets the faults of a component's statements.
#[derive(Debug)]
pub struct Faults {
    count: Counter,
    reason: Reason,
    seen: u64,
    /// The first of the batch that turns it away.
    propagated: Option<String>,
}

impl Faults {
    /// Meets them for a component.
    #[must_use]
    pub fn new(cx: &BuildContext) -> Self {
        let help = "Statements and conditions that failed for a record.";
        Self {
            count: cx.metrics.counter("tidegate_statement_errors", help, &[]),
            reason: cx.reason("statement_failed"),
            seen: 0,
            propagated: None,
        }
    }

    /// Meets a fault; says whether the batch is turned away.
    #[cold]
    pub fn meet(&mut self, text: &str, fault: &Fault, mode: ErrorMode) -> bool {
        self.count.add(1);
        match mode {
            ErrorMode::Propagate => {
                self.propagated
                    .get_or_insert_with(|| format!("the statement `{text}` failed: {fault}"));
                return true;
            }
            ErrorMode::Ignore => {
                self.seen += 1;
                // One line for the first, the tenth, the hundredth: never one for each record.
                if self.seen.ilog10() > (self.seen - 1).checked_ilog10().unwrap_or(0)
                    || self.seen == 1
                {
                    let count = self.seen;
                    tracing::warn!(statement = text, %fault, count, "a statement failed");
                }
            }
            ErrorMode::Silent => {}
        }
        false
    }

    /// Whether the batch at hand is turned away.
    #[must_use]
    pub const fn is_propagated(&self) -> bool {
        self.propagated.is_some()
    }

    /// Turns a batch away if a fault asked for that; gives it back otherwise.
    pub fn turn_away(&mut self, batch: Batch, out: &mut Outbox) -> Option<Batch> {
        match self.propagated.take() {
            Some(message) => {
                out.reject(batch, &self.reason, message.into());
                None
            }
            None => Some(batch),
        }
    }

    /// Passes on what was made of a batch, or turns away what it was.
    pub fn finish(
        &mut self,
        original: Option<Payload>,
        edited: Payload,
        (context, receipt): (Context, Receipt),
        out: &mut Outbox,
    ) -> bool {
        match (self.propagated.take(), original) {
            (Some(message), Some(original)) => {
                let batch = Batch::new(original, context, receipt);
                out.reject(batch, &self.reason, message.into());
                false
            }
            _ => {
                out.push(Batch::new(edited, context, receipt));
                true
            }
        }
    }
}

/// A fault in a text of the configuration, at its key.
#[must_use]
pub fn build_error(path: &str, error: &Error) -> BuildError {
    let build_error = BuildError::at(path, error.to_string());
    match &error.remedy {
        Some(remedy) => build_error.remedy(remedy.clone()),
        None => build_error,
    }
}
