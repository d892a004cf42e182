//! A batch that is delivered while its record is still being written.
//!
//! ```text
//!            ┌─▶ append ─────────────▶ on disk ─▶ the sender is told ─▶ marked once it has ended
//! submit ─▶ ─┤                            ▲
//!            └─▶ consumers ─▶ delivered ──┴─ before that: the sender is told, nothing is written
//! ```
//!
//! Whichever comes first answers the sender. What is delivered before its turn to be written comes
//! needs no disk at all, which is most of what an exporter takes whose peer is well.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_journal::{Flight, Position, Refused, Withdrawal};
use tidegate_pdata::{Outcome, Receipt};
use tokio::time::Instant;

use super::lane::why;
use super::{Rest, Store};
use crate::delivery::attempt::chain;
use crate::delivery::entrance::stored;
use crate::delivery::health::Health;
use crate::delivery::job::{Ending, outcome};
use crate::sink::Depth;

/// Where the record of a batch is that is delivered meanwhile.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) size: Depth,
    /// When it came.
    since: Instant,
    /// Who tells of what is lost.
    health: Arc<Health>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    record: Record,
    /// Who sent it and has not been told yet.
    receipt: Receipt,
    /// How the batch left memory, once it has.
    left: Option<Left>,
    /// Attempts under way, and what says so on disk.
    airborne: usize,
    flight: Option<Flight>,
}

#[derive(Debug)]
enum Record {
    /// It waits or is being written; what takes it back comes with the first.
    Written(Option<Withdrawal>),
    On(Position),
    /// The log did not take it.
    Refused(Refused),
}

/// How a batch left memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it was delivered.
    Delivered,
    /// All of it ended, but not all was delivered.
    Ended,
    /// It has not ended: its record stands for it.
    Resting(Option<Rest>),
}

/// What follows, once the state is let go.
enum Then {
    Nothing,
    /// The sender is told.
    Tell(Receipt, Outcome),
    /// The sender is told, and the record has ended.
    Mark(Receipt, Outcome, Position),
    /// The sender is told, and the record comes back.
    Keep(Receipt, Position, Option<Rest>),
    /// Nobody holds the batch.
    GiveUp(Receipt, Refused),
}

impl Landing {
    pub(super) fn new(size: Depth, receipt: Receipt, health: &Arc<Health>) -> Arc<Self> {
        Arc::new(Self {
            size,
            since: Instant::now(),
            health: Arc::clone(health),
            state: Mutex::new(State {
                record: Record::Written(None),
                receipt,
                left: None,
                airborne: 0,
                flight: None,
            }),
        })
    }

    /// Learns how the record can be taken back, unless it has been told what became of it already.
    pub(super) fn may_be_withdrawn(&self, by: Withdrawal) {
        if let Record::Written(withdrawal) = &mut self.state().record {
            *withdrawal = Some(by);
        }
    }

    /// Where the record is, if it is.
    pub(super) fn position(&self) -> Option<Position> {
        match self.state().record {
            Record::On(position) => Some(position),
            _ => None,
        }
    }

    /// Whether the log did not take the record: the batch must not wait any longer.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.state().record, Record::Refused(_))
    }

    /// Says that an attempt is under way. On disk it says so as soon as there is a record: of one
    /// that was not written nothing is left that could kill the next process.
    pub(super) fn take_off(self: &Arc<Self>, store: &Store) -> Airborne {
        let mut state = self.state();
        state.airborne += 1;
        if let (Record::On(position), None) = (&state.record, &state.flight) {
            state.flight = store.log().map(|log| log.fly(*position));
        }
        Airborne(Arc::clone(self))
    }

    /// Learns what became of the record.
    pub(super) fn told(&self, store: &Arc<Store>, told: Result<Position, Refused>) {
        if matches!(told, Err(Refused::Full(_))) {
            // The reader drops the oldest, where that is wanted.
            store.call();
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let mut receipt = || std::mem::take(&mut state.receipt);
        let then = match (&told, state.left) {
            (Ok(_), None) => Then::Tell(receipt(), stored(store.promise())),
            (Ok(position), Some(Left::Resting(rest))) => Then::Keep(receipt(), *position, rest),
            (Ok(position), Some(_)) => Then::Mark(receipt(), stored(store.promise()), *position),
            // It may be delivered all the same.
            (Err(_), None) => Then::Nothing,
            (Err(refused), Some(Left::Resting(_))) => Then::GiveUp(receipt(), refused.clone()),
            (Err(refused), Some(_)) => Then::Tell(receipt(), refusal(refused)),
        };
        state.record = match told {
            Ok(position) => {
                if state.airborne > 0 {
                    state.flight = store.log().map(|log| log.fly(position));
                }
                Record::On(position)
            }
            Err(refused) => Record::Refused(refused),
        };
        drop(guard);
        self.follow(store, then);
    }

    /// Says that the batch is not in memory any more.
    pub(super) fn leave(&self, store: &Arc<Store>, left: Left) {
        if left == Left::Delivered {
            store.usual.learn(self.since.elapsed());
        }
        let mut guard = self.state();
        let state = &mut *guard;
        state.left = Some(left);
        let mut receipt = || std::mem::take(&mut state.receipt);
        let then = match (&state.record, left) {
            (Record::Written(_), Left::Ended | Left::Resting(_)) => Then::Nothing,
            (Record::Written(_) | Record::Refused(_), Left::Delivered) => {
                Then::Tell(receipt(), Outcome::Delivered)
            }
            (Record::On(position), Left::Resting(rest)) => Then::Keep(receipt(), *position, rest),
            (Record::On(position), _) => Then::Mark(receipt(), stored(store.promise()), *position),
            (Record::Refused(refused), Left::Resting(_)) => {
                Then::GiveUp(receipt(), refused.clone())
            }
            (Record::Refused(refused), Left::Ended) => Then::Tell(receipt(), refusal(refused)),
        };
        if let (Record::Written(Some(by)), Left::Delivered) = (&state.record, left) {
            // Of one that is being written already, the log tells in a moment where it is.
            let _ = by.withdraw();
        }
        drop(guard);
        self.follow(store, then);
    }

    fn follow(&self, store: &Arc<Store>, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Tell(receipt, outcome) => receipt.settle(&outcome),
            Then::Mark(receipt, outcome, position) => {
                receipt.settle(&outcome);
                if let Some(log) = store.log() {
                    log.mark(position);
                }
            }
            Then::Keep(receipt, position, rest) => {
                receipt.settle(&stored(store.promise()));
                store.take_back(position, self.size, rest);
                store.call();
            }
            Then::GiveUp(receipt, refused) => {
                let charge = store.books.recall(self.size);
                let ending = Ending::of(charge, receipt);
                ending.dropped(why(&refused), &chain(&refused), &self.health);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt; it ends when this is dropped.
pub(super) struct Airborne(Arc<Landing>);

impl Drop for Airborne {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.airborne -= 1;
        let flight = (state.airborne == 0).then(|| state.flight.take());
        drop(state);
        drop(flight);
    }
}

fn refusal(refused: &Refused) -> Outcome {
    outcome(why(refused), &chain(refused))
}

/// How long deliveries take of late, from the entrance to the answer.
#[derive(Debug, Default)]
pub(super) struct Usual(AtomicU64);

impl Usual {
    /// Follows slowly, and forgets a lost update.
    fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.0.load(Relaxed);
        let most = u64::MAX / 8;
        self.0
            .store((before.min(most) * 7 + took.min(most)) / 8, Relaxed);
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }
}
