//! Owned lists and maps: what functions take apart or put together that OTLP's bytes cannot show at once.

use tidegate_pdata::view::AnyValue;
use tidegate_pdata::wire::put_bytes;

use crate::value::{put_any, put_entry_message};

/// An owned value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Empty,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(Vec<u8>),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Map(Entries),
}

/// The entries of an owned map, in order.
pub(crate) type Entries = Vec<(Vec<u8>, Tree)>;

impl Tree {
    pub(crate) fn of(value: AnyValue<'_>) -> Self {
        match value {
            AnyValue::Empty => Self::Empty,
            AnyValue::Bool(value) => Self::Bool(value),
            AnyValue::Int(value) => Self::Int(value),
            AnyValue::Double(value) => Self::Double(value),
            AnyValue::String(text) => Self::Str(text.as_bytes().to_vec()),
            AnyValue::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            AnyValue::Array(values) => Self::List(values.map(Self::of).collect()),
            AnyValue::KeyValues(entries) => Self::Map(
                entries
                    .map(|(key, value)| (key.as_bytes().to_vec(), Self::of(value)))
                    .collect(),
            ),
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Str(text.as_bytes().to_vec())
    }

    /// Writes the `AnyValue` message.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => {}
            Self::Bool(value) => put_any(out, AnyValue::Bool(*value)),
            Self::Int(value) => put_any(out, AnyValue::Int(*value)),
            Self::Double(value) => put_any(out, AnyValue::Double(*value)),
            Self::Str(bytes) => put_bytes(out, 1, bytes),
            Self::Bytes(bytes) => put_bytes(out, 7, bytes),
            Self::List(values) => put_bytes(out, 5, &list(values)),
            Self::Map(entries) => put_bytes(out, 6, &map(entries)),
        }
    }

    /// The entry of a map, put there if it is missing.
    pub(crate) fn entry<'t>(entries: &'t mut Entries, key: &[u8]) -> &'t mut Self {
        let position = entries.iter().position(|(name, _)| name == key);
        let position = position.unwrap_or_else(|| {
            entries.push((key.to_vec(), Self::Empty));
            entries.len() - 1
        });
        &mut entries[position].1
    }
}

/// The content of an `ArrayValue`.
pub(crate) fn list(values: &[Tree]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut message = Vec::new();
    for value in values {
        message.clear();
        value.put(&mut message);
        put_bytes(&mut out, 1, &message);
    }
    out
}

/// The content of a `KeyValueList`.
pub(crate) fn map(entries: &[(Vec<u8>, Tree)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut message = Vec::new();
    for (key, value) in entries {
        message.clear();
        value.put(&mut message);
        put_entry_message(&mut out, key, &message);
    }
    out
}

/// Puts a value under a key, in the place of an earlier one.
pub(crate) fn put(entries: &mut Entries, key: &[u8], value: Tree) {
    *Tree::entry(entries, key) = value;
}
