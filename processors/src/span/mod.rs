//! `span`: names spans by their attributes, takes attributes out of their names, and sets their status.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Outbox, Processor, Stability, pattern,
};
use tidegate_pdata::splice::{
    AttributeEditor, Edits, ResourceEditor, ScopeEditor, SpanEditor, Splicer, Verdict, Visit,
};
use tidegate_pdata::view::{AnyValue, Text};
use tidegate_pdata::{Batch, Signal, Signals};

use crate::matching::{Filter, MatchProperties};

/// Names spans by their attributes, takes attributes out of their names, and sets their status.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What becomes of names.
    name: Option<Name>,
    /// The status that spans get.
    status: Option<Status>,
    /// The spans to which it is done; all of them where this is left out.
    include: Option<MatchProperties>,
    /// Of these the spans to which it is not done.
    exclude: Option<MatchProperties>,
}

/// What becomes of names: first they are made of attributes, then attributes are taken out of them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Name {
    /// The attributes whose values make the name, in this order; a span that lacks one keeps its name.
    from_attributes: Vec<String>,
    /// What stands between these values.
    separator: String,
    /// What is taken out of names.
    to_attributes: Option<ToAttributes>,
}

/// What is taken out of names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ToAttributes {
    /// Patterns with named groups: what a group matches becomes the attribute of its name, and in the name of the
    /// span that name in braces. Each works on what the ones before have made.
    rules: Vec<String>,
    /// Whether the first pattern that matches is the last that is tried.
    break_after_match: bool,
    /// Whether the span keeps its name.
    keep_original_name: bool,
}

/// A status.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Status {
    /// `Ok`, `Error` or `Unset`.
    code: Code,
    /// What went wrong, for `Error`.
    #[serde(default)]
    description: String,
}

/// The code of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum Code {
    /// Nothing is said.
    Unset = 0,
    /// It went well.
    Ok = 1,
    /// Something went wrong.
    Error = 2,
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Processor>;
    const TYPE: &'static str = "span";
    const STABILITY: Stability = Stability::Beta;
    const SIGNALS: Signals = Signals::TRACES;

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let name = self.name.clone().unwrap_or_default();
        let to = name.to_attributes.unwrap_or_default();
        if name.from_attributes.is_empty() && to.rules.is_empty() && self.status.is_none() {
            return Err(BuildError::at("", "there is nothing to do").remedy(
                "write `name::from_attributes`, `name::to_attributes::rules` or `status`",
            ));
        }
        let is_odd =
            |status: &&Status| status.code != Code::Error && !status.description.is_empty();
        if self.status.as_ref().filter(is_odd).is_some() {
            let message = "only errors have a description";
            return Err(BuildError::at("status::description", message)
                .remedy("remove it, or write `code: Error`"));
        }
        let rules = to
            .rules
            .iter()
            .enumerate()
            .map(|(at, rule)| Rule::new(rule, &format!("name::to_attributes::rules::{at}")));
        let edit = Edit {
            filter: Filter::new(self.include.as_ref(), self.exclude.as_ref(), Signal::Traces)?,
            from: name
                .from_attributes
                .iter()
                .map(|key| key.as_str().into())
                .collect(),
            separator: name.separator.into(),
            rules: rules.collect::<Result<_, _>>()?,
            breaks: to.break_after_match,
            keeps_name: to.keep_original_name,
            status: self.status.clone(),
            name: Vec::new(),
            next: Vec::new(),
        };
        Ok(Box::new(Span {
            splicer: Splicer::default(),
            edit,
        }))
    }
}

struct Span {
    splicer: Splicer,
    edit: Edit,
}

/// A pattern, and the attribute of each of its groups.
struct Rule {
    pattern: Regex,
    attributes: Vec<Option<Box<str>>>,
}

impl Rule {
    fn new(rule: &str, path: &str) -> Result<Self, BuildError> {
        let pattern = pattern::compile(rule);
        let pattern = pattern
            .map_err(|fault| BuildError::at(path, fault).remedy("write a regular expression"))?;
        let attributes: Vec<Option<Box<str>>> = pattern
            .capture_names()
            .map(|name| name.map(Into::into))
            .collect();
        if attributes.iter().all(Option::is_none) {
            return Err(BuildError::at(path, "no group of the pattern has a name")
                .remedy("name what is taken out, as `^/users/(?P<user_id>[0-9]+)$`"));
        }
        Ok(Self {
            pattern,
            attributes,
        })
    }
}

struct Edit {
    filter: Filter,
    from: Vec<Box<str>>,
    separator: Box<str>,
    rules: Vec<Rule>,
    breaks: bool,
    keeps_name: bool,
    status: Option<Status>,
    /// Room for a name, and for the one that is made of it.
    name: Vec<u8>,
    next: Vec<u8>,
}

impl Processor for Span {
    fn process(&mut self, batch: Batch, out: &mut Outbox) {
        let (payload, context, receipt) = batch.into_parts();
        let payload = self.splicer.edit(payload, &mut self.edit);
        out.push(Batch::new(payload, context, receipt));
    }
}

/// Goes on to what lies within only where something of it can be selected.
const fn enter(possible: bool) -> Visit {
    if possible { Visit::Enter } else { Visit::Skip }
}

impl Edits for Edit {
    fn resource(&mut self, resource: &mut ResourceEditor<'_>) -> Visit {
        enter(self.filter.is_open() || self.filter.resource(resource.view()))
    }

    fn scope(&mut self, scope: &mut ScopeEditor<'_>) -> Visit {
        enter(self.filter.is_open() || self.filter.scope(scope.view()))
    }

    fn span(&mut self, span: &mut SpanEditor<'_>) -> Verdict {
        if self.filter.is_open() || self.filter.span(span.view()) {
            if self.name_by(&span.attributes()) {
                span.set_name(&self.name);
            }
            self.take_out(span);
            if let Some(status) = &self.status {
                span.set_status_code(status.code as i32);
                span.set_status_message(&status.description);
            }
        }
        Verdict::Keep
    }
}

impl Edit {
    /// Makes a name of attributes; false where one is missing.
    fn name_by(&mut self, attributes: &AttributeEditor<'_>) -> bool {
        self.name.clear();
        for (at, key) in self.from.iter().enumerate() {
            let Some(value) = attributes.get(&**key) else {
                return false;
            };
            if at > 0 {
                self.name.extend_from_slice(self.separator.as_bytes());
            }
            put(value, &mut self.name);
        }
        !self.from.is_empty()
    }

    fn take_out(&mut self, span: &mut SpanEditor<'_>) {
        if self.rules.is_empty() {
            return;
        }
        self.name.clear();
        self.name.extend_from_slice(span.view().name().as_bytes());
        if self.name.is_empty() {
            return;
        }
        let mut matched = false;
        for rule in &self.rules {
            if !rule.apply(&self.name, &mut self.next, &mut span.attributes()) {
                continue;
            }
            matched = true;
            if !self.keeps_name {
                std::mem::swap(&mut self.name, &mut self.next);
            }
            if self.breaks {
                break;
            }
        }
        if matched && !self.keeps_name {
            span.set_name(&self.name);
        }
    }
}

impl Rule {
    /// Takes out of a name what the groups match, and writes what is left; false where the pattern does not match.
    fn apply(&self, name: &[u8], left: &mut Vec<u8>, attributes: &mut AttributeEditor<'_>) -> bool {
        let Some(captures) = self.pattern.captures(name) else {
            return false;
        };
        left.clear();
        let mut copied = 0;
        for (at, attribute) in self.attributes.iter().enumerate() {
            let (Some(attribute), Some(group)) = (attribute, captures.get(at)) else {
                continue;
            };
            attributes.upsert(&**attribute, Text::new(group.as_bytes()));
            // One within another is gone with it.
            if group.start() >= copied {
                left.extend_from_slice(&name[copied..group.start()]);
                left.push(b'{');
                left.extend_from_slice(attribute.as_bytes());
                left.push(b'}');
                copied = group.end();
            }
        }
        left.extend_from_slice(&name[copied..]);
        true
    }
}

/// Writes a value as part of a name.
fn put(value: AnyValue<'_>, name: &mut Vec<u8>) {
    let mut text = String::new();
    // Writing to text cannot fail.
    let _ = match value {
        AnyValue::String(value) => return name.extend_from_slice(value.as_bytes()),
        AnyValue::Bool(value) => write!(text, "{value}"),
        AnyValue::Int(value) => write!(text, "{value}"),
        AnyValue::Double(value) if value.is_infinite() => {
            write!(text, "{}Inf", if value > 0.0 { '+' } else { '-' })
        }
        AnyValue::Double(value) => write!(text, "{value}"),
        _ => write!(text, "<unknown-attribute-type>"),
    };
    name.extend_from_slice(text.as_bytes());
}
