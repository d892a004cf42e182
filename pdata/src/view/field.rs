//! How the type of a field in a view is read from the wire.

use super::attributes::Attributes;
use super::repeated::{Fixed, FixedList, Repeated, Varints, View};
use super::text::Text;
use crate::wire::Field;

/// A type that a field's value has in a view; its default is what an absent field means.
pub(super) trait FromField<'a>: Default {
    /// Takes the value of `field`, a field of `message`.
    fn read(&mut self, field: &Field<'a>, message: &'a [u8]);
}

/// Reads what the schema calls `sint32`.
pub(super) const fn zigzag(field: &Field<'_>) -> i32 {
    let value = field.scalar as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// What follows a field in its message, itself included.
fn from<'a>(field: &Field<'a>, message: &'a [u8]) -> &'a [u8] {
    message.get(field.start..).unwrap_or_default()
}

macro_rules! scalars {
    ($($type:ty: $field:ident => $value:expr;)*) => {$(
        impl<'a> FromField<'a> for $type {
            #[inline]
            fn read(&mut self, $field: &Field<'a>, _: &'a [u8]) {
                *self = $value;
            }
        }
    )*};
}

scalars! {
    bool: field => field.scalar != 0;
    u32: field => field.scalar as u32;
    i32: field => field.scalar as i32;
    u64: field => field.scalar;
    f64: field => field.double();
    Option<f64>: field => Some(field.double());
    &'a [u8]: field => field.bytes;
    Text<'a>: field => Text::new(field.bytes);
    Varints<'a>: field => Varints::new(field.bytes);
}

impl<'a, T: Fixed> FromField<'a> for FixedList<'a, T> {
    #[inline]
    fn read(&mut self, field: &Field<'a>, _: &'a [u8]) {
        *self = Self::new(field.bytes);
    }
}

impl<'a, T: View<'a>> FromField<'a> for Option<T> {
    #[inline]
    fn read(&mut self, field: &Field<'a>, _: &'a [u8]) {
        *self = Some(T::of(field.bytes));
    }
}

impl<'a, T: View<'a>> FromField<'a> for Repeated<'a, T> {
    #[inline]
    fn read(&mut self, field: &Field<'a>, message: &'a [u8]) {
        if !self.is_placed() {
            *self = Self::new(from(field, message), field.number);
        }
    }
}

impl<'a> FromField<'a> for Attributes<'a> {
    #[inline]
    fn read(&mut self, field: &Field<'a>, message: &'a [u8]) {
        if !self.is_placed() {
            *self = Self::new(from(field, message), field.number);
        }
    }
}
