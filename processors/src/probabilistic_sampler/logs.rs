//! Sampling of log records: what they say about it stands in their attributes.

use tidegate_pdata::splice::{AttributeEditor, Edits, LogRecordEditor, Verdict};
use tidegate_pdata::view::{AnyValue, Attributes};

use super::decision::{Arrived, Decision, Drawn, Mode, Policy, Tells};
use super::threshold::{Randomness, Threshold};
use super::traces::{drawn, valid};
use super::{Sampling, Tally};

const THRESHOLD: &str = "sampling.threshold";
const RANDOMNESS: &str = "sampling.randomness";

pub(super) struct Settings {
    pub(super) mode: Mode,
    pub(super) fail_closed: bool,
    /// Whether a trace ID is hashed where there is one.
    pub(super) by_trace_id: bool,
    /// The attribute that is hashed otherwise; empty where none is.
    pub(super) attribute: String,
    /// The attribute with a record's own percentage; empty where there is none.
    pub(super) priority: String,
    pub(super) digits: u8,
    /// Whether records pass as they are, unless they have a percentage of their own.
    pub(super) passes_all: bool,
}

pub(super) struct Logs {
    settings: Settings,
    /// Whether a record may have an attribute about its sampling.
    named: bool,
    tally: Tally,
    /// Room for digits, and for a value as text.
    text: String,
}

impl Logs {
    pub(super) const fn new(settings: Settings) -> Self {
        Self {
            settings,
            named: true,
            tally: Tally::EMPTY,
            text: String::new(),
        }
    }

    fn drawn(&mut self, trace_id: &[u8], attributes: Attributes<'_>) -> Drawn {
        let Mode::HashSeed { seed, .. } = self.settings.mode else {
            return valid(trace_id).map(|id| drawn(self.settings.mode, id));
        };
        let id = valid(trace_id).filter(|_| self.settings.by_trace_id);
        if let Some(id) = id {
            return Some(drawn(self.settings.mode, id));
        }
        if self.settings.attribute.is_empty() {
            return None;
        }
        let value = attributes.get(&self.settings.attribute)?;
        let bytes = match value {
            AnyValue::Bytes(bytes) => bytes,
            AnyValue::String(text) => text.as_bytes(),
            other => {
                self.text.clear();
                other.write_text(&mut self.text).ok()?;
                self.text.as_bytes()
            }
        };
        let hash = || (Randomness::of_hash(seed, bytes), Policy::Attribute);
        (!bytes.is_empty()).then(hash)
    }

    /// The threshold of a record's own percentage.
    fn forced(&self, attributes: Attributes<'_>) -> Option<Threshold> {
        if !self.named || self.settings.priority.is_empty() {
            return None;
        }
        let percentage = match attributes.get(&self.settings.priority)? {
            AnyValue::Int(value) => value as f64,
            AnyValue::Double(value) => value,
            _ => return None,
        };
        Threshold::of_probability(percentage / 100.0, self.settings.digits)
    }

    fn tell(&mut self, tells: Tells, arrived: &Arrived, attributes: &mut AttributeEditor<'_>) {
        if let Some(randomness) = tells.randomness
            && arrived.randomness != Some(randomness)
        {
            self.text.clear();
            randomness.write(&mut self.text);
            attributes.upsert(RANDOMNESS, self.text.as_str());
        }
        if arrived.threshold != Some(tells.threshold) {
            self.text.clear();
            tells.threshold.write(&mut self.text);
            attributes.upsert(THRESHOLD, self.text.as_str());
        }
    }
}

/// What a record says about its sampling.
fn arrived(attributes: Attributes<'_>) -> Arrived {
    let digits = |key: &str| match attributes.get(key) {
        Some(AnyValue::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (threshold, randomness) = (digits(THRESHOLD), digits(RANDOMNESS));
    let parsed = Arrived {
        is_faulty: false,
        randomness: randomness.and_then(|text| Randomness::parse(text.as_str()?)),
        threshold: threshold.and_then(|text| Threshold::parse(text.as_str()?)),
    };
    if parsed.randomness.is_some() == randomness.is_some()
        && parsed.threshold.is_some() == threshold.is_some()
    {
        return parsed;
    }
    Arrived {
        is_faulty: true,
        ..Arrived::default()
    }
}

impl Sampling for Logs {
    fn names(&self) -> Vec<&str> {
        let mut names = vec![self.settings.priority.as_str()];
        if !self.settings.passes_all {
            names.extend([THRESHOLD, RANDOMNESS]);
        }
        names
    }

    fn passes_all(&self) -> bool {
        self.settings.passes_all
    }

    fn begin(&mut self, named: bool) {
        self.named = named;
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

impl Edits for Logs {
    fn log_record(&mut self, record: &mut LogRecordEditor<'_>) -> Verdict {
        let fields = record.view().fields();
        let forced = self.forced(fields.attributes);
        if self.settings.passes_all && forced.is_none_or(|forced| forced == Threshold::ALWAYS) {
            return Verdict::Keep;
        }
        let arrived = match self.named {
            true => arrived(fields.attributes),
            false => Arrived::default(),
        };
        let drawn = self.drawn(fields.trace_id, fields.attributes);
        let Settings {
            mode, fail_closed, ..
        } = self.settings;
        let decision = mode.decide(arrived, drawn, forced, fail_closed);
        self.tally.add(decision.policy, decision.is_sampled);
        if let Decision {
            is_sampled: true,
            tells: Some(tells),
            ..
        } = decision
        {
            self.tell(tells, &arrived, &mut record.attributes());
        }
        decision.is_sampled.into()
    }
}
