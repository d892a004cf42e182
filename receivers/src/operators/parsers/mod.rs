//! Operators that make structure of text, with the timestamp, severity, trace and scope that they
//! may read off it afterwards.

mod csv;
mod json;
mod key_value;
mod regex;
#[cfg(test)]
mod tests;
mod uri;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::chain::Transform;
use super::entry::Entry;
use super::field::{Field, Root};
use super::severity::{SeverityKeys, SeverityParser};
use super::time::{TimeKeys, TimeParser};
use super::trace::{ScopeKeys, ScopeParser, TraceKeys, TraceParser};
use super::value::Value;

pub(crate) use csv::CsvKeys;
pub(crate) use json::{JsonKeys, json};
pub(crate) use key_value::KeyValueKeys;
pub(crate) use regex::RegexKeys;
pub(crate) use uri::Uri;

/// What all parsers have in common.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Parsing {
    /// The field that is parsed; the body unless told.
    pub(crate) parse_from: Option<String>,
    /// Where the result goes; the attributes unless told.
    pub(crate) parse_to: Option<String>,
    /// The field of the result that becomes the body.
    pub(crate) body: Option<String>,
    /// Reads the timestamp afterwards.
    pub(crate) timestamp: Option<TimeKeys>,
    /// Reads the severity afterwards.
    pub(crate) severity: Option<SeverityKeys>,
    /// Reads the trace's context afterwards.
    pub(crate) trace: Option<TraceKeys>,
    /// Reads the scope's name afterwards.
    pub(crate) scope_name: Option<ScopeKeys>,
}

/// Makes structure of a value.
pub(crate) trait Parse: Send {
    /// The structure, or why there is none.
    fn parse(&mut self, value: &Value, entry: &Entry) -> Result<Value, String>;
}

/// A parser with what it does before and afterwards.
struct Parser {
    from: Field,
    to: Field,
    body: Option<Field>,
    after: After,
    parse: Box<dyn Parse>,
}

/// What is read off an entry once it has structure.
#[derive(Clone, Debug, Default)]
pub(crate) struct After {
    time: Option<TimeParser>,
    severity: Option<SeverityParser>,
    trace: Option<TraceParser>,
    scope: Option<ScopeParser>,
}

impl Parsing {
    /// Where something is parsed from.
    pub(crate) fn from(&self, path: &str) -> Result<Field, BuildError> {
        field(self.parse_from.as_deref(), Root::Body, path, "parse_from")
    }

    /// Where the result goes.
    pub(crate) fn to(&self, path: &str) -> Result<Field, BuildError> {
        field(self.parse_to.as_deref(), Root::Attributes, path, "parse_to")
    }

    /// What is read afterwards.
    pub(crate) fn after(&self, path: &str) -> Result<After, BuildError> {
        let at = |key: &str| format!("{path}::{key}");
        let time = self.timestamp.as_ref();
        let severity = self.severity.as_ref();
        let trace = self.trace.as_ref();
        let scope = self.scope_name.as_ref();
        Ok(After {
            time: time.map(|keys| keys.build(&at("timestamp"))).transpose()?,
            severity: severity
                .map(|keys| keys.build(&at("severity")))
                .transpose()?,
            trace: trace.map(|keys| keys.build(&at("trace"))).transpose()?,
            scope: scope
                .map(|keys| keys.build(&at("scope_name")))
                .transpose()?,
        })
    }

    /// Joins these keys with a parser; `path` is the one that leads to the operator.
    pub(crate) fn build(
        &self,
        parse: Box<dyn Parse>,
        path: &str,
    ) -> Result<Box<dyn Transform>, BuildError> {
        let fault = |why| BuildError::at(format!("{path}::body"), why);
        let body = self.body.as_deref().map(Field::parse).transpose();
        let to = self.to(path)?;
        if self.body.is_some() && to == Field::root(Root::Body) {
            let message = "the result goes to the body already, by `parse_to`";
            return Err(BuildError::at(format!("{path}::body"), message));
        }
        Ok(Box::new(Parser {
            from: self.from(path)?,
            to,
            body: body.map_err(fault)?,
            after: self.after(path)?,
            parse,
        }))
    }
}

fn field(text: Option<&str>, root: Root, path: &str, key: &str) -> Result<Field, BuildError> {
    let Some(text) = text else {
        return Ok(Field::root(root));
    };
    Field::parse(text).map_err(|why| BuildError::at(format!("{path}::{key}"), why))
}

impl After {
    /// Reads all of it; the first fault is told when all has been tried.
    pub(crate) fn apply(&self, entry: &mut Entry) -> Result<(), String> {
        let time = self.time.as_ref().map_or(Ok(()), |time| time.parse(entry));
        let severity = self.severity.as_ref();
        let severity = severity.map_or(Ok(()), |severity| severity.parse(entry));
        let trace = self.trace.as_ref();
        let trace = trace.map_or(Ok(()), |trace| trace.parse(entry));
        let scope = self.scope.as_ref();
        let scope = scope.map_or(Ok(()), |scope| scope.parse(entry));
        time.and(severity).and(trace).and(scope)
    }
}

impl Transform for Parser {
    fn apply(&mut self, entry: &mut Entry) -> Result<(), String> {
        let Some(value) = self.from.get(entry) else {
            return Err(format!("there is no {} to parse", self.from));
        };
        let parsed = self.parse.parse(value, entry)?;
        self.to.set(entry, parsed)?;
        if let Some(field) = &self.body
            && let Some(body) = field.read(entry)
        {
            entry.body = body;
        }
        self.after.apply(entry)
    }
}

/// The text that a parser reads.
fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Str(text) => Ok(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned()),
        other => Err(format!("{} is no text that could be parsed", other.kind())),
    }
}
