//! Attributes as columns: a map of texts, and beside it the types of those that are none.
//!
//! A value is written as text: strings as they are, numbers in decimal, `true` and `false`, bytes
//! in base64, lists and maps as JSON; an attribute without a value is null. The map of types has
//! an entry for each value that is no string: `bool`, `int`, `double`, `bytes`, and for what JSON
//! does not hold exactly `array:` or `map:` and the `ArrayValue` or `KeyValueList` in base64.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, StringBuilder};
use arrow_array::{ArrayRef, MapArray, StructArray};
use arrow_schema::{DataType, Field, Fields};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_pdata::view::{AnyValue, Attributes, Text};

use super::columns::{Columns, Lists, put_text};
use super::promoted::Promoted;

/// From so many attributes on, a set finds those that come twice.
const MANY: usize = 64;

/// A column of attributes and the column of their types.
#[derive(Default)]
pub(super) struct AttributeColumns {
    values: TextMaps,
    types: TextMaps,
}

impl AttributeColumns {
    /// Adds one row.
    pub(super) fn put(&mut self, attributes: Attributes<'_>, exact: &mut bool) {
        self.put_promoting(attributes, None, exact);
    }

    /// Adds one row, and offers each attribute to the columns of its own.
    pub(super) fn put_promoting(
        &mut self,
        attributes: Attributes<'_>,
        mut promoted: Option<&mut Promoted>,
        exact: &mut bool,
    ) {
        let mut seen = Seen::new(self.values.keys.len());
        for (key, value) in attributes {
            if seen.again(key, &self.values.keys, attributes) {
                *exact = false;
                continue;
            }
            put_text(&mut self.values.keys, key, exact);
            let kind = put_value(&mut self.values.values, value, exact);
            if kind != Kind::String && kind != Kind::Empty {
                put_text(&mut self.types.keys, key, exact);
                kind.put(&mut self.types.values, value);
            }
            if let Some(promoted) = &mut promoted {
                promoted.offer(key, value);
            }
        }
        self.values.end();
        self.types.end();
    }

    /// Adds the two columns, named after `name` (`span_attributes` and `span_attribute_types`).
    pub(super) fn finish(&mut self, name: &str, columns: &mut Columns) {
        columns.always(&format!("{name}s"), self.values.finish());
        columns.always(&format!("{name}_types"), self.types.finish());
    }
}

/// Finds keys that come twice.
struct Seen<'a> {
    /// The key's place in the column from which this row begins.
    start: usize,
    /// A bit for each key that was seen, at a place that depends on the key.
    mask: u64,
    set: std::collections::HashSet<&'a [u8]>,
    count: usize,
}

impl<'a> Seen<'a> {
    fn new(start: usize) -> Self {
        Self {
            start,
            mask: 0,
            set: std::collections::HashSet::new(),
            count: 0,
        }
    }

    /// Whether this key came before in the row.
    fn again(&mut self, key: Text<'a>, keys: &StringBuilder, all: Attributes<'a>) -> bool {
        let bytes = key.as_bytes();
        self.count += 1;
        if self.count > MANY {
            if self.set.is_empty() {
                let before = all.take(self.count - 1);
                self.set.extend(before.map(|(key, _)| key.as_bytes()));
            }
            return !self.set.insert(bytes);
        }
        let edge = |byte: Option<&u8>| byte.map_or(0, |byte| u64::from(*byte));
        let place = bytes.len() as u64 * 31 + edge(bytes.first()) + edge(bytes.last()) * 7;
        let bit = 1 << (place & 63);
        let maybe = self.mask & bit != 0;
        self.mask |= bit;
        // What was no UTF-8 lies there changed; such a row is not exact anyway.
        maybe && (self.start..keys.len()).any(|at| cell(keys, at) == bytes)
    }
}

/// The bytes of a cell that was written.
fn cell(column: &StringBuilder, at: usize) -> &[u8] {
    let offsets = column.offsets_slice();
    match (offsets.get(at), offsets.get(at + 1)) {
        (Some(from), Some(to)) => &column.values_slice()[*from as usize..*to as usize],
        _ => &[],
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Empty,
    String,
    Bool,
    Int,
    Double,
    Bytes,
    Array,
    Map,
}

impl Kind {
    pub(super) const fn of(value: &AnyValue<'_>) -> Self {
        match value {
            AnyValue::Empty => Self::Empty,
            AnyValue::String(_) => Self::String,
            AnyValue::Bool(_) => Self::Bool,
            AnyValue::Int(_) => Self::Int,
            AnyValue::Double(_) => Self::Double,
            AnyValue::Bytes(_) => Self::Bytes,
            AnyValue::Array(_) => Self::Array,
            AnyValue::KeyValues(_) => Self::Map,
        }
    }

    /// Writes the type, and with it what the text of a list or map does not hold exactly.
    pub(super) fn put(self, out: &mut StringBuilder, value: AnyValue<'_>) {
        let (name, message) = match (self, value) {
            (Self::Array, AnyValue::Array(values)) => ("array:", values.rest()),
            (Self::Map, AnyValue::KeyValues(entries)) => ("map:", entries.entries().rest()),
            (Self::Empty, _) => ("empty", &[][..]),
            (Self::Bool, _) => ("bool", &[][..]),
            (Self::Int, _) => ("int", &[][..]),
            (Self::Double, _) => ("double", &[][..]),
            (Self::Bytes, _) => ("bytes", &[][..]),
            _ => ("string", &[][..]),
        };
        // Writing into a builder cannot fail.
        let _ = out.write_str(name);
        for chunk in message.chunks(768) {
            let mut text = [0; 1024];
            let length = STANDARD.encode_slice(chunk, &mut text).unwrap_or_default();
            let _ = out.write_str(std::str::from_utf8(&text[..length]).unwrap_or_default());
        }
        out.append_value("");
    }
}

/// Writes a value as text and tells what it is; an empty one is null.
pub(super) fn put_value(out: &mut StringBuilder, value: AnyValue<'_>, exact: &mut bool) -> Kind {
    match value {
        AnyValue::String(text) => put_text(out, text, exact),
        AnyValue::Empty => out.append_null(),
        AnyValue::Bool(value) => out.append_value(if value { "true" } else { "false" }),
        AnyValue::Double(value) if !value.is_finite() => {
            out.append_value(if value.is_nan() {
                *exact &= value.to_bits() == f64::NAN.to_bits();
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            });
        }
        _ => {
            let _ = value.write_text(out);
            out.append_value("");
        }
    }
    Kind::of(&value)
}

/// A column of maps of texts.
#[derive(Default)]
struct TextMaps {
    lists: Lists,
    keys: StringBuilder,
    values: StringBuilder,
}

impl TextMaps {
    fn end(&mut self) {
        self.lists.end(self.keys.len());
    }

    fn finish(&mut self) -> MapArray {
        let fields = Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let entries = StructArray::new(fields, columns, None);
        let entry = Field::new(
            "key_value",
            DataType::Struct(entries.fields().clone()),
            false,
        );
        MapArray::new(Arc::new(entry), self.lists.take(), entries, None, false)
    }
}
