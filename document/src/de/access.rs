//! Lists, mappings and enums as serde walks over them.

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Fault, NodeDeserializer};
use crate::types::SPANNED;
use crate::{Entry, Map, Node, Span};

pub(super) struct Items<'de> {
    list: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> Items<'de> {
    pub(super) fn new(list: &'de [Node]) -> Self {
        Self {
            list: list.iter().enumerate(),
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some((index, node)) = self.list.next() else {
            return Ok(None);
        };
        seed.deserialize(NodeDeserializer::new(node))
            .map(Some)
            .map_err(|fault| fault.at(node.span).under(index.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.list.len())
    }
}

pub(super) struct Entries<'de> {
    entries: Option<indexmap::map::Iter<'de, String, Entry>>,
    value: Option<(&'de str, &'de Node)>,
}

impl<'de> Entries<'de> {
    pub(super) fn new(map: &'de Map) -> Self {
        Self {
            entries: Some(map.iter()),
            value: None,
        }
    }

    pub(super) fn none() -> Self {
        Self {
            entries: None,
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some((name, entry)) = self.entries.as_mut().and_then(Iterator::next) else {
            return Ok(None);
        };
        self.value = Some((name, &entry.node));
        let key = KeyDeserializer {
            name,
            span: entry.key_span(),
        };
        seed.deserialize(key)
            .map(Some)
            .map_err(|fault| fault.at(entry.key_span()))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((name, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(NodeDeserializer::new(node))
            .map_err(|fault| fault.at(node.span).under(name))
    }
}

/// A key, which is a string, with its place for those who ask.
struct KeyDeserializer<'de> {
    name: &'de str,
    span: Span,
}

impl<'de> de::Deserializer<'de> for KeyDeserializer<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.name)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            SPANNED => visitor.visit_seq(KeyParts { key: self, next: 0 }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Variant::new(self.name, None))
    }

    /// A mapping with numbers for keys reads them from the text.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.name.parse() {
            Ok(number) => visitor.visit_u64(number),
            Err(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.name.parse() {
            Ok(number) => visitor.visit_i64(number),
            Err(_) => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct KeyParts<'de> {
    key: KeyDeserializer<'de>,
    next: usize,
}

impl<'de> SeqAccess<'de> for KeyParts<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let part = self.next;
        self.next += 1;
        match self.key.span.parts().get(part) {
            Some(number) => seed
                .deserialize(de::IntoDeserializer::into_deserializer(*number))
                .map(Some),
            None if part == 3 => seed
                .deserialize(StrDeserializer::new(self.key.name))
                .map(Some),
            None => Ok(None),
        }
    }
}

/// A variant by name, with its content if it is written as a mapping of one key.
pub(super) struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Node>,
}

impl<'de> Variant<'de> {
    pub(super) fn new(name: &'de str, content: Option<&'de Node>) -> Self {
        Self { name, content }
    }

    fn content(self) -> Result<NodeDeserializer<'de>, Fault> {
        self.content.map(NodeDeserializer::new).ok_or_else(|| {
            de::Error::custom(format!(
                "`{0}` has no settings; write `{0}:` with them below",
                self.name
            ))
        })
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let value = seed.deserialize(StrDeserializer::<Fault>::new(self.name))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        let name = self.name;
        seed.deserialize(self.content()?)
            .map_err(|fault| fault.under(name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        let name = self.name;
        de::Deserializer::deserialize_seq(self.content()?, visitor)
            .map_err(|fault| fault.under(name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let name = self.name;
        de::Deserializer::deserialize_map(self.content()?, visitor)
            .map_err(|fault| fault.under(name))
    }
}
