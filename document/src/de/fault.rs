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

// Control characters that no configuration holds.
const SEAL: &str = "\u{1}";
const PATH: char = '\u{2}';

/// The kinds that a fault can be of.
const KINDS: [Kind; 4] = [
    Kind::InvalidValue,
    Kind::WrongType,
    Kind::Missing,
    Kind::UnknownKey,
];

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

    /// Writes the fault as a text that [`Error::custom`](de::Error::custom) of this type takes apart again: so it
    /// keeps its place through a `Deserialize` that knows nothing of it. Without a place it is a plain sentence.
    pub(crate) fn sealed(mut self) -> String {
        let Some(span) = self.span.filter(|span| *span != Span::NONE) else {
            return self.into_diagnostic().to_string();
        };
        self.path.reverse();
        let kind = KINDS
            .iter()
            .position(|kind| *kind == self.kind)
            .unwrap_or(0);
        let [source, start, end] = span.parts();
        let place = format!("{source},{start},{end},{kind}");
        let path = self.path.join(&PATH.to_string());
        let help = self.help.unwrap_or_default();
        ["", &place, &path, &self.message, &help].join(SEAL)
    }

    fn unsealed(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(SEAL)?.splitn(4, SEAL);
        let (place, path) = (parts.next()?, parts.next()?);
        let (message, help) = (parts.next()?, parts.next()?);
        let mut numbers = place.split(',').map_while(|number| number.parse().ok());
        let span = Span::from_parts([numbers.next()?, numbers.next()?, numbers.next()?]);
        let kind = usize::try_from(numbers.next()?).ok()?;
        let steps = path.split(PATH).filter(|step| !step.is_empty());
        Some(Self {
            help: (!help.is_empty()).then(|| help.to_owned()),
            span: Some(span),
            path: steps.rev().map(str::to_owned).collect(),
            ..Self::new(*KINDS.get(kind)?, message.to_owned())
        })
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
        if let Some(fault) = Self::unsealed(&text) {
            return fault;
        }
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
