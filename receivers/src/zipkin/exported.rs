//! What the Collector's exporter to Zipkin writes into tags and annotations, as Zipkin has no links
//! and no attributes of events: parts with a `|` between, attributes in JSON.

use serde_json::{Map, Value as Json};
use tidegate_pdata::compose::{Fields, Value, event, link};

use super::json::hexadecimal;

/// Attributes in JSON, and how many were dropped.
#[derive(Debug, PartialEq)]
struct Attributes {
    attributes: Map<String, Json>,
    dropped: u32,
}

impl Attributes {
    fn read(attributes: &str, dropped: &str) -> Option<Self> {
        Some(Self {
            attributes: serde_json::from_str::<Option<_>>(attributes)
                .ok()?
                .unwrap_or_default(),
            dropped: dropped.parse().ok()?,
        })
    }

    fn write(&self, fields: &mut Fields, number: u32) {
        for (key, value) in &self.attributes {
            match value {
                Json::Null => {}
                Json::String(text) => fields.attribute(number, key, text.as_str()),
                Json::Bool(truth) => fields.attribute(number, key, *truth),
                Json::Number(value) => match (value.as_i64(), value.as_f64()) {
                    (Some(whole), _) => fields.attribute(number, key, whole),
                    (None, value) => {
                        fields.attribute(number, key, whole(value.unwrap_or_default()))
                    }
                },
                nested => fields.attribute(number, key, nested.to_string().as_str()),
            }
        }
    }
}

/// A number without a fraction is a whole one, as JSON does not tell them apart.
fn whole(value: f64) -> Value<'static> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && value.abs() < BEYOND {
        Value::Int(value as i64)
    } else {
        Value::Double(value)
    }
}

/// Writes an annotation as the event that it was, or whose name it is.
pub(super) fn write_event(text: &str, fields: &mut Fields) {
    let parts = text.split_once('|').and_then(|(name, rest)| {
        let (attributes, dropped) = rest.rsplit_once('|')?;
        Some((name, Attributes::read(attributes, dropped)?))
    });
    match parts {
        Some((name, attributes)) => {
            fields.string(event::NAME, name);
            attributes.write(fields, event::ATTRIBUTES);
            fields.uint(event::DROPPED_ATTRIBUTES, attributes.dropped.into());
        }
        None => fields.string(event::NAME, text),
    }
}

/// A link in the value of a tag.
#[derive(Debug, PartialEq)]
pub(super) struct Link<'t> {
    trace_id: u128,
    span_id: u64,
    state: &'t str,
    attributes: Attributes,
}

impl<'t> Link<'t> {
    /// The link, if this is one.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let mut parts = text.splitn(4, '|');
        let (trace_id, span_id) = (parts.next()?, parts.next()?);
        let (state, rest) = (parts.next()?, parts.next()?);
        let (attributes, dropped) = rest.rsplit_once('|')?;
        Some(Self {
            trace_id: id(trace_id, 32)?,
            span_id: u64::try_from(id(span_id, 16)?).ok()?,
            state,
            attributes: Attributes::read(attributes, dropped)?,
        })
    }

    pub(super) fn write(&self, fields: &mut Fields) {
        if self.trace_id != 0 {
            fields.some_bytes(link::TRACE_ID, &self.trace_id.to_be_bytes());
        }
        if self.span_id != 0 {
            fields.some_bytes(link::SPAN_ID, &self.span_id.to_be_bytes());
        }
        fields.string(link::TRACE_STATE, self.state);
        self.attributes.write(fields, link::ATTRIBUTES);
        fields.uint(link::DROPPED_ATTRIBUTES, self.attributes.dropped.into());
    }
}

/// An ID of so many digits, which may stand in quotes; 0 where there is nothing.
fn id(text: &str, digits: usize) -> Option<u128> {
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    match quoted.unwrap_or(text) {
        "" => Some(0),
        text if text.len() == digits => hexadecimal(text),
        _ => None,
    }
}
