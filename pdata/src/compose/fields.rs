//! Messages, field by field.

use crate::wire::{
    WireType, put_bytes, put_fixed32, put_fixed64, put_tag, put_uint, put_varint, varint_len,
};

/// What most records and attributes take, so that their length need not be moved.
const SMALL: usize = 100;

/// Fields of `KeyValue`.
mod key_value {
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}

/// Fields of `AnyValue`.
mod any {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const KEY_VALUES: u32 = 6;
    pub(super) const BYTES: u32 = 7;
}

/// A value to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'v> {
    /// No value.
    Empty,
    /// Text.
    Str(&'v str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(&'v [u8]),
    /// A list.
    Array(&'v [Self]),
    /// A map.
    Map(&'v [(&'v str, Self)]),
    /// Any value: an `AnyValue` message.
    Message(&'v [u8]),
}

macro_rules! values {
    ($($type:ty => $variant:ident;)*) => {$(
        impl<'v> From<$type> for Value<'v> {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

values! {
    &'v str => Str;
    bool => Bool;
    i64 => Int;
    i32 => Int;
    u32 => Int;
    f64 => Double;
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(value: &'v String) -> Self {
        Self::Str(value)
    }
}

/// Where a message that is being written begins.
#[derive(Debug)]
#[must_use]
pub struct Begun {
    field: usize,
    body: usize,
    room: usize,
}

/// The fields of a message, written one after the other.
///
/// Scalars of a singular field are left out where they have their default value, as protobuf's
/// encoders do; members of a oneof are always written. Whoever writes keeps to the schema: what
/// does not is refused where the request is finished.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    out: Vec<u8>,
}

impl Fields {
    /// No fields yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Bytes written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes everything out; the room stays.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Gives the bytes away, in a buffer of their size.
    #[must_use]
    pub fn into_bytes(self) -> bytes::Bytes {
        self.out.into_boxed_slice().into()
    }

    /// Writes text, if there is any.
    pub fn string(&mut self, number: u32, text: &str) {
        self.some_bytes(number, text.as_bytes());
    }

    /// Writes bytes, if there are any.
    pub fn some_bytes(&mut self, number: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            put_bytes(&mut self.out, number, bytes);
        }
    }

    /// Writes a number, unless it is 0.
    pub fn uint(&mut self, number: u32, value: u64) {
        if value != 0 {
            put_uint(&mut self.out, number, value);
        }
    }

    /// Writes a number, 0 too: of a oneof.
    pub fn any_uint(&mut self, number: u32, value: u64) {
        put_uint(&mut self.out, number, value);
    }

    /// Writes text, empty too: of a list.
    pub fn any_string(&mut self, number: u32, text: &str) {
        put_bytes(&mut self.out, number, text.as_bytes());
    }

    /// Writes what the schema calls `sint32`, unless it is 0.
    pub fn zigzag(&mut self, number: u32, value: i32) {
        self.uint(number, u64::from(((value << 1) ^ (value >> 31)) as u32));
    }

    /// Writes eight bytes, unless they are 0.
    pub fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            put_fixed64(&mut self.out, number, value);
        }
    }

    /// Writes four bytes, unless they are 0.
    pub fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            put_fixed32(&mut self.out, number, value);
        }
    }

    /// Writes a floating-point number, 0 too: of a oneof, or of a field that may be absent.
    pub fn double(&mut self, number: u32, value: f64) {
        put_fixed64(&mut self.out, number, value.to_bits());
    }

    /// Writes a whole number in eight bytes, 0 too: of a oneof.
    pub fn int(&mut self, number: u32, value: i64) {
        put_fixed64(&mut self.out, number, value as u64);
    }

    /// Writes packed numbers of eight bytes, if there are any.
    pub fn packed_fixed64(&mut self, number: u32, values: impl IntoIterator<Item = u64>) {
        self.packed(number, values, |out, value| {
            out.extend_from_slice(&value.to_le_bytes());
        });
    }

    /// Writes packed floating-point numbers, if there are any.
    pub fn packed_doubles(&mut self, number: u32, values: impl IntoIterator<Item = f64>) {
        self.packed_fixed64(number, values.into_iter().map(f64::to_bits));
    }

    /// Writes packed varints, if there are any.
    pub fn packed_varints(&mut self, number: u32, values: impl IntoIterator<Item = u64>) {
        self.packed(number, values, put_varint);
    }

    fn packed(
        &mut self,
        number: u32,
        values: impl IntoIterator<Item = u64>,
        put: impl Fn(&mut Vec<u8>, u64),
    ) {
        let begun = self.begin(number, SMALL);
        for value in values {
            put(&mut self.out, value);
        }
        if self.is_bare(&begun) {
            self.drop_back(&begun);
        } else {
            self.end(begun);
        }
    }

    /// Writes a message, even an empty one.
    pub fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let begun = self.begin(number, SMALL);
        write(self);
        self.end(begun);
    }

    /// Writes an attribute.
    pub fn attribute<'v>(&mut self, number: u32, key: &str, value: impl Into<Value<'v>>) {
        let value = value.into();
        self.message(number, |entry| {
            entry.string(key_value::KEY, key);
            entry.value(key_value::VALUE, value);
        });
    }

    /// Writes an attribute whose value, an `AnyValue`, is written by `write`.
    pub fn attribute_with(&mut self, number: u32, key: &str, write: impl FnOnce(&mut Self)) {
        self.message(number, |entry| {
            entry.string(key_value::KEY, key);
            entry.message(key_value::VALUE, write);
        });
    }

    /// Writes a value as a field.
    pub fn value(&mut self, number: u32, value: Value<'_>) {
        self.message(number, |any| any.any(value));
    }

    /// Writes the content of an `AnyValue`.
    pub fn any(&mut self, value: Value<'_>) {
        match value {
            Value::Empty => {}
            Value::Str(text) => put_bytes(&mut self.out, any::STRING, text.as_bytes()),
            Value::Bool(value) => put_uint(&mut self.out, any::BOOL, value.into()),
            Value::Int(value) => put_uint(&mut self.out, any::INT, value as u64),
            Value::Double(value) => self.double(any::DOUBLE, value),
            Value::Bytes(bytes) => put_bytes(&mut self.out, any::BYTES, bytes),
            Value::Array(values) => self.any_array(|array| {
                for value in values {
                    array.element(*value);
                }
            }),
            Value::Map(entries) => self.any_map(|map| {
                for (key, value) in entries {
                    map.attribute(1, key, *value);
                }
            }),
            Value::Message(bytes) => self.out.extend_from_slice(bytes),
        }
    }

    /// Writes a list as the content of an `AnyValue`; `write` calls [`Fields::element`].
    pub fn any_array(&mut self, write: impl FnOnce(&mut Self)) {
        self.message(any::ARRAY, write);
    }

    /// Writes a map as the content of an `AnyValue`; `write` writes attributes of number 1.
    pub fn any_map(&mut self, write: impl FnOnce(&mut Self)) {
        self.message(any::KEY_VALUES, write);
    }

    /// Writes an element of a list.
    pub fn element(&mut self, value: Value<'_>) {
        self.value(1, value);
    }

    /// Writes an element of a list, an `AnyValue` that `write` writes.
    pub fn element_with(&mut self, write: impl FnOnce(&mut Self)) {
        self.message(1, write);
    }

    /// Writes what has been encoded elsewhere.
    pub fn raw(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    /// Begins a message that will take about so many bytes.
    pub fn begin(&mut self, number: u32, expected: usize) -> Begun {
        let field = self.out.len();
        put_tag(&mut self.out, number, WireType::Len);
        let room = varint_len(expected as u64);
        self.out.resize(self.out.len() + room, 0);
        Begun {
            field,
            body: self.out.len(),
            room,
        }
    }

    /// Ends the message that was begun last.
    pub fn end(&mut self, begun: Begun) {
        let Begun { body, room, .. } = begun;
        let size = self.out.len() - body;
        let need = varint_len(size as u64);
        if need > room {
            self.out.resize(body + size + need - room, 0);
            self.out.copy_within(body..body + size, body + need - room);
        } else if need < room {
            self.out.copy_within(body.., body + need - room);
            self.out.truncate(body + size + need - room);
        }
        let mut length = size as u64;
        for at in 0..need {
            let more = if at + 1 < need { 0x80 } else { 0 };
            self.out[body - room + at] = (length & 0x7f) as u8 | more;
            length >>= 7;
        }
    }

    /// Takes back a message that was begun, and all that was written since.
    pub fn drop_back(&mut self, begun: &Begun) {
        self.out.truncate(begun.field);
    }

    /// Whether anything was written since a message was begun.
    #[must_use]
    pub fn is_bare(&self, begun: &Begun) -> bool {
        self.out.len() == begun.body
    }
}
