//! What a sink has seen.

use serde::{Deserialize, Serialize};

use crate::count::Tally;
use crate::signal::Signal;

/// Counts since the start or the last reset, printed as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) traces: Tally,
    pub(crate) logs: Tally,
    pub(crate) metrics: Tally,
    /// Requests that were taken.
    pub(crate) requests: u64,
    /// Bytes of their bodies, as they came over the wire.
    pub(crate) wire_bytes: u64,
    /// Items of the largest request.
    pub(crate) largest_request: u64,
    /// Requests that were failed on purpose; their items are not counted.
    pub(crate) failed: u64,
    /// Requests that could not be read; their items are not counted.
    pub(crate) malformed: u64,
}

impl Counts {
    pub(crate) fn of(&self, signal: Signal) -> Tally {
        match signal {
            Signal::Traces => self.traces,
            Signal::Logs => self.logs,
            Signal::Metrics => self.metrics,
        }
    }

    pub(super) fn add(&mut self, signal: Signal, tally: Tally, wire_bytes: usize) {
        let total = match signal {
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
            Signal::Metrics => &mut self.metrics,
        };
        *total += tally;
        self.requests += 1;
        self.wire_bytes += wire_bytes as u64;
        self.largest_request = self.largest_request.max(tally.items);
    }
}
