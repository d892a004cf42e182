//! The expressions of `if`, `expr` and `EXPR(…)`: the part of the language of the original that
//! configurations use.
//!
//! They are parsed when a configuration is built; what is not built is refused there, with its place.
//! Evaluating borrows from the entry and allocates only for texts that are made.

mod eval;
mod lex;
mod parse;
#[cfg(test)]
mod tests;

use super::entry::Entry;
use super::value::Value;

/// What is wrong with an expression, and where: a character counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {why}")]
pub(crate) struct Fault {
    at: usize,
    why: String,
}

impl Fault {
    const fn at(at: usize, why: String) -> Self {
        Self { at: at + 1, why }
    }
}

/// The functions that expressions can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Env,
    Len,
    Lower,
    Upper,
    Trim,
    TrimPrefix,
    TrimSuffix,
    HasPrefix,
    HasSuffix,
    IndexOf,
    Replace,
    Split,
    Join,
    Int,
    Float,
    String,
    Type,
}

impl Function {
    /// Each with its name and how many arguments it takes.
    const ALL: &'static [(&'static str, Self, usize, usize)] = &[
        ("env", Self::Env, 1, 1),
        ("len", Self::Len, 1, 1),
        ("lower", Self::Lower, 1, 1),
        ("upper", Self::Upper, 1, 1),
        ("trim", Self::Trim, 1, 2),
        ("trimPrefix", Self::TrimPrefix, 2, 2),
        ("trimSuffix", Self::TrimSuffix, 2, 2),
        ("hasPrefix", Self::HasPrefix, 2, 2),
        ("hasSuffix", Self::HasSuffix, 2, 2),
        ("indexOf", Self::IndexOf, 2, 2),
        ("replace", Self::Replace, 3, 3),
        ("split", Self::Split, 2, 2),
        ("join", Self::Join, 1, 2),
        ("int", Self::Int, 1, 1),
        ("float", Self::Float, 1, 1),
        ("string", Self::String, 1, 1),
        ("type", Self::Type, 1, 1),
    ];

    fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, ..)| *known == name);
        found.map(|(_, function, ..)| *function)
    }

    fn row(self) -> &'static (&'static str, Self, usize, usize) {
        let row = Self::ALL.iter().find(|(_, function, ..)| *function == self);
        row.unwrap_or(&Self::ALL[0])
    }

    fn name(self) -> &'static str {
        self.row().0
    }

    fn takes(self) -> (usize, usize) {
        (self.row().2, self.row().3)
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Expression(parse::Node);

impl Expression {
    /// Parses an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        parse::parse(text).map(Self)
    }

    /// Whether it holds for an entry; the error says why nobody knows.
    pub(crate) fn holds(&self, entry: &Entry) -> Result<bool, String> {
        eval::eval(&self.0, entry)?.truth()
    }

    /// What it comes to for an entry.
    pub(crate) fn value(&self, entry: &Entry) -> Result<Value, String> {
        Ok(eval::eval(&self.0, entry)?.into_value())
    }
}

/// A text with expressions in it, each as `EXPR(…)`.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    parts: Vec<(String, Expression)>,
    last: String,
}

const OPEN: &str = "EXPR(";

impl Template {
    /// Parses a text; none where no expression is in it.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, Fault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(OPEN) {
            let inner = &rest[start + OPEN.len()..];
            // As in the original, the last bracket before the next expression closes this one.
            let until = inner.find(OPEN).unwrap_or(inner.len());
            let Some(end) = inner[..until].rfind(')') else {
                break;
            };
            let expression = Expression::parse(&inner[..end]).map_err(|fault| {
                let before = text[..text.len() - inner.len()].chars().count();
                Fault::at(before + fault.at - 1, fault.why)
            })?;
            parts.push((rest[..start].to_owned(), expression));
            rest = &inner[end + 1..];
        }
        let last = rest.to_owned();
        Ok((!parts.is_empty()).then_some(Self { parts, last }))
    }

    /// The text for an entry.
    pub(crate) fn render(&self, entry: &Entry) -> Result<String, String> {
        let mut text = String::new();
        for (before, expression) in &self.parts {
            text.push_str(before);
            match expression.value(entry)? {
                Value::Str(value) => text.push_str(&value),
                other => return Err(format!("{} is no text", other.kind())),
            }
        }
        text.push_str(&self.last);
        Ok(text)
    }
}
