//! The batches whose items lie in objects that are not committed yet.

use std::collections::HashMap;

use tidegate_component::{Position, Sealed};
use tidegate_pdata::{Outcome, Receipt};

use super::commit::GivenUp;
use crate::delivery::books::{Beyond, End, Why};
use crate::delivery::job::{SHUTTING_DOWN, outcome};
use crate::delivery::store::Share;
use crate::sink::Depth;

/// Batches by position.
#[derive(Debug, Default)]
pub(super) struct Open(HashMap<Position, Held>);

#[derive(Debug)]
struct Held {
    items: Beyond,
    receipt: Receipt,
    /// The record on disk that is marked when all has ended.
    share: Option<Share>,
    /// What became of a part that was not delivered.
    failure: Option<Outcome>,
}

impl Held {
    /// Notes what became of a part; one that nobody keeps outweighs one that somebody else does.
    fn ended(&mut self, outcome: Option<Outcome>) {
        let kept = |outcome: &Outcome| outcome.is_kept();
        if self.failure.as_ref().is_none_or(kept) {
            self.failure = outcome.or_else(|| self.failure.take());
        }
    }
}

impl Open {
    /// Keeps a batch open until all of its items have ended.
    pub(super) fn insert(
        &mut self,
        position: Position,
        (receipt, items, share): (Receipt, Beyond, Option<Share>),
    ) {
        let held = Held {
            items,
            receipt,
            share,
            failure: None,
        };
        self.0.insert(position, held);
        self.close(position);
    }

    /// Ends what lies in an object that was committed.
    pub(super) fn committed(&mut self, sealed: &Sealed) {
        self.end(sealed, |_, _| (End::Delivered { rejected: 0 }, None));
    }

    /// Ends what lies in an object that was given up.
    pub(super) fn given_up(&mut self, sealed: &Sealed, given_up: &GivenUp) {
        let why = given_up.why;
        let lost = outcome(why, &given_up.error);
        self.end(sealed, |position, held| match given_up.kept(position) {
            Some(outcome) => (End::PassedOn(why), Some(outcome.clone())),
            None => (End::dropped(why, &held.receipt), Some(lost.clone())),
        });
    }

    /// Ends all that is open: no object has it.
    pub(super) fn give_up_all(&mut self, why: Why, error: &str) -> usize {
        let mut items = 0;
        for (_, mut held) in self.0.drain() {
            items += held.items.items();
            let end = End::dropped(why, &held.receipt);
            held.items.end(usize::MAX, end);
            held.receipt.settle(&outcome(why, error));
        }
        items
    }

    /// Whether nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn end(&mut self, sealed: &Sealed, end: impl Fn(Position, &Held) -> (End, Option<Outcome>)) {
        for part in &sealed.parts {
            if let Some(held) = self.0.get_mut(&part.position) {
                let (end, outcome) = end(part.position, held);
                held.items.end(part.items.len(), end);
                held.ended(outcome);
                self.close(part.position);
            }
        }
    }

    fn close(&mut self, position: Position) {
        let ended = |held: &Held| held.items.items() == 0;
        if self.0.get(&position).is_some_and(ended)
            && let Some(held) = self.0.remove(&position)
        {
            if let Some(share) = held.share {
                share.end(Depth::default(), true);
            }
            let outcome = held.failure.unwrap_or(Outcome::Delivered);
            held.receipt.settle(&outcome);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // What is on disk is delivered by the next process; who waits for that is told to come again.
        for (_, held) in self.0.drain() {
            if held.share.is_some() {
                held.receipt.settle(&outcome(Why::Shutdown, SHUTTING_DOWN));
            }
        }
    }
}
