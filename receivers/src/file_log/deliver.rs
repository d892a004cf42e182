//! Handing batches to the pipelines until they answer for them.

use std::time::Duration;

use tidegate_component::{Intake, Reason};
use tidegate_pdata::{Context, Outcome, Payload, Refusal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long is waited for an answer before a batch is handed over again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a batch is handed over again that was lost on the way, as in a panic.
const LOST_TRIES: u32 = 3;

/// How what is refused is tried again.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) enabled: bool,
    pub(super) initial: Duration,
    pub(super) most: Duration,
    /// How long; none is for ever.
    pub(super) elapsed: Option<Duration>,
    pub(super) exhausted: Reason,
    pub(super) off: Reason,
    pub(super) rejected: Reason,
}

/// How the handing over of a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Somebody answers for it.
    Kept,
    /// Nobody ever will, and it is counted as lost.
    GivenUp,
    /// The process stops, and nobody answers for it yet.
    Stopped,
}

/// Hands a batch over until somebody answers for it, or the process stops.
pub(super) async fn deliver(
    payload: Payload,
    intake: Intake,
    retry: Retry,
    mut stopping: watch::Receiver<bool>,
) -> Ended {
    let begun = Instant::now();
    let mut wait = retry.initial;
    let mut lost = 0;
    loop {
        let until = Instant::now() + PATIENCE;
        let outcome = intake
            .deliver(payload.clone(), Context::default(), Some(until))
            .await;
        let refusal = match outcome {
            kept if kept.is_kept() => return Ended::Kept,
            Outcome::Refused(refusal) => refusal,
            Outcome::Lost if lost < LOST_TRIES => {
                lost += 1;
                Refusal::new("it was lost on its way", retry.initial)
            }
            Outcome::Rejected(why) => return give_up(&payload, &retry.rejected, &why),
            _ => {
                return give_up(
                    &payload,
                    &retry.rejected,
                    "it is lost on its way again and again",
                );
            }
        };
        if *stopping.borrow() || stopping.has_changed().is_err() {
            return Ended::Stopped;
        }
        if !retry.enabled {
            return give_up(&payload, &retry.off, &refusal.reason);
        }
        if retry.elapsed.is_some_and(|most| begun.elapsed() >= most) {
            return give_up(&payload, &retry.exhausted, &refusal.reason);
        }
        let pause = wait
            .max(refusal.after)
            .min(retry.most.max(Duration::from_millis(1)));
        wait = wait.saturating_mul(2).min(retry.most);
        tokio::select! {
            () = sleep(pause) => {}
            // Whoever stops is gone, or says so.
            _ = stopping.wait_for(|stopping| *stopping) => return Ended::Stopped,
        }
    }
}

fn give_up(payload: &Payload, reason: &Reason, why: &str) -> Ended {
    reason.add(payload.items());
    tracing::error!(
        records = payload.items(),
        reason = reason.name(),
        error = why,
        "log records that were read from files are lost"
    );
    Ended::GivenUp
}
