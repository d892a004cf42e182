//! Reading OTLP/JSON into protobuf.

use std::fmt;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::value::RawValue;

use super::schema::{Field, Kind, Message, Rule, request};
use super::write::{NoRoom, Writer};
use crate::Signal;
use crate::wire::{WireType, put_bytes, put_head, put_tag, put_varint};

/// Why JSON could not be read as an OTLP request.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON, or not that of the request.
    #[error("the body is not OTLP/JSON: {0}")]
    Malformed(String),
    /// There is no room for it as protobuf.
    #[error("there is no room for the request")]
    NoRoom,
}

/// Reads the JSON of an export request into protobuf, in a buffer of its exact size.
///
/// Before memory is taken, `room` is asked for the bytes in all.
///
/// # Errors
/// When the text is not the JSON of a request, or `room` says no.
pub fn from_json(
    signal: Signal,
    text: &[u8],
    room: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, JsonError> {
    let mut full = false;
    let mut writer = Writer::new(room);
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = json
        .deserialize_map(Fields {
            message: request(signal),
            to: &mut Target {
                writer: &mut writer,
                full: &mut full,
            },
        })
        .and_then(|()| json.end());
    match read {
        Ok(()) => Ok(writer.finish()),
        Err(_) if full => Err(JsonError::NoRoom),
        Err(error) => Err(JsonError::Malformed(error.to_string())),
    }
}

/// The writer, and whether it ran out of room: serde's errors have no kind.
struct Target<'t, 'w> {
    writer: &'t mut Writer<'w>,
    full: &'t mut bool,
}

impl Target<'_, '_> {
    fn checked<T, E: Error>(&mut self, written: Result<T, NoRoom>) -> Result<T, E> {
        written.map_err(|NoRoom| {
            *self.full = true;
            E::custom("no room")
        })
    }

    fn put<E: Error>(&mut self, bytes: usize, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), E> {
        match self.writer.fields(bytes) {
            Ok(out) => {
                put(out);
                Ok(())
            }
            Err(error) => self.checked(Err(error)),
        }
    }

    /// Writes a message or packed scalars, whatever `content` makes of them.
    fn nested<T, E: Error>(
        &mut self,
        number: u32,
        content: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let opened = self.writer.open(number);
        let open = self.checked(opened)?;
        let result = content(self)?;
        self.writer.close(&open);
        Ok(result)
    }
}

/// Reads the fields of a message.
struct Fields<'t, 'x, 'w> {
    message: &'static Message,
    to: &'t mut Target<'x, 'w>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.message.name.rsplit('.').next().unwrap_or_default();
        write!(f, "an object, the {name}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Key(self.message))? {
            match field {
                Some(field) => map.next_value_seed(Content { field, to: self.to })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Finds the field that a key names.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(key))
    }
}

/// Reads all that a key stands for.
struct Content<'t, 'x, 'w> {
    field: &'static Field,
    to: &'t mut Target<'x, 'w>,
}

impl<'de> DeserializeSeed<'de> for Content<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        // Null is the same as absent, whatever the type.
        from.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Content<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value of {}", self.field.camel)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Self { field, to } = self;
        match (field.rule, field.kind) {
            (Rule::Repeated, Kind::Message(_) | Kind::String) => {
                from.deserialize_seq(Elements { field, to })
            }
            (Rule::Repeated, _) => to.nested(field.number, |to| {
                from.deserialize_seq(Packed { field, to })
            }),
            _ => Value { field, to }.deserialize(from),
        }
    }
}

/// Reads an array of messages or strings: a field for each.
struct Elements<'t, 'x, 'w> {
    field: &'static Field,
    to: &'t mut Target<'x, 'w>,
}

impl<'de> Visitor<'de> for Elements<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array, the {}", self.field.camel)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq
            .next_element_seed(Value {
                field: self.field,
                to: self.to,
            })?
            .is_some()
        {}
        Ok(())
    }
}

/// Reads an array of scalars: one field for all.
struct Packed<'t, 'x, 'w> {
    field: &'static Field,
    to: &'t mut Target<'x, 'w>,
}

impl<'de> Visitor<'de> for Packed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array, the {}", self.field.camel)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(scalar) = seq.next_element_seed(Number(self.field))? {
            self.to.put(10, |out| scalar.put(out))?;
        }
        Ok(())
    }
}

/// Reads one value with its tag.
struct Value<'t, 'x, 'w> {
    field: &'static Field,
    to: &'t mut Target<'x, 'w>,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Self { field, to } = self;
        match field.kind {
            Kind::Message(message) => {
                to.nested(field.number, |to| Fields { message, to }.deserialize(from))
            }
            Kind::String | Kind::Bytes | Kind::Id(_) => from.deserialize_str(Text { field, to }),
            _ => {
                let scalar = Number(field).deserialize(from)?;
                if field.rule == Rule::Plain && scalar.is_zero() {
                    return Ok(());
                }
                to.put(16, |out| {
                    put_tag(out, field.number, scalar.wire());
                    scalar.put(out);
                })
            }
        }
    }
}

/// Reads what is a string in JSON.
struct Text<'t, 'x, 'w> {
    field: &'static Field,
    to: &'t mut Target<'x, 'w>,
}

impl Visitor<'_> for Text<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.field.camel;
        match self.field.kind {
            Kind::Id(bytes) => write!(f, "{} hexadecimal digits, the {name}", bytes * 2),
            Kind::Bytes => write!(f, "base64, the {name}"),
            _ => write!(f, "a string, the {name}"),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let field = self.field;
        if text.is_empty() && field.rule == Rule::Plain {
            return Ok(());
        }
        let wrong = || E::invalid_value(Unexpected::Str(shortened(text)), &self);
        match field.kind {
            Kind::Id(bytes) => {
                let mut id = [0; 16];
                hex(text.as_bytes(), &mut id[..bytes]).ok_or_else(wrong)?;
                self.to
                    .put(32, |out| put_bytes(out, field.number, &id[..bytes]))
            }
            Kind::Bytes => {
                let alphabet = match text.contains(['-', '_']) {
                    true => base64::alphabet::URL_SAFE,
                    false => base64::alphabet::STANDARD,
                };
                let padding = DecodePaddingMode::Indifferent;
                let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
                let bytes = GeneralPurpose::new(&alphabet, config).decode(text);
                let bytes = bytes.map_err(|_| wrong())?;
                self.to
                    .put(bytes.len() + 16, |out| put_bytes(out, field.number, &bytes))
            }
            _ => self.to.put(text.len() + 16, |out| {
                put_head(out, field.number, text.len());
                out.extend_from_slice(text.as_bytes());
            }),
        }
    }
}

/// The beginning of a text, for an error.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

fn hex(text: &[u8], id: &mut [u8]) -> Option<()> {
    if text.len() != id.len() * 2 {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = (high? * 16 + low?) as u8;
    }
    Some(())
}

/// A scalar as it is written.
#[derive(Clone, Copy)]
enum Scalar {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
}

impl Scalar {
    const fn is_zero(self) -> bool {
        matches!(self, Self::Varint(0) | Self::Fixed32(0) | Self::Fixed64(0))
    }

    const fn wire(self) -> WireType {
        match self {
            Self::Varint(_) => WireType::Varint,
            Self::Fixed32(_) => WireType::Fixed32,
            Self::Fixed64(_) => WireType::Fixed64,
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Varint(value) => put_varint(out, value),
            Self::Fixed32(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::Fixed64(value) => out.extend_from_slice(&value.to_le_bytes()),
        }
    }
}

/// Reads one scalar.
struct Number(&'static Field);

impl<'de> DeserializeSeed<'de> for Number {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Scalar, D::Error> {
        if !matches!(self.0.kind, Kind::Double) {
            return from.deserialize_any(self);
        }
        // serde_json's own reading of a fraction may be off in the last bit.
        let text = <&RawValue>::deserialize(from)?.get();
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let read = match text.as_bytes()[0] {
            b'"' | b'-' | b'0'..=b'9' => self.of_text(inner.unwrap_or(text)),
            _ => None,
        };
        let unexpected = || Unexpected::Other(shortened(text));
        read.ok_or_else(|| D::Error::invalid_value(unexpected(), &self))
    }
}

impl Number {
    /// The scalar of an integer, where it is in the type's range.
    fn of(&self, value: i128) -> Option<Scalar> {
        let signed = |value: i64| Scalar::Varint(value.cast_unsigned());
        Some(match self.0.kind {
            Kind::Int32 | Kind::Enum(_) => signed(i32::try_from(value).ok()?.into()),
            Kind::Int64 => signed(value.try_into().ok()?),
            Kind::Uint32 => Scalar::Varint(u32::try_from(value).ok()?.into()),
            Kind::Uint64 => Scalar::Varint(value.try_into().ok()?),
            Kind::Sint32 => {
                let value = i32::try_from(value).ok()?;
                Scalar::Varint((value << 1 ^ value >> 31).cast_unsigned().into())
            }
            Kind::Fixed32 => Scalar::Fixed32(value.try_into().ok()?),
            Kind::Fixed64 => Scalar::Fixed64(value.try_into().ok()?),
            Kind::Sfixed64 => Scalar::Fixed64(i64::try_from(value).ok()?.cast_unsigned()),
            Kind::Double
            | Kind::Bool
            | Kind::String
            | Kind::Bytes
            | Kind::Id(_)
            | Kind::Message(_) => {
                return None;
            }
        })
    }

    /// The scalar of an integer that was written as a fraction: 1.0, 1e3.
    fn of_fraction(&self, value: f64) -> Option<Scalar> {
        /// Past this a double may stand for an integer that was not written.
        const EXACT: f64 = (1u64 << 53) as f64;
        let whole = value.fract() == 0.0 && value.abs() <= EXACT;
        whole.then(|| self.of(value as i128)).flatten()
    }

    fn of_text(&self, text: &str) -> Option<Scalar> {
        match self.0.kind {
            Kind::Enum(names) => {
                let (_, number) = names.iter().find(|(name, _)| *name == text)?;
                self.of(i128::from(*number))
            }
            Kind::Double => Some(Scalar::Fixed64(text.parse::<f64>().ok()?.to_bits())),
            _ => text.parse().ok().and_then(|value| self.of(value)),
        }
    }
}

impl Visitor<'_> for Number {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.kind {
            Kind::Bool => "true or false",
            Kind::Double => "a number",
            Kind::Enum(_) => "a number or a name of the enum",
            Kind::Uint32 | Kind::Fixed32 => "an integer from 0 to 2^32 - 1",
            Kind::Uint64 | Kind::Fixed64 => "an integer from 0 to 2^64 - 1",
            Kind::Int32 | Kind::Sint32 => "an integer of 32 bits",
            _ => "an integer of 64 bits",
        };
        write!(f, "{what}, the {}", self.0.camel)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        match self.0.kind {
            Kind::Bool => Ok(Scalar::Varint(value.into())),
            _ => Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        self.of(value.into())
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        self.of(value.into())
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        self.of_fraction(value)
            .ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        self.of_text(text)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(shortened(text)), &self))
    }
}
