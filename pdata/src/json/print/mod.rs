//! The way back: OTLP/JSON of protobuf, in one pass over the table of the schema.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::schema::{self, Field, Kind, Message, Rule};
use crate::Signal;
use crate::wire::{self, Cursor, MAX_DEPTH};

/// The most fields that a message of the schema has.
const MOST_FIELDS: usize = 16;

/// Writes requests of one signal, one after the other, as one request in OTLP/JSON.
///
/// What is absent or zero is left out, as the Collector leaves it out: IDs of zeros too,
/// while `resource`, `scope`, `status`, `body` and an attribute's `value` are always there.
/// Bytes that are not UTF-8 come out as U+FFFD. Of what is not in canonical form or not in
/// the schema, some is left out, and nothing panics.
pub fn to_json<'a>(
    signal: Signal,
    requests: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    let [field] = schema::request(signal).fields else {
        return;
    };
    let Kind::Message(message) = field.kind else {
        return;
    };
    out.push(b'{');
    let mut first = true;
    for request in requests {
        for child in Cursor::new(request).filter(|child| child.number == field.number) {
            if first {
                put_key(out, field);
                out.push(b'[');
            } else {
                out.push(b',');
            }
            first = false;
            put_message(out, message, child.message(), MAX_DEPTH);
        }
    }
    if !first {
        out.push(b']');
    }
    out.push(b'}');
}

fn put_message(out: &mut Vec<u8>, message: &Message, fields: Cursor<'_>, depth: usize) {
    out.push(b'{');
    if depth > 0 {
        let found = Found::in_message(message, fields);
        let start = out.len();
        for (at, field) in message.fields.iter().enumerate() {
            let Some(value) = found.0.get(at).copied().flatten() else {
                if is_always_there(field) {
                    put_separator(out, start);
                    put_key(out, field);
                    out.extend_from_slice(b"{}");
                }
                continue;
            };
            if field.rule == Rule::Plain && is_zero(field, &value) {
                continue;
            }
            put_separator(out, start);
            put_key(out, field);
            match (field.rule, field.kind) {
                (Rule::Repeated, Kind::Message(_) | Kind::String) => {
                    put_elements(out, field, fields, depth);
                }
                (Rule::Repeated, kind) => put_packed(out, kind, value.message()),
                _ => put_value(out, field, &value, depth),
            }
        }
    }
    out.push(b'}');
}

/// The last occurrence of each field of a message, in the order of the schema.
struct Found<'a>([Option<wire::Field<'a>>; MOST_FIELDS]);

impl<'a> Found<'a> {
    fn in_message(message: &Message, fields: Cursor<'a>) -> Self {
        let mut found = Self([None; MOST_FIELDS]);
        let mut next = 0;
        for value in fields {
            // Fields come in the order of the schema for the most part, or the same one again.
            let known = (next..message.fields.len())
                .chain(0..next)
                .find(|at| message.fields[*at].number == value.number);
            if let Some(at) = known
                && let Some(place) = found.0.get_mut(at)
            {
                *place = Some(value);
                next = at;
            }
        }
        found
    }
}

/// Whether the Collector writes a message that is absent: it has no way to tell.
fn is_always_there(field: &Field) -> bool {
    matches!(field.kind, Kind::Message(_))
        && matches!(
            field.camel,
            "resource" | "scope" | "status" | "body" | "value" | "positive" | "negative"
        )
}

fn is_zero(field: &Field, value: &wire::Field<'_>) -> bool {
    match field.kind {
        Kind::String | Kind::Bytes => value.bytes.is_empty(),
        Kind::Id(_) => value.bytes.iter().all(|byte| *byte == 0),
        Kind::Double => value.double() == 0.0,
        _ => value.scalar == 0,
    }
}

fn put_separator(out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b',');
    }
}

fn put_key(out: &mut Vec<u8>, field: &Field) {
    out.push(b'"');
    out.extend_from_slice(field.camel.as_bytes());
    out.extend_from_slice(b"\":");
}

fn put_elements(out: &mut Vec<u8>, field: &Field, fields: Cursor<'_>, depth: usize) {
    out.push(b'[');
    let start = out.len();
    for value in fields.filter(|value| value.number == field.number) {
        put_separator(out, start);
        put_value(out, field, &value, depth);
    }
    out.push(b']');
}

fn put_packed(out: &mut Vec<u8>, kind: Kind, mut values: Cursor<'_>) {
    out.push(b'[');
    let start = out.len();
    while !values.is_done() {
        let scalar = match kind {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => values.fixed64(),
            Kind::Fixed32 => values.fixed32().map(u64::from),
            _ => values.varint(),
        };
        let Ok(scalar) = scalar else { break };
        put_separator(out, start);
        put_scalar(out, kind, scalar);
    }
    out.push(b']');
}

fn put_value(out: &mut Vec<u8>, field: &Field, value: &wire::Field<'_>, depth: usize) {
    match field.kind {
        Kind::Message(message) => put_message(out, message, value.message(), depth - 1),
        Kind::String => put_text(out, value.bytes),
        Kind::Bytes => {
            let start = out.len() + 1;
            let length = base64::encoded_len(value.bytes.len(), true).unwrap_or(0);
            out.push(b'"');
            out.resize(start + length, 0);
            // Cannot fail: the place is as long as the text.
            let _ = STANDARD.encode_slice(value.bytes, &mut out[start..]);
            out.push(b'"');
        }
        Kind::Id(_) => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.push(b'"');
            for byte in value.bytes {
                out.extend([byte >> 4, byte & 15].map(|half| HEX[usize::from(half)]));
            }
            out.push(b'"');
        }
        kind => put_scalar(out, kind, value.scalar),
    }
}

/// 64-bit integers are strings, after protobuf's mapping.
fn put_scalar(out: &mut Vec<u8>, kind: Kind, scalar: u64) {
    match kind {
        Kind::Bool => out.extend_from_slice(if scalar == 0 { b"false" } else { b"true" }),
        Kind::Int32 | Kind::Enum(_) => put_number(out, i64::from(scalar as i32)),
        Kind::Uint32 | Kind::Fixed32 => put_number(out, i64::from(scalar as u32)),
        Kind::Sint32 => {
            let scalar = scalar as u32;
            let value = (scalar >> 1).cast_signed() ^ -(scalar & 1).cast_signed();
            put_number(out, i64::from(value));
        }
        Kind::Double => put_double(out, f64::from_bits(scalar)),
        Kind::Int64 | Kind::Sfixed64 => {
            out.push(b'"');
            put_number(out, scalar.cast_signed());
            out.push(b'"');
        }
        _ => {
            out.push(b'"');
            put_digits(out, scalar);
            out.push(b'"');
        }
    }
}

fn put_number(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    put_digits(out, value.unsigned_abs());
}

fn put_digits(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest digits that come back the same, with an exponent where Go writes one.
fn put_double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"\"NaN\"");
    }
    if value.is_infinite() {
        let name: &[u8] = if value > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        return out.extend_from_slice(name);
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return out.extend_from_slice(value.to_string().as_bytes());
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    out.extend_from_slice(format!("{mantissa}e{sign}{digits:0>2}").as_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        put_valid(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    out.push(b'"');
}

fn put_valid(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest
        .iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
    {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
