//! Arguments, and the conversions that parameters ask for.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Zoned;
use regex::bytes::Regex;
use tidegate_component::pattern;
use tidegate_pdata::view::{AnyValue, Repeated};

use super::Function;
use crate::fault::Fault;
use crate::paths::Path;
use crate::plan::{Expr, Outcome};
use crate::subject::Subject;
use crate::text;
use crate::value::{Map, Value};

/// No functions: those of this module are for all the others.
pub(super) const NONE: &[Function] = &[];

/// The arguments of a call, one for each parameter.
#[derive(Debug)]
pub(crate) struct Args {
    /// What they are the arguments of.
    pub(crate) function: &'static Function,
    pub(crate) values: Vec<Arg>,
    pub(crate) state: State,
}

/// An argument.
#[derive(Debug)]
pub(crate) enum Arg {
    None,
    Expr(Expr),
    List(Vec<Expr>),
    Path(Path),
    Function(&'static Function),
}

/// What was made of arguments that are known beforehand.
#[derive(Debug, Default)]
pub(crate) enum State {
    #[default]
    None,
    Regex(Regex),
    TimeFormat(super::times::Format),
    Grok(Box<super::grok::Grok>),
}

impl Args {
    pub(crate) fn has(&self, index: usize) -> bool {
        !matches!(self.values.get(index), None | Some(Arg::None))
    }

    pub(crate) fn path(&self, index: usize) -> Result<&Path, Fault> {
        match self.values.get(index) {
            Some(Arg::Path(path)) => Ok(path),
            _ => Err(Fault::new("the argument is no path")),
        }
    }

    pub(crate) fn function(&self, index: usize) -> Option<&'static Function> {
        match self.values.get(index) {
            Some(Arg::Function(function)) => Some(function),
            _ => None,
        }
    }

    /// The value of an argument; nothing where it was left out.
    pub(crate) fn value<'v>(&'v self, index: usize, subject: &'v Subject<'_>) -> Outcome<'v> {
        match self.values.get(index) {
            Some(Arg::Expr(expr)) => expr.eval(subject),
            Some(Arg::Path(path)) => path.get(subject),
            _ => Ok(Value::Nil),
        }
    }

    /// The expressions of a list that was written as an argument.
    pub(crate) fn list_of(&self, index: usize) -> &[Expr] {
        match self.values.get(index) {
            Some(Arg::List(list)) => list,
            _ => &[],
        }
    }

    /// The text that was written as an argument.
    pub(crate) fn constant(&self, index: usize) -> Option<&[u8]> {
        match self.values.get(index) {
            Some(Arg::Expr(Expr::Literal(Value::Str(text)))) => Some(text),
            _ => None,
        }
    }

    /// The same as text, which a statement always is.
    pub(crate) fn constant_str(&self, index: usize) -> Option<&str> {
        std::str::from_utf8(self.constant(index)?).ok()
    }

    pub(crate) fn constant_int(&self, index: usize) -> Option<i64> {
        match self.values.get(index) {
            Some(Arg::Expr(Expr::Literal(Value::Int(value)))) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn constant_bool(&self, index: usize) -> Option<bool> {
        match self.values.get(index) {
            Some(Arg::Expr(Expr::Literal(Value::Bool(value)))) => Some(*value),
            _ => None,
        }
    }

    /// The texts of a list that was written as an argument.
    pub(crate) fn constants(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        self.list_of(index).iter().filter_map(|expr| match expr {
            Expr::Literal(Value::Str(text)) => Some(&**text),
            _ => None,
        })
    }

    pub(crate) fn text<'v>(
        &'v self,
        index: usize,
        subject: &'v Subject<'_>,
    ) -> Result<Cow<'v, [u8]>, Fault> {
        text_of(self.value(index, subject)?)
    }

    /// A text as UTF-8, with U+FFFD for what is none.
    pub(crate) fn string<'v>(
        &'v self,
        index: usize,
        subject: &'v Subject<'_>,
    ) -> Result<Cow<'v, str>, Fault> {
        Ok(match self.text(index, subject)? {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        })
    }

    pub(crate) fn text_like<'v>(
        &'v self,
        index: usize,
        subject: &'v Subject<'_>,
    ) -> Result<Option<Cow<'v, [u8]>>, Fault> {
        text_like(self.value(index, subject)?)
    }

    pub(crate) fn int(&self, index: usize, subject: &Subject<'_>) -> Result<i64, Fault> {
        match self.value(index, subject)? {
            Value::Int(value) => Ok(value),
            other => Err(Fault::expected("int", other.kind())),
        }
    }

    pub(crate) fn double_like(
        &self,
        index: usize,
        subject: &Subject<'_>,
    ) -> Result<Option<f64>, Fault> {
        double_like(self.value(index, subject)?)
    }

    pub(crate) fn map<'v>(
        &'v self,
        index: usize,
        subject: &'v Subject<'_>,
    ) -> Result<Map<'v>, Fault> {
        match self.value(index, subject)? {
            Value::Map(map) => Ok(map),
            other => Err(Fault::expected("map", other.kind())),
        }
    }

    pub(crate) fn list<'v>(
        &'v self,
        index: usize,
        subject: &'v Subject<'_>,
    ) -> Result<Cow<'v, [u8]>, Fault> {
        match self.value(index, subject)? {
            Value::List(list) => Ok(list),
            other => Err(Fault::expected("list", other.kind())),
        }
    }

    pub(crate) fn time(&self, index: usize, subject: &Subject<'_>) -> Result<Zoned, Fault> {
        match self.value(index, subject)? {
            Value::Time(time) => Ok(time),
            other => Err(Fault::expected("time", other.kind())),
        }
    }

    pub(crate) fn duration(&self, index: usize, subject: &Subject<'_>) -> Result<i64, Fault> {
        match self.value(index, subject)? {
            Value::Duration(nanos) => Ok(nanos),
            other => Err(Fault::expected("duration", other.kind())),
        }
    }

    /// The pattern of an argument: compiled beforehand where it was written, else anew.
    pub(crate) fn regex(
        &self,
        index: usize,
        subject: &Subject<'_>,
    ) -> Result<Cow<'_, Regex>, Fault> {
        if let State::Regex(regex) = &self.state {
            return Ok(Cow::Borrowed(regex));
        }
        let text = self.string(index, subject)?;
        pattern::compile(&text).map(Cow::Owned).map_err(Fault::with)
    }
}

/// Compiles the pattern of an argument, where it was written.
pub(crate) fn prepare_regex(args: &mut Args, index: usize) -> Result<(), super::Misuse> {
    if let Some(text) = args.constant_str(index) {
        let regex = pattern::compile(text).map_err(|fault| (index, fault))?;
        args.state = State::Regex(regex);
    }
    Ok(())
}

pub(crate) fn text_of(value: Value<'_>) -> Result<Cow<'_, [u8]>, Fault> {
    match value {
        Value::Str(text) => Ok(text),
        other => Err(Fault::expected("string", other.kind())),
    }
}

/// The text that a value has: bytes in hexadecimal digits, lists and maps as JSON; nothing for nil.
pub(crate) fn text_like(value: Value<'_>) -> Result<Option<Cow<'_, [u8]>>, Fault> {
    let mut out = String::new();
    match &value {
        Value::Nil => return Ok(None),
        Value::Str(_) => return text_of(value).map(Some),
        Value::Bytes(bytes) => out = text::hex(bytes),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) | Value::Duration(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Double(value) if !value.is_finite() => {
            return Err(Fault::new("a number that is not finite has no text"));
        }
        Value::Double(value) => out = double_text(*value),
        Value::List(bytes) => {
            let _ = AnyValue::Array(Repeated::new(bytes, 1)).write_text(&mut out);
        }
        Value::Map(map) => {
            let encoded = map.encoded();
            let value = Value::Map(Map::Encoded(Cow::Borrowed(&encoded)));
            if let Some(any) = value.as_any() {
                let _ = any.write_text(&mut out);
            }
        }
        Value::Time(time) => {
            let _ = write!(out, "\"{}\"", super::times::rfc3339(time));
        }
        Value::TraceId(id) => out = numbers(id),
        Value::SpanId(id) => out = numbers(id),
        Value::Messages(_) => return Err(Fault::new("a list of messages has no text")),
    }
    Ok(Some(Cow::Owned(out.into_bytes())))
}

/// A finite double with the shortest digits that come back the same, its exponent in two digits at least.
fn double_text(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return value.to_string();
    }
    super::strings::exponential(value)
}

fn numbers(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// The double that a value is or can be read as; nothing for nil.
pub(crate) fn double_like(value: Value<'_>) -> Result<Option<f64>, Fault> {
    Ok(Some(match value {
        Value::Nil => return Ok(None),
        Value::Double(value) => value,
        Value::Int(value) => value as f64,
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::Str(text) => {
            let text = String::from_utf8_lossy(&text);
            super::casts::parse_double(&text)
                .ok_or_else(|| Fault::with(format!("{text:?} is no number")))?
        }
        other => return Err(Fault::expected("a number", other.kind())),
    }))
}
