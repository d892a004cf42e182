//! Isolation: finds the records for which a peer rejects a batch, so that only they are lost.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tidegate_component::ExportError;
use tokio::time::Instant;

use super::attempt::{Failure, chain, wish};
use super::books::Why;
use super::job::{EXTRA_CALLS, Job};
use super::lane::Lane;
use super::pieces;

/// The fewest extra calls that are made for a peer that rejects everything.
const LEAST_CALLS: u32 = 2;

/// One batch being halved until only what the peer rejects is left.
///
/// Parts are tried in the order of their size, so that the calls there are serve all alike.
struct Isolation<'a> {
    lane: &'a Lane,
    /// Whether nothing else of its log is in flight.
    alone: bool,
    reason: &'a str,
    /// Calls that are left.
    calls: u32,
    /// Calls that are left over because the peer has lately rejected everything.
    spared: u32,
    /// Parts that were rejected, to be halved.
    rejected: VecDeque<Job>,
    /// Whether the peer took a part.
    taken: bool,
    /// What the peer failed with meanwhile: what is left waits.
    away: Option<(String, Option<Duration>)>,
}

impl Lane {
    /// Halves a batch that the peer rejected until only what it rejects is left, and drops that.
    pub(super) async fn isolate(&self, job: Job, reason: &str, alone: bool) {
        let calls = job.calls.min(self.patience.load(Relaxed));
        let mut isolation = Isolation {
            lane: self,
            alone,
            reason,
            calls,
            spared: job.calls - calls,
            rejected: VecDeque::from([job]),
            taken: false,
            away: None,
        };
        while let Some(whole) = isolation.rejected.pop_front() {
            isolation.halve(whole).await;
        }
        isolation.conclude();
    }
}

impl Isolation<'_> {
    async fn halve(&mut self, mut whole: Job) {
        if self.away.is_some() {
            self.part(whole).await;
            return;
        }
        let halves = (self.calls >= 2)
            .then(|| pieces::halve(whole.batch().payload()))
            .flatten();
        let Some((front, rest)) = halves else {
            self.lane.give_up(whole, Why::Permanent, self.reason);
            return;
        };
        let front = whole.cut(front, rest);
        self.part(front).await;
        self.part(whole).await;
    }

    async fn part(&mut self, mut part: Job) {
        if let Some((error, asked)) = &self.away {
            part.calls = self.calls;
            self.lane.retry(part, *asked, error);
            return;
        }
        self.calls -= 1;
        part.begin(Instant::now());
        match self.lane.call(&part, self.alone).await {
            Ok(delivered) => {
                self.taken = true;
                // The peer is not one that rejects everything: no call need be spared.
                self.calls += std::mem::take(&mut self.spared);
                part.delivered(&delivered, &self.lane.health);
            }
            Err(Failure::Export(ExportError::Permanent {
                divisible: true, ..
            })) if part.items() > 1 => self.rejected.push_back(part),
            Err(Failure::Export(error @ ExportError::Permanent { .. })) => {
                self.lane.give_up(part, Why::Permanent, &chain(&error));
            }
            Err(Failure::Export(error)) => {
                let asked = wish(&error);
                let error = chain(&error);
                part.calls = self.calls;
                self.lane.retry(part, asked, &error);
                self.away = Some((error, asked));
            }
            Err(panic) => self.lane.fail(part, panic),
        }
    }

    fn conclude(self) {
        let patience = &self.lane.patience;
        if self.taken {
            patience.store(EXTRA_CALLS, Relaxed);
            if self.away.is_none() {
                self.lane.health.well();
            }
        } else if self.away.is_none() {
            let fewer = (patience.load(Relaxed) / 2).max(LEAST_CALLS);
            patience.store(fewer, Relaxed);
            self.lane.health.failed(self.reason, self.lane.last_fate());
        }
    }
}
