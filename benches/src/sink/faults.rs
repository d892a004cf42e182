//! Slowness and failure on purpose.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How a sink misbehaves.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Faults {
    /// Milliseconds by which each answer is delayed
    #[arg(long, default_value_t = 0)]
    pub(crate) delay_ms: u64,
    /// Requests answered per second at most; the others wait their turn
    #[arg(long)]
    pub(crate) max_rps: Option<f64>,
    /// Share of requests that fail, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub(crate) fail_rate: f64,
    /// What the failing ones are answered
    #[arg(long, value_enum, default_value_t = Failure::Unavailable)]
    pub(crate) fail_status: Failure,
}

/// The answer that a failing request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// UNAVAILABLE, or 503: may be sent again
    #[default]
    Unavailable,
    /// RESOURCE_EXHAUSTED with a RetryInfo of a second, or 429 with Retry-After
    Exhausted,
    /// INVALID_ARGUMENT, or 400: never sent again
    Invalid,
}

/// The faults in force and the state that they need.
pub(super) struct Misbehaviour {
    state: Mutex<State>,
}

struct State {
    faults: Faults,
    next_turn: Option<Instant>,
    /// Adds up the failure rate; a request fails when a whole one has come together.
    owed: f64,
}

impl Misbehaviour {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            state: Mutex::new(State {
                faults,
                next_turn: None,
                owed: 0.0,
            }),
        }
    }

    pub(super) fn set(&self, faults: Faults) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.faults = faults;
        state.next_turn = None;
    }

    /// Says how long this request waits for its answer and whether it fails.
    pub(super) fn judge(&self, now: Instant) -> (Duration, Option<Failure>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wait = Duration::from_millis(state.faults.delay_ms);
        if let Some(rate) = state.faults.max_rps.filter(|&rate| rate > 0.0) {
            let turn = state.next_turn.unwrap_or(now).max(now);
            wait += turn - now;
            state.next_turn = Some(turn + Duration::from_secs_f64(1.0 / rate));
        }
        state.owed += state.faults.fail_rate.clamp(0.0, 1.0);
        let fails = state.owed >= 1.0;
        if fails {
            state.owed -= 1.0;
        }
        (wait, fails.then_some(state.faults.fail_status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_fails_at_a_rate_of_a_quarter() {
        let faults = Misbehaviour::new(Faults {
            fail_rate: 0.25,
            ..Faults::default()
        });
        let now = Instant::now();
        let failed = (0..100).filter(|_| faults.judge(now).1.is_some()).count();
        assert_eq!(failed, 25);
    }

    #[test]
    fn requests_past_the_rate_wait_their_turn() {
        let faults = Misbehaviour::new(Faults {
            max_rps: Some(10.0),
            ..Faults::default()
        });
        let now = Instant::now();
        let waits: Vec<_> = (0..3).map(|_| faults.judge(now).0.as_millis()).collect();
        assert_eq!(waits, [0, 100, 200]);
    }
}
