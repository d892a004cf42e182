//! Actions on attributes: what `attributes` and `resource` have in common.
//!
//! Actions are compiled once, take effect one after the other, and edit through the splicer. A value
//! from the request's context is looked up once a batch; where a key comes twice, the first counts.

mod config;
mod context;
mod convert;

use regex::bytes::{CaptureLocations, Regex};
use sha2::{Digest, Sha256};
use tidegate_pdata::Context;
use tidegate_pdata::splice::{AttributeEditor, NewValue};
use tidegate_pdata::view::{AnyValue, Text};

pub(crate) use config::{ActionConfig, compile};

use crate::literal::Literal;
use config::Converted;
use context::ContextKey;

/// Actions, in order.
pub(crate) struct Actions {
    actions: Vec<Action>,
    /// Room for a text under conversion or extraction.
    text: String,
}

struct Action {
    key: Box<str>,
    verb: Verb,
}

enum Verb {
    Put {
        when: When,
        source: Option<Source>,
        default: Option<Literal>,
    },
    /// The attribute of the key, and those whose keys match.
    Delete(Option<Regex>),
    /// The attribute of the key, and then those whose keys match.
    Hash(Option<Regex>),
    Extract(Extract),
    Convert(Converted),
}

/// When a value is put.
#[derive(Clone, Copy)]
enum When {
    Absent,
    Present,
    Always,
}

/// Where a value comes from.
enum Source {
    Value(Literal),
    Attribute(Box<str>),
    Context(ContextKey),
}

/// A pattern whose groups become attributes.
struct Extract {
    regex: Regex,
    /// The names of the groups from the second on; the first is the whole match.
    names: Vec<Box<str>>,
    groups: CaptureLocations,
    /// Room for the text that is searched while attributes are put.
    text: Vec<u8>,
}

impl Actions {
    const fn new(actions: Vec<Action>) -> Self {
        Self {
            actions,
            text: String::new(),
        }
    }

    /// Looks up what the actions take from the context of a batch.
    pub(crate) fn begin(&mut self, context: &Context) {
        for action in &mut self.actions {
            if let Verb::Put {
                source: Some(Source::Context(key)),
                ..
            } = &mut action.verb
            {
                key.look_up(context);
            }
        }
    }

    /// Does all of them to the attributes of one message.
    pub(crate) fn apply(&mut self, attributes: &mut AttributeEditor<'_>) {
        for Action { key, verb } in &mut self.actions {
            let key: &str = key;
            match verb {
                Verb::Put {
                    when,
                    source,
                    default,
                } => put(attributes, key, *when, source.as_ref(), default.as_ref()),
                Verb::Delete(pattern) => delete(attributes, key, pattern.as_ref()),
                Verb::Hash(pattern) => hash(attributes, key, pattern.as_ref()),
                Verb::Extract(extract) => extract.apply(attributes, key),
                Verb::Convert(to) => {
                    let value = attributes.get(key);
                    let new =
                        value.and_then(|value| convert::converted(value, *to, &mut self.text));
                    if let Some(new) = new {
                        attributes.update(key, new);
                    }
                }
            }
        }
    }
}

fn put(
    attributes: &mut AttributeEditor<'_>,
    key: &str,
    when: When,
    source: Option<&Source>,
    default: Option<&Literal>,
) {
    let found = source.and_then(|source| match source {
        Source::Value(value) => Some(NewValue::Message(value.message())),
        Source::Attribute(name) => attributes.hold(&**name).map(NewValue::Held),
        Source::Context(place) => place.value().map(NewValue::Str),
    });
    let default = default.map(|value| NewValue::Message(value.message()));
    let Some(value) = found.or(default) else {
        return;
    };
    match when {
        When::Absent => {
            attributes.insert(key, value);
        }
        When::Present => {
            attributes.update(key, value);
        }
        When::Always => attributes.upsert(key, value),
    }
}

fn delete(attributes: &mut AttributeEditor<'_>, key: &str, pattern: Option<&Regex>) {
    attributes.delete(key);
    if let Some(pattern) = pattern {
        attributes.delete_matching(|key, _| pattern.is_match(key.as_bytes()));
    }
}

fn hash(attributes: &mut AttributeEditor<'_>, key: &str, pattern: Option<&Regex>) {
    if let Some(value) = attributes.get(key) {
        let digest = digest(value);
        attributes.update(key, hashed(digest.as_ref()));
    }
    let Some(pattern) = pattern else { return };
    for position in attributes.positions() {
        let matching = attributes
            .at(position)
            .filter(|(key, _)| pattern.is_match(key.as_bytes()));
        if let Some((_, value)) = matching {
            let digest = digest(value);
            attributes.update_at(position, hashed(digest.as_ref()));
        }
    }
}

/// The SHA-256 of a value: of a text its bytes, of a number its eight bytes from the lowest on, of a
/// truth value one byte. Other types have none.
fn digest(value: AnyValue<'_>) -> Option<[u8; 32]> {
    let digest = match value {
        AnyValue::String(text) => Sha256::digest(text.as_bytes()),
        AnyValue::Bool(value) => Sha256::digest([u8::from(value)]),
        AnyValue::Int(value) => Sha256::digest(value.to_le_bytes()),
        AnyValue::Double(value) => Sha256::digest(value.to_bits().to_le_bytes()),
        AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::Array(_) | AnyValue::KeyValues(_) => {
            return None;
        }
    };
    Some(digest.into())
}

/// What a digest is written as; an empty text where there is none.
fn hashed(digest: Option<&[u8; 32]>) -> NewValue<'_> {
    digest.map_or(NewValue::Str(""), |digest| NewValue::Hex(digest))
}

impl Extract {
    fn new(regex: Regex, names: Vec<Box<str>>) -> Self {
        Self {
            groups: regex.capture_locations(),
            regex,
            names,
            text: Vec::new(),
        }
    }

    fn apply(&mut self, attributes: &mut AttributeEditor<'_>, key: &str) {
        let Some(AnyValue::String(text)) = attributes.get(key) else {
            return;
        };
        self.text.clear();
        self.text.extend_from_slice(text.as_bytes());
        if (self.regex.captures_read(&mut self.groups, &self.text)).is_none() {
            return;
        }
        for (index, name) in self.names.iter().enumerate() {
            // A group that took no part is an empty text, as in the Collector.
            let (start, end) = self.groups.get(index + 1).unwrap_or_default();
            attributes.upsert(&**name, Text::new(&self.text[start..end]));
        }
    }
}
