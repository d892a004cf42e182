//! Sampling of spans: what they say about it stands in their trace state.

use tidegate_pdata::splice::{Edits, SpanEditor, Verdict};
use tidegate_pdata::view::AnyValue;

use super::decision::{Arrived, Decision, Drawn, Mode, Policy};
use super::threshold::{Randomness, Threshold};
use super::tracestate::TraceState;
use super::{Sampling, Tally};

/// The attribute that decides alone: 0 for never, more for always.
const PRIORITY: &str = "sampling.priority";

pub(super) struct Traces {
    mode: Mode,
    fail_closed: bool,
    /// Whether spans pass as they are, unless their priority is 0.
    passes_all: bool,
    /// Whether a span may have a priority.
    named: bool,
    tally: Tally,
    /// Room for a trace state.
    text: String,
}

impl Traces {
    pub(super) const fn new(mode: Mode, fail_closed: bool, passes_all: bool) -> Self {
        Self {
            mode,
            fail_closed,
            passes_all,
            named: true,
            tally: Tally::EMPTY,
            text: String::new(),
        }
    }
}

impl Sampling for Traces {
    fn names(&self) -> Vec<&str> {
        vec![PRIORITY]
    }

    fn passes_all(&self) -> bool {
        self.passes_all
    }

    fn begin(&mut self, named: bool) {
        self.named = named;
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

/// The bytes of an ID that is valid: 16, not all of them zero.
pub(super) fn valid(id: &[u8]) -> Option<&[u8; 16]> {
    let id: &[u8; 16] = id.try_into().ok()?;
    id.iter().any(|byte| *byte != 0).then_some(id)
}

/// What a trace ID gives in a mode.
pub(super) fn drawn(mode: Mode, id: &[u8; 16]) -> (Randomness, Policy) {
    match mode {
        Mode::HashSeed { seed, .. } => (Randomness::of_hash(seed, id), Policy::TraceIdHash),
        _ => (Randomness::of_trace_id(id), Policy::TraceIdW3c),
    }
}

/// The threshold that a priority demands, in any of the types that clients write it in.
fn forced(priority: AnyValue<'_>) -> Option<Threshold> {
    let priority = match priority {
        AnyValue::Int(value) => value as f64,
        AnyValue::Double(value) => value,
        AnyValue::String(text) => crate::number::parsed(text.as_str()?)?,
        _ => return None,
    };
    if priority == 0.0 {
        Some(Threshold::NEVER)
    } else {
        (priority > 0.0).then_some(Threshold::ALWAYS)
    }
}

impl Edits for Traces {
    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        let fields = span.view().fields();
        let priority = self.named.then(|| fields.attributes.get(PRIORITY));
        let forced = priority.flatten().and_then(forced);
        if self.passes_all {
            let is_sampled = forced != Some(Threshold::NEVER);
            if !is_sampled {
                self.tally.add(Policy::SamplingPriority, false);
            }
            return is_sampled.into();
        }
        let state = TraceState::parse(fields.trace_state.as_bytes());
        let arrived = match &state {
            Some(state) => Arrived {
                is_faulty: false,
                randomness: state.randomness,
                threshold: state.threshold,
            },
            None => Arrived {
                is_faulty: true,
                ..Arrived::default()
            },
        };
        let drawn: Drawn = valid(fields.trace_id).map(|id| drawn(self.mode, id));
        let decision = (self.mode).decide(arrived, drawn, forced, self.fail_closed);
        self.tally.add(decision.policy, decision.is_sampled);
        if let (
            Some(state),
            Decision {
                is_sampled: true,
                tells: Some(tells),
                ..
            },
        ) = (state, decision)
        {
            let randomness = match self.mode {
                // So it is marked that nothing but chance let the span pass.
                Mode::HashSeed { .. } => tells.randomness.or(Some(Randomness::HIGHEST)),
                _ => tells.randomness,
            };
            state.write(randomness, Some(tells.threshold), &mut self.text);
            if fields.trace_state != *self.text.as_str() {
                span.set_trace_state(&self.text);
            }
        }
        decision.is_sampled.into()
    }
}
