//! Dead letters: what an exporter gives up for good goes to another one, which keeps it
//! (`on_permanent_error`).
//!
//! The letter is a batch with a receipt of its own. Until that is settled, the items stay in the
//! books of the exporter that gave them up, and the record that keeps them on disk is not marked:
//! a death in between brings them back. What the other exporter does not take is dropped for the
//! reason for which it was given up, and never comes a second time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

use tidegate_component::metrics::{Counter, Metrics};
use tidegate_pdata::{Batch, Context, Outcome, Payload, Receipt, Recourse, Signal};

use super::books::Why;
use super::health::Health;
use super::job::{Ending, Job};
use crate::sink::{Post, SinkSettings};

/// The way of one signal's dead letters.
#[derive(Clone)]
pub(super) struct Letters {
    post: Post,
    office: Arc<Office>,
}

/// What letters on their way need of the exporter that they come from.
#[derive(Debug)]
struct Office {
    /// Who takes them.
    to: Box<str>,
    health: Arc<Health>,
    /// Whether the exporter has come to its end: what is on disk stays there.
    closed: AtomicBool,
    kept: Kept,
}

impl Office {
    fn were_kept(&self, why: Why, items: usize, error: &str) {
        if items > 0 {
            self.kept.add(why, items);
            self.health.kept(why, items, &self.to, error);
        }
    }

    fn refused(&self, outcome: &Outcome) -> String {
        let said = match outcome {
            Outcome::Refused(refusal) => &refusal.reason,
            Outcome::Rejected(reason) => &**reason,
            _ => "it was lost there",
        };
        format!("`{}` did not keep it: {said}", self.to)
    }
}

/// Items that were kept, by the reason for which they were given up.
#[derive(Debug)]
struct Kept([(Why, Counter); 4]);

impl Kept {
    /// The reasons for which items become dead letters.
    const REASONS: [Why; 4] = [
        Why::Permanent,
        Why::RetryExhausted,
        Why::RetryOff,
        Why::Panic,
    ];

    fn new(metrics: &Metrics, signal: Signal) -> Self {
        Self(Self::REASONS.map(|why| (why, super::meters::letters(metrics, signal, why.name()))))
    }

    fn add(&self, why: Why, items: usize) {
        if let Some((_, counter)) = self.0.iter().find(|(reason, _)| *reason == why) {
            counter.add(items as u64);
        }
    }
}

impl std::fmt::Debug for Letters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.office.fmt(f)
    }
}

impl Letters {
    /// The dead letters of an exporter and signal, where its keys name who takes them.
    pub(super) fn of(around: &SinkSettings, health: &Arc<Health>) -> Option<Self> {
        let letters = around.letters.as_ref()?;
        Some(Self {
            post: Arc::clone(&letters.post),
            office: Arc::new(Office {
                to: letters.to.as_str().into(),
                health: Arc::clone(health),
                closed: AtomicBool::new(false),
                kept: Kept::new(&around.metrics, around.signal),
            }),
        })
    }

    /// Leaves on disk what is on disk and on its way, where it is not taken from here on.
    pub(super) fn close(&self) {
        self.office.closed.store(true, Release);
    }

    /// Has what is not charged for here any more kept, and says how; or why it is not.
    pub(super) async fn keep(&self, payload: Payload) -> Result<Outcome, String> {
        let (receipt, pending) = Receipt::new();
        let batch = Batch::new(payload, Context::default(), receipt);
        let outcome = match (self.post)(batch) {
            Ok(()) => pending.outcome().await,
            Err(_) => super::job::outcome(Why::QueueFull, ""),
        };
        match outcome.is_kept() {
            true => Ok(outcome),
            false => Err(self.office.refused(&outcome)),
        }
    }

    /// Tells and counts that items were kept.
    pub(super) fn were_kept(&self, why: Why, items: usize, error: &str) {
        self.office.were_kept(why, items, error);
    }

    fn send(&self, job: Job, why: Why, error: &str) {
        let (payload, context, ending) = job.into_ending();
        let letter = Letter {
            ending,
            why,
            error: error.into(),
            office: Arc::clone(&self.office),
        };
        let receipt = Receipt::with_recourse(Box::new(letter));
        if let Err(batch) = (self.post)(Batch::new(payload, context, receipt)) {
            let full = super::job::outcome(Why::QueueFull, "");
            batch.into_parts().2.settle(&full);
        }
    }
}

/// Ends a batch that will not be tried again: as a dead letter, where there is who takes it.
pub(super) fn give_up(letters: Option<&Letters>, job: Job, why: Why, error: &str, health: &Health) {
    match letters.filter(|_| is_letter(&job, why)) {
        Some(letters) => letters.send(job, why, error),
        None => job.dropped(why, error, health),
    }
}

/// Whether a batch would be lost otherwise. What another way is known for, and what its sender
/// can send again, is not.
fn is_letter(job: &Job, why: Why) -> bool {
    let again = matches!(why, Why::RetryExhausted | Why::RetryOff) && job.is_awaited();
    Kept::REASONS.contains(&why) && !again && !job.has_recourse()
}

/// A batch that was given up, until it is known whether it is kept.
#[derive(Debug)]
struct Letter {
    ending: Ending,
    why: Why,
    error: Box<str>,
    office: Arc<Office>,
}

impl Recourse for Letter {
    fn settled(self: Box<Self>, outcome: Outcome) {
        let Self {
            ending,
            why,
            error,
            office,
        } = *self;
        let items = ending.items();
        if outcome.is_kept() {
            office.were_kept(why, items, &error);
            ending.passed_on(why, &outcome);
            return;
        }
        let ending = match office.closed.load(Acquire) {
            true => match ending.leave() {
                Ok(()) => return,
                Err(ending) => ending,
            },
            false => ending,
        };
        let error = format!("{error}; {}", office.refused(&outcome));
        ending.dropped(why, &error, &office.health);
    }

    fn is_expired(&self) -> bool {
        self.ending.is_expired()
    }

    // It is delivered as if a sender waited for it: with retries, and from a queue.
    fn hurries(&self) -> bool {
        false
    }
}
