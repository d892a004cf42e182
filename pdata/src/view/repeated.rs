//! Repeated fields: messages and strings one by one, packed numbers.

use std::marker::PhantomData;

use crate::wire::Cursor;

/// A type that is a view of the content of a length-prefixed field.
pub trait View<'a>: Copy {
    /// The view of this content.
    fn of(bytes: &'a [u8]) -> Self;
}

impl<'a> View<'a> for &'a [u8] {
    #[inline]
    fn of(bytes: &'a [u8]) -> Self {
        bytes
    }
}

/// The elements of a repeated field, in order.
#[derive(Debug)]
pub struct Repeated<'a, T> {
    /// The message, from the first element on.
    rest: Cursor<'a>,
    number: u32,
    element: PhantomData<T>,
}

impl<'a, T> Repeated<'a, T> {
    /// The elements that the field `number` has in a message.
    #[must_use]
    pub const fn new(message: &'a [u8], number: u32) -> Self {
        Self {
            rest: Cursor::new(message),
            number,
            element: PhantomData,
        }
    }

    /// Whether it is of a field at all, unlike the default.
    pub(super) const fn is_placed(&self) -> bool {
        self.number != 0
    }

    /// The message from here on: all of it, while nothing was taken.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest.rest()
    }

    /// Whether there is none left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_done() || !{ self.rest }.any(|field| field.number == self.number)
    }
}

impl<T> Clone for Repeated<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Repeated<'_, T> {}

impl<T> Default for Repeated<'_, T> {
    fn default() -> Self {
        Self::new(&[], 0)
    }
}

impl<'a, T: View<'a>> Iterator for Repeated<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        loop {
            let field = self.rest.next()?;
            if field.number == self.number {
                return Some(T::of(field.bytes));
            }
        }
    }
}

/// A number of eight bytes on the wire.
pub trait Fixed: Copy + Default {
    /// The number that these bits are.
    fn from_bits(bits: u64) -> Self;
}

impl Fixed for u64 {
    fn from_bits(bits: u64) -> Self {
        bits
    }
}

impl Fixed for f64 {
    fn from_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

/// Packed eight-byte numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedList<'a, T> {
    bytes: &'a [u8],
    number: PhantomData<T>,
}

impl<'a, T> FixedList<'a, T> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            number: PhantomData,
        }
    }

    /// Whether there is none left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.len() < 8
    }
}

impl<T: Fixed> Iterator for FixedList<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let (number, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(T::from_bits(u64::from_le_bytes(*number)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.bytes.len() / 8;
        (left, Some(left))
    }
}

impl<T: Fixed> ExactSizeIterator for FixedList<'_, T> {}

/// Packed varints.
#[derive(Clone, Copy, Debug)]
pub struct Varints<'a> {
    rest: Cursor<'a>,
}

impl<'a> Varints<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: Cursor::new(bytes),
        }
    }

    /// Whether there is none left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_done()
    }
}

impl Default for Varints<'_> {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Iterator for Varints<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        self.rest.varint().ok()
    }
}
