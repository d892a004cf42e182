//! `failover`: passes data to the pipelines of the highest level that works.
//!
//! A batch goes to a level with a receipt of its own whose outcome comes back here, while the
//! connector keeps the sender's. What the level keeps settles the sender's receipt at once, on
//! whatever thread that happens; what it does not keep comes back to the worker and goes to the
//! next level. Exporters behind do their part: a batch that can go elsewhere is answered by its
//! delivery instead of by a queue in memory, and is given back at the first failure instead of
//! being retried.

mod attempt;
mod config;
mod levels;
mod room;
#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidegate_component::delivery::Sizer;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Connector, Outbox, Promise, Reason, Routes,
};
use tidegate_pdata::{Batch, Outcome, Refusal, Signal};
use tokio::time::Instant;

use attempt::{Attempt, Held, Home, Returned};
pub use config::Config;
use levels::{COME_AGAIN, Levels, NO_LEVEL};
use room::{Barred, Room};

/// What waits while no level works, where nothing else is said: as an exporter's queue.
const WAITING: usize = 1000;
/// A time that lies further ahead than any deadline: the last flush.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The state of each signal, for all workers.
#[derive(Debug, Default)]
struct States([OnceLock<Arc<Levels>>; 3]);

impl ComponentConfig for Config {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "failover";
    const AWAITS: bool = true;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        let interval = self.retry_interval()?;
        let queue = self.queue()?;
        let routes = self.levels(cx)?;
        let (capacity, sizer) = queue.map_or((WAITING, Sizer::Requests), |queue| {
            (queue.queue_size, queue.sizer)
        });
        let states = cx.shared.value(States::default);
        let signal = cx.signal.unwrap_or(Signal::Traces);
        let make = || Arc::new(Levels::new(cx, routes.len(), interval, capacity));
        let levels = states.0[signal.index()].get_or_init(make);
        cx.gates.add(Arc::clone(levels) as _);
        Ok(Box::new(Failover {
            takes_over: queue.is_some_and(|queue| queue.enabled && !queue.wait_for_result),
            routes,
            home: Arc::new(Home::new(Arc::clone(levels), cx.waker.clone())),
            room: Room::new(Arc::clone(levels), sizer),
            closing: false,
            refused: cx.reason("refused"),
            expired: cx.reason("expired"),
            full: cx.loss("queue_full"),
            exhausted: cx.loss("retry_exhausted"),
            shutdown: cx.loss("shutdown"),
        }))
    }
}

struct Failover {
    /// Whether the sender is answered on entry.
    takes_over: bool,
    /// The pipelines of each level.
    routes: Vec<Vec<usize>>,
    home: Arc<Home>,
    room: Room,
    /// Whether the last flush has been: nothing waits any more.
    closing: bool,
    refused: Reason,
    expired: Reason,
    full: Reason,
    exhausted: Reason,
    shutdown: Reason,
}

impl Connector for Failover {
    fn promise(&self, behind: Promise) -> Promise {
        if self.takes_over {
            Promise::Memory
        } else {
            behind
        }
    }

    fn process(&mut self, mut batch: Batch, out: &mut Routes<'_>) {
        if self.takes_over {
            batch.receipt_mut().settle_in_place(&Outcome::TakenOver);
        }
        let level = self.home.levels.pick();
        self.pass(Held::new(batch), level, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.room.due()
    }

    fn flush(&mut self, now: Instant, out: &mut Routes<'_>) {
        self.closing |= now > Instant::now() + DAY;
        while let Some(returned) = self.home.take_back() {
            self.returned(returned, out);
        }
        if self.home.relief.swap(false, AcqRel) || self.closing {
            self.room.relieved();
            while let Some(held) = self.room.take() {
                self.begin_anew(held, out);
            }
        } else if let Some(held) = self.room.scout(now) {
            self.begin_anew(held, out);
        }
        self.note_crowd();
    }

    fn awaits(&self) -> usize {
        self.home.open.load(Acquire)
    }

    fn close(&mut self, out: &mut Outbox) {
        while let Some(returned) = self.home.take_back() {
            out.created(returned.held.payload.items());
            end(returned.held, &self.shutdown, refusal("shutting down"), out);
        }
        while let Some(held) = self.room.take() {
            end(held, &self.shutdown, refusal("shutting down"), out);
        }
        self.note_crowd();
    }

    fn held(&self) -> (usize, usize) {
        self.room.held()
    }
}

impl Failover {
    fn begin_anew(&self, held: Held, out: &mut Routes<'_>) {
        let level = self.home.levels.pick();
        self.pass(held, level, out);
    }

    /// Passes a batch to every pipeline of a level, and hears how that ends.
    fn pass(&self, held: Held, level: usize, out: &mut Routes<'_>) {
        let (payload, context) = (held.payload.clone(), held.context.clone());
        let receipt = Attempt::receipt(held, level, &self.home);
        self.push(Batch::new(payload, context, receipt), level, out);
    }

    fn push(&self, batch: Batch, level: usize, out: &mut Routes<'_>) {
        let Some((last, others)) = self.routes[level].split_last() else {
            return;
        };
        for route in others {
            out.outbox.created(batch.items());
            out.push(*route, batch.fork());
        }
        out.push(*last, batch);
    }

    /// Takes a batch back that a level did not keep, and sends it another way.
    fn returned(&mut self, returned: Returned, out: &mut Routes<'_>) {
        let Returned {
            mut held,
            level,
            rejected,
        } = returned;
        out.outbox.created(held.payload.items());
        held.tried |= 1 << level;
        if rejected {
            held.rejected_by.get_or_insert(level);
        } else {
            held.refused = true;
            self.home.levels.failed(level);
        }
        if held.receipt.is_expired() {
            end(
                held,
                &self.expired,
                refusal("the time for an answer is over"),
                &mut out.outbox,
            );
            return;
        }
        match held.next(level, self.home.levels.count()) {
            Some(next) => self.pass(held, next, out),
            None => self.conclude(held, out),
        }
    }

    /// Decides about a batch that no level kept.
    fn conclude(&mut self, held: Held, out: &mut Routes<'_>) {
        if let (false, Some(level)) = (held.refused, held.rejected_by) {
            // Every level rejects it: the first one takes it as if there were no other, and
            // keeps what it can of it.
            let batch = Batch::new(held.payload, held.context, held.receipt);
            return self.push(batch, level, out);
        }
        let out = &mut out.outbox;
        if !held.receipt.is_none() {
            return end(held, &self.refused, refusal(NO_LEVEL), out);
        }
        if self.closing {
            return end(held, &self.shutdown, refusal("shutting down"), out);
        }
        match self.room.put(held, Instant::now()) {
            None => {}
            Some((held, Barred::Full)) => end(held, &self.full, refusal(NO_LEVEL), out),
            Some((held, Barred::Tired)) => end(held, &self.exhausted, refusal(NO_LEVEL), out),
        }
    }

    /// Tells those who keep a batch elsewhere whether others wait for that here.
    fn note_crowd(&self) {
        self.home.crowded.store(!self.room.is_empty(), Release);
    }
}

fn end(held: Held, reason: &Reason, outcome: Outcome, out: &mut Outbox) {
    out.dropped(reason, held.payload.items());
    held.receipt.settle(&outcome);
}

fn refusal(reason: &'static str) -> Outcome {
    Outcome::Refused(Refusal::new(reason, COME_AGAIN))
}
