//! The keys of an action, and what makes them an [`Actions`].

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::{Action, Actions, Extract, Source, Verb, When};
use crate::actions::context::ContextKey;
use crate::literal::Literal;
use tidegate_component::pattern;

/// What is done to an attribute.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionConfig {
    /// The attribute that the action is about. `delete` and `hash` do without where there is a `pattern`.
    #[serde(default)]
    key: String,
    /// What is done: `insert` where the key is absent, `update` where it is present, `upsert` in both cases,
    /// `delete`, `hash` (SHA-256 in hexadecimal digits), `extract` or `convert`.
    #[schemars(extend("x-ignore-case" = true))]
    action: Kind,
    /// The value to insert, update or upsert, of any type.
    value: Option<Literal>,
    /// The value where `from_attribute` or `from_context` finds none.
    default_value: Option<Literal>,
    /// The attribute that the value is copied from; nothing happens where there is none.
    #[serde(default)]
    from_attribute: String,
    /// Where in the request's context the value comes from: `metadata.KEY`, `auth.KEY` or `client.address`. Several
    /// values are joined by `;`. Nothing happens where there is none.
    #[serde(default)]
    from_context: String,
    /// For `extract`: a regular expression whose named groups become attributes. For `delete` and `hash`: one that
    /// keys match.
    #[serde(default)]
    pattern: String,
    /// For `convert`: the type that the value gets, if it can.
    converted_type: Option<Converted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Insert,
    Update,
    Upsert,
    Delete,
    Hash,
    Extract,
    Convert,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::Hash => "hash",
            Self::Extract => "extract",
            Self::Convert => "convert",
        }
    }
}

/// The type that a value is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Converted {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A floating-point number.
    Double,
}

/// Compiles a list of actions that stands under `path`.
pub(crate) fn compile(actions: &[ActionConfig], path: &str) -> Result<Actions, BuildError> {
    if actions.is_empty() {
        return Err(BuildError::at(path, "there is no action").remedy(format!(
            "list what to do under `{path}`, as `- {{key: a, value: b, action: upsert}}`"
        )));
    }
    let compiled = actions
        .iter()
        .enumerate()
        .map(|(index, action)| action.compile().map_err(|fault| fault.at(path, index)));
    Ok(Actions::new(compiled.collect::<Result<_, _>>()?))
}

/// What is wrong with one key of an action.
struct Fault {
    key: &'static str,
    message: String,
    remedy: String,
}

impl Fault {
    fn new(key: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            key,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    fn at(self, path: &str, index: usize) -> BuildError {
        let path = match self.key {
            "" => format!("{path}::{index}"),
            key => format!("{path}::{index}::{key}"),
        };
        BuildError::at(path, self.message).remedy(self.remedy)
    }
}

impl ActionConfig {
    fn compile(&self) -> Result<Action, Fault> {
        self.check()?;
        let verb = match self.action {
            Kind::Insert => self.put(When::Absent)?,
            Kind::Update => self.put(When::Present)?,
            Kind::Upsert => self.put(When::Always)?,
            Kind::Delete => Verb::Delete(self.regex()?),
            Kind::Hash => Verb::Hash(self.regex()?),
            Kind::Extract => self.extract()?,
            Kind::Convert => match self.converted_type {
                Some(to) => Verb::Convert(to),
                None => {
                    let remedy = "write `converted_type: string`, `int` or `double`";
                    return Err(Fault::new("", "`convert` has no `converted_type`", remedy));
                }
            },
        };
        Ok(Action {
            key: self.key.as_str().into(),
            verb,
        })
    }

    /// Checks that the keys are there that the action needs, and no others.
    fn check(&self) -> Result<(), Fault> {
        use Kind::{Convert, Delete, Extract, Hash};
        let by_pattern = matches!(self.action, Delete | Hash);
        let name = self.action.name();
        if self.key.is_empty() && (self.pattern.is_empty() || !by_pattern) {
            let remedy = if by_pattern {
                "name the attribute by `key`, or several by `pattern`"
            } else {
                "name the attribute by `key`"
            };
            return Err(Fault::new("", format!("`{name}` has no `key`"), remedy));
        }
        let puts = !matches!(self.action, Delete | Hash | Extract | Convert);
        let unused = [
            ("value", self.value.is_some(), puts),
            ("default_value", self.default_value.is_some(), puts),
            ("from_attribute", !self.from_attribute.is_empty(), puts),
            ("from_context", !self.from_context.is_empty(), puts),
            (
                "pattern",
                !self.pattern.is_empty(),
                by_pattern || self.action == Extract,
            ),
            (
                "converted_type",
                self.converted_type.is_some(),
                self.action == Convert,
            ),
        ];
        match unused.into_iter().find(|(_, set, used)| *set && !used) {
            Some((key, ..)) => Err(Fault::new(
                key,
                format!("`{name}` makes no use of `{key}`"),
                format!("remove `{key}`, or choose another action"),
            )),
            None => Ok(()),
        }
    }

    fn put(&self, when: When) -> Result<Verb, Fault> {
        let name = self.action.name();
        let sources = [
            self.value.clone().map(Source::Value),
            (!self.from_attribute.is_empty())
                .then(|| Source::Attribute(self.from_attribute.as_str().into())),
            (!self.from_context.is_empty())
                .then(|| Source::Context(ContextKey::new(&self.from_context))),
        ];
        let mut sources = sources.into_iter().flatten();
        let source = sources.next();
        if sources.next().is_some() {
            return Err(Fault::new(
                "",
                format!("`{name}` has several values"),
                "keep one of `value`, `from_attribute` and `from_context`",
            ));
        }
        if source.is_none() && self.default_value.is_none() {
            return Err(Fault::new(
                "",
                format!("`{name}` has no value"),
                "write one of `value`, `from_attribute`, `from_context` and `default_value`",
            ));
        }
        Ok(Verb::Put {
            when,
            source,
            default: self.default_value.clone(),
        })
    }

    fn regex(&self) -> Result<Option<regex::bytes::Regex>, Fault> {
        if self.pattern.is_empty() {
            return Ok(None);
        }
        let fault = |message| Fault::new("pattern", message, "write a regular expression");
        pattern::compile(&self.pattern).map(Some).map_err(fault)
    }

    fn extract(&self) -> Result<Verb, Fault> {
        let remedy = "give each group a name: `(?P<name>…)`";
        let Some(regex) = self.regex()? else {
            return Err(Fault::new("", "`extract` has no `pattern`", remedy));
        };
        let names: Option<Vec<Box<str>>> = regex
            .capture_names()
            .skip(1)
            .map(|name| name.map(Into::into))
            .collect();
        match names {
            Some(names) if !names.is_empty() => Ok(Verb::Extract(Extract::new(regex, names))),
            Some(_) => Err(Fault::new("pattern", "the pattern has no group", remedy)),
            None => Err(Fault::new("pattern", "a group has no name", remedy)),
        }
    }
}
