//! One attribute of a message under edit.

use crate::wire::{Cursor, Field};

/// The fields of `KeyValue`.
pub(super) const KEY: u32 = 1;
pub(super) const VALUE: u32 = 2;

/// One attribute, small where it can be: most are never touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) kind: Kind,
    /// The length of its key, or 255 if it is greater.
    pub(super) key: u8,
    /// The length of the `AnyValue` of a plain attribute.
    pub(super) value: u8,
    /// The position of a plain attribute in the message, or of another one in `entries`.
    pub(super) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In the message, as everybody writes it: key, value, one-byte lengths.
    Plain,
    /// Any other: in `entries`.
    Entry,
    /// In `entries`, but no attribute any more.
    Removed,
}

/// An attribute that is not plain, has been written or removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Its field in the message: what a patch replaces. Empty for a new attribute.
    pub(super) old: (usize, usize),
    /// Its field in the arena, once it is written.
    pub(super) new: (usize, usize),
    /// Its key: in the arena once it is written, before that in the message.
    pub(super) key: (usize, usize),
    /// Its `AnyValue`, likewise; empty, at the end, where it has none.
    pub(super) value: (usize, usize),
    pub(super) change: Change,
    /// Whether key and value are all that is in it, in this order.
    pub(super) bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Written,
    Removed,
}

impl Slot {
    /// The attribute at the beginning of `rest`, which is at `at`, if it is a plain one, and what
    /// follows it. `head` is that of a plain attribute, without its lengths.
    #[inline(always)]
    pub(super) fn plain(rest: &[u8], head: u32, at: usize) -> Option<(Self, &[u8])> {
        const LENGTHS: u32 = 0x7f00_7f00;
        let found = u32::from_le_bytes(*rest.first_chunk()?);
        if (found ^ head) & !LENGTHS != 0 {
            return None;
        }
        let (length, key) = (found >> 8 & 0x7f, found >> 24);
        let [0x12, value @ ..0x80, ..] = rest.get(4 + key as usize..)? else {
            return None;
        };
        if length != 4 + key + u32::from(*value) {
            return None;
        }
        let slot = Self {
            kind: Kind::Plain,
            key: key as u8,
            value: *value,
            at,
        };
        Some((slot, rest.get(2 + length as usize..)?))
    }
}

impl Entry {
    /// An attribute of the message that is not plain.
    #[cold]
    pub(super) fn of(field: &Field<'_>) -> Self {
        let (key, value) = parts(field.bytes, field.body());
        Self {
            old: (field.start, field.end),
            new: (0, 0),
            key,
            value,
            change: Change::None,
            bare: false,
        }
    }

    /// A plain attribute of the message.
    #[inline]
    pub(super) const fn plain(slot: &Slot) -> Self {
        let key_end = slot.at + 4 + slot.key as usize;
        let end = key_end + 2 + slot.value as usize;
        Self {
            old: (slot.at, end),
            new: (0, 0),
            key: (slot.at + 4, key_end),
            value: (key_end + 2, end),
            change: Change::None,
            bare: true,
        }
    }
}

/// The length of a key as a slot has it.
#[inline]
pub(super) fn short_length(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

/// Where in an attribute that begins at `at` its key and its value lie.
pub(super) fn parts(entry: &[u8], at: usize) -> ((usize, usize), (usize, usize)) {
    let end = at + entry.len();
    let (mut key, mut value) = ((at, at), (end, end));
    for field in Cursor::at(entry, at) {
        match field.number {
            KEY => key = (field.body(), field.end),
            VALUE => value = (field.body(), field.end),
            _ => {}
        }
    }
    (key, value)
}
