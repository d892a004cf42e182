//! Values as text, as the Collector's `Value.AsString` writes them.

use std::fmt::{self, Write};

use smallvec::SmallVec;

use super::attributes::Attributes;
use super::text::Text;
use super::value::AnyValue;
use crate::wire::MAX_DEPTH;

impl AnyValue<'_> {
    /// Writes the value as the Collector's `AsString` does: text as it is, bytes in base64, lists and
    /// maps as JSON with sorted keys (of equal keys the last), an empty value as nothing.
    ///
    /// A list or map that holds a number that JSON does not have (NaN, an infinity) is written as
    /// nothing, and what nests deeper than the door lets through as `null`.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn write_text(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::String(text) => write_lossy(out, *text),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Double(value) => match unsupported(*value) {
                Some(name) => write!(out, "json: unsupported value: {name}"),
                None => write_double(out, *value),
            },
            Self::Bytes(bytes) => write_base64(out, bytes),
            Self::Array(_) | Self::KeyValues(_) if !is_json(*self, MAX_DEPTH) => Ok(()),
            Self::Array(_) | Self::KeyValues(_) => write_json(out, *self, MAX_DEPTH),
        }
    }
}

/// How Go names a double that JSON does not have.
fn unsupported(value: f64) -> Option<&'static str> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some("NaN")
    } else if value > 0.0 {
        Some("+Inf")
    } else {
        Some("-Inf")
    }
}

/// Whether every number in a value is one that JSON has.
fn is_json(value: AnyValue<'_>, depth: usize) -> bool {
    match value {
        AnyValue::Double(value) => value.is_finite(),
        AnyValue::Array(_) | AnyValue::KeyValues(_) if depth == 0 => true,
        AnyValue::Array(mut values) => values.all(|value| is_json(value, depth - 1)),
        AnyValue::KeyValues(entries) => sorted(entries)
            .iter()
            .all(|(_, value)| is_json(*value, depth - 1)),
        _ => true,
    }
}

fn write_json(out: &mut impl Write, value: AnyValue<'_>, depth: usize) -> fmt::Result {
    match value {
        AnyValue::Empty => out.write_str("null"),
        AnyValue::String(text) => write_quoted(out, text),
        AnyValue::Bool(value) => write!(out, "{value}"),
        AnyValue::Int(value) => write!(out, "{value}"),
        AnyValue::Double(value) => write_double(out, value),
        AnyValue::Bytes(bytes) => {
            out.write_char('"')?;
            write_base64(out, bytes)?;
            out.write_char('"')
        }
        AnyValue::Array(_) | AnyValue::KeyValues(_) if depth == 0 => out.write_str("null"),
        AnyValue::Array(values) => {
            out.write_char('[')?;
            for (index, value) in values.enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_json(out, value, depth - 1)?;
            }
            out.write_char(']')
        }
        AnyValue::KeyValues(entries) => {
            out.write_char('{')?;
            for (index, (key, value)) in sorted(entries).into_iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_quoted(out, key)?;
                out.write_char(':')?;
                write_json(out, value, depth - 1)?;
            }
            out.write_char('}')
        }
    }
}

/// The entries as a Go map would give them to its JSON encoder: by key, of equal keys the last.
fn sorted<'a>(entries: Attributes<'a>) -> SmallVec<[(Text<'a>, AnyValue<'a>); 8]> {
    let mut sorted: SmallVec<[_; 8]> = entries.collect();
    // Stable, so that of equal keys the last comes first after the reversal.
    sorted.reverse();
    sorted.sort_by_key(|(key, _)| *key);
    sorted.dedup_by(|(later, _), (kept, _)| later == kept);
    sorted
}

/// Writes a finite double as ECMAScript does: the shortest digits that come back the same.
fn write_double(out: &mut impl Write, value: f64) -> fmt::Result {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return write!(out, "{value}");
    }
    let mut digits = Digits::default();
    write!(digits, "{value:e}")?;
    match digits.as_str().split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => {
            write!(out, "{mantissa}e+{exponent}")
        }
        _ => out.write_str(digits.as_str()),
    }
}

/// Room for a double in scientific notation.
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self
            .bytes
            .get_mut(self.len..self.len + text.len())
            .ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

fn write_lossy(out: &mut impl Write, text: Text<'_>) -> fmt::Result {
    for chunk in text.as_bytes().utf8_chunks() {
        out.write_str(chunk.valid())?;
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

/// Writes a JSON string as Go's encoder does, which is also safe inside HTML.
fn write_quoted(out: &mut impl Write, text: Text<'_>) -> fmt::Result {
    out.write_char('"')?;
    for chunk in text.as_bytes().utf8_chunks() {
        write_escaped(out, chunk.valid())?;
        // Go replaces byte by byte.
        for _ in chunk.invalid() {
            out.write_str("\\ufffd")?;
        }
    }
    out.write_char('"')
}

fn write_escaped(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut plain = 0;
    for (at, char) in text.char_indices() {
        let special = matches!(
            char,
            '\0'..' ' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
        );
        if !special {
            continue;
        }
        out.write_str(&text[plain..at])?;
        plain = at + char.len_utf8();
        match char {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            _ => write!(out, "\\u{:04x}", u32::from(char))?,
        }
    }
    out.write_str(&text[plain..])
}

/// Writes bytes in the standard alphabet of RFC 4648, padded.
fn write_base64(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4 {
            let sextet = group >> (18 - 6 * position) & 0x3f;
            out.write_char(if position > chunk.len() {
                '='
            } else {
                char::from(ALPHABET[sextet as usize])
            })?;
        }
    }
    Ok(())
}
