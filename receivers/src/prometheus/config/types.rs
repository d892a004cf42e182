//! Values as Prometheus' YAML has them, where they differ from the Collector's.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny};

/// A length of time as Prometheus writes it: `1d`, `1m30s`, `500ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::prometheus) struct Span(pub Duration);

/// Units, longest first, in milliseconds: they must stand in this order.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

const NO_DURATION: &str = "this is not a duration; write whole numbers with the units y, w, d, h, m, s and ms, longest first, for example `1m30s`";

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "0" {
            return Ok(Self::default());
        }
        let (mut rest, mut units, mut total) = (text, &UNITS[..], 0_u64);
        if rest.is_empty() {
            return Err(NO_DURATION);
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(|b| !b.is_ascii_digit()).count();
            let (unit, after) = after.split_at(letters);
            let at = units.iter().position(|(name, _)| *name == unit);
            let at = at.ok_or(NO_DURATION)?;
            let number: u64 = number.parse().map_err(|_| NO_DURATION)?;
            total = number
                .checked_mul(units[at].1)
                .and_then(|part| total.checked_add(part))
                .ok_or("a duration is too long; 292 years is the most")?;
            units = &units[at + 1..];
            rest = after;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            // Years, weeks and days are only written where nothing is left over.
            let whole = matches!(unit, "y" | "w" | "d");
            if left < size || whole && left % size != 0 {
                continue;
            }
            write!(f, "{}{unit}", left / size)?;
            left %= size;
        }
        Ok(())
    }
}

/// A number of bytes as Prometheus writes it: `10MB` and `10MiB` are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::prometheus) struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FAULT: &str = "this is not a size; write for example `10MB`, where M is 1024²";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit {
            "" | "B" => 0,
            "KB" | "KiB" => 10,
            "MB" | "MiB" => 20,
            "GB" | "GiB" => 30,
            "TB" | "TiB" => 40,
            "PB" | "PiB" => 50,
            _ => return Err(FAULT),
        };
        let number: u64 = number.parse().map_err(|_| FAULT)?;
        number
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or("the size is too large; 8EiB is the most")
    }
}

/// Text that may be written as a number or a truth, as YAML's readers in Go take it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::prometheus) struct Word(pub String);

struct WordVisitor;

impl de::Visitor<'_> for WordVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor).map(Self)
    }
}

macro_rules! written_as_text {
    ($($type:ty: $pattern:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = deserializer.deserialize_any(WordVisitor)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": ["string", "integer"], "pattern": $pattern})
            }
        }
    )*};
}

written_as_text! {
    Span: "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$";
    Bytes: "^[0-9]+([KMGTP]i?)?B?$";
}

impl JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

/// A key of the original whose work nothing here does: naming it is an error that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::prometheus) struct Unbuilt;

impl<'de> Deserialize<'de> for Unbuilt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Unbuilt {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Unbuilt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_does() {
        for (text, millis, again) in [
            ("0", 0, "0s"),
            ("15s", 15_000, "15s"),
            ("1m30s", 90_000, "1m30s"),
            ("1500ms", 1500, "1s500ms"),
            ("1d", 86_400_000, "1d"),
            ("36h", 129_600_000, "36h"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "9172h5m6s7ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0.as_millis(), millis, "{text}");
            assert_eq!(span.to_string(), again);
        }
        for text in ["", "s", "1", "1.5s", "1s1m", "1s 1ms", "-1s", "5x"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_two_to_the_tenth_for_a_thousand() {
        for (text, bytes) in [("0", 0), ("7B", 7), ("1KB", 1024), ("2MiB", 2 << 20)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
        }
        for text in ["", "MB", "1.5MB", "1mb", "99999999PB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
