//! Values of an entry: what bodies, attributes and resources hold while operators change them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Maps with at most so many keys are searched key by key while they are made.
const FEW: usize = 24;

/// Text that is owned, shared by all entries of a file, or part of the program.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Owned(String),
    Shared(Arc<str>),
    Static(&'static str),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Owned(text) => text,
            Self::Shared(text) => text,
            Self::Static(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Static("")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Owned(text.to_owned())
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

/// A value of any type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Str(Text),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Map),
}

impl Value {
    /// The type in words, for errors.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "no value",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Double(_) => "a number",
            Self::Str(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// The text, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub(crate) const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The map that is here, put in the place of what is none.
    pub(crate) fn make_map(&mut self) -> &mut Map {
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Map::default());
        }
        match self {
            Self::Map(map) => map,
            _ => unreachable!("it has just been made one"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

/// A map in the order of its insertion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map(Vec<(Text, Value)>);

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Map {
    /// A map of entries in which the last of several under one key counts.
    pub(crate) fn of(mut entries: Vec<(Text, Value)>) -> Self {
        if entries.len() <= FEW {
            let mut at = 0;
            while at < entries.len() {
                let key = &entries[at].0;
                if entries[at + 1..].iter().any(|(later, _)| later == key) {
                    entries.remove(at);
                } else {
                    at += 1;
                }
            }
        } else {
            let mut seen = std::collections::HashSet::with_capacity(entries.len());
            let last: Vec<bool> = entries
                .iter()
                .rev()
                .map(|(key, _)| seen.insert(&**key))
                .collect();
            let mut last = last.into_iter().rev();
            entries.retain(|_| last.next().unwrap_or(true));
        }
        Self(entries)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| **known == *key);
        found.map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let found = self.0.iter_mut().find(|(known, _)| **known == *key);
        found.map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, key: impl Into<Text> + Deref<Target = str>, value: Value) {
        match self.get_mut(&key) {
            Some(known) => *known = value,
            None => self.0.push((key.into(), value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| **known == *key)?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// Adds all entries of another map; what has the same key is replaced.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.0.is_empty() {
            *self = other;
        } else if self.0.len() + other.0.len() <= FEW {
            for (key, value) in other.0 {
                self.insert(key, value);
            }
        } else {
            let mut all = std::mem::take(&mut self.0);
            all.extend(other.0);
            *self = Self::of(all);
        }
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Map {
    fn from(entries: [(&str, Value); N]) -> Self {
        Self::of(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}

/// A value as a configuration states it.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        let fault = "the number does not fit into 64 bits with a sign; put it in quotes";
        i64::try_from(value)
            .map(Value::Int)
            .map_err(|_| E::custom(fault))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            map.push((key.into(), value));
        }
        Ok(Value::Map(Map::of(map)))
    }
}

impl JsonSchema for Value {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_values_under_one_key_counts_however_many_there_are() {
        for others in [0, 100] {
            let mut entries: Vec<(Text, Value)> = vec![("a".into(), Value::Int(1))];
            entries.extend((0..others).map(|at| (format!("k{at}").into(), Value::Int(at))));
            entries.push(("a".into(), Value::Int(2)));
            let map = Map::of(entries);
            assert_eq!(map.len() as i64, others + 1);
            assert_eq!(map.get("a"), Some(&Value::Int(2)));
        }
    }

    #[test]
    fn merging_replaces_and_keeps_the_rest() {
        for others in [0, 100] {
            let mut map = Map::from([("a", Value::Int(1)), ("b", Value::Int(2))]);
            let more = (0..others).map(|at| (format!("k{at}").into(), Value::Null));
            let more = more.chain([("b".into(), Value::Int(3))]);
            map.merge(Map::of(more.collect()));
            assert_eq!(map.get("a"), Some(&Value::Int(1)));
            assert_eq!(map.get("b"), Some(&Value::Int(3)));
            assert_eq!(map.len(), others + 2);
        }
    }
}
