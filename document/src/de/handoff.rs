//! A [`Node`] read through serde as itself, places and all: for settings that are passed on to be read later.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Fault, NodeDeserializer};
use crate::types::{cut_short, span};
use crate::{Entry, Map, Node, Span, Spanned, Value};

/// The name by which [`NodeDeserializer`] knows that the node itself is wanted.
pub(super) const NODE: &str = "$tidegate::Node";

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Node, D::Error> {
                let value = deserializer.deserialize_any(ValueVisitor)?;
                Ok(Node::new(value, Span::NONE))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Node, A::Error> {
                let span = span(&mut parts)?;
                let text: Option<Box<str>> = parts.next_element()?.ok_or_else(cut_short)?;
                let value = parts.next_element_seed(ValueSeed)?.ok_or_else(cut_short)?;
                Ok(Node { value, span, text })
            }
        }
        deserializer.deserialize_newtype_struct(NODE, NodeVisitor)
    }
}

impl JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Node".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
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

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = items.next_element()? {
            list.push(node);
        }
        Ok(Value::Seq(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, node)) = entries.next_entry::<Spanned<String>, Node>()? {
            map.insert(key.value, Entry::new(key.span, node));
        }
        Ok(Value::Map(map))
    }
}

/// Hands out source, start, end, the text of an expansion and then the value.
pub(super) struct NodeParts<'de> {
    node: &'de Node,
    next: usize,
}

impl<'de> NodeParts<'de> {
    pub(super) fn new(node: &'de Node) -> Self {
        Self { node, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for NodeParts<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let part = self.next;
        self.next += 1;
        match (self.node.span.parts().get(part), part) {
            (Some(number), _) => seed.deserialize((*number).into_deserializer()).map(Some),
            (None, 3) => seed.deserialize(Text(self.node.text.as_deref())).map(Some),
            (None, 4) => seed.deserialize(NodeDeserializer::new(self.node)).map(Some),
            _ => Ok(None),
        }
    }
}

/// A string that may not be there.
struct Text<'de>(Option<&'de str>);

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Some(text) => visitor.visit_some(de::value::BorrowedStrDeserializer::new(text)),
            None => visitor.visit_none(),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
