//! What expressions give: borrowed from the record or the plan where that can be.

use std::borrow::Cow;

use jiff::Zoned;
use tidegate_pdata::splice::Reading;
use tidegate_pdata::view::{AnyValue, Attributes, Repeated, Text};
use tidegate_pdata::wire::{put_bytes, put_fixed64, put_uint};

/// The fields of `AnyValue`.
mod field {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const LIST: u32 = 5;
    pub(super) const MAP: u32 = 6;
    pub(super) const BYTES: u32 = 7;
}

/// The value of an expression.
///
/// Lists and maps are kept as OTLP has them: the content of `ArrayValue` and `KeyValueList`.
#[derive(Clone, Debug)]
pub(crate) enum Value<'v> {
    Nil,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(Cow<'v, [u8]>),
    Bytes(Cow<'v, [u8]>),
    List(Cow<'v, [u8]>),
    Map(Map<'v>),
    /// Nanoseconds.
    Duration(i64),
    Time(Zoned),
    TraceId([u8; 16]),
    SpanId([u8; 8]),
    /// Events, links, exemplars and other messages that statements can only count and compare.
    Messages(Repeated<'v, &'v [u8]>),
}

/// A map.
#[derive(Clone, Debug)]
pub(crate) enum Map<'v> {
    Encoded(Cow<'v, [u8]>),
    /// The attributes of a message.
    Live(Reading<'v>),
}

impl Map<'_> {
    /// The content of its `KeyValueList`.
    pub(crate) fn encoded(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Encoded(bytes) => Cow::Borrowed(bytes),
            Self::Live(reading) => {
                let mut out = Vec::new();
                for (key, value) in reading.attributes() {
                    put_entry(&mut out, key.as_bytes(), value);
                }
                Cow::Owned(out)
            }
        }
    }

    /// Shows the entries in order until one is not to be followed by others.
    pub(crate) fn each(&self, mut see: impl FnMut(Text<'_>, AnyValue<'_>) -> bool) {
        match self {
            Self::Encoded(bytes) => {
                let _ = Attributes::new(bytes, 1).all(|(key, value)| see(key, value));
            }
            Self::Live(reading) => {
                let _ = reading.attributes().all(|(key, value)| see(key, value));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Encoded(bytes) => Attributes::new(bytes, 1).count(),
            Self::Live(reading) => reading.attributes().count(),
        }
    }
}

impl<'v> Map<'v> {
    /// The value of the first entry with this key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Value<'v>> {
        match self {
            Self::Encoded(Cow::Borrowed(bytes)) => {
                Attributes::new(bytes, 1).get(key).map(Value::of)
            }
            Self::Encoded(Cow::Owned(bytes)) => Attributes::new(bytes, 1)
                .get(key)
                .map(|value| Value::of(value).into_owned()),
            Self::Live(reading) => reading.attribute(key).map(Value::of),
        }
    }
}

/// Writes an entry of a `KeyValueList`.
pub(crate) fn put_entry(out: &mut Vec<u8>, key: &[u8], value: AnyValue<'_>) {
    let mut entry = Vec::with_capacity(key.len() + 16);
    put_bytes(&mut entry, 1, key);
    let mut message = Vec::new();
    put_any(&mut message, value);
    put_bytes(&mut entry, 2, &message);
    put_bytes(out, 1, &entry);
}

/// Writes an entry of a `KeyValueList` whose value is an `AnyValue` message.
pub(crate) fn put_entry_message(out: &mut Vec<u8>, key: &[u8], message: &[u8]) {
    use tidegate_pdata::wire::{field_len, put_head};
    put_head(
        out,
        1,
        field_len(1, key.len()) + field_len(2, message.len()),
    );
    put_bytes(out, 1, key);
    put_bytes(out, 2, message);
}

/// Writes an `AnyValue` message.
pub(crate) fn put_any(out: &mut Vec<u8>, value: AnyValue<'_>) {
    match value {
        AnyValue::Empty => {}
        AnyValue::String(text) => put_bytes(out, field::STRING, text.as_bytes()),
        AnyValue::Bool(value) => put_uint(out, field::BOOL, u64::from(value)),
        AnyValue::Int(value) => put_uint(out, field::INT, value as u64),
        AnyValue::Double(value) => put_fixed64(out, field::DOUBLE, value.to_bits()),
        AnyValue::Bytes(bytes) => put_bytes(out, field::BYTES, bytes),
        AnyValue::Array(values) => put_bytes(out, field::LIST, values.rest()),
        AnyValue::KeyValues(entries) => put_bytes(out, field::MAP, entries.entries().rest()),
    }
}

impl<'v> Value<'v> {
    /// The value that an attribute or a body has; nothing where that is empty.
    #[inline]
    pub(crate) fn of(value: AnyValue<'v>) -> Self {
        match value {
            AnyValue::Empty => Self::Nil,
            AnyValue::String(text) => Self::Str(Cow::Borrowed(text.as_bytes())),
            AnyValue::Bool(value) => Self::Bool(value),
            AnyValue::Int(value) => Self::Int(value),
            AnyValue::Double(value) => Self::Double(value),
            AnyValue::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            AnyValue::Array(values) => Self::List(Cow::Borrowed(values.rest())),
            AnyValue::KeyValues(entries) => {
                Self::Map(Map::Encoded(Cow::Borrowed(entries.entries().rest())))
            }
        }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Str(Cow::Owned(text.into().into_bytes()))
    }

    pub(crate) fn owned(bytes: Vec<u8>) -> Self {
        Self::Str(Cow::Owned(bytes))
    }

    /// The type as errors name it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Str(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Duration(_) => "duration",
            Self::Time(_) => "time",
            Self::TraceId(_) => "trace ID",
            Self::SpanId(_) => "span ID",
            Self::Messages(_) => "list of messages",
        }
    }

    /// The same value, borrowed.
    pub(crate) fn borrow(&self) -> Value<'_> {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Str(bytes) => Value::Str(Cow::Borrowed(bytes)),
            Self::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Self::List(bytes) => Value::List(Cow::Borrowed(bytes)),
            Self::Map(Map::Encoded(bytes)) => Value::Map(Map::Encoded(Cow::Borrowed(bytes))),
            Self::Map(Map::Live(reading)) => Value::Map(Map::Live(*reading)),
            Self::Duration(value) => Value::Duration(*value),
            Self::Time(time) => Value::Time(time.clone()),
            Self::TraceId(id) => Value::TraceId(*id),
            Self::SpanId(id) => Value::SpanId(*id),
            Self::Messages(messages) => Value::Messages(*messages),
        }
    }

    /// The same value, of its own; messages are left behind.
    pub(crate) fn into_owned<'o>(self) -> Value<'o> {
        match self {
            Self::Nil | Self::Messages(_) => Value::Nil,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Double(value) => Value::Double(value),
            Self::Str(bytes) => Value::Str(Cow::Owned(bytes.into_owned())),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::List(bytes) => Value::List(Cow::Owned(bytes.into_owned())),
            Self::Map(map) => Value::Map(Map::Encoded(Cow::Owned(map.encoded().into_owned()))),
            Self::Duration(value) => Value::Duration(value),
            Self::Time(time) => Value::Time(time),
            Self::TraceId(id) => Value::TraceId(id),
            Self::SpanId(id) => Value::SpanId(id),
        }
    }

    /// Writes the `AnyValue` message that an attribute, a body or an element of a list takes; says
    /// no for types that these do not have.
    #[must_use]
    pub(crate) fn put(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Nil => {}
            Self::Bool(value) => put_any(out, AnyValue::Bool(*value)),
            Self::Int(value) => put_any(out, AnyValue::Int(*value)),
            Self::Double(value) => put_any(out, AnyValue::Double(*value)),
            Self::Str(bytes) => put_bytes(out, field::STRING, bytes),
            Self::Bytes(bytes) => put_bytes(out, field::BYTES, bytes),
            Self::List(bytes) => put_bytes(out, field::LIST, bytes),
            Self::Map(map) => put_bytes(out, field::MAP, &map.encoded()),
            Self::Duration(_)
            | Self::Time(_)
            | Self::TraceId(_)
            | Self::SpanId(_)
            | Self::Messages(_) => return false,
        }
        true
    }

    /// The value as an attribute has it, borrowed; `None` for types that attributes do not have.
    pub(crate) fn as_any(&self) -> Option<AnyValue<'_>> {
        Some(match self {
            Self::Nil => AnyValue::Empty,
            Self::Bool(value) => AnyValue::Bool(*value),
            Self::Int(value) => AnyValue::Int(*value),
            Self::Double(value) => AnyValue::Double(*value),
            Self::Str(bytes) => AnyValue::String(Text::new(bytes)),
            Self::Bytes(bytes) => AnyValue::Bytes(bytes),
            Self::List(bytes) => AnyValue::Array(Repeated::new(bytes, 1)),
            Self::Map(Map::Encoded(bytes)) => AnyValue::KeyValues(Attributes::new(bytes, 1)),
            _ => return None,
        })
    }
}
