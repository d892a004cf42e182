//! What may be seen.

use std::collections::HashSet;

use regex::bytes::{Regex, RegexSet};
use tidegate_pdata::view::AnyValue;

use super::hash::Mask;

/// The attributes that tell what was done, which may stay when they come in.
const OWN: [&[u8]; 5] = [
    b"redaction.redacted.keys",
    b"redaction.redacted.count",
    b"redaction.masked.keys",
    b"redaction.masked.count",
    b"redaction.ignored.count",
];

/// What may be seen.
pub(super) struct Rules {
    /// The keys that stay; all of them where there is no list.
    pub(super) allowed_keys: Option<HashSet<Box<[u8]>>>,
    pub(super) ignored_keys: HashSet<Box<[u8]>>,
    pub(super) ignored_patterns: RegexSet,
    pub(super) blocked_patterns: RegexSet,
    pub(super) allowed_values: RegexSet,
    pub(super) blocked_values: Vec<Regex>,
    pub(super) any_blocked_value: RegexSet,
    /// Whether attributes that are no text are looked at too.
    pub(super) all_types: bool,
    pub(super) mask: Mask,
}

/// What a key says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// It stays as it is.
    Ignored,
    /// It goes.
    Redacted,
    /// Its value decides.
    Allowed,
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays, as it may be seen.
    Allowed,
    /// Nothing of it is masked.
    Unchanged,
    /// The text that was looked at has become its mask.
    Masked,
}

impl Rules {
    pub(super) fn key(&self, key: &[u8]) -> Key {
        if self.ignored_keys.contains(key) || self.ignored_patterns.is_match(key) {
            return Key::Ignored;
        }
        let is_allowed = |keys: &HashSet<Box<[u8]>>| keys.contains(key) || OWN.contains(&key);
        match self.allowed_keys.as_ref().is_none_or(is_allowed) {
            true => Key::Allowed,
            false => Key::Redacted,
        }
    }

    pub(super) fn is_blocked(&self, key: &[u8]) -> bool {
        self.blocked_patterns.is_match(key)
    }

    /// Masks what must not be seen of the value of an attribute, which it writes to `text`.
    pub(super) fn attribute(&self, key: &[u8], value: AnyValue<'_>, text: &mut Vec<u8>) -> Verdict {
        write(value, self.all_types, text);
        if self.allowed_values.is_match(text) {
            return Verdict::Allowed;
        }
        if self.is_blocked(key) {
            self.mask.all(text);
            return Verdict::Masked;
        }
        self.blocked(text)
    }

    /// Masks what must not be seen of a value in the body of a log record, which it writes to `text`.
    pub(super) fn leaf(&self, value: AnyValue<'_>, text: &mut Vec<u8>) -> Verdict {
        write(value, true, text);
        if self.allowed_values.is_match(text) {
            return Verdict::Allowed;
        }
        self.blocked(text)
    }

    /// Masks the whole of a value in the body of a log record.
    pub(super) fn whole(&self, value: AnyValue<'_>, text: &mut Vec<u8>) {
        write(value, false, text);
        self.mask.all(text);
    }

    fn blocked(&self, text: &mut Vec<u8>) -> Verdict {
        if !self.any_blocked_value.is_match(text) {
            return Verdict::Unchanged;
        }
        let before = text.clone();
        for pattern in &self.blocked_values {
            self.mask.matches(text, pattern);
        }
        match *text == before {
            true => Verdict::Unchanged,
            false => Verdict::Masked,
        }
    }
}

/// Writes a value as text; of one that is no text nothing, unless all are asked for.
fn write(value: AnyValue<'_>, all: bool, text: &mut Vec<u8>) {
    text.clear();
    match value {
        AnyValue::String(value) => text.extend_from_slice(value.as_bytes()),
        value if all => {
            let mut written = String::from_utf8(std::mem::take(text)).unwrap_or_default();
            // Writing to text cannot fail.
            let _ = value.write_text(&mut written);
            *text = written.into_bytes();
        }
        _ => {}
    }
}
