//! What serde finds wrong, with the place where it found it.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use crate::{Diagnostic, Kind, Span, Value, did_you_mean};

/// An error of the deserialiser; the place and the path gather as it travels up.
#[derive(Debug)]
pub(crate) struct Fault {
    kind: Kind,
    message: String,
    help: Option<String>,
    span: Option<Span>,
    /// Steps from the fault outwards.
    path: Vec<String>,
}

impl Fault {
    fn new(kind: Kind, message: String) -> Self {
        Self {
            kind,
            message,
            help: None,
            span: None,
            path: Vec::new(),
        }
    }

    pub(super) fn expected(what: &str, found: &Value) -> Self {
        let message = format!("expected {what}, found {}", found.kind());
        Self::new(Kind::WrongType, message)
    }

    /// Sets the place unless one nearer to the fault is known.
    pub(super) fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// Says under which key or index it happened.
    pub(super) fn under(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    /// Gives the finding, its path relative to the node that was read.
    pub(crate) fn into_diagnostic(mut self) -> Diagnostic {
        self.path.reverse();
        Diagnostic::error(self.kind, self.message)
            .at(self.span.unwrap_or(Span::NONE))
            .path(self.path.join("::"))
            .maybe_help(self.help)
    }
}

fn named(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a mapping",
        _ => "something else",
    }
}

impl de::Error for Fault {
    /// Takes a message of the form `fault; remedy`.
    fn custom<T: Display>(message: T) -> Self {
        let text = message.to_string();
        match text.split_once("; ") {
            Some((fault, remedy)) => Self {
                help: Some(remedy.to_owned()),
                ..Self::new(Kind::InvalidValue, fault.to_owned())
            },
            None => Self::new(Kind::InvalidValue, text),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let message = format!("expected {expected}, found {}", named(&unexpected));
        Self::new(Kind::WrongType, message)
    }

    // The value itself stays out of the message: it may come from the environment.
    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::InvalidValue, format!("expected {expected}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            help: Some(format!("add `{field}:`")),
            ..Self::new(Kind::Missing, format!("`{field}` is missing"))
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            help: did_you_mean(field, expected.iter().copied()),
            ..Self::new(Kind::UnknownKey, format!("unknown key `{field}`"))
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self {
            help: Some(format!("write one of: {}", expected.join(", "))),
            ..Self::new(
                Kind::InvalidValue,
                "the value is none of those known here".to_owned(),
            )
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
