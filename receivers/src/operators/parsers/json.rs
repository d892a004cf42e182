//! `json_parser`.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Parse, text};
use crate::operators::entry::Entry;
use crate::operators::value::{Map, Text, Value};

/// The keys of `json_parser`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JsonKeys {
    /// Whether whole numbers stay whole; all numbers are floating-point numbers unless told.
    parse_ints: bool,
    /// How many results are cached.
    #[schemars(extend("x-no-effect" = "parsing needs no cache; remove it"))]
    #[serde(rename = "cache")]
    _cache: Option<super::super::config::Cache>,
}

impl JsonKeys {
    pub(crate) const fn parser(&self) -> Json {
        Json {
            ints: self.parse_ints,
        }
    }
}

pub(crate) struct Json {
    ints: bool,
}

impl Parse for Json {
    fn parse(&mut self, value: &Value, _: &Entry) -> Result<Value, String> {
        let text = text(value)?;
        let mut parser = serde_json::Deserializer::from_str(text);
        let read = Reader { ints: self.ints }.deserialize(&mut parser);
        let value = read.and_then(|value| parser.end().map(|()| value));
        match value {
            Ok(value @ Value::Map(_)) => Ok(value),
            Ok(other) => Err(format!("the JSON is {}, not an object", other.kind())),
            Err(error) => Err(format!("it is no JSON: {error}")),
        }
    }
}

/// Reads JSON; all numbers are floating-point numbers, as in Go.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let read = Reader { ints: false }.deserialize(&mut parser);
    let value = read.and_then(|value| parser.end().map(|()| value));
    value.map_err(|error| format!("it is no JSON: {error}"))
}

/// Reads any JSON.
#[derive(Clone, Copy)]
struct Reader {
    ints: bool,
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(match self.ints {
            true => Value::Int(value),
            false => Value::Double(value as f64),
        })
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(match i64::try_from(value) {
            Ok(value) if self.ints => Value::Int(value),
            _ => Value::Double(value as f64),
        })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map: Vec<(Text, Value)> = Vec::with_capacity(8);
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key.into(), entries.next_value_seed(self)?));
        }
        Ok(Value::Map(Map::of(map)))
    }
}
