//! What the processor counts, under the Collector's names where it has them.

use tidegate_component::BuildContext;
use tidegate_component::metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

use super::rule::{Answer, Failed, Fate, Hears, Policy};

/// The bounds of the Collector's histogram of the same name.
const LATENCY_BOUNDS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0,
    2000.0, 3000.0, 4000.0, 5000.0, 10_000.0, 20_000.0, 30_000.0, 50_000.0,
];
/// Seconds.
const AGE_BOUNDS: &[f64] = &[
    0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0,
    7500.0, 10_000.0,
];
/// Of how many decisions one is timed.
const TIMED: u64 = 64;

/// Why a trace is decided when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Due,
    NumTraces,
    Memory,
    Shutdown,
}

const FATES: [(&str, &str); 3] = [
    ("sampled", "true"),
    ("not_sampled", "false"),
    ("dropped", "false"),
];

/// Counts that are kept aside until a call ends.
#[derive(Clone, Debug, Default)]
struct PolicyTally {
    traces: [u64; 3],
    spans: [u64; 3],
    asked: u64,
}

struct PolicyMeters {
    traces: [Counter; 3],
    spans: [Counter; 3],
    asked: Counter,
    micros: Counter,
}

pub(super) struct Meters {
    policies: Vec<PolicyMeters>,
    tallies: Vec<PolicyTally>,
    fates: [Counter; 3],
    fate_tallies: [u64; 3],
    new_ids: Counter,
    new_tally: u64,
    errors: Counter,
    errors_tally: u64,
    late: [Counter; 2],
    late_age: Histogram,
    latency: Histogram,
    removal_age: Histogram,
    too_early: Counter,
    early: [Counter; 3],
    pub(super) too_large: Counter,
    pub(super) on_memory: Gauge,
    decisions: u64,
    /// When the policy that is asked was asked, for a decision that is timed.
    asked_at: Option<Instant>,
    nanos: Vec<u64>,
    /// Spans of the trace at hand.
    spans: u64,
}

impl Meters {
    pub(super) fn new(cx: &BuildContext, policies: &[Policy]) -> Self {
        let counter = |name: &str, help: &str, labels: &[(&str, &str)]| {
            let name = format!("otelcol_processor_tail_sampling_{name}");
            cx.metrics.counter(&name, help, labels)
        };
        let early = |cause: &str| {
            let help = "Traces decided before their time, by cause.";
            let name = "tidegate_processor_tail_sampling_early_decisions";
            cx.metrics.counter(name, help, &[("cause", cause)])
        };
        let histogram = |name: &str, help: &str, bounds: &[f64]| {
            let name = format!("otelcol_processor_tail_sampling_{name}");
            cx.metrics.histogram(&name, help, &[], bounds)
        };
        let of_policy = |policy: &Policy| {
            let label = policy.label(&cx.id);
            let by_fate = |name: &str, help: &str| {
                FATES.map(|(decision, sampled)| {
                    let labels = [
                        ("policy", label.as_str()),
                        ("sampled", sampled),
                        ("decision", decision),
                    ];
                    counter(name, help, &labels)
                })
            };
            PolicyMeters {
                traces: by_fate(
                    "count_traces_sampled",
                    "Traces by what a policy said of them.",
                ),
                spans: by_fate(
                    "count_spans_sampled",
                    "Spans by what a policy said of their traces.",
                ),
                asked: counter(
                    "sampling_policy_execution_count",
                    "How often a policy was asked.",
                    &[("policy", &label)],
                ),
                micros: counter(
                    "sampling_policy_execution_time_sum",
                    "Microseconds in which a policy answered, as one decision of 64 is timed.",
                    &[("policy", &label)],
                ),
            }
        };
        Self {
            tallies: vec![PolicyTally::default(); policies.len()],
            nanos: vec![0; policies.len()],
            policies: policies.iter().map(of_policy).collect(),
            fates: FATES.map(|(decision, sampled)| {
                let labels = [("sampled", sampled), ("decision", decision)];
                let help = "Traces by what was decided of them.";
                counter("global_count_traces_sampled", help, &labels)
            }),
            fate_tallies: [0; 3],
            new_ids: counter("new_trace_id_received", "Traces that began.", &[]),
            new_tally: 0,
            errors: counter(
                "sampling_policy_evaluation_error",
                "Policies that could say nothing of a trace, as a condition failed.",
                &[],
            ),
            errors_tally: 0,
            late: ["false", "true"].map(|sampled| {
                let help = "Spans that followed a decision that was remembered.";
                let name = "early_releases_from_cache_decision";
                counter(name, help, &[("sampled", sampled)])
            }),
            late_age: histogram(
                "sampling_late_span_age",
                "Seconds from a decision until a span came late.",
                AGE_BOUNDS,
            ),
            latency: histogram(
                "sampling_decision_timer_latency",
                "Milliseconds in which the traces that were due were decided.",
                LATENCY_BOUNDS,
            ),
            removal_age: histogram(
                "sampling_trace_removal_age",
                "Seconds from a trace's first span until it left.",
                AGE_BOUNDS,
            ),
            too_early: counter(
                "sampling_trace_dropped_too_early",
                "Traces decided before their time, as there was no room.",
                &[],
            ),
            early: ["num_traces", "memory_limit", "shutdown"].map(early),
            too_large: counter(
                "traces_dropped_too_large",
                "Traces dropped as they were too large.",
                &[],
            ),
            on_memory: cx.metrics.gauge(
                "otelcol_processor_tail_sampling_sampling_traces_on_memory",
                "Traces that are held.",
                &[],
            ),
            decisions: 0,
            asked_at: None,
            spans: 0,
        }
    }

    /// Begins a decision about a trace.
    pub(super) fn begin(&mut self, spans: u64) {
        self.spans = spans;
        self.decisions += 1;
        let is_timed = self.decisions % TIMED == 1;
        self.asked_at = is_timed.then(Instant::now);
    }

    pub(super) const fn decided(&mut self, fate: Fate) {
        self.fate_tallies[fate as usize] += 1;
        self.asked_at = None;
    }

    pub(super) fn removed(&mut self, millis: u64, cause: Cause) {
        self.removal_age.observe((millis / 1000) as f64);
        let early = match cause {
            Cause::Due => return,
            Cause::NumTraces => 0,
            Cause::Memory => 1,
            Cause::Shutdown => 2,
        };
        self.early[early].add(1);
        if cause != Cause::Shutdown {
            self.too_early.add(1);
        }
    }

    pub(super) const fn began(&mut self) {
        self.new_tally += 1;
    }

    pub(super) fn came_late(&self, sampled: bool, age: u64) {
        self.late[usize::from(sampled)].add(1);
        self.late_age.observe(age as f64);
    }

    pub(super) fn flushed(&self, since: Instant) {
        let millis = since.elapsed().as_millis();
        self.latency.observe(millis as f64);
    }

    /// Adds what was kept aside.
    pub(super) fn settle(&mut self) {
        let some = |counter: &Counter, tally: &mut u64| {
            if *tally > 0 {
                counter.add(std::mem::take(tally));
            }
        };
        some(&self.new_ids, &mut self.new_tally);
        some(&self.errors, &mut self.errors_tally);
        for (counter, tally) in self.fates.iter().zip(&mut self.fate_tallies) {
            some(counter, tally);
        }
        for (meters, tally) in self.policies.iter().zip(&mut self.tallies) {
            if tally.asked == 0 {
                continue;
            }
            some(&meters.asked, &mut tally.asked);
            for (counter, tally) in meters.traces.iter().zip(&mut tally.traces) {
                some(counter, tally);
            }
            for (counter, tally) in meters.spans.iter().zip(&mut tally.spans) {
                some(counter, tally);
            }
        }
        for (meters, nanos) in self.policies.iter().zip(&mut self.nanos) {
            let micros = *nanos / 1000;
            *nanos %= 1000;
            if micros > 0 {
                meters.micros.add(micros);
            }
        }
    }
}

impl Hears for Meters {
    fn hear(&mut self, policy: usize, answer: Result<Answer, Failed>) {
        if let Some(asked) = &mut self.asked_at {
            let now = Instant::now();
            let took = now.duration_since(*asked).as_nanos() as u64;
            self.nanos[policy] += took * TIMED;
            *asked = now;
        }
        let tally = &mut self.tallies[policy];
        tally.asked += 1;
        let fate = match answer {
            Err(Failed) => {
                self.errors_tally += 1;
                return;
            }
            Ok(Answer::Sampled | Answer::InvertSampled) => Fate::Sampled,
            Ok(Answer::NotSampled | Answer::InvertNotSampled) => Fate::NotSampled,
            Ok(Answer::Dropped) => Fate::Dropped,
        };
        tally.traces[fate as usize] += 1;
        tally.spans[fate as usize] += self.spans;
    }
}
