//! The keys of `tail_sampling`, but for those of its policies.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor, Stability};
use tidegate_document::{ByteSize, Duration};
use tidegate_pdata::Signals;

use super::compile::compile;
use super::policies::Policy;
use super::{Overflow, Settings, Strategy, TailSampling};

/// Holds the spans of each trace until the trace is likely to be whole, and passes on those traces that policies choose.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a trace is waited for from its first span on.
    decision_wait: Duration,
    /// How long a trace is waited for once its root has come, if that ends sooner; `0s` makes no difference for roots.
    decision_wait_after_root_received: Duration,
    /// Traces that are held at a time, over all workers; the oldest is decided early where one more comes.
    num_traces: u64,
    /// Makes senders wait at the door while `num_traces` are held, so that none is decided early.
    block_on_overflow: bool,
    /// How many new traces are expected in a second.
    #[schemars(extend("x-no-effect" = "room is made as it is needed; remove it"))]
    expected_new_traces_per_sec: Option<u64>,
    /// How many parts traces are dealt over.
    #[schemars(extend("x-no-effect" = "traces are dealt over all workers; remove it"))]
    num_shards: Option<u64>,
    /// How many decisions are remembered for spans that come late.
    decision_cache: DecisionCache,
    /// What decides: drop policies first, then the others in this order.
    policies: Vec<Policy>,
    /// Ends with the first policy that samples a trace: those behind it are not asked, and count nothing.
    sample_on_first_match: bool,
    /// When policies are asked: `trace-complete` once for the whole trace when it is due, `span-ingest` for what each
    /// batch brings of a trace, as it comes.
    sampling_strategy: StrategyName,
    /// Drops what is held at a shutdown, instead of deciding at once by what is there.
    drop_pending_traces_on_shutdown: bool,
    /// Bytes from which on a trace is dropped without a decision; `0` sets no limit.
    maximum_trace_size_bytes: ByteSize,
    /// Bytes that all traces together may take, over all workers; half of the byte budget where it is left out.
    memory_limit: Option<ByteSize>,
    /// What happens at `memory_limit`: `decide_early` decides the oldest traces by what is there, `drop_new` takes no
    /// new traces.
    overflow: Overflow,
    /// Lets `invert_match` say more than other policies do, as the Collector did before 0.137: what it keeps out is
    /// out whatever others say, and what it lets in is in where no other policy says no.
    inverted_decisions: bool,
    /// Writes into the scopes of sampled spans which policy sampled them: `tailsampling.policy`,
    /// `tailsampling.composite_policy`, and `tailsampling.cached_decision` for late spans.
    record_policy: bool,
}

/// How many decisions are remembered.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct DecisionCache {
    /// Traces that were sampled; as many as `num_traces` where it is `0`. Each takes some 10 bytes.
    sampled_cache_size: u64,
    /// Traces that were not; as many as `num_traces` where it is `0`.
    non_sampled_cache_size: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StrategyName {
    TraceComplete,
    SpanIngest,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            decision_wait: Duration::from_secs(30),
            decision_wait_after_root_received: Duration::from_secs(0),
            num_traces: 50_000,
            block_on_overflow: false,
            expected_new_traces_per_sec: None,
            num_shards: None,
            decision_cache: DecisionCache::default(),
            policies: Vec::new(),
            sample_on_first_match: false,
            sampling_strategy: StrategyName::TraceComplete,
            drop_pending_traces_on_shutdown: false,
            maximum_trace_size_bytes: ByteSize(0),
            memory_limit: None,
            overflow: Overflow::DecideEarly,
            inverted_decisions: false,
            record_policy: false,
        }
    }
}

impl Config {
    pub(super) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    pub(super) fn settings(&self) -> Result<Settings, BuildError> {
        if self.policies.is_empty() {
            return Err(BuildError::at("policies", "there is none: every trace would be dropped")
                .remedy("add one, for example `{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}`"));
        }
        if self.num_traces == 0 {
            return Err(BuildError::at("num_traces", "no trace could be held")
                .remedy("write how many traces come within decision_wait, as 50000"));
        }
        if self.memory_limit.is_some_and(|limit| limit.0 == 0) {
            return Err(BuildError::at("memory_limit", "no trace could be held")
                .remedy("write a size, as `512MiB`, or leave it out for half of the byte budget"));
        }
        let program = compile(&self.policies, self.inverted_decisions)?;
        let strategy = match self.sampling_strategy {
            StrategyName::TraceComplete => Strategy::TraceComplete,
            StrategyName::SpanIngest => Strategy::SpanIngest,
        };
        if strategy == Strategy::SpanIngest
            && let Some(at) = program.first_stateful()
        {
            let path = format!("policies::{at}");
            let message =
                "its answer depends on what was sampled before, which `span-ingest` does not allow";
            return Err(BuildError::at(path, message)
                .remedy("take it out, or write `sampling_strategy: trace-complete`"));
        }
        let remembered = |size: u64| match size {
            0 => self.num_traces,
            size => size,
        };
        let root_wait: std::time::Duration = self.decision_wait_after_root_received.into();
        Ok(Settings {
            wait: self.decision_wait.into(),
            root_wait: Some(root_wait).filter(|wait| !wait.is_zero()),
            num_traces: usize::try_from(self.num_traces).unwrap_or(usize::MAX),
            blocks: self.block_on_overflow,
            remember_sampled: remembered(self.decision_cache.sampled_cache_size),
            remember_others: remembered(self.decision_cache.non_sampled_cache_size),
            program,
            first_match: self.sample_on_first_match,
            strategy,
            drops_at_shutdown: self.drop_pending_traces_on_shutdown,
            max_trace: match self.maximum_trace_size_bytes.as_usize() {
                0 => usize::MAX,
                max => max,
            },
            memory: self.memory_limit.map(ByteSize::as_usize),
            overflow: self.overflow,
            records: self.record_policy,
        })
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "tail_sampling";
    const SIGNALS: Signals = Signals::TRACES;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        Ok(Box::new(TailSampling::new(self.settings()?, cx)))
    }
}
