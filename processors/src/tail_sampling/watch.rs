//! What is looked for in spans and resources as they come.

use hashbrown::HashSet;
use regex::bytes::RegexSet;
use tidegate_pdata::view::{AnyValue, Attributes, SpanFields};

use super::marks::Marks;
use super::tracestate;

/// Something that may be seen in a trace, and the mark that says so.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) mark: usize,
    pub(super) sight: Sight,
}

#[derive(Debug)]
pub(super) enum Sight {
    /// A span that ended with one of these codes.
    Status(Vec<i32>),
    /// A span with the sampled flag.
    Sampled,
    /// A span whose trace state has one of these values under a key.
    TraceState { key: String, values: Vec<String> },
    /// A duration in milliseconds: from `above` on, or more than it and `up_to` at most.
    Duration { above: i64, up_to: Option<i64> },
    /// An attribute of a span or a resource.
    Attribute { key: String, value: Wanted },
}

/// A value that an attribute may have.
#[derive(Debug)]
pub(super) enum Wanted {
    Number { min: i64, max: i64 },
    Bool(bool),
    OneOf(HashSet<Box<[u8]>, foldhash::quality::RandomState>),
    Matching(RegexSet),
}

impl Wanted {
    /// Whether a value is wanted. Values of other types are what Go's accessors make of them.
    fn is(&self, value: AnyValue<'_>, of_span: bool) -> bool {
        match self {
            Self::Number { min, max } => {
                let number = match value {
                    AnyValue::Int(number) => number,
                    _ => 0,
                };
                (*min..=*max).contains(&number)
            }
            Self::Bool(wanted) => matches!(value, AnyValue::Bool(true)) == *wanted,
            Self::OneOf(_) | Self::Matching(_) => {
                let text = value.as_text().unwrap_or_default().as_bytes();
                // An empty text of a span says nothing, one of a resource does.
                if text.is_empty() && of_span {
                    return false;
                }
                match self {
                    Self::OneOf(values) => values.contains(text),
                    Self::Matching(patterns) => patterns.is_match(text),
                    Self::Number { .. } | Self::Bool(_) => false,
                }
            }
        }
    }
}

/// The earliest start and the latest end of the spans seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    start: u64,
    end: u64,
}

impl Extent {
    pub(super) const fn cover(&mut self, start: u64, end: u64) {
        if self.start == 0 || start < self.start {
            self.start = start;
        }
        if self.end == 0 || end > self.end {
            self.end = end;
        }
    }

    /// Whole milliseconds, as signed nanoseconds that end at their limits.
    const fn millis(self) -> i64 {
        (self.end as i64).saturating_sub(self.start as i64) / 1_000_000
    }
}

/// Marks what a span shows; the extent has it already.
pub(super) fn look_at_span(
    watches: &[Watch],
    span: &SpanFields<'_>,
    extent: Extent,
    marks: &mut Marks,
) {
    for watch in watches {
        if !marks.has(watch.mark) && is_seen(&watch.sight, span, extent) {
            marks.set(watch.mark);
        }
    }
}

fn is_seen(sight: &Sight, span: &SpanFields<'_>, extent: Extent) -> bool {
    match sight {
        Sight::Status(codes) => {
            let code = span.status.map_or(0, |status| status.code());
            codes.contains(&code)
        }
        Sight::Sampled => span.flags & 1 == 1,
        Sight::TraceState { key, values } => {
            let found = tracestate::get(span.trace_state.as_bytes(), key.as_bytes());
            found.is_some_and(|found| values.iter().any(|value| value.as_bytes() == found))
        }
        Sight::Duration { above, up_to: None } => extent.millis() >= *above,
        Sight::Duration {
            above,
            up_to: Some(up_to),
        } => {
            let millis = extent.millis();
            *above < millis && millis <= *up_to
        }
        Sight::Attribute { key, value } => has(span.attributes, key, value, true),
    }
}

/// Marks what a resource shows.
pub(super) fn look_at_resource(watches: &[Watch], attributes: Attributes<'_>, marks: &mut Marks) {
    for watch in watches {
        if let Sight::Attribute { key, value } = &watch.sight
            && has(attributes, key, value, false)
        {
            marks.set(watch.mark);
        }
    }
}

fn has(attributes: Attributes<'_>, key: &str, wanted: &Wanted, of_span: bool) -> bool {
    let value = attributes.get(key);
    value.is_some_and(|value| wanted.is(value, of_span))
}
