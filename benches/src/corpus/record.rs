//! A protobuf message under construction that remembers where its IDs and timestamps stand.

use crate::wire::{put_bytes, put_double, put_fixed64, put_str, put_uint, put_varint};

/// A place in an encoded message that every request overwrites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patch {
    pub(super) at: usize,
    pub(super) kind: PatchKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchKind {
    /// 16 random bytes, kept for [`PatchKind::SameTrace`].
    NewTrace,
    /// The trace ID last made.
    SameTrace,
    /// 8 random bytes, the old ones kept for [`PatchKind::Parent`].
    Span,
    /// The span ID that was made before the last one.
    Parent,
    /// The present, plus this many nanoseconds, as a fixed64.
    Time(i64),
}

/// An encoded message and the patches in it, by offset.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) bytes: Vec<u8>,
    pub(super) patches: Vec<Patch>,
}

impl Record {
    pub(super) fn uint(&mut self, field: u32, value: u64) {
        put_uint(&mut self.bytes, field, value);
    }

    pub(super) fn fixed64(&mut self, field: u32, value: u64) {
        put_fixed64(&mut self.bytes, field, value);
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        put_double(&mut self.bytes, field, value);
    }

    pub(super) fn str(&mut self, field: u32, value: &str) {
        put_str(&mut self.bytes, field, value);
    }

    /// Writes a packed repeated field of eight-byte values.
    pub(super) fn packed64(&mut self, field: u32, values: impl Iterator<Item = u64>) {
        let packed: Vec<u8> = values.flat_map(u64::to_le_bytes).collect();
        put_bytes(&mut self.bytes, field, &packed);
    }

    /// Writes an ID of `N` bytes that is made when a request is stamped.
    pub(super) fn id<const N: usize>(&mut self, field: u32, kind: PatchKind) {
        put_bytes(&mut self.bytes, field, &[0; N]);
        let at = self.bytes.len() - N;
        self.patches.push(Patch { at, kind });
    }

    /// Writes the time of stamping plus `offset` nanoseconds.
    pub(super) fn time(&mut self, field: u32, offset: i64) {
        put_fixed64(&mut self.bytes, field, 0);
        let at = self.bytes.len() - 8;
        let kind = PatchKind::Time(offset);
        self.patches.push(Patch { at, kind });
    }

    /// Writes `inner` as a message field of this message.
    pub(super) fn nest(&mut self, field: u32, inner: Record) {
        put_varint(&mut self.bytes, u64::from(field) << 3 | 2);
        put_varint(&mut self.bytes, inner.bytes.len() as u64);
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&inner.bytes);
        let moved = inner.patches.iter().map(|patch| Patch {
            at: base + patch.at,
            kind: patch.kind,
        });
        self.patches.extend(moved);
    }

    /// Writes a `KeyValue` whose value is a string.
    pub(super) fn attribute(&mut self, field: u32, key: &str, value: &str) {
        let mut any = Record::default();
        any.str(1, value);
        self.key_value(field, key, any);
    }

    /// Writes a `KeyValue` whose value is an integer.
    pub(super) fn int_attribute(&mut self, field: u32, key: &str, value: u64) {
        let mut any = Record::default();
        any.uint(3, value);
        self.key_value(field, key, any);
    }

    /// Writes a `KeyValue` whose value is a boolean.
    pub(super) fn bool_attribute(&mut self, field: u32, key: &str, value: bool) {
        let mut any = Record::default();
        any.uint(2, u64::from(value));
        self.key_value(field, key, any);
    }

    fn key_value(&mut self, field: u32, key: &str, any: Record) {
        let mut pair = Record::default();
        pair.str(1, key);
        pair.nest(2, any);
        self.nest(field, pair);
    }
}
