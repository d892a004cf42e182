//! The slow way in: a request that is well-formed but odd is written anew in canonical form.
//!
//! It is written from its end to its start, so that the length of a message is known when its
//! prefix is due; the whole is turned round at last.

use bytes::Bytes;

use super::schema::{FieldType, Kind, Label, Message};
use super::walk;
use crate::Signal;
use crate::wire::{Cursor, Field, WireType, put_tag, put_varint};

/// The canonical form of a request that [`super::explain::check`] passed, and its items.
///
/// It reads as the original does: of a singular field the last occurrence counts, of a singular
/// message all that its occurrences say together, of a oneof what came last, and unknown fields
/// are kept behind the known ones.
pub(super) fn canonicalise(signal: Signal, request: &[u8]) -> (Bytes, usize) {
    let mut writer = Writer {
        reversed: Vec::with_capacity(request.len() + request.len() / 8),
        items: 0,
    };
    writer.message(Message::request(signal), &[request], 0);
    writer.reversed.reverse();
    (writer.reversed.into_boxed_slice().into(), writer.items)
}

struct Writer {
    /// What is written so far, its last byte first.
    reversed: Vec<u8>,
    items: usize,
}

/// One occurrence of a known field.
struct Found<'a> {
    /// Its place in the message's table.
    index: usize,
    field: Field<'a>,
    /// The whole of it, from its tag.
    raw: &'a [u8],
}

impl Writer {
    /// Writes a message that came in parts: parts of a message read like one after the other.
    fn message(&mut self, message: &'static Message, parts: &[&[u8]], level: usize) {
        let (mut known, unknown) = fields_of(message, parts);
        keep_last_of_one_of(message, &mut known);
        for raw in unknown.iter().rev() {
            self.copy(raw);
        }
        // Stable, so that the occurrences of a field stay in order.
        known.sort_by_key(|found| found.index);
        for run in known.chunk_by(|a, b| a.index == b.index).rev() {
            self.field(&message.fields[run[0].index], run, level);
        }
    }

    /// Writes all occurrences of a field.
    fn field(&mut self, field: &FieldType, run: &[Found<'_>], level: usize) {
        let is_repeated = field.label.is_repeated();
        match (field.kind, run) {
            (Kind::PackedFixed64 | Kind::PackedVarint, _) => self.packed(field, run),
            (Kind::Message(_) | Kind::Attribute, _) if is_repeated => {
                for found in run.iter().rev() {
                    self.nested(field, &[found.field.bytes], level);
                }
            }
            (Kind::Message(_) | Kind::Attribute, _) => {
                let parts: Vec<_> = run.iter().map(|found| found.field.bytes).collect();
                self.nested(field, &parts, level);
            }
            (_, _) if is_repeated => run.iter().rev().for_each(|found| self.scalar(field, found)),
            (_, [.., last]) => self.scalar(field, last),
            (_, []) => {}
        }
    }

    /// Writes a message and its prefix.
    fn nested(&mut self, field: &FieldType, parts: &[&[u8]], level: usize) {
        let Some(inner) = field.kind.message() else {
            return;
        };
        let end = self.reversed.len();
        match (field.label, parts) {
            // Most records of an odd request are canonical: only what is odd is taken apart.
            (Label::Item, [part]) if walk::is_canonical(inner, part, level + 1) => self.copy(part),
            _ => self.message(inner, parts, level + 1),
        }
        self.items += usize::from(field.label == Label::Item);
        self.head(field.number, self.reversed.len() - end);
    }

    /// Writes numbers as one packed field, or nothing where there are none.
    fn packed(&mut self, field: &FieldType, run: &[Found<'_>]) {
        let end = self.reversed.len();
        for found in run.iter().rev() {
            let content = match found.field.wire {
                WireType::Len => found.field.bytes,
                // The number stands behind the tag as it does in a packed field.
                _ => after_tag(found.raw),
            };
            self.copy(content);
        }
        let length = self.reversed.len() - end;
        if length > 0 {
            self.head(field.number, length);
        }
    }

    /// Writes a number, a string or bytes with its tag made minimal.
    fn scalar(&mut self, field: &FieldType, found: &Found<'_>) {
        self.copy(after_tag(found.raw));
        self.put(|out| put_tag(out, field.number, field.kind.wire()));
    }

    fn head(&mut self, number: u32, length: usize) {
        self.put(|out| {
            put_tag(out, number, WireType::Len);
            put_varint(out, length as u64);
        });
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let end = self.reversed.len();
        write(&mut self.reversed);
        self.reversed[end..].reverse();
    }

    fn copy(&mut self, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
    }
}

/// The fields of a message that came in parts: those that the schema knows, and the rest.
fn fields_of<'a>(message: &'static Message, parts: &[&'a [u8]]) -> (Vec<Found<'a>>, Vec<&'a [u8]>) {
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for part in parts {
        let mut cursor = Cursor::new(part);
        loop {
            let from = cursor.rest();
            let Some(field) = cursor.next() else {
                break;
            };
            let raw = &from[..from.len() - cursor.rest().len()];
            match message.field(field.number) {
                Some((index, _)) => known.push(Found { index, field, raw }),
                None => unknown.push(raw),
            }
        }
    }
    (known, unknown)
}

/// Drops the members of a oneof that a later one replaced. Occurrences of the member that came
/// last stay as far back as no other stands between: messages among them are read as one.
fn keep_last_of_one_of(message: &'static Message, known: &mut Vec<Found<'_>>) {
    let is_one_of = |found: &Found<'_>| message.fields[found.index].label.is_one_of();
    let Some(last) = known.iter().rev().find(|found| is_one_of(found)) else {
        return;
    };
    let winner = last.index;
    let from = known
        .iter()
        .rposition(|found| is_one_of(found) && found.index != winner)
        .map_or(0, |other| other + 1);
    let mut position = 0;
    known.retain(|found| {
        let is_kept = position >= from || !is_one_of(found);
        position += 1;
        is_kept
    });
}

/// What follows the tag of a field.
fn after_tag(raw: &[u8]) -> &[u8] {
    let tag = raw
        .iter()
        .position(|byte| *byte < 0x80)
        .map_or(0, |last| last + 1);
    &raw[tag..]
}
