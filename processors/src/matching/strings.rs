//! Lists of which one must match a text.

use std::fmt::Write;

use hashbrown::HashSet;
use regex::bytes::RegexSet;
use tidegate_component::BuildError;
use tidegate_pdata::view::AnyValue;

use super::config::MatchType;
use tidegate_component::pattern;

/// Texts or patterns, of which one must match.
pub(crate) enum Strings {
    Strict(HashSet<Box<[u8]>, foldhash::fast::RandomState>),
    Regexp(RegexSet),
}

impl Strings {
    /// Compiles a list that stands at `path`; `None` where it is empty, which lets everything pass.
    pub(crate) fn new(
        list: &[String],
        kind: Option<MatchType>,
        path: &str,
    ) -> Result<Option<Self>, BuildError> {
        if list.is_empty() {
            return Ok(None);
        }
        Self::of(list, kind, path).map(Some)
    }

    /// Compiles a list that stands at `path`.
    pub(crate) fn of(
        list: &[String],
        kind: Option<MatchType>,
        path: &str,
    ) -> Result<Self, BuildError> {
        match kind {
            Some(MatchType::Strict) => Ok(Self::Strict(
                list.iter().map(|text| text.as_bytes().into()).collect(),
            )),
            Some(MatchType::Regexp) => pattern::compile_set(list)
                .map(Self::Regexp)
                .map_err(|fault| BuildError::at(path, fault).remedy("write a regular expression")),
            None => {
                let (section, _) = path.split_once("::").unwrap_or((path, ""));
                Err(BuildError::at(section, "`match_type` is missing")
                    .remedy("write `match_type: strict` or `match_type: regexp`"))
            }
        }
    }

    /// Whether one of them matches.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Strict(texts) => texts.contains(text),
            Self::Regexp(patterns) => patterns.is_match(text),
        }
    }

    /// Whether one of them matches a value as [`AnyValue::write_text`] writes it.
    pub(super) fn matches_value(&self, value: AnyValue<'_>, room: &mut String) -> bool {
        if let AnyValue::String(text) = value {
            return self.matches(text.as_bytes());
        }
        room.clear();
        value.write_text(room).is_ok() && self.matches(room.as_bytes())
    }

    /// Whether one of them matches a text, a number or a truth value; nothing else can match.
    pub(super) fn matches_scalar(&self, value: AnyValue<'_>, room: &mut String) -> bool {
        room.clear();
        let written = match value {
            AnyValue::String(text) => return self.matches(text.as_bytes()),
            AnyValue::Bool(value) => write!(room, "{value}"),
            AnyValue::Int(value) => write!(room, "{value}"),
            AnyValue::Double(value) if value.is_infinite() => {
                write!(room, "{}Inf", if value > 0.0 { '+' } else { '-' })
            }
            AnyValue::Double(value) => write!(room, "{value}"),
            _ => return false,
        };
        written.is_ok() && self.matches(room.as_bytes())
    }
}
