//! `tail_sampling`: holds the spans of each trace until the trace is likely to be whole, and passes on those
//! traces that policies choose.
//!
//! Each worker owns the traces that the engine's exchange deals to it. A span is copied to its trace and its request
//! let go; resources and scopes are kept once for all traces. What policies look for in spans is marked as the spans
//! come, so that a decision reads a few bits. Traces wait in a queue, as the wait is the same for all. Limits hold
//! over all workers.

mod cache;
mod compile;
mod config;
mod explain;
mod heads;
mod limits;
mod marks;
mod meters;
mod policies;
mod release;
mod rule;
mod share;
mod statements;
#[cfg(test)]
mod tests;
mod traces;
mod tracestate;
mod walk;
mod watch;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, Gate, Outbox, Partition, Processor, Promise, Reason};
use tidegate_pdata::{Batch, Budget, Context, Outcome, Refusal, Reservation};
use tokio::time::Instant;

pub use config::Config;

use cache::Cache;
use compile::Program;
use heads::Heads;
use limits::{Limits, Moment};
use meters::{Cause, Meters};
use release::{Names, Release, Stamp};
use rule::{Decision, Facts, Fate, Rule, decide};
use statements::Statements;
use traces::{Trace, Traces};

/// How much later than it is due a trace may be decided, as a share of the wait: traces are decided together.
const GRAIN: u32 = 64;
/// Traces that are decided in one go, so that a worker does not leave everything else for long.
const MOST_AT_ONCE: usize = 8192;
/// After so many decisions what only they referred to is let go.
const DECIDED_PER_SWEEP: usize = 256;
/// By how many bytes the budget may be wrong.
const SLACK: usize = 1 << 16;
/// A flush is the last where its time lies further ahead than this.
const LAST: Duration = Duration::from_secs(24 * 3600);

/// What happens at `memory_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Overflow {
    /// The oldest traces are decided by what is there.
    DecideEarly,
    /// No new traces are taken.
    DropNew,
}

/// When policies are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    TraceComplete,
    SpanIngest,
}

/// What the configuration says.
#[derive(Debug)]
struct Settings {
    wait: Duration,
    root_wait: Option<Duration>,
    num_traces: usize,
    blocks: bool,
    remember_sampled: u64,
    remember_others: u64,
    program: Program,
    first_match: bool,
    strategy: Strategy,
    drops_at_shutdown: bool,
    max_trace: usize,
    memory: Option<usize>,
    overflow: Overflow,
    records: bool,
}

impl Names for Settings {
    fn policy(&self, policy: usize) -> &str {
        &self.program.policies[policy].name
    }

    fn part(&self, policy: usize, part: usize) -> &str {
        match &self.program.policies[policy].rule {
            Rule::Composite(parts) => &parts[part].name,
            _ => "",
        }
    }
}

/// What all workers share.
#[derive(Debug)]
struct Global {
    traces: AtomicUsize,
    bytes: AtomicUsize,
    limits: Limits,
    num_traces: usize,
}

impl Gate for Global {
    fn refusal(&self, _: usize, _: &Context) -> Option<Refusal> {
        const REASON: &str = "tail_sampling holds num_traces traces";
        let is_full = self.traces.load(Relaxed) >= self.num_traces;
        is_full.then_some(Refusal::new(REASON, Duration::from_secs(1)))
    }
}

/// A worker's share of what is counted over all of them.
struct Counted {
    global: Arc<Global>,
    traces: usize,
    bytes: usize,
    meters: Meters,
}

impl Counted {
    /// Tells the others what this worker holds.
    fn settle(&mut self, traces: usize, bytes: usize) {
        let change = |total: &AtomicUsize, before: &mut usize, after: usize| {
            if after >= *before {
                total.fetch_add(after - *before, Relaxed);
            } else {
                total.fetch_sub(*before - after, Relaxed);
            }
            *before = after;
        };
        let more = traces as i64 - self.traces as i64;
        if more != 0 {
            self.meters.on_memory.add(more);
            change(&self.global.traces, &mut self.traces, traces);
        }
        change(&self.global.bytes, &mut self.bytes, bytes);
    }

    /// Traces held by all, where this worker holds so many.
    fn all_traces(&self, own: usize) -> usize {
        self.global.traces.load(Relaxed).saturating_sub(self.traces) + own
    }

    fn all_bytes(&self, own: usize) -> usize {
        self.global.bytes.load(Relaxed).saturating_sub(self.bytes) + own
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.settle(0, 0);
    }
}

/// Why spans leave.
struct Reasons {
    sampled_out: Reason,
    too_large: Reason,
    no_memory: Reason,
    shutdown: Reason,
}

struct TailSampling {
    settings: Rc<Settings>,
    state: State,
    statements: Statements,
    budget: Arc<Budget>,
    hold: Reservation,
}

/// Everything that changes with each span.
struct State {
    /// What times are counted from.
    base: Instant,
    traces: Traces,
    heads: Heads,
    sampled: Cache,
    others: Cache,
    release: Release,
    counted: Counted,
    reasons: Reasons,
    /// The part of a batch that is looked at.
    part: u32,
    touched: Vec<u32>,
}

impl TailSampling {
    fn new(settings: Settings, cx: &BuildContext) -> Self {
        let program = &settings.program;
        let global = cx.shared.value(|| Global {
            traces: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            limits: Limits::new(program.windows, program.buckets),
            num_traces: settings.num_traces,
        });
        if settings.blocks {
            let gate: Arc<dyn Gate> = global.clone();
            cx.gates.add(gate);
        }
        let state = State {
            base: Instant::now(),
            traces: Traces::default(),
            heads: Heads::default(),
            sampled: Cache::new(settings.remember_sampled, cx.workers),
            others: Cache::new(settings.remember_others, cx.workers),
            release: Release::new(Arc::clone(&cx.budget)),
            counted: Counted {
                meters: Meters::new(cx, &program.policies),
                global,
                traces: 0,
                bytes: 0,
            },
            reasons: Reasons {
                sampled_out: cx.reason("sampled_out"),
                too_large: cx.reason("trace_too_large"),
                no_memory: cx.loss("memory_limit"),
                shutdown: cx.reason("shutdown"),
            },
            part: 0,
            touched: Vec::new(),
        };
        Self {
            statements: Statements::new(cx),
            settings: Rc::new(settings),
            state,
            hold: cx.budget.overdraw(0),
            budget: Arc::clone(&cx.budget),
        }
    }

    /// Bytes that all traces may take.
    fn memory(&self) -> usize {
        let half = || self.budget.limit() / 2;
        self.settings.memory.unwrap_or_else(half)
    }

    /// Ends a call: sends what is on its way, and tells what is held.
    fn settle(&mut self, out: &mut Outbox) {
        let state = &mut self.state;
        state.release.flush(&*self.settings, out);
        let (_, bytes) = state.size();
        state.counted.settle(state.traces.len(), bytes);
        state.counted.meters.settle();
        if bytes.abs_diff(self.hold.bytes()) > SLACK || bytes == 0 {
            self.hold.resize(bytes);
        }
    }
}

impl Processor for TailSampling {
    fn partition(&self) -> Partition {
        Partition::TraceId
    }

    // Senders cannot wait until traces are whole, so they are answered for what is in memory.
    fn promise(&self, _behind: Promise) -> Promise {
        Promise::Memory
    }

    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, _, receipt) = batch.into_parts();
        receipt.settle(&Outcome::TakenOver);
        let memory = self.memory();
        let settings = Rc::clone(&self.settings);
        self.statements.ask(&settings.program.conditions, &payload);
        let mut intake = walk::Intake {
            settings: &settings,
            state: &mut self.state,
            statements: &self.statements,
            memory,
            now: 0,
            out,
            span: 0,
        };
        intake.take(&payload);
        drop(payload);
        self.statements.shrink();
        self.state.make_room(&settings, memory, out);
        self.settle(out);
    }

    fn deadline(&self) -> Option<Instant> {
        let state = &self.state;
        let due = Duration::from_millis(state.traces.next_due()?);
        (state.traces.len() > 0).then(|| state.base + due)
    }

    fn flush(&mut self, now: Instant, out: &mut Outbox) {
        let began = Instant::now();
        let is_last = now.saturating_duration_since(began) > LAST;
        let until = self.state.millis(now);
        let settings = Rc::clone(&self.settings);
        let most = if is_last { usize::MAX } else { MOST_AT_ONCE };
        let mut any = false;
        for _ in 0..most {
            let Some(slot) = self.state.traces.take_due(until) else {
                break;
            };
            any = true;
            if is_last && settings.drops_at_shutdown {
                self.state.drop_pending(slot, out);
            } else {
                let cause = if is_last { Cause::Shutdown } else { Cause::Due };
                self.state.decide(&settings, slot, cause, out);
            }
        }
        if any {
            self.state.counted.meters.flushed(began);
        }
        if self.state.traces.len() == 0 {
            self.state.heads.sweep();
        }
        self.settle(out);
    }

    fn held(&self) -> (usize, usize) {
        let (spans, bytes) = self.state.traces.size();
        (spans, bytes + self.state.heads.bytes())
    }
}

impl State {
    fn millis(&self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.base).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }

    /// Spans and bytes that are held.
    fn size(&self) -> (usize, usize) {
        let (spans, bytes) = self.traces.size();
        (spans, bytes + self.heads.bytes())
    }

    /// When what comes at a time is due after a wait, put off a little so that traces are decided together.
    fn due(&self, now: u64, wait: Duration) -> u64 {
        let grain = (wait / GRAIN).clamp(Duration::from_millis(1), Duration::from_secs(1));
        let (wait, grain) = (wait.as_millis() as u64, grain.as_millis() as u64);
        now.saturating_add(wait)
            .div_ceil(grain)
            .saturating_mul(grain)
    }

    /// Decides the oldest traces while all together take too much.
    fn make_room(&mut self, settings: &Settings, memory: usize, out: &mut Outbox) {
        if settings.overflow != Overflow::DecideEarly {
            return;
        }
        if self.counted.all_bytes(self.size().1) > memory {
            self.heads.sweep();
        }
        let mut decided = 0;
        while self.counted.all_bytes(self.size().1) > memory {
            let Some(slot) = self.traces.take_oldest() else {
                break;
            };
            self.decide(settings, slot, Cause::Memory, out);
            decided += 1;
            if decided % DECIDED_PER_SWEEP == 0 {
                self.heads.sweep();
            }
        }
    }

    /// Asks the policies about a trace and lets it go.
    fn decide(&mut self, settings: &Settings, slot: u32, cause: Cause, out: &mut Outbox) {
        let Some(trace) = self.traces.remove(slot) else {
            return;
        };
        let part = Cell::new(None);
        let decision = if settings.strategy == Strategy::SpanIngest {
            // What was to be decided was decided as it came.
            Decision {
                fate: Fate::NotSampled,
                policy: None,
                part: None,
            }
        } else {
            let facts = Facts {
                id: &trace.id,
                spans: trace.spans,
                bytes: trace.bytes,
                marks: &trace.marks,
                limits: &self.counted.global.limits,
                now: Moment::now(),
                part: &part,
            };
            self.counted.meters.begin(trace.spans);
            let policies = &settings.program.policies;
            decide(
                policies,
                settings.first_match,
                &facts,
                &mut self.counted.meters,
            )
        };
        self.conclude(settings, trace, decision, cause, out);
    }

    /// Carries a decision out.
    fn conclude(
        &mut self,
        settings: &Settings,
        trace: Trace,
        decision: Decision,
        cause: Cause,
        out: &mut Outbox,
    ) {
        let now = self.millis(Instant::now());
        let meters = &mut self.counted.meters;
        meters.decided(decision.fate);
        meters.removed(now.saturating_sub(trace.arrived), cause);
        let hash = self.traces.hash(&trace.id);
        if decision.fate != Fate::Sampled {
            self.others.remember(hash, now / 1000);
            let spans = usize::try_from(trace.spans).unwrap_or(usize::MAX);
            out.dropped(&self.reasons.sampled_out, spans);
            return;
        }
        self.sampled.remember(hash, now / 1000);
        let stamp = if settings.records {
            Stamp {
                policy: decision.policy,
                part: decision.part,
                cached: false,
            }
        } else {
            Stamp::default()
        };
        for group in trace.groups {
            let count = group.count as usize;
            (self.release).add((&group.head, stamp), group.spans, count, settings, out);
        }
    }

    /// Lets a trace go for which no decision is wanted.
    fn drop_pending(&mut self, slot: u32, out: &mut Outbox) {
        if let Some(trace) = self.traces.remove(slot) {
            let spans = usize::try_from(trace.spans).unwrap_or(usize::MAX);
            out.dropped(&self.reasons.shutdown, spans);
        }
    }
}
