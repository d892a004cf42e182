//! The slow way in: a request that is well-formed but odd is written anew in canonical form.
//!
//! It is written from its end to its start, so that the length of a message is known when its
//! prefix is due; the whole is turned round at last. Of the fields of a message, eight bytes each
//! are kept in mind: no request takes more than a few times its size here.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::schema::{FieldType, Kind, Label, Message};
use super::walk;
use crate::Signal;
use crate::wire::{Cursor, Field, WireType, put_head, put_tag};

/// The canonical form of a request that [`super::explain::check`] passed, and its items.
///
/// It reads as the original does: of a singular field the last occurrence counts, of a singular
/// message all that its occurrences say together, of a oneof what came last, and unknown fields
/// are kept behind the known ones.
pub(super) fn canonicalise(signal: Signal, request: &[u8]) -> (Bytes, usize) {
    let mut writer = Writer {
        request,
        reversed: Vec::with_capacity(request.len() + request.len() / 8),
        items: 0,
    };
    let whole = 0..request.len();
    writer.message(Message::request(signal), std::slice::from_ref(&whole), 0);
    writer.reversed.reverse();
    (writer.reversed.into_boxed_slice().into(), writer.items)
}

struct Writer<'a> {
    request: &'a [u8],
    /// What is written so far, its last byte first.
    reversed: Vec<u8>,
    items: usize,
}

/// Where an occurrence of a field begins, and above that its place in the message's table: in
/// the order of these numbers fields stand as they are to be written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found(u64);

impl Found {
    const PLACE: u32 = 56;
    /// The place of fields that the schema does not know: behind all others.
    const UNKNOWN: usize = 0xff;

    const fn new(index: usize, start: usize) -> Self {
        Self(((index as u64) << Self::PLACE) | start as u64)
    }

    const fn index(self) -> usize {
        (self.0 >> Self::PLACE) as usize
    }

    const fn start(self) -> usize {
        (self.0 & ((1 << Self::PLACE) - 1)) as usize
    }
}

impl Writer<'_> {
    /// Writes a message that came in parts: parts of a message read like one after the other.
    fn message(&mut self, message: &'static Message, parts: &[Range<usize>], level: usize) {
        let mut found = self.find(message, parts);
        keep_last_of_one_of(message, &mut found);
        found.sort_unstable();
        for run in found.chunk_by(|a, b| a.index() == b.index()).rev() {
            match message.fields.get(run[0].index()) {
                Some(field) => self.field(field, run, level),
                None => run.iter().rev().for_each(|found| {
                    let field = self.read(*found);
                    self.copy(field.start..field.end);
                }),
            }
        }
    }

    /// The fields of a message in the order they came.
    fn find(&self, message: &'static Message, parts: &[Range<usize>]) -> SmallVec<[Found; 16]> {
        let mut all = SmallVec::new();
        for part in parts {
            for field in Cursor::at(&self.request[part.clone()], part.start) {
                let place = message.field(field.number);
                let index = place.map_or(Found::UNKNOWN, |(index, _)| index);
                all.push(Found::new(index, field.start));
            }
        }
        all
    }

    fn read(&self, found: Found) -> Field<'_> {
        let mut cursor = Cursor::at(&self.request[found.start()..], found.start());
        cursor
            .next()
            .expect("a field that was read once is read again")
    }

    /// Writes all occurrences of a field.
    fn field(&mut self, field: &FieldType, run: &[Found], level: usize) {
        let is_repeated = field.label.is_repeated();
        match (field.kind, run) {
            (Kind::PackedFixed64 | Kind::PackedVarint, _) => self.packed(field, run),
            (Kind::Message(_) | Kind::Attribute, _) if is_repeated => {
                for found in run.iter().rev() {
                    let part = self.body(*found);
                    self.nested(field, &[part], level);
                }
            }
            (Kind::Message(_) | Kind::Attribute, _) => {
                let parts = run.iter().map(|found| self.body(*found));
                let parts: SmallVec<[_; 2]> = parts.filter(|part| !part.is_empty()).collect();
                self.nested(field, &parts, level);
            }
            (_, _) if is_repeated => run
                .iter()
                .rev()
                .for_each(|found| self.scalar(field, *found)),
            (_, [.., last]) => self.scalar(field, *last),
            (_, []) => {}
        }
    }

    fn body(&self, found: Found) -> Range<usize> {
        let field = self.read(found);
        field.body()..field.end
    }

    /// Writes a message and its prefix.
    fn nested(&mut self, field: &FieldType, parts: &[Range<usize>], level: usize) {
        let Some(inner) = field.kind.message() else {
            return;
        };
        let end = self.reversed.len();
        match parts {
            [part] if self.is_fine(field, inner, part, level + 1) => self.copy(part.clone()),
            _ => self.message(inner, parts, level + 1),
        }
        self.items += usize::from(field.label == Label::Item);
        self.head(field.number, self.reversed.len() - end);
    }

    /// Whether a message is canonical already, where that is cheap to tell: most records of an
    /// odd request are, and most attributes of an odd record.
    fn is_fine(
        &self,
        field: &FieldType,
        message: &'static Message,
        part: &Range<usize>,
        level: usize,
    ) -> bool {
        let bytes = &self.request[part.clone()];
        match (field.label, field.kind) {
            (Label::Item, _) => walk::is_canonical(message, bytes, level),
            (_, Kind::Attribute) => walk::is_plain_attribute(bytes),
            _ => false,
        }
    }

    /// Writes numbers as one packed field, or nothing where there are none.
    fn packed(&mut self, field: &FieldType, run: &[Found]) {
        let end = self.reversed.len();
        for found in run.iter().rev() {
            let field = self.read(*found);
            let content = match field.wire {
                WireType::Len => field.body(),
                // The number stands behind the tag as it does in a packed field.
                _ => self.behind_tag(&field),
            };
            self.copy(content..field.end);
        }
        let length = self.reversed.len() - end;
        if length > 0 {
            self.head(field.number, length);
        }
    }

    /// Writes a number, a string or bytes with its tag made minimal.
    fn scalar(&mut self, field: &FieldType, found: Found) {
        let read = self.read(found);
        self.copy(self.behind_tag(&read)..read.end);
        self.put(|out| put_tag(out, field.number, field.kind.wire()));
    }

    /// Where the tag of a field ends.
    fn behind_tag(&self, field: &Field<'_>) -> usize {
        let tag = self.request[field.start..field.end].iter();
        field
            .end
            .min(field.start + 1 + tag.take_while(|byte| **byte >= 0x80).count())
    }

    fn head(&mut self, number: u32, length: usize) {
        self.put(|out| put_head(out, number, length));
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let end = self.reversed.len();
        write(&mut self.reversed);
        self.reversed[end..].reverse();
    }

    fn copy(&mut self, range: Range<usize>) {
        self.reversed.extend(self.request[range].iter().rev());
    }
}

/// Drops the members of a oneof that a later one replaced. Occurrences of the member that came
/// last stay as far back as no other stands between: messages among them are read as one.
fn keep_last_of_one_of(message: &'static Message, found: &mut SmallVec<[Found; 16]>) {
    let is_one_of = |found: Found| {
        message
            .fields
            .get(found.index())
            .is_some_and(|field| field.label.is_one_of())
    };
    let Some(last) = found.iter().rfind(|found| is_one_of(**found)) else {
        return;
    };
    let winner = last.index();
    let other = |found: &&Found| is_one_of(**found) && found.index() != winner;
    let Some(from) = found.iter().rfind(other).map(|other| other.start()) else {
        return;
    };
    found.retain(|found| found.start() > from || !is_one_of(*found));
}
