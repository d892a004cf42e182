//! Another encoder: valid protobuf that no SDK writes, with the same meaning.

use super::Entropy;
use crate::Signal;
use crate::door::schema::{FieldType, Kind, Label, Message};
use crate::wire::{
    Cursor, Field, WireType, put_bytes, put_fixed32, put_fixed64, put_tag, put_uint, put_varint,
};

/// An odd encoding of a canonical request, which reads as the same: fields split, repeated,
/// reordered and unpacked, members of a oneof before the one that counts, lengths and tags
/// padded, unknown fields in between. Without entropy it is the request itself.
#[must_use]
pub fn hostile_encoding(signal: Signal, request: &[u8], entropy: &mut Entropy<'_>) -> Vec<u8> {
    message(Message::request(signal), request, entropy)
}

/// A field that is written already, and its number.
type Piece = (u32, Vec<u8>);

fn message(of: &'static Message, bytes: &[u8], entropy: &mut Entropy<'_>) -> Vec<u8> {
    let mut pieces = Vec::new();
    for field in Cursor::new(bytes) {
        match of.field(field.number) {
            Some((_, known)) => pieces.extend(known_field(of, known, &field, entropy)),
            None => pieces.push((field.number, raw(bytes, &field))),
        }
    }
    reorder(of, &mut pieces, entropy);
    let mut out = Vec::new();
    for (_, piece) in pieces {
        if entropy.chance(24) {
            unknown(&mut out, entropy);
        }
        out.extend(piece);
    }
    if entropy.chance(24) {
        unknown(&mut out, entropy);
    }
    out
}

fn raw(bytes: &[u8], field: &Field<'_>) -> Vec<u8> {
    bytes[field.start..field.end].to_vec()
}

/// Swaps neighbours that may change places: fields of different numbers, unless both are of the
/// oneof, where the order is the meaning.
fn reorder(of: &'static Message, pieces: &mut [Piece], entropy: &mut Entropy<'_>) {
    let is_one_of = |number| {
        of.field(number)
            .is_some_and(|(_, field)| field.label.is_one_of())
    };
    for _ in 0..entropy.below(8) {
        if pieces.len() < 2 {
            return;
        }
        let at = entropy.below((pieces.len() - 1).min(256));
        let (left, right) = (pieces[at].0, pieces[at + 1].0);
        if left != right && !(is_one_of(left) && is_one_of(right)) {
            pieces.swap(at, at + 1);
        }
    }
}

/// The pieces that one field becomes.
fn known_field(
    of: &'static Message,
    known: &FieldType,
    field: &Field<'_>,
    entropy: &mut Entropy<'_>,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut put = |number, write: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        pieces.push((number, out));
    };
    let number = known.number;
    if known.label.is_one_of() && entropy.chance(6) {
        let others: Vec<_> = of
            .fields
            .iter()
            .filter(|other| other.label.is_one_of())
            .collect();
        let other = others[entropy.below(others.len())];
        if other.number != number {
            put(other.number, &mut |out| decoy(other, out));
        }
    }
    if let Some(inner) = known.kind.message() {
        let body = message(inner, field.bytes, entropy);
        let is_repeated = matches!(
            known.label,
            Label::Repeated | Label::Container | Label::Item
        );
        if !is_repeated && entropy.chance(4) {
            let (first, second) = cut_between_fields(&body, entropy);
            put(number, &mut |out| padded(out, number, first, 0));
            put(number, &mut |out| padded(out, number, second, 0));
        } else {
            let padding = if entropy.chance(6) { 3 } else { 0 };
            put(number, &mut |out| padded(out, number, &body, padding));
        }
    } else if known.kind.element().is_some() {
        unpack(known, field, entropy, &mut put);
    } else {
        if known.label != Label::Repeated && entropy.chance(8) {
            put(number, &mut |out| decoy(known, out));
        }
        put(number, &mut |out| scalar(out, field));
    }
    pieces
}

/// A field with a length prefix that is longer than it need be.
fn padded(out: &mut Vec<u8>, number: u32, body: &[u8], padding: usize) {
    put_tag(out, number, WireType::Len);
    put_varint(out, body.len() as u64);
    for _ in 0..padding {
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.push(0);
    }
    out.extend_from_slice(body);
}

/// Cuts a message in two behind any of its fields.
fn cut_between_fields<'a>(body: &'a [u8], entropy: &mut Entropy<'_>) -> (&'a [u8], &'a [u8]) {
    let ends: Vec<_> = Cursor::new(body).map(|field| field.end).collect();
    let at = match ends.len() {
        0 => 0,
        length => ends[entropy.below(length.min(256))],
    };
    body.split_at(at)
}

/// Packed numbers one by one, or in two fields, or as they were.
fn unpack(
    known: &FieldType,
    field: &Field<'_>,
    entropy: &mut Entropy<'_>,
    put: &mut dyn FnMut(u32, &mut dyn FnMut(&mut Vec<u8>)),
) {
    let is_varint = matches!(known.kind, Kind::PackedVarint);
    let mut cursor = field.message();
    let mut numbers = Vec::new();
    while let Ok(value) = if is_varint {
        cursor.varint()
    } else {
        cursor.fixed64()
    } {
        numbers.push(value);
    }
    let packed = |numbers: &[u64], out: &mut Vec<u8>| {
        let mut body = Vec::new();
        for value in numbers {
            match is_varint {
                true => put_varint(&mut body, *value),
                false => body.extend(value.to_le_bytes()),
            }
        }
        put_bytes(out, known.number, &body);
    };
    match entropy.below(4) {
        2 => {
            let (first, second) = numbers.split_at(numbers.len() / 2);
            put(known.number, &mut |out| packed(first, out));
            put(known.number, &mut |out| packed(second, out));
        }
        3 => {
            for value in numbers {
                put(known.number, &mut |out| match is_varint {
                    true => put_uint(out, known.number, value),
                    false => put_fixed64(out, known.number, value),
                });
            }
        }
        _ => put(known.number, &mut |out| packed(&numbers, out)),
    }
}

/// A field that is no message, as it is.
fn scalar(out: &mut Vec<u8>, field: &Field<'_>) {
    match field.wire {
        WireType::Varint => put_uint(out, field.number, field.scalar),
        WireType::Fixed64 => put_fixed64(out, field.number, field.scalar),
        WireType::Fixed32 => put_fixed32(out, field.number, field.scalar as u32),
        _ => put_bytes(out, field.number, field.bytes),
    }
}

/// A value that another one replaces later.
fn decoy(of: &FieldType, out: &mut Vec<u8>) {
    match of.kind.wire() {
        WireType::Varint => {
            // The tag padded by a byte.
            out.extend([of.number as u8 * 8 | 0x80, 0, 1]);
        }
        WireType::Fixed64 => put_fixed64(out, of.number, 4711),
        WireType::Fixed32 => put_fixed32(out, of.number, 4711),
        _ => put_bytes(out, of.number, &[]),
    }
}

/// A field that no message of OTLP has.
fn unknown(out: &mut Vec<u8>, entropy: &mut Entropy<'_>) {
    let number = [17, 29, 100, 1000, (1 << 29) - 1][entropy.below(5)];
    match entropy.below(4) {
        0 => put_uint(out, number, entropy.integer()),
        1 => put_bytes(out, number, b"unknown"),
        2 => put_fixed64(out, number, 1),
        _ => {
            put_tag(out, number, WireType::Group);
            put_bytes(out, 1, b"inside");
            put_tag(out, number, WireType::GroupEnd);
        }
    }
}
