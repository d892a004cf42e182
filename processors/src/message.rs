//! Messages written anew with some of their fields changed, for processors that make points of points.

use std::ops::Range;

use tidegate_pdata::compose::{Fields, Value};
use tidegate_pdata::view::{AnyValue, Attributes};
use tidegate_pdata::wire::Cursor;

/// Copies the fields of a message but for those that are left out.
pub(crate) fn copy_but(message: &[u8], out: &mut Fields, left_out: impl Fn(u32, &[u8]) -> bool) {
    let mut copied = 0;
    for field in Cursor::new(message) {
        if left_out(field.number, field.bytes) {
            out.raw(&message[copied..field.start]);
            copied = field.end;
        }
    }
    out.raw(&message[copied..]);
}

/// Writes an attribute whose value is an `AnyValue` message.
pub(crate) fn attribute(out: &mut Fields, number: u32, key: &[u8], value: Value<'_>) {
    out.message(number, |entry| {
        entry.some_bytes(1, key);
        entry.value(2, value);
    });
}

/// The text of an attribute; none of one that is no text, as in Go.
pub(crate) fn text_of<'a>(attributes: Attributes<'a>, key: &str) -> Option<&'a [u8]> {
    let value = attributes.get(key)?;
    Some(match value {
        AnyValue::String(text) => text.as_bytes(),
        _ => &[],
    })
}

/// The field of a point that holds its attributes, by the field of the metric that holds its data.
pub(crate) const fn attributes_of(data: u32) -> u32 {
    match data {
        9 => 9,
        10 => 1,
        _ => 7, // of gauges, sums and summaries
    }
}

/// Where a message lies that may have been written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Where it came.
    Source(&'a [u8]),
    /// Among those that were written.
    Written(Range<usize>),
}

/// Messages that were written, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
    scratch: Fields,
}

/// What is kept of the room from batch to batch.
const KEPT: usize = 1 << 20;

impl Arena {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }

    pub(crate) fn get<'m>(&'m self, place: &Place<'m>) -> &'m [u8] {
        match place {
            Place::Source(bytes) => bytes,
            Place::Written(range) => &self.bytes[range.clone()],
        }
    }

    /// Has a message written anew; it stays where it is if `write` says that it changes nothing.
    pub(crate) fn rewrite<'a>(
        &mut self,
        place: &mut Place<'a>,
        write: impl FnOnce(&[u8], &mut Fields) -> bool,
    ) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let changed = write(self.get(place), &mut scratch);
        if changed {
            *place = self.add(scratch.bytes());
        }
        self.scratch = scratch;
        changed
    }

    /// Adds a message.
    pub(crate) fn add<'a>(&mut self, message: &[u8]) -> Place<'a> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message);
        Place::Written(start..self.bytes.len())
    }
}

/// The field of a resource's or a scope's records that it is itself, and the one of those that it holds.
const ITSELF: u32 = 1;
const CHILDREN: u32 = 2;

/// A resource's or a scope's message, and what stands around what it holds.
#[derive(Clone)]
pub(crate) struct Head<'a> {
    whole: &'a [u8],
    pub(crate) itself: &'a [u8],
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

impl<'a> Head<'a> {
    pub(crate) fn of(whole: &'a [u8]) -> Self {
        let mut head = Self {
            whole,
            itself: &[],
            before: Vec::new(),
            after: Vec::new(),
        };
        for field in Cursor::new(whole) {
            let bytes = &whole[field.start..field.end];
            match field.number {
                ITSELF => {
                    head.itself = field.bytes;
                    head.before.extend_from_slice(bytes);
                }
                CHILDREN => {}
                _ => head.after.extend_from_slice(bytes),
            }
        }
        head
    }

    pub(crate) fn children(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let fields = Cursor::new(self.whole).filter(|field| field.number == CHILDREN);
        fields.map(|field| field.bytes)
    }
}
