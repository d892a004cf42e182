//! Another encoder: valid protobuf that no SDK writes, with the same meaning.

use super::Entropy;
use crate::Signal;
use crate::door::schema::{FieldType, Kind, Message};
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
    let number = known.number;
    let mut pieces = Vec::new();
    if known.label.is_one_of() && entropy.chance(6) {
        let others: Vec<_> = of
            .fields
            .iter()
            .filter(|other| other.label.is_one_of())
            .collect();
        let other = others[entropy.below(others.len())];
        if other.number != number {
            pieces.push(piece(other.number, |out| decoy(other, out)));
        }
    }
    if let Some(inner) = known.kind.message() {
        let body = message(inner, field.bytes, entropy);
        if !known.label.is_repeated() && entropy.chance(4) {
            let (first, second) = cut_between_fields(&body, entropy);
            pieces.push(piece(number, |out| put_bytes(out, number, first)));
            pieces.push(piece(number, |out| put_bytes(out, number, second)));
        } else {
            let padding = if entropy.chance(6) { 3 } else { 0 };
            pieces.push(piece(number, |out| padded(out, number, &body, padding)));
        }
    } else if known.kind.element().is_some() {
        pieces.extend(unpacked(known, field, entropy));
    } else {
        if !known.label.is_repeated() && entropy.chance(8) {
            pieces.push(piece(number, |out| decoy(known, out)));
        }
        pieces.push(piece(number, |out| scalar(out, field)));
    }
    pieces
}

fn piece(number: u32, write: impl FnOnce(&mut Vec<u8>)) -> Piece {
    let mut out = Vec::new();
    write(&mut out);
    (number, out)
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
fn unpacked(known: &FieldType, field: &Field<'_>, entropy: &mut Entropy<'_>) -> Vec<Piece> {
    let number = known.number;
    let numbers = numbers(known, field);
    let packed = |numbers: &[(u64, &[u8])]| {
        let body: Vec<u8> = numbers.iter().flat_map(|(_, raw)| raw.to_vec()).collect();
        piece(number, |out| put_bytes(out, number, &body))
    };
    let single = |(value, _): &(u64, &[u8])| match known.kind {
        Kind::PackedVarint => piece(number, |out| put_uint(out, number, *value)),
        _ => piece(number, |out| put_fixed64(out, number, *value)),
    };
    match entropy.below(4) {
        2 => {
            let (first, second) = numbers.split_at(numbers.len() / 2);
            vec![packed(first), packed(second)]
        }
        3 => numbers.iter().map(single).collect(),
        _ => vec![packed(&numbers)],
    }
}

/// The numbers of a packed field and the bytes that each takes.
fn numbers<'a>(known: &FieldType, field: &Field<'a>) -> Vec<(u64, &'a [u8])> {
    let mut cursor = field.message();
    let mut numbers = Vec::new();
    while !cursor.is_done() {
        let from = cursor.rest();
        let read = match known.kind {
            Kind::PackedVarint => cursor.varint(),
            _ => cursor.fixed64(),
        };
        let Ok(value) = read else {
            break;
        };
        numbers.push((value, &from[..from.len() - cursor.rest().len()]));
    }
    numbers
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
            out.extend([(of.number as u8 * 8) | 0x80, 0, 1]);
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
