//! Sizes in bytes: `10MiB`, `1kb`, `4096`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes; a unit is decimal (`kB`, `MB`, `GB`, `TB`, `PB`) or binary (`KiB`, `MiB`, `GiB`, `TiB`,
/// `PiB`), in any case, with `B` for bytes and the `B` left away as one likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The schema's `format`.
    pub(crate) const FORMAT: &'static str = "byte-size";

    /// Makes a size of binary kilobytes.
    pub const fn kib(count: u64) -> Self {
        Self(count << 10)
    }

    /// Makes a size of binary megabytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// Gives the bytes, at most what memory can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Why a text is no size: the fault, then the remedy behind a semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidByteSize {
    /// It does not start with a number.
    #[error("this is not a size; write for example `10MiB` or `4096`")]
    NoNumber,
    /// The unit is not known.
    #[error("a size has an unknown unit; write for example `512KiB`, `10MiB` or `1GB`")]
    UnknownUnit,
    /// It is below zero.
    #[error("a size cannot be negative; write `0` or more")]
    Negative,
    /// It does not fit into 64 bits.
    #[error("a size is too large; 16 EiB is the most")]
    TooLarge,
}

fn unit(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let plain = text.strip_suffix('b').unwrap_or(&text);
    let (letter, base) = match plain.strip_suffix('i') {
        Some(letter) => (letter, 1024u64),
        None => (plain, 1000),
    };
    let power = match letter {
        "" if base == 1000 => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some(base.pow(power))
}

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('-')
            && rest.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(InvalidByteSize::Negative);
        }
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(InvalidByteSize::NoNumber);
        }
        let unit = unit(rest).ok_or(InvalidByteSize::UnknownUnit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = whole.parse().map_err(|_| InvalidByteSize::TooLarge)?;
        let digits = &fraction[..fraction.len().min(15)];
        let part = match digits {
            "" => 0,
            _ => {
                let value: u128 = digits.parse().map_err(|_| InvalidByteSize::NoNumber)?;
                value * u128::from(unit) / 10u128.pow(digits.len() as u32)
            }
        };
        u64::try_from(u128::from(whole) * u128::from(unit) + part)
            .map(Self)
            .map_err(|_| InvalidByteSize::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    /// Writes the largest binary unit that divides the size evenly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (50, "PiB"),
            (40, "TiB"),
            (30, "GiB"),
            (20, "MiB"),
            (10, "KiB"),
        ];
        for (shift, name) in units {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{name}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `10MiB`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ByteSize, E> {
                u64::try_from(number)
                    .map(ByteSize)
                    .map_err(|_| E::custom(InvalidByteSize::Negative))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "format": Self::FORMAT,
            "pattern": r"^[0-9]+(\.[0-9]*)?\s*([kKmMgGtTpP][iI]?)?[bB]?$",
            "minimum": 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_and_binary_units_are_read() {
        let bytes = |text: &str| text.parse::<ByteSize>().unwrap().0;
        assert_eq!(bytes("4096"), 4096);
        assert_eq!(bytes("10MiB"), 10 << 20);
        assert_eq!(bytes("1.5 kib"), 1536);
        assert_eq!(bytes("1kb"), 1000);
        assert_eq!(bytes("2G"), 2_000_000_000);
        assert_eq!(bytes("7b"), 7);
        assert_eq!(bytes("3Ti"), 3 << 40);
    }

    #[test]
    fn a_fault_is_named() {
        let fault = |text: &str| text.parse::<ByteSize>().unwrap_err();
        assert_eq!(fault(""), InvalidByteSize::NoNumber);
        assert_eq!(fault("MiB"), InvalidByteSize::NoNumber);
        assert_eq!(fault("10MX"), InvalidByteSize::UnknownUnit);
        assert_eq!(fault("1ib"), InvalidByteSize::UnknownUnit);
        assert_eq!(fault("-1"), InvalidByteSize::Negative);
        assert_eq!(fault("99999999PiB"), InvalidByteSize::TooLarge);
    }

    #[test]
    fn a_size_is_written_in_the_largest_even_unit() {
        assert_eq!(ByteSize::mib(10).to_string(), "10MiB");
        assert_eq!(ByteSize(1025).to_string(), "1025");
        assert_eq!(ByteSize(0).to_string(), "0");
    }
}
