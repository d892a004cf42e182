//! Policies ready for use: what they say of a trace that is due, and what follows of all they say.

use std::cell::Cell;

use tidegate_component::ComponentId;

use super::limits::{Limits, Moment};
use super::marks::Marks;
use super::share::Share;

/// What a policy says of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Sampled,
    NotSampled,
    Dropped,
    /// An inverted match that lets the trace in, or keeps it out, with a weight of its own.
    InvertSampled,
    InvertNotSampled,
}

/// A policy could not say anything, as a condition failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed;

/// What is known of a trace when policies are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'t> {
    pub(super) id: &'t [u8; 16],
    pub(super) spans: u64,
    pub(super) bytes: usize,
    pub(super) marks: &'t Marks,
    pub(super) limits: &'t Limits,
    pub(super) now: Moment,
    /// The part of a `composite` policy that sampled the trace, once one did: its place among them.
    pub(super) part: &'t Cell<Option<usize>>,
}

/// What a policy asks for.
#[derive(Debug)]
pub(super) enum Rule {
    Always,
    /// Something was seen in a span or a resource.
    Seen {
        mark: usize,
        invert: Option<Inverted>,
    },
    /// A condition held, or failed, whichever came first.
    Held {
        mark: usize,
        failed: usize,
    },
    Share(Share),
    Spans {
        min: i64,
        max: Option<i64>,
    },
    /// Spans in a second stay below a rate.
    Rate {
        window: usize,
        most: i64,
    },
    Bytes {
        bucket: usize,
        rate: i64,
        burst: i64,
    },
    And(Vec<Self>),
    Not(Box<Self>),
    Drop(Vec<Self>),
    Composite(Vec<Part>),
}

/// How an inverted match counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inverted {
    /// As any answer.
    Plain,
    /// With a weight of its own.
    Weighty,
}

/// One of the policies that share a rate.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) rule: Rule,
    pub(super) window: usize,
    /// Spans in a second that it may sample.
    pub(super) most: i64,
}

impl Rule {
    /// What it says of a trace. Rates count what they let through.
    pub(super) fn ask(&self, facts: &Facts<'_>) -> Result<Answer, Failed> {
        let sampled = match self {
            Self::Always => true,
            Self::Seen { mark, invert } => {
                let seen = facts.marks.has(*mark);
                return Ok(match (invert, seen) {
                    (None, true) | (Some(Inverted::Plain), false) => Answer::Sampled,
                    (None, false) | (Some(Inverted::Plain), true) => Answer::NotSampled,
                    (Some(Inverted::Weighty), false) => Answer::InvertSampled,
                    (Some(Inverted::Weighty), true) => Answer::InvertNotSampled,
                });
            }
            Self::Held { failed, .. } if facts.marks.has(*failed) => return Err(Failed),
            Self::Held { mark, .. } => facts.marks.has(*mark),
            Self::Share(share) => share.has(facts.id),
            Self::Spans { min, max } => {
                let spans = i64::try_from(facts.spans).unwrap_or(i64::MAX);
                spans >= *min && max.is_none_or(|max| spans <= max)
            }
            Self::Rate { window, most } => {
                let most = most.saturating_sub(1);
                facts.limits.count(*window, facts.spans, most, facts.now)
            }
            Self::Bytes {
                bucket,
                rate,
                burst,
            } => (facts.limits).take(*bucket, facts.bytes, *rate, *burst, facts.now),
            Self::And(rules) => all_sample(rules, facts)?,
            Self::Drop(rules) if all_sample(rules, facts)? => return Ok(Answer::Dropped),
            Self::Drop(_) => false,
            Self::Not(rule) => {
                return Ok(match rule.ask(facts)? {
                    Answer::Sampled => Answer::NotSampled,
                    Answer::NotSampled => Answer::Sampled,
                    other => other,
                });
            }
            Self::Composite(parts) => {
                let part = first_that_samples(parts, facts)?;
                let fits = part.filter(|at| {
                    let part = &parts[*at];
                    (facts.limits).count(part.window, facts.spans, part.most, facts.now)
                });
                if fits.is_some() {
                    facts.part.set(fits);
                }
                fits.is_some()
            }
        };
        Ok(if sampled {
            Answer::Sampled
        } else {
            Answer::NotSampled
        })
    }

    /// Whether what it says depends on what was sampled before.
    pub(super) fn is_stateful(&self) -> bool {
        match self {
            Self::Rate { .. } | Self::Bytes { .. } => true,
            Self::And(rules) | Self::Drop(rules) => rules.iter().any(Self::is_stateful),
            Self::Not(rule) => rule.is_stateful(),
            Self::Composite(parts) => parts.iter().any(|part| part.rule.is_stateful()),
            _ => false,
        }
    }

    /// Whether it samples a trace for good once it does: nothing that comes later changes its mind.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Always | Self::Seen { invert: None, .. } | Self::Held { .. } | Self::Share(_) => {
                true
            }
            Self::And(rules) | Self::Drop(rules) => rules.iter().all(Self::is_lasting),
            _ => false,
        }
    }
}

/// Whether all rules sample a trace; the first that does not ends it.
fn all_sample(rules: &[Rule], facts: &Facts<'_>) -> Result<bool, Failed> {
    for rule in rules {
        if matches!(
            rule.ask(facts)?,
            Answer::NotSampled | Answer::InvertNotSampled
        ) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first part that samples a trace, whether it has room for it or not.
fn first_that_samples(parts: &[Part], facts: &Facts<'_>) -> Result<Option<usize>, Failed> {
    for (at, part) in parts.iter().enumerate() {
        if matches!(
            part.rule.ask(facts)?,
            Answer::Sampled | Answer::InvertSampled
        ) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// A policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) rule: Rule,
    /// Its place in the configuration.
    pub(super) place: usize,
}

impl Policy {
    /// What it is called in metrics of a processor.
    pub(super) fn label(&self, id: &ComponentId) -> String {
        let id = id.to_string();
        match id.split_once('/') {
            Some((_, name)) => format!("{name}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What becomes of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Sampled,
    NotSampled,
    Dropped,
}

/// What is decided of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) fate: Fate,
    /// The policy that it goes back to, unless none said anything that counts.
    pub(super) policy: Option<usize>,
    /// The last `composite` policy that sampled the trace, and its part that did.
    pub(super) part: Option<(usize, usize)>,
}

/// Hears what each policy says.
pub(super) trait Hears {
    fn hear(&mut self, policy: usize, answer: Result<Answer, Failed>);
}

/// Asks all policies and weighs what they say: dropped, kept out by an inverted match, sampled, let in by an
/// inverted match where nobody says no, and else not sampled.
pub(super) fn decide(
    policies: &[Policy],
    first_match: bool,
    facts: &Facts<'_>,
    hears: &mut impl Hears,
) -> Decision {
    let mut first: [Option<usize>; 5] = [None; 5];
    let mut part = None;
    for (at, policy) in policies.iter().enumerate() {
        let answer = policy.rule.ask(facts);
        hears.hear(at, answer);
        let Ok(answer) = answer else { continue };
        part = facts.part.take().map_or(part, |part| Some((at, part)));
        first[answer as usize].get_or_insert(at);
        if answer == Answer::Dropped || first_match && answer == Answer::Sampled {
            break;
        }
    }
    let of = |answer: Answer| first[answer as usize];
    let (fate, policy) = if of(Answer::Dropped).is_some() {
        (Fate::Dropped, of(Answer::Dropped))
    } else if of(Answer::InvertNotSampled).is_some() {
        (Fate::NotSampled, of(Answer::InvertNotSampled))
    } else if of(Answer::Sampled).is_some() {
        (Fate::Sampled, of(Answer::Sampled))
    } else if of(Answer::InvertSampled).is_some() && of(Answer::NotSampled).is_none() {
        (Fate::Sampled, of(Answer::InvertSampled))
    } else {
        (Fate::NotSampled, None)
    };
    Decision { fate, policy, part }
}

/// Asks policies of what one batch brings of a trace: the first that drops or samples it decides; where none
/// does, nothing is decided yet.
pub(super) fn decide_at_once(
    policies: &[Policy],
    facts: &Facts<'_>,
    hears: &mut impl Hears,
) -> Option<Decision> {
    policies.iter().enumerate().find_map(|(at, policy)| {
        let answer = policy.rule.ask(facts);
        hears.hear(at, answer);
        let fate = match answer {
            Ok(Answer::Dropped) => Fate::Dropped,
            Ok(Answer::Sampled) => Fate::Sampled,
            _ => return None,
        };
        Some(Decision {
            fate,
            policy: Some(at),
            part: facts.part.take().map(|part| (at, part)),
        })
    })
}
