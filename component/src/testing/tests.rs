//! The contract must notice what it is there for.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_pdata::{Batch, Outcome, Payload, Segment};
use tokio::time::Instant;

use super::Contract;
use crate::{BuildContext, BuildError, ComponentConfig, Outbox, Processor, Reason};

#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Habit {
    #[default]
    Pass,
    Discard,
    Swallow,
    DropReceipts,
    HoldForEver,
    HoldWithoutDeadline,
    Garble,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    habit: Habit,
    other: bool,
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "habitual";

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(Habitual {
            habit: self.habit,
            reason: cx.reason("habit"),
            held: 0,
        }))
    }
}

struct Habitual {
    habit: Habit,
    reason: Reason,
    held: usize,
}

impl Processor for Habitual {
    fn process(&mut self, mut batch: Batch, out: &mut Outbox) {
        match self.habit {
            Habit::Pass => out.push(batch),
            Habit::Discard => out.discard(batch, &self.reason),
            Habit::Swallow => batch.receipt_mut().settle_in_place(&Outcome::Delivered),
            Habit::DropReceipts => out.dropped(&self.reason, batch.items()),
            Habit::HoldForEver | Habit::HoldWithoutDeadline => {
                batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
                self.held += batch.items();
            }
            Habit::Garble => {
                let segment = Segment::new(vec![1, 2, 3].into(), batch.items(), None);
                batch.set_payload(Payload::from_segment(batch.signal(), segment));
                out.push(batch);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        (self.habit == Habit::HoldForEver && self.held > 0).then(Instant::now)
    }

    fn held(&self) -> (usize, usize) {
        (self.held, 0)
    }
}

fn check(minimal: &str, full: &[&str]) {
    Contract::<Config>::new(minimal, full).processor();
}

#[test]
fn decent_processors_keep_it() {
    check("{}", &["{habit: discard, other: true}"]);
}

#[test]
#[should_panic(expected = "no configuration names [\"other\"]")]
fn key_that_no_configuration_names_is_noticed() {
    check("{}", &["habit: pass"]);
}

#[test]
#[should_panic(expected = "came and 0 were created")]
fn item_that_disappears_is_noticed() {
    check("{}", &["{habit: swallow, other: true}"]);
}

#[test]
#[should_panic(expected = "a sender's batch ended as Some(Lost)")]
fn receipt_that_is_dropped_is_noticed() {
    check("{}", &["{habit: drop_receipts, other: true}"]);
}

#[test]
#[should_panic(expected = "holds data after the last flush")]
fn data_that_is_never_flushed_is_noticed() {
    check("{}", &["{habit: hold_for_ever, other: true}"]);
}

#[test]
#[should_panic(expected = "nothing says until when")]
fn data_held_without_a_deadline_is_noticed() {
    check("{}", &["{habit: hold_without_deadline, other: true}"]);
}

#[test]
#[should_panic(expected = "what is emitted is not canonical OTLP")]
fn bytes_that_are_no_request_are_noticed() {
    check("{}", &["{habit: garble, other: true}"]);
}
