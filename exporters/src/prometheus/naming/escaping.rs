//! Names for scrapers that do not take every name, as they ask for in `escaping`.

use std::fmt::Write;

/// How names that are not legal in the old sense are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Escaping {
    /// As they are, in quotes.
    AllowUtf8,
    /// With an underscore for every character that is not legal.
    Underscores,
    /// With `_dot_` for a dot and two underscores for an underscore and the rest.
    Dots,
    /// With each character's number, after `U__`, so that the name can be had back.
    Values,
}

impl Escaping {
    /// The scheme that a scraper calls so.
    pub(in super::super) fn named(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|scheme| scheme.name() == name)
    }

    /// Its name.
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The name as this scheme writes it; legal names stay as they are.
    pub(in super::super) fn apply(self, name: &str) -> String {
        if self == Self::AllowUtf8 || is_legal(name) {
            return name.to_owned();
        }
        let mut out = String::with_capacity(name.len() + 8);
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, c) in name.char_indices() {
            let legal = is_legal_at(c, at);
            match (self, c) {
                (Self::Dots | Self::Values, '_') => out.push_str("__"),
                (Self::Dots, '.') => out.push_str("_dot_"),
                _ if legal => out.push(c),
                (Self::Dots, _) => out.push_str("__"),
                (Self::Values, _) => {
                    let _ = write!(out, "_{:x}_", u32::from(c));
                }
                _ => out.push('_'),
            }
        }
        out
    }
}

/// Whether a name needs no quotes: letters, digits, underscores and colons, no digit first.
pub(in super::super) fn is_legal(name: &str) -> bool {
    !name.is_empty() && name.char_indices().all(|(at, c)| is_legal_at(c, at))
}

const fn is_legal_at(c: char, at: usize) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '_' | ':') || c.is_ascii_digit() && at > 0
}
