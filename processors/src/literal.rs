//! Values of any type that a configuration states.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tidegate_pdata::view::{AnyValue, View};
use tidegate_pdata::wire;

/// A value of any type: an `AnyValue` message, ready to be spliced in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Literal(Box<[u8]>);

impl Literal {
    /// The `AnyValue` message.
    pub(crate) const fn message(&self) -> &[u8] {
        &self.0
    }

    /// A view of it.
    pub(crate) fn view(&self) -> AnyValue<'_> {
        AnyValue::of(&self.0)
    }

    fn write(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut message = Vec::new();
        write(&mut message);
        Self(message.into())
    }
}

/// The fields of `AnyValue`, and of what it nests.
mod field {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const KEY_VALUES: u32 = 6;
    pub(super) const ELEMENT: u32 = 1;
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Literal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Literal, E> {
        Ok(Literal::write(|_| {}))
    }

    fn visit_none<E: de::Error>(self) -> Result<Literal, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Literal, E> {
        Ok(Literal::write(|out| {
            wire::put_uint(out, field::BOOL, u64::from(value));
        }))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Literal, E> {
        Ok(Literal::write(|out| {
            wire::put_uint(out, field::INT, value as u64);
        }))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Literal, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::custom(
                "the number does not fit into 64 bits with a sign; put it in quotes",
            )),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Literal, E> {
        Ok(Literal::write(|out| {
            wire::put_fixed64(out, field::DOUBLE, value.to_bits());
        }))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Literal, E> {
        Ok(Literal::write(|out| {
            wire::put_bytes(out, field::STRING, value.as_bytes());
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Literal, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element::<Literal>()? {
            wire::put_bytes(&mut list, field::ELEMENT, value.message());
        }
        Ok(Literal::write(|out| {
            wire::put_bytes(out, field::ARRAY, &list);
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Literal, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Literal>()? {
            let mut entry = Vec::new();
            wire::put_bytes(&mut entry, field::KEY, key.as_bytes());
            wire::put_bytes(&mut entry, field::VALUE, value.message());
            wire::put_bytes(&mut map, field::ELEMENT, &entry);
        }
        Ok(Literal::write(|out| {
            wire::put_bytes(out, field::KEY_VALUES, &map);
        }))
    }
}

impl JsonSchema for Literal {
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

    fn shown(json: serde_json::Value) -> String {
        let literal: Literal = serde_json::from_value(json).unwrap();
        let mut text = String::new();
        literal.view().write_text(&mut text).unwrap();
        text
    }

    #[test]
    fn keeps_the_type_that_the_configuration_gives() {
        let of = |json| serde_json::from_value::<Literal>(json).unwrap();
        assert!(matches!(of(true.into()).view(), AnyValue::Bool(true)));
        assert!(matches!(of(7.into()).view(), AnyValue::Int(7)));
        assert!(matches!(of(0.into()).view(), AnyValue::Int(0)));
        assert!(matches!(of(0.5.into()).view(), AnyValue::Double(_)));
        assert!(matches!(of("".into()).view(), AnyValue::String(text) if text.is_empty()));
    }

    #[test]
    fn nests_lists_and_maps() {
        let value = serde_json::json!({"a": [1, "x", null], "b": {"c": true}});
        assert_eq!(shown(value), r#"{"a":[1,"x",null],"b":{"c":true}}"#);
    }

    #[test]
    fn refuses_a_number_that_has_no_place() {
        assert!(serde_json::from_value::<Literal>(u64::MAX.into()).is_err());
    }
}
