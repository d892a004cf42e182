//! From the keys of policies to rules and to what must be looked for in spans.

use tidegate_component::{BuildError, pattern};
use tidegate_ottl::{Condition, Context, build_error};

use super::policies::{self as keys, Type};
use super::rule::{Inverted, Part, Policy, Rule};
use super::share::Share;
use super::statements::Conditions;
use super::watch::{Sight, Wanted, Watch};

/// All policies, ready for use.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Those that drop, then the others.
    pub(super) policies: Vec<Policy>,
    pub(super) watches: Vec<Watch>,
    pub(super) conditions: Vec<Conditions>,
    /// Drop policies that drop a trace for good before it is whole, as nothing that comes later changes their minds.
    pub(super) lasting_drops: Vec<usize>,
    /// Windows and buckets of rates.
    pub(super) windows: usize,
    pub(super) buckets: usize,
    /// How many marks there are.
    pub(super) marks: usize,
    weighty: bool,
}

impl Program {
    /// The place of the first policy whose answers depend on what was sampled before.
    pub(super) fn first_stateful(&self) -> Option<usize> {
        let mut stateful = self.policies.iter().filter(|of| of.rule.is_stateful());
        stateful.next().map(|policy| policy.place)
    }
}

/// Where a policy stands, which says what types it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    Inner,
}

/// Policies in each other at most.
const DEEPEST: usize = 8;

pub(super) fn compile(policies: &[keys::Policy], weighty: bool) -> Result<Program, BuildError> {
    let mut program = Program {
        weighty,
        ..Program::default()
    };
    let (mut drops, mut others): (Vec<Policy>, Vec<Policy>) = (Vec::new(), Vec::new());
    for (place, policy) in policies.iter().enumerate() {
        let path = format!("policies::{place}");
        if policy.name.is_empty() {
            return Err(BuildError::at(path, "the policy has no name")
                .remedy("add `name:`, by which metrics tell it from others"));
        }
        if drops.iter().chain(&others).any(|of| of.name == policy.name) {
            let message = format!("{:?} is the name of an earlier policy", policy.name);
            return Err(BuildError::at(format!("{path}::name"), message)
                .remedy("give each policy a name of its own"));
        }
        let rule = program.rule(policy, &path, Level::Top, 0)?;
        let group = match policy.kind {
            Type::Drop => &mut drops,
            _ => &mut others,
        };
        group.push(Policy {
            name: policy.name.clone(),
            rule,
            place,
        });
    }
    // One that depends on what was sampled before must be asked in its turn, and those behind it too.
    let stateless = drops.iter().take_while(|of| !of.rule.is_stateful());
    let lasting = stateless.enumerate().filter(|(_, of)| of.rule.is_lasting());
    program.lasting_drops = lasting.map(|(at, _)| at).collect();
    drops.append(&mut others);
    program.policies = drops;
    Ok(program)
}

impl Program {
    fn rule(
        &mut self,
        policy: &keys::Policy,
        path: &str,
        level: Level,
        depth: usize,
    ) -> Result<Rule, BuildError> {
        if depth > DEEPEST {
            return Err(
                BuildError::at(path, "policies are nested deeper than 8 levels")
                    .remedy("write them side by side"),
            );
        }
        if level == Level::Inner && matches!(policy.kind, Type::Drop | Type::Composite) {
            return Err(BuildError::at(
                format!("{path}::type"),
                "policies that drop or share rates stand on their own",
            )
            .remedy("put it into `policies`, beside the one that it stands in"));
        }
        let below = |key: &str| format!("{path}::{key}");
        Ok(match policy.kind {
            Type::AlwaysSample => Rule::Always,
            Type::Latency => self.latency(policy.latency),
            Type::NumericAttribute => {
                self.number(&policy.numeric_attribute, &below("numeric_attribute"))?
            }
            Type::Probabilistic => {
                let of = &policy.probabilistic;
                Rule::Share(Share::new(&of.hash_salt, of.sampling_percentage))
            }
            Type::StatusCode => self.status(&policy.status_code, &below("status_code"))?,
            Type::StringAttribute => {
                self.text(&policy.string_attribute, &below("string_attribute"))?
            }
            Type::RateLimiting => Rule::Rate {
                window: self.window(),
                most: policy.rate_limiting.spans_per_second,
            },
            Type::BytesLimiting => self.bytes(policy.bytes_limiting),
            Type::SpanCount => Rule::Spans {
                min: policy.span_count.min_spans.into(),
                max: Some(policy.span_count.max_spans.into()).filter(|max| *max != 0),
            },
            Type::TraceState => self.trace_state(&policy.trace_state),
            Type::TraceFlags => self.seen(Sight::Sampled, false),
            Type::BooleanAttribute => {
                let of = &policy.boolean_attribute;
                let sight = Sight::Attribute {
                    key: named(&of.key, &below("boolean_attribute"))?,
                    value: Wanted::Bool(of.value),
                };
                self.seen(sight, of.invert_match)
            }
            Type::OttlCondition => {
                self.conditions(&policy.ottl_condition, &below("ottl_condition"))?
            }
            Type::And => {
                let inner = &policy.and.and_sub_policy;
                Rule::And(self.rules(inner, &below("and::and_sub_policy"), depth)?)
            }
            Type::Drop => {
                let inner = &policy.drop.drop_sub_policy;
                Rule::Drop(self.rules(inner, &below("drop::drop_sub_policy"), depth)?)
            }
            Type::Not => {
                let path = below("not::not_sub_policy");
                let Some(inner) = &policy.not.not_sub_policy else {
                    return Err(
                        BuildError::at(path, "there is no policy to turn round").remedy(
                            "add one, as `not: {not_sub_policy: {name: a, type: always_sample}}`",
                        ),
                    );
                };
                Rule::Not(Box::new(self.rule(
                    inner,
                    &path,
                    Level::Inner,
                    depth + 1,
                )?))
            }
            Type::Composite => self.composite(&policy.composite, &below("composite"), depth)?,
        })
    }

    /// Rules that must all sample; none at all would say yes to everything.
    fn rules(
        &mut self,
        policies: &[keys::Policy],
        path: &str,
        depth: usize,
    ) -> Result<Vec<Rule>, BuildError> {
        if policies.is_empty() {
            return Err(BuildError::at(path, "there is no policy in it")
                .remedy("add those that must agree"));
        }
        let rules = policies.iter().enumerate().map(|(at, policy)| {
            self.rule(policy, &format!("{path}::{at}"), Level::Inner, depth + 1)
        });
        rules.collect()
    }

    const fn mark(&mut self) -> usize {
        self.marks += 1;
        self.marks - 1
    }

    const fn window(&mut self) -> usize {
        self.windows += 1;
        self.windows - 1
    }

    fn seen(&mut self, sight: Sight, invert: bool) -> Rule {
        let mark = self.mark();
        self.watches.push(Watch { mark, sight });
        let inverted = if self.weighty {
            Inverted::Weighty
        } else {
            Inverted::Plain
        };
        Rule::Seen {
            mark,
            invert: invert.then_some(inverted),
        }
    }

    fn latency(&mut self, of: keys::Latency) -> Rule {
        let sight = Sight::Duration {
            above: of.threshold_ms,
            up_to: Some(of.upper_threshold_ms).filter(|up_to| *up_to != 0),
        };
        self.seen(sight, false)
    }

    fn number(&mut self, of: &keys::NumericAttribute, path: &str) -> Result<Rule, BuildError> {
        if of.min_value == 0 && of.max_value == 0 {
            let message = "neither min_value nor max_value is set (0 sets no limit)";
            return Err(BuildError::at(path, message).remedy("set one of them"));
        }
        let limit = |value: i64, none: i64| if value == 0 { none } else { value };
        let sight = Sight::Attribute {
            key: named(&of.key, path)?,
            value: Wanted::Number {
                min: limit(of.min_value, i64::MIN),
                max: limit(of.max_value, i64::MAX),
            },
        };
        Ok(self.seen(sight, of.invert_match))
    }

    fn text(&mut self, of: &keys::StringAttribute, path: &str) -> Result<Rule, BuildError> {
        let value = if of.enabled_regex_matching {
            for (at, value) in of.values.iter().enumerate() {
                pattern::compile(value)
                    .map_err(|message| BuildError::at(format!("{path}::values::{at}"), message))?;
            }
            let patterns = pattern::compile_set(&of.values)
                .map_err(|message| BuildError::at(format!("{path}::values"), message))?;
            Wanted::Matching(patterns)
        } else {
            let values = of.values.iter().filter(|value| !value.is_empty());
            Wanted::OneOf(values.map(|value| value.as_bytes().into()).collect())
        };
        let key = named(&of.key, path)?;
        Ok(self.seen(Sight::Attribute { key, value }, of.invert_match))
    }

    fn status(&mut self, of: &keys::StatusCode, path: &str) -> Result<Rule, BuildError> {
        let path = format!("{path}::status_codes");
        if of.status_codes.is_empty() {
            return Err(BuildError::at(path, "there is no code to look for")
                .remedy("write one or more of OK, ERROR, UNSET"));
        }
        let codes = of.status_codes.iter().enumerate();
        let codes = codes.map(|(at, code)| match code.as_str() {
            "UNSET" => Ok(0),
            "OK" => Ok(1),
            "ERROR" => Ok(2),
            other => Err(BuildError::at(
                format!("{path}::{at}"),
                format!("{other:?} is no status code"),
            )
            .remedy("write one of OK, ERROR, UNSET")),
        });
        let sight = Sight::Status(codes.collect::<Result<_, _>>()?);
        Ok(self.seen(sight, false))
    }

    fn trace_state(&mut self, of: &keys::TraceState) -> Rule {
        // Longer ones cannot be in a trace state.
        let fits = |value: &&String| !value.is_empty() && of.key.len() + value.len() < 256;
        let sight = Sight::TraceState {
            key: of.key.clone(),
            values: of.values.iter().filter(fits).cloned().collect(),
        };
        self.seen(sight, false)
    }

    const fn bytes(&mut self, of: keys::BytesLimiting) -> Rule {
        self.buckets += 1;
        Rule::Bytes {
            bucket: self.buckets - 1,
            rate: of.bytes_per_second,
            burst: if of.burst_capacity > 0 {
                of.burst_capacity
            } else {
                of.bytes_per_second.saturating_mul(2)
            },
        }
    }

    fn conditions(&mut self, of: &keys::OttlCondition, path: &str) -> Result<Rule, BuildError> {
        if of.span.is_empty() && of.spanevent.is_empty() {
            return Err(BuildError::at(path, "there is no condition")
                .remedy("add one under `span` or `spanevent`"));
        }
        let compiled = |texts: &[String], key: &str, context: Context| {
            let each = texts.iter().enumerate().map(|(at, text)| {
                Condition::compile(text, context)
                    .map_err(|error| build_error(&format!("{path}::{key}::{at}"), &error))
            });
            each.collect::<Result<Vec<_>, _>>()
        };
        let (mark, failed) = (self.mark(), self.mark());
        self.conditions.push(Conditions {
            span: compiled(&of.span, "span", Context::Span)?,
            event: compiled(&of.spanevent, "spanevent", Context::SpanEvent)?,
            mode: of.error_mode,
            mark,
            failed,
        });
        Ok(Rule::Held { mark, failed })
    }

    fn composite(
        &mut self,
        of: &keys::Composite,
        path: &str,
        depth: usize,
    ) -> Result<Rule, BuildError> {
        let inner = &of.composite_sub_policy;
        let at = format!("{path}::composite_sub_policy");
        let rules = self.rules(inner, &at, depth)?;
        for (index, name) in of.policy_order.iter().enumerate() {
            known(inner, name, &format!("{path}::policy_order::{index}"))?;
        }
        for (index, share) in of.rate_allocation.iter().enumerate() {
            let path = format!("{path}::rate_allocation::{index}::policy");
            known(inner, &share.policy, &path)?;
        }
        let max = of.max_total_spans_per_second;
        let parts = inner.iter().zip(rules).map(|(policy, rule)| {
            // Of several shares the last counts.
            let mut shares = of.rate_allocation.iter().rev();
            let share = shares.find(|share| share.policy == policy.name);
            // As the Collector computes it, in floating point and cut.
            let most = match share {
                None => 0.0,
                Some(share) if share.percent > 0 => share.percent as f64 / 100.0 * max as f64,
                Some(_) => max as f64 / inner.len() as f64,
            };
            Part {
                name: policy.name.clone(),
                rule,
                window: self.window(),
                most: (most as i64).min(max),
            }
        });
        Ok(Rule::Composite(parts.collect()))
    }
}

fn known(policies: &[keys::Policy], name: &str, path: &str) -> Result<(), BuildError> {
    if policies.iter().any(|policy| policy.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = policies.iter().map(|of| of.name.as_str()).collect();
    let message = format!("{name:?} is none of the policies in composite_sub_policy");
    Err(BuildError::at(path, message).remedy(format!("write one of {}", names.join(", "))))
}

fn named(key: &str, path: &str) -> Result<String, BuildError> {
    if key.is_empty() {
        return Err(
            BuildError::at(format!("{path}::key"), "no attribute is named")
                .remedy("write the attribute's name"),
        );
    }
    Ok(key.to_owned())
}
