//! `span_metrics`: counts spans, how long they took and what happened during them, by what tells them apart.
//!
//! Each worker counts what it gets in a table of its own. Once an interval one of them gathers what all have counted,
//! adds it to the totals and passes on points of these.

mod adjusted;
mod config;
mod count;
mod plan;
mod table;
#[cfg(test)]
mod tests;
mod totals;
mod write;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tidegate_component::metrics::Counter;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Connector, Promise, Reason, Routes, Stability,
};
use tidegate_pdata::series::SeriesHash;
use tidegate_pdata::{Batch, Budget, Context, Outcome, Receipt, Signal, Signals};
use tokio::time::Instant;

pub use config::Config;
use count::Counting;
use plan::Plan;
use table::Table;
use totals::Totals;

use crate::clock::{Moment, is_last};
use crate::made::pass_on;

/// What the instances share.
#[derive(Default)]
struct Shared(OnceLock<Arc<State>>);

/// What all workers have counted, and what each has since that was gathered.
struct State {
    hash: SeriesHash,
    /// Each worker's table, at its place.
    tables: Mutex<Vec<Arc<Mutex<Table>>>>,
    totals: Mutex<Totals>,
    /// Bytes of the totals after the last flush.
    bytes: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// A worker's table: the one that an instance before had, if there was one.
    fn table(&self, worker: usize) -> Arc<Mutex<Table>> {
        let mut tables = lock(&self.tables);
        while tables.len() <= worker {
            tables.push(Arc::default());
        }
        Arc::clone(&tables[worker])
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        lock(&self.totals)
    }

    /// Adds up what all workers have counted.
    fn gather(&self, now: Moment) {
        let tables = lock(&self.tables).clone();
        for table in tables {
            let counted = std::mem::take(&mut *lock(&table));
            self.totals().add(counted, now);
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Connector>;
    const TYPE: &'static str = "span_metrics";
    const SIGNALS: Signals = Signals::TRACES;
    const STABILITY: Stability = Stability::Beta;
    const PAIRS: &'static [(Signal, Signal)] = &[(Signal::Traces, Signal::Metrics)];

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Connector>, BuildError> {
        let plan = Arc::new(Plan::new(self)?);
        let shared = cx.shared.value(Shared::default);
        let make = || {
            Arc::new(State {
                hash: SeriesHash::default(),
                tables: Mutex::default(),
                totals: Mutex::new(Totals::new(cx, Arc::clone(&plan))),
                bytes: AtomicUsize::new(0),
            })
        };
        let state = Arc::clone(shared.0.get_or_init(make));
        let interval: Duration = self.metrics_flush_interval.into();
        let seed = Moment::now().wall ^ (cx.worker as u64) << 48;
        let help = "Spans that were counted as overflow, as there were too many series.";
        let overflowed = "tidegate_span_metrics_overflowed_spans";
        Ok(Box::new(SpanMetrics {
            table: state.table(cx.worker),
            counting: Counting::new(Arc::clone(&plan), Arc::clone(&state), seed),
            plan,
            state,
            interval,
            due: (cx.worker == 0).then(|| Instant::now() + interval),
            budget: Arc::clone(&cx.budget),
            nameless: cx.reason("no_service_name"),
            no_room: cx.loss("series_limit"),
            malformed: cx.loss("malformed"),
            overflowed: cx.metrics.counter(overflowed, help, &[]),
        }))
    }
}

struct SpanMetrics {
    plan: Arc<Plan>,
    state: Arc<State>,
    /// The worker's own.
    table: Arc<Mutex<Table>>,
    counting: Counting,
    interval: Duration,
    /// When points are passed on, by the instance that does that for all.
    due: Option<Instant>,
    budget: Arc<Budget>,
    nameless: Reason,
    no_room: Reason,
    malformed: Reason,
    overflowed: Counter,
}

impl Connector for SpanMetrics {
    fn promise(&self, _: Promise) -> Promise {
        Promise::Memory
    }

    fn process(&mut self, batch: Batch, out: &mut Routes<'_>) {
        let (payload, _, receipt) = batch.into_parts();
        let skipped = self.counting.payload(&payload, &mut lock(&self.table));
        for (reason, items) in [
            (&self.nameless, skipped.nameless),
            (&self.no_room, skipped.no_room),
        ] {
            if items > 0 {
                out.outbox.dropped(reason, items);
            }
        }
        if skipped.overflowed > 0 {
            self.overflowed.add(skipped.overflowed);
        }
        receipt.settle(&Outcome::TakenOver);
    }

    fn deadline(&self) -> Option<Instant> {
        self.due
    }

    fn flush(&mut self, now: Instant, out: &mut Routes<'_>) {
        let is_last = is_last(now);
        if !is_last && self.due.is_none_or(|due| now < due) {
            return;
        }
        let moment = Moment::now();
        self.due = self.due.map(|due| match due + self.interval {
            next if next > moment.at => next,
            _ => moment.at + self.interval,
        });
        self.state.gather(moment);
        let mut totals = self.state.totals();
        if is_last && !totals.is_news {
            return;
        }
        let request = totals.write(&self.plan, moment.wall, is_last);
        totals.tidy(moment.at);
        self.state.bytes.store(totals.bytes(), Relaxed);
        drop(totals);
        let nobody = (Context::default(), Receipt::none());
        pass_on(request, nobody, &self.budget, &self.malformed, out);
    }

    fn held(&self) -> (usize, usize) {
        match self.due {
            Some(_) => (0, self.state.bytes.load(Relaxed)),
            None => (0, 0),
        }
    }
}
