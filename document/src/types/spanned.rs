//! A value that remembers where it was written.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, DeserializeSeed, IntoDeserializer, SeqAccess};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::de::{Fault, NodeDeserializer};
use crate::{Node, Span};

/// A value and its place, for settings that are checked later: an expression, a regular expression.
///
/// Its schema is that of the value. Two are equal when their values are.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> From<T> for Spanned<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            span: Span::NONE,
        }
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The name by which [`NodeDeserializer`] knows that the place is wanted too.
pub(crate) const SPANNED: &str = "$tidegate::Spanned";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Spanned<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            /// Any other deserialiser knows of no places.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Spanned<T>, D::Error> {
                T::deserialize(deserializer).map(Spanned::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let span = span(&mut parts)?;
                let value = parts.next_element::<T>()?.ok_or_else(cut_short)?;
                Ok(Spanned { value, span })
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED, Visitor(PhantomData))
    }
}

/// Takes the three numbers of a place.
pub(crate) fn span<'de, A: SeqAccess<'de>>(parts: &mut A) -> Result<Span, A::Error> {
    let mut numbers = [0; 3];
    for number in &mut numbers {
        *number = parts.next_element()?.ok_or_else(cut_short)?;
    }
    Ok(Span::from_parts(numbers))
}

pub(crate) fn cut_short<E: de::Error>() -> E {
    E::custom("a part of a place is missing")
}

/// Hands out source, start, end and then the value itself.
pub(crate) struct SpannedParts<'de> {
    node: &'de Node,
    next: u8,
}

impl<'de> SpannedParts<'de> {
    pub(crate) fn new(node: &'de Node) -> Self {
        Self { node, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for SpannedParts<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let part = self.next;
        self.next += 1;
        let numbers = self.node.span.parts();
        match numbers.get(usize::from(part)) {
            Some(number) => seed.deserialize((*number).into_deserializer()).map(Some),
            None if part == 3 => seed.deserialize(NodeDeserializer::new(self.node)).map(Some),
            None => Ok(None),
        }
    }
}
