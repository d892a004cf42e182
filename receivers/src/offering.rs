//! Handing log records to the pipelines until somebody answers for them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, Intake, Reason};
use tidegate_document::Duration as Time;
use tidegate_pdata::{Context, Outcome, Payload, Refusal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long is waited for an answer before a batch is handed over again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a batch is handed over again that was lost on the way, as in a panic.
const LOST_TRIES: u32 = 3;

/// `retry_on_failure`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetryKeys {
    /// Whether it is; what is refused is lost, and counted as that, if this is off.
    enabled: bool,
    /// How long is waited after the first refusal, or longer where the pipelines say so.
    initial_interval: Time,
    /// How long is waited at most.
    max_interval: Time,
    /// How long it is tried; 0 is for ever, as who sends waits too.
    max_elapsed_time: Time,
}

impl Default for RetryKeys {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Time::from_secs(1),
            max_interval: Time::from_secs(30),
            max_elapsed_time: Time::default(),
        }
    }
}

impl RetryKeys {
    /// What they say.
    pub(crate) fn retry(&self, cx: &BuildContext) -> Retry {
        Retry {
            enabled: self.enabled,
            initial: self.initial_interval.into(),
            most: self.max_interval.into(),
            elapsed: (!self.max_elapsed_time.is_zero()).then(|| self.max_elapsed_time.into()),
            exhausted: cx.loss("retry_exhausted"),
            off: cx.loss("retry_off"),
            rejected: cx.loss("rejected"),
        }
    }
}

/// How what is refused is tried again.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    pub(crate) enabled: bool,
    pub(crate) initial: Duration,
    pub(crate) most: Duration,
    /// How long; none is for ever.
    pub(crate) elapsed: Option<Duration>,
    pub(crate) exhausted: Reason,
    pub(crate) off: Reason,
    pub(crate) rejected: Reason,
}

/// How the handing over of a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody answers for it.
    Kept,
    /// Nobody ever will, and it is counted as lost.
    GivenUp,
    /// The process stops, and nobody answers for it yet.
    Stopped,
}

/// Hands a batch over until somebody answers for it, or the process stops.
pub(crate) async fn deliver(
    payload: Payload,
    context: Context,
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
            .deliver(payload.clone(), context.clone(), Some(until))
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
        "log records are lost"
    );
    Ended::GivenUp
}
