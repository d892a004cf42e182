//! The slow check: the same rules as protobuf has for any reader, with the name and the place of
//! what breaks them.

use super::MalformedRequest;
use super::schema::{FieldType, Message};
use super::walk::skip;
use crate::Signal;
use crate::wire::{Cursor, Fault, MAX_DEPTH, Malformed, WireType};

/// Checks that bytes are a request, in canonical form or any other.
pub(super) fn check(signal: Signal, request: &[u8]) -> Result<(), MalformedRequest> {
    let mut path = Vec::new();
    check_message(Message::request(signal), Cursor::new(request), &mut path, 0).map_err(|cause| {
        MalformedRequest {
            path: path.join("."),
            cause,
        }
    })
}

/// Checks a message; where it fails, `path` keeps the names that lead to the fault.
fn check_message(
    message: &'static Message,
    mut cursor: Cursor<'_>,
    path: &mut Vec<&'static str>,
    level: usize,
) -> Result<(), Malformed> {
    if level > MAX_DEPTH {
        return Err(cursor.fault(Fault::TooDeep));
    }
    while !cursor.is_done() {
        let mut ahead = cursor;
        let (number, wire) = ahead.tag()?;
        let Some((_, field)) = message.field(number) else {
            skip(&mut cursor, level)?;
            continue;
        };
        path.push(field.name);
        check_field(field, wire, &mut cursor, path, level)?;
        path.pop();
    }
    Ok(())
}

fn check_field(
    field: &FieldType,
    wire: WireType,
    cursor: &mut Cursor<'_>,
    path: &mut Vec<&'static str>,
    level: usize,
) -> Result<(), Malformed> {
    let expected = field.kind.wire();
    if wire != expected && field.kind.element() != Some(wire) {
        return Err(cursor.fault(Fault::WrongWireType {
            found: wire,
            expected,
        }));
    }
    let Some(found) = cursor.field()? else {
        return Ok(());
    };
    if let Some(inner) = field.kind.message() {
        return check_message(inner, found.message(), path, level + 1);
    }
    match field.kind.element() {
        Some(element) if wire == WireType::Len => check_packed(element, found.message()),
        _ => Ok(()),
    }
}

fn check_packed(element: WireType, mut cursor: Cursor<'_>) -> Result<(), Malformed> {
    while !cursor.is_done() {
        let at = cursor;
        let read = match element {
            WireType::Fixed64 => cursor.fixed64(),
            _ => cursor.varint(),
        };
        read.map_err(|malformed| match malformed.fault {
            Fault::Truncated => at.fault(Fault::RaggedPacked),
            _ => malformed,
        })?;
    }
    Ok(())
}
