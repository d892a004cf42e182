//! Attributes: keys and values.

use super::repeated::{Repeated, View};
use super::text::Text;
use super::value::AnyValue;
use crate::wire::Cursor;

/// One attribute.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValue<'a> {
    bytes: &'a [u8],
}

impl<'a> KeyValue<'a> {
    /// The message.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Text<'a> {
        Text::new(self.parts().0)
    }

    /// Its value; empty where there is none.
    #[must_use]
    pub fn value(&self) -> AnyValue<'a> {
        AnyValue::of(self.parts().1)
    }

    /// The `AnyValue` message that is its value.
    #[must_use]
    pub fn value_bytes(&self) -> &'a [u8] {
        self.parts().1
    }

    /// The key and the `AnyValue` message.
    #[inline]
    pub(crate) fn parts(&self) -> (&'a [u8], &'a [u8]) {
        short_parts(self.bytes).unwrap_or_else(|| self.any_parts())
    }

    fn any_parts(&self) -> (&'a [u8], &'a [u8]) {
        let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
        for field in Cursor::new(self.bytes) {
            match field.number {
                1 => key = field.bytes,
                2 => value = field.bytes,
                _ => {}
            }
        }
        (key, value)
    }
}

/// Takes apart the attribute as everybody writes it: key, value, one-byte lengths.
#[inline]
fn short_parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, length @ ..0x80, rest @ ..] = bytes else {
        return None;
    };
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let [0x12, length @ ..0x80, value @ ..] = rest else {
        return None;
    };
    (value.len() == usize::from(*length)).then_some((key, value))
}

impl<'a> View<'a> for KeyValue<'a> {
    #[inline]
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

/// The attributes of something, in order; a key may come twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    entries: Repeated<'a, KeyValue<'a>>,
}

impl<'a> Attributes<'a> {
    /// The attributes that the field `number` has in a message.
    #[must_use]
    pub const fn new(message: &'a [u8], number: u32) -> Self {
        Self {
            entries: Repeated::new(message, number),
        }
    }

    /// Whether they are of a field at all, unlike the default.
    pub(super) const fn is_placed(&self) -> bool {
        self.entries.is_placed()
    }

    /// Whether there is none left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of the first attribute with this key.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<AnyValue<'a>> {
        let key = key.as_ref();
        self.entries
            .map(|entry| entry.parts())
            .find(|(name, _)| *name == key)
            .map(|(_, value)| AnyValue::of(value))
    }

    /// The attributes as messages.
    #[must_use]
    pub const fn entries(&self) -> Repeated<'a, KeyValue<'a>> {
        self.entries
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (Text<'a>, AnyValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.entries.next()?.parts();
        Some((Text::new(key), AnyValue::of(value)))
    }
}
