//! Values of any type.

use super::attributes::Attributes;
use super::repeated::{Repeated, View};
use super::text::Text;
use crate::wire::{Cursor, Field};

/// The value of an attribute, the body of a log record, or part of one.
#[derive(Clone, Copy, Debug, Default)]
pub enum AnyValue<'a> {
    /// No value, or one of a type that this schema does not have.
    #[default]
    Empty,
    /// Text.
    String(Text<'a>),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list.
    Array(Repeated<'a, AnyValue<'a>>),
    /// A map; a key may come twice.
    KeyValues(Attributes<'a>),
}

impl<'a> AnyValue<'a> {
    /// The text, if it is one.
    #[must_use]
    pub const fn as_text(&self) -> Option<Text<'a>> {
        match self {
            Self::String(text) => Some(*text),
            _ => None,
        }
    }

    /// The value that an `AnyValue` message is.
    #[must_use]
    #[inline]
    pub fn of_bytes(bytes: &'a [u8]) -> Self {
        View::of(bytes)
    }

    fn read(field: &Field<'a>) -> Option<Self> {
        Some(match field.number {
            1 => Self::String(Text::new(field.bytes)),
            2 => Self::Bool(field.scalar != 0),
            3 => Self::Int(field.scalar as i64),
            4 => Self::Double(field.double()),
            5 => Self::Array(Repeated::new(field.bytes, 1)),
            6 => Self::KeyValues(Attributes::new(field.bytes, 1)),
            7 => Self::Bytes(field.bytes),
            _ => return None,
        })
    }
}

impl<'a> View<'a> for AnyValue<'a> {
    #[inline]
    fn of(bytes: &'a [u8]) -> Self {
        match bytes {
            [0x0a, length @ ..0x80, text @ ..] if text.len() == usize::from(*length) => {
                Self::String(Text::new(text))
            }
            _ => Cursor::new(bytes)
                .filter_map(|field| Self::read(&field))
                .last()
                .unwrap_or_default(),
        }
    }
}
