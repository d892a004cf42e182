//! The walk that canonical requests pass: every byte's place in the schema, and nothing else.
//!
//! This runs over everything that comes in, so it keeps no positions and makes no errors: it
//! says yes and counts, or it says no and the slow ways find out what to do.

use super::schema::{Kind, Message, Role, Rule};
use crate::Signal;
use crate::wire::{Cursor, MAX_DEPTH, Malformed, WireType, tag_len};

/// The items of a request, if it is well-formed and canonical.
pub(super) fn canonical_items(signal: Signal, request: &[u8]) -> Option<usize> {
    let mut items = 0;
    walk(Message::request(signal), request, 0, &mut items)?;
    Some(items)
}

/// Whether a message at this level below the request is well-formed and canonical.
pub(super) fn is_canonical(message: &'static Message, bytes: &[u8], level: usize) -> bool {
    walk(message, bytes, level, &mut 0).is_some()
}

/// Walks a message at this level below the request; `None` where it is not canonical.
fn walk(message: &'static Message, bytes: &[u8], level: usize, items: &mut usize) -> Option<()> {
    if level > MAX_DEPTH {
        return None;
    }
    let mut rest = bytes;
    let mut seen = 0;
    while let [tag, after @ ..] = rest {
        let (rule, after) = if *tag < 0x80 {
            (message.rule_of_byte(*tag), after)
        } else {
            long_tag(message, rest)?
        };
        if tag & 7 != rule.wire || seen & rule.forbids != 0 {
            rest = unknown(rule, rest, level)?;
            continue;
        }
        seen |= rule.bit;
        rest = match rule.kind {
            Kind::Attribute => attributes(*tag, after, level)?,
            Kind::Bytes => split(after)?.1,
            Kind::Varint => varint(after)?,
            Kind::Fixed64 => after.get(8..)?,
            Kind::Fixed32 => after.get(4..)?,
            Kind::Message(inner) => {
                let (body, after) = split(after)?;
                *items += usize::from(rule.role == Role::Item);
                walk(inner, body, level + 1, items)?;
                after
            }
            Kind::PackedFixed64 => {
                let (body, after) = split(after)?;
                if body.len() % 8 != 0 {
                    return None;
                }
                after
            }
            Kind::PackedVarint => {
                let (body, after) = split(after)?;
                packed_varints(body)?;
                after
            }
            Kind::Unknown => return None,
        };
    }
    Some(())
}

/// Walks a run of attributes of one tag, from the length of the first to the end of the last.
fn attributes(tag: u8, mut rest: &[u8], level: usize) -> Option<&[u8]> {
    loop {
        let (body, after) = split(rest)?;
        if !is_plain_attribute(body) {
            walk(&super::schema::KEY_VALUE, body, level + 1, &mut 0)?;
        }
        match after {
            [next, after @ ..] if *next == tag => rest = after,
            _ => return Some(after),
        }
    }
}

/// Whether this is a key and a string, bool, integer or double, with lengths of one byte each:
/// what nearly every attribute is.
#[inline]
pub(super) fn is_plain_attribute(body: &[u8]) -> bool {
    let [0x0a, key, after @ ..] = body else {
        return false;
    };
    if *key >= 0x80 {
        return false;
    }
    let Some([0x12, length, value @ ..]) = after.get(usize::from(*key)..) else {
        return false;
    };
    if usize::from(*length) != value.len() || *length >= 0x80 {
        return false;
    }
    match value {
        [0x0a, length, text @ ..] => usize::from(*length) == text.len(),
        [0x18, number @ ..] => is_varint(number),
        [0x10, truth] => *truth < 0x80,
        [0x21, number @ ..] => number.len() == 8,
        _ => false,
    }
}

/// Whether the bytes are one varint.
#[inline]
fn is_varint(bytes: &[u8]) -> bool {
    match bytes {
        [one] => *one < 0x80,
        [one, two] => *one >= 0x80 && *two < 0x80,
        _ => varint(bytes).is_some_and(<[u8]>::is_empty),
    }
}

/// What follows a varint.
#[inline]
fn varint(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [one, after @ ..] if *one < 0x80 => Some(after),
        _ => {
            let mut cursor = Cursor::new(bytes);
            cursor.varint().ok()?;
            Some(cursor.rest())
        }
    }
}

/// The content of a length-prefixed field, from its length on, and what follows.
#[inline]
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [one, after @ ..] if *one < 0x80 => after.split_at_checked(usize::from(*one)),
        [one, two, after @ ..] if *two < 0x80 => {
            after.split_at_checked(usize::from(one & 0x7f) | usize::from(*two) << 7)
        }
        _ => {
            let mut cursor = Cursor::new(bytes);
            let body = cursor.bytes().ok()?;
            Some((body, cursor.rest()))
        }
    }
}

fn packed_varints(mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        bytes = varint(bytes)?;
    }
    Some(())
}

/// The rule of a field whose tag has more than one byte, and what follows the tag.
fn long_tag<'a>(message: &'static Message, bytes: &'a [u8]) -> Option<(&'static Rule, &'a [u8])> {
    let mut cursor = Cursor::new(bytes);
    let (number, _) = cursor.tag().ok()?;
    let rule = message.rule(number);
    let is_minimal = cursor.offset() == tag_len(number);
    (is_minimal || matches!(rule.kind, Kind::Unknown)).then_some((rule, cursor.rest()))
}

/// What follows a field that the schema does not know; `None` for one that it does know.
#[cold]
fn unknown<'a>(rule: &Rule, bytes: &'a [u8], level: usize) -> Option<&'a [u8]> {
    if !matches!(rule.kind, Kind::Unknown) {
        return None;
    }
    let mut cursor = Cursor::new(bytes);
    skip(&mut cursor, level).ok()?;
    Some(cursor.rest())
}

/// Reads a field that the schema does not know.
pub(super) fn skip(cursor: &mut Cursor<'_>, level: usize) -> Result<(), Malformed> {
    let mut ahead = *cursor;
    let (number, wire) = ahead.tag()?;
    if wire == WireType::Group {
        ahead.group(number, MAX_DEPTH - level)?;
        *cursor = ahead;
    } else {
        cursor.field()?;
    }
    Ok(())
}
