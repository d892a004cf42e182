//! Values that edits write.

use super::store::{Held, Store, bytes};
use crate::view::{AnyValue, Text};
use crate::wire;

/// A value to be written.
#[derive(Clone, Copy, Debug)]
pub enum NewValue<'v> {
    /// An empty value.
    Empty,
    /// Text.
    Str(&'v str),
    /// Text as it came, UTF-8 or not.
    Text(Text<'v>),
    /// Text: these bytes in lower-case hexadecimal digits.
    Hex(&'v [u8]),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(&'v [u8]),
    /// A list: the content of an `ArrayValue` message.
    Array(&'v [u8]),
    /// A map: the content of a `KeyValueList` message.
    KeyValues(&'v [u8]),
    /// Any value: an `AnyValue` message, as [`KeyValue::value_bytes`](crate::view::KeyValue::value_bytes) shows it.
    Message(&'v [u8]),
    /// A value of the same segment.
    Held(Held),
}

/// The fields of `AnyValue`.
mod field {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const KEY_VALUES: u32 = 6;
    pub(super) const BYTES: u32 = 7;
}

impl NewValue<'_> {
    /// The length of the `AnyValue` message that it becomes.
    #[inline]
    pub(super) fn len(&self, segment: &[u8], store: &Store) -> usize {
        match self {
            Self::Empty => 0,
            Self::Str(text) => wire::field_len(field::STRING, text.len()),
            Self::Text(text) => wire::field_len(field::STRING, text.len()),
            Self::Hex(bytes) => wire::field_len(field::STRING, 2 * bytes.len()),
            Self::Bool(_) => 2,
            Self::Int(value) => 1 + wire::varint_len(*value as u64),
            Self::Double(_) => 9,
            Self::Bytes(body) => wire::field_len(field::BYTES, body.len()),
            Self::Array(body) => wire::field_len(field::ARRAY, body.len()),
            Self::KeyValues(body) => wire::field_len(field::KEY_VALUES, body.len()),
            Self::Message(message) => message.len(),
            Self::Held(held) => bytes(segment, &store.arena, *held).len(),
        }
    }

    /// Writes the `AnyValue` message to the end of the arena.
    #[inline]
    pub(super) fn write(&self, segment: &[u8], store: &mut Store) {
        let out = &mut store.arena;
        match self {
            Self::Empty => {}
            Self::Str(text) => wire::put_bytes(out, field::STRING, text.as_bytes()),
            Self::Text(text) => wire::put_bytes(out, field::STRING, text.as_bytes()),
            Self::Hex(bytes) => put_hex(out, bytes),
            Self::Bool(value) => wire::put_uint(out, field::BOOL, u64::from(*value)),
            Self::Int(value) => wire::put_uint(out, field::INT, *value as u64),
            Self::Double(value) => wire::put_fixed64(out, field::DOUBLE, value.to_bits()),
            Self::Bytes(body) => wire::put_bytes(out, field::BYTES, body),
            Self::Array(body) => wire::put_bytes(out, field::ARRAY, body),
            Self::KeyValues(body) => wire::put_bytes(out, field::KEY_VALUES, body),
            Self::Message(message) => out.extend_from_slice(message),
            Self::Held(held) => store.copy(segment, *held),
        }
    }
}

fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    wire::put_head(out, field::STRING, 2 * bytes.len());
    let (quads, rest) = bytes.as_chunks();
    for quad in quads {
        out.extend_from_slice(&hex(*quad));
    }
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        out.extend_from_slice(&hex(last)[..2 * rest.len()]);
    }
}

/// Four bytes in lower-case hexadecimal digits, all eight at once.
const fn hex(bytes: [u8; 4]) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // One nibble to a byte.
    let mut digits = u32::from_be_bytes(bytes) as u64;
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & (0x0f * EACH);
    // Adding 6 carries into the fifth bit from 10 on: those are letters.
    let letters = (digits + 6 * EACH) >> 4 & EACH;
    let gap = (b'a' - b'0' - 10) as u64;
    (digits + b'0' as u64 * EACH + letters * gap).to_be_bytes()
}

impl<'v> From<AnyValue<'v>> for NewValue<'v> {
    /// The same value. A list or map must not have been iterated: what is left of it is taken.
    fn from(value: AnyValue<'v>) -> Self {
        match value {
            AnyValue::Empty => Self::Empty,
            AnyValue::String(text) => Self::Text(text),
            AnyValue::Bool(value) => Self::Bool(value),
            AnyValue::Int(value) => Self::Int(value),
            AnyValue::Double(value) => Self::Double(value),
            AnyValue::Bytes(bytes) => Self::Bytes(bytes),
            AnyValue::Array(values) => Self::Array(values.rest()),
            AnyValue::KeyValues(entries) => Self::KeyValues(entries.entries().rest()),
        }
    }
}

impl<'v> From<&'v str> for NewValue<'v> {
    fn from(text: &'v str) -> Self {
        Self::Str(text)
    }
}

impl<'v> From<Text<'v>> for NewValue<'v> {
    fn from(text: Text<'v>) -> Self {
        Self::Text(text)
    }
}

impl From<Held> for NewValue<'_> {
    fn from(held: Held) -> Self {
        Self::Held(held)
    }
}

impl From<bool> for NewValue<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for NewValue<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for NewValue<'_> {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

/// What a field of a message is set to.
#[derive(Clone, Copy, Debug)]
pub enum NewField<'v> {
    /// Nothing: the field is left out.
    Absent,
    /// A varint; `sint32` must be zigzagged already.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32(u32),
    /// A string, bytes, packed numbers or a message.
    Bytes(&'v [u8]),
    /// An `AnyValue` message.
    Value(NewValue<'v>),
}

impl NewField<'_> {
    /// The same, but left out where it is what proto3 leaves out.
    pub(super) const fn or_absent(self) -> Self {
        match self {
            Self::Varint(0) | Self::Fixed64(0) | Self::Fixed32(0) | Self::Bytes([]) => Self::Absent,
            other => other,
        }
    }

    /// Writes the field to the end of the arena.
    pub(super) fn write(&self, number: u32, segment: &[u8], store: &mut Store) -> Held {
        let start = store.arena.len();
        let out = &mut store.arena;
        match self {
            Self::Absent => {}
            Self::Varint(value) => wire::put_uint(out, number, *value),
            Self::Fixed64(value) => wire::put_fixed64(out, number, *value),
            Self::Fixed32(value) => wire::put_fixed32(out, number, *value),
            Self::Bytes(body) => wire::put_bytes(out, number, body),
            Self::Value(value) => {
                let length = value.len(segment, store);
                wire::put_head(&mut store.arena, number, length);
                value.write(segment, store);
            }
        }
        store.since(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_two_digits() {
        let all: Vec<u8> = (0..=255).collect();
        for length in [0, 1, 3, 4, 5, 256] {
            let bytes = &all[256 - length..];
            let mut message = Vec::new();
            put_hex(&mut message, bytes);
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut expected = Vec::new();
            wire::put_bytes(&mut expected, field::STRING, digits.as_bytes());
            assert_eq!(message, expected);
        }
    }
}
