//! Protobuf written front to back, before the lengths of its messages are known.

use crate::wire::{WireType, put_tag, put_varint, varint_len};

/// Writes messages in one pass; the lengths are put between in a second, so that each byte is
/// moved once however deep it lies.
pub(super) struct Writer<'a> {
    /// Everything but the lengths of messages.
    body: Vec<u8>,
    /// Where in `body` a length belongs, and the length, in the order of their places.
    lengths: Vec<(usize, usize)>,
    /// Bytes that the lengths take so far.
    prefixes: usize,
    room: &'a mut dyn FnMut(usize) -> bool,
    /// Bytes that `room` was last asked for.
    asked: usize,
}

/// A message that is being written.
pub(super) struct Open {
    at: usize,
    start: usize,
    prefixes: usize,
}

/// There is no room for what is written.
pub(super) struct NoRoom;

impl<'a> Writer<'a> {
    pub(super) fn new(room: &'a mut dyn FnMut(usize) -> bool) -> Self {
        Self {
            body: Vec::new(),
            lengths: Vec::new(),
            prefixes: 0,
            room,
            asked: 0,
        }
    }

    /// Writes fields of a message; `bytes` is about what they take.
    pub(super) fn fields(&mut self, bytes: usize) -> Result<&mut Vec<u8>, NoRoom> {
        // What is written and its copy with the lengths in it, and the places of the lengths.
        let places = self.lengths.len() * size_of::<(usize, usize)>();
        let needed = 2 * (self.body.len() + bytes) + places;
        if needed > self.asked {
            let asked = needed.max(2 * self.asked).max(1024);
            if !(self.room)(asked) {
                return Err(NoRoom);
            }
            self.asked = asked;
        }
        Ok(&mut self.body)
    }

    /// Begins a length-prefixed field whose length comes out as it is written.
    pub(super) fn open(&mut self, number: u32) -> Result<Open, NoRoom> {
        put_tag(self.fields(8)?, number, WireType::Len);
        let open = Open {
            at: self.lengths.len(),
            start: self.body.len(),
            prefixes: self.prefixes,
        };
        self.lengths.push((self.body.len(), 0));
        Ok(open)
    }

    /// Ends it.
    pub(super) fn close(&mut self, open: &Open) {
        let length = self.body.len() - open.start + self.prefixes - open.prefixes;
        self.lengths[open.at].1 = length;
        self.prefixes += varint_len(length as u64);
    }

    /// The message, in a buffer of its size.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + self.prefixes);
        let mut done = 0;
        for (place, length) in self.lengths {
            out.extend_from_slice(&self.body[done..place]);
            put_varint(&mut out, length as u64);
            done = place;
        }
        out.extend_from_slice(&self.body[done..]);
        out
    }
}
