//! What came of a load run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use crate::count::Tally;

/// Counts of one lane, or of all of them together.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) accepted: Tally,
    pub(super) rejected_items: u64,
    pub(super) requests: u64,
    pub(super) refused_requests: u64,
    pub(super) given_up: Tally,
    pub(super) unanswered: Tally,
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) latency: Histogram,
}

/// Reasons kept apart; what comes after these is counted under the last.
const MAX_REASONS: usize = 20;

impl Outcome {
    pub(super) fn accept(&mut self, tally: Tally, rejected: u64, latency: Duration) {
        self.requests += 1;
        self.accepted += tally;
        self.rejected_items += rejected;
        self.latency.record(latency);
    }

    pub(super) fn give_up(&mut self, tally: Tally, reason: String) {
        self.given_up += tally;
        self.note(reason);
    }

    /// Counts an attempt whose fate is unknown: the items may have arrived.
    pub(super) fn unanswered(&mut self, tally: Tally, error: &anyhow::Error) {
        self.unanswered += tally;
        self.note(format!("{error:#}"));
    }

    fn note(&mut self, reason: String) {
        let reason = if self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&reason) {
            reason
        } else {
            "other".to_owned()
        };
        *self.reasons.entry(reason).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: Outcome) {
        self.accepted += other.accepted;
        self.rejected_items += other.rejected_items;
        self.requests += other.requests;
        self.refused_requests += other.refused_requests;
        self.given_up += other.given_up;
        self.unanswered += other.unanswered;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self.latency.merge(&other.latency);
    }
}

/// The figures of a run, printed as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What the receiver accepted; each request once, however often it was sent.
    pub(crate) accepted: Tally,
    /// Items that partial successes named as rejected.
    pub(crate) rejected_items: u64,
    pub(crate) requests: u64,
    /// Attempts answered by "not now".
    pub(crate) refused_requests: u64,
    /// Items that were never accepted.
    pub(crate) given_up: Tally,
    /// Items of attempts that got no answer: sent again, so a sink may see them twice.
    pub(crate) unanswered: Tally,
    /// Why attempts failed, and how often.
    pub(crate) reasons: BTreeMap<String, u64>,
    pub(crate) seconds: f64,
    pub(crate) items_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Report {
    pub(super) fn new(outcome: Outcome, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            accepted: outcome.accepted,
            rejected_items: outcome.rejected_items,
            requests: outcome.requests,
            refused_requests: outcome.refused_requests,
            given_up: outcome.given_up,
            unanswered: outcome.unanswered,
            reasons: outcome.reasons,
            seconds,
            items_per_second: outcome.accepted.items as f64 / seconds.max(1e-9),
            p50_us: outcome.latency.quantile(0.5),
            p99_us: outcome.latency.quantile(0.99),
            max_us: outcome.latency.quantile(1.0),
        }
    }
}
