//! What the policies say of traces at hand, and why: for people who write policies.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use tidegate_component::{BuildContext, BuildError};
use tidegate_pdata::Payload;
use tidegate_pdata::view::Span;

use super::limits::{Limits, Moment};
use super::marks::Marks;
use super::policies::{self as keys, Type};
use super::rule::{Answer, Facts, Failed, Fate, Hears, Rule, decide};
use super::statements::Statements;
use super::traces::TraceId;
use super::watch::{Extent, look_at_resource, look_at_span};
use super::{Config, Settings};

/// A trace as policies see it, with what showed each thing first.
#[derive(Default)]
struct Seen {
    spans: u64,
    bytes: usize,
    extent: Extent,
    marks: Marks,
    shown: BTreeMap<usize, String>,
}

/// Hears nothing.
struct Deaf;

impl Hears for Deaf {
    fn hear(&mut self, _: usize, _: Result<Answer, Failed>) {}
}

impl Config {
    /// What would be decided of the traces in a payload that came whole and at once, in words: for each trace what
    /// becomes of it and by which policy, then what each policy says and what of the trace made it say so. Rates
    /// have nothing behind them.
    ///
    /// # Errors
    /// When the configuration cannot be built.
    pub fn explain(&self, payload: &Payload, cx: &BuildContext) -> Result<String, BuildError> {
        let settings = self.settings()?;
        let traces = seen(&settings, payload, cx);
        let mut text = String::new();
        for (id, trace) in &traces {
            // Writing to a string cannot fail.
            let _ = self.write(&mut text, &settings, id, trace);
        }
        Ok(text)
    }

    fn write(
        &self,
        text: &mut String,
        settings: &Settings,
        id: &TraceId,
        trace: &Seen,
    ) -> fmt::Result {
        let program = &settings.program;
        let (limits, part) = (
            Limits::new(program.windows, program.buckets),
            Cell::new(None),
        );
        let facts = Facts {
            id,
            spans: trace.spans,
            bytes: trace.bytes,
            marks: &trace.marks,
            limits: &limits,
            now: Moment::now(),
            part: &part,
        };
        let decision = decide(&program.policies, settings.first_match, &facts, &mut Deaf);
        let id = u128::from_be_bytes(*id);
        write!(text, "trace {id:032x}, {} spans: ", trace.spans)?;
        text.push_str(match decision.fate {
            Fate::Sampled => "sampled",
            Fate::NotSampled => "not sampled",
            Fate::Dropped => "dropped",
        });
        match decision.policy {
            Some(policy) => writeln!(text, " by {}", program.policies[policy].name)?,
            None => writeln!(text, ", as no policy samples it")?,
        }
        for policy in &program.policies {
            let keys = &self.policies()[policy.place];
            let mut telling = Telling {
                text: &mut *text,
                rates: (program.windows, program.buckets),
                trace,
                facts,
            };
            let answer = telling.policy(keys, &policy.rule, 1)?;
            let ends = answer == Ok(Answer::Dropped)
                || settings.first_match && answer == Ok(Answer::Sampled);
            if ends {
                writeln!(text, "  the policies behind it are not asked")?;
                break;
            }
        }
        Ok(())
    }
}

/// Looks at all spans as they lie.
fn seen(settings: &Settings, payload: &Payload, cx: &BuildContext) -> BTreeMap<TraceId, Seen> {
    let program = &settings.program;
    let mut statements = Statements::new(cx);
    statements.ask(&program.conditions, payload);
    let mut traces: BTreeMap<TraceId, Seen> = BTreeMap::new();
    let mut number = 0;
    for group in payload.resource_spans() {
        let mut of_resource = Marks::default();
        let attributes = group.resource().attributes();
        look_at_resource(&program.watches, attributes, &mut of_resource);
        for span in group.scopes().flat_map(|scope| scope.spans()) {
            let fields = span.fields();
            let id: TraceId = fields.trace_id.try_into().unwrap_or_default();
            let trace = traces.entry(id).or_default();
            trace.spans += 1;
            trace.bytes += span.bytes().len();
            trace.note(program.marks, &of_resource, || {
                "the resource of ".to_owned() + &name(span)
            });
            let (start, end) = (fields.start_time_unix_nano, fields.end_time_unix_nano);
            trace.extent.cover(start, end);
            let mut marks = trace.marks.clone();
            look_at_span(&program.watches, &fields, trace.extent, &mut marks);
            statements.mark(&program.conditions, number, &mut marks);
            trace.note(program.marks, &marks, || name(span));
            number += 1;
        }
    }
    traces
}

/// What a span is called.
fn name(span: Span<'_>) -> String {
    let id = span.span_id().iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    });
    format!("span {id} {:?}", span.name().to_str())
}

impl Seen {
    /// Adds marks, and notes what showed those that are new.
    fn note(&mut self, most: usize, marks: &Marks, shower: impl Fn() -> String) {
        for mark in (0..most).filter(|mark| marks.has(*mark) && !self.marks.has(*mark)) {
            self.shown.insert(mark, shower());
        }
        self.marks.add(marks);
    }
}

/// Telling what policies say.
struct Telling<'t> {
    text: &'t mut String,
    /// How many windows and buckets there are.
    rates: (usize, usize),
    trace: &'t Seen,
    facts: Facts<'t>,
}

impl Telling<'_> {
    /// Tells what a policy says, and below it what those in it say.
    fn policy(
        &mut self,
        keys: &keys::Policy,
        rule: &Rule,
        depth: usize,
    ) -> Result<Result<Answer, Failed>, fmt::Error> {
        let indent = 2 * depth;
        write!(
            self.text,
            "{:indent$}{} ({}): ",
            "",
            keys.name,
            word(keys.kind)
        )?;
        let inner: Vec<(&keys::Policy, &Rule)> = match rule {
            Rule::And(rules) => keys.and.and_sub_policy.iter().zip(rules).collect(),
            Rule::Drop(rules) => keys.drop.drop_sub_policy.iter().zip(rules).collect(),
            Rule::Not(rule) => keys
                .not
                .not_sub_policy
                .iter()
                .map(|of| (&**of, &**rule))
                .collect(),
            Rule::Composite(parts) => {
                let rules = parts.iter().map(|part| &part.rule);
                keys.composite
                    .composite_sub_policy
                    .iter()
                    .zip(rules)
                    .collect()
            }
            _ => Vec::new(),
        };
        // Each is asked by itself, so none finds a rate used up by the one that it stands in.
        let limits = Limits::new(self.rates.0, self.rates.1);
        let answer = rule.ask(&Facts {
            limits: &limits,
            ..self.facts
        });
        let said = match answer {
            Ok(Answer::Sampled) => "samples",
            Ok(Answer::NotSampled) => "no",
            Ok(Answer::Dropped) => "drops",
            Ok(Answer::InvertSampled) => "lets it in where nobody says no",
            Ok(Answer::InvertNotSampled) => "keeps it out",
            Err(Failed) => "says nothing",
        };
        self.text.push_str(said);
        self.why(rule)?;
        self.text.push('\n');
        for (keys, rule) in inner {
            let _said = self.policy(keys, rule, depth + 1)?;
        }
        Ok(answer)
    }

    /// What of the trace a rule went by.
    fn why(&mut self, rule: &Rule) -> fmt::Result {
        let (trace, facts) = (self.trace, &self.facts);
        let shown = |mark: &usize| trace.shown.get(mark);
        match rule {
            Rule::Seen { mark, .. } => match shown(mark) {
                Some(shower) => write!(self.text, ": seen in {shower}"),
                None => self.text.write_str(": not seen"),
            },
            Rule::Held { mark, failed } => match (shown(mark), shown(failed)) {
                (_, Some(shower)) => write!(self.text, ": a condition fails for {shower}"),
                (Some(shower), _) => write!(self.text, ": a condition holds for {shower}"),
                (None, None) => self.text.write_str(": no condition holds"),
            },
            Rule::Share(_) => self.text.write_str(": by the hash of the trace ID"),
            Rule::Spans { .. } | Rule::Rate { .. } => write!(self.text, ": {} spans", facts.spans),
            Rule::Bytes { .. } => write!(self.text, ": {} bytes", facts.bytes),
            Rule::Always | Rule::And(_) | Rule::Not(_) | Rule::Drop(_) | Rule::Composite(_) => {
                Ok(())
            }
        }
    }
}

const fn word(kind: Type) -> &'static str {
    match kind {
        Type::AlwaysSample => "always_sample",
        Type::Latency => "latency",
        Type::NumericAttribute => "numeric_attribute",
        Type::Probabilistic => "probabilistic",
        Type::StatusCode => "status_code",
        Type::StringAttribute => "string_attribute",
        Type::RateLimiting => "rate_limiting",
        Type::BytesLimiting => "bytes_limiting",
        Type::SpanCount => "span_count",
        Type::TraceState => "trace_state",
        Type::TraceFlags => "trace_flags",
        Type::BooleanAttribute => "boolean_attribute",
        Type::OttlCondition => "ottl_condition",
        Type::And => "and",
        Type::Not => "not",
        Type::Drop => "drop",
        Type::Composite => "composite",
    }
}
