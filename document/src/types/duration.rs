//! Durations as Go writes them: `1h2m3.5s`, `200ms`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, never negative, written as Go's `time.ParseDuration` reads it.
///
/// In YAML `0` needs no unit; any other bare number is refused, as Go would take it for nanoseconds, which
/// nobody means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// The schema's `format`.
    pub(crate) const FORMAT: &'static str = "go-duration";

    /// Makes a duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// Makes a duration of whole milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(std::time::Duration::from_millis(milliseconds))
    }
}

impl std::ops::Deref for Duration {
    type Target = std::time::Duration;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

/// Why a text is no duration: the fault, then the remedy behind a semicolon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// Nothing is there.
    #[error("a duration is empty; write for example `30s`")]
    Empty,
    /// A number has no unit.
    #[error("a duration needs a unit; write for example `30s`, `200ms` or `1h30m`")]
    NoUnit,
    /// The unit is not known.
    #[error("a duration has an unknown unit; the units are h, m, s, ms, us, µs and ns")]
    UnknownUnit,
    /// There is a space.
    #[error("a duration has no spaces; write for example `30s`, `200ms` or `1h30m`")]
    Space,
    /// It does not start with a number.
    #[error("this is not a duration; write for example `30s`, `200ms` or `1h30m`")]
    NoNumber,
    /// It is below zero.
    #[error("a duration cannot be negative; write `0s` or more")]
    Negative,
    /// It does not fit into 64 bits of nanoseconds.
    #[error("a duration is too long; 292 years is the most")]
    TooLong,
}

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest.is_empty() {
            return Err(match text.is_empty() {
                true => InvalidDuration::Empty,
                false => InvalidDuration::NoNumber,
            });
        }
        if text.contains(char::is_whitespace) {
            return Err(InvalidDuration::Space);
        }
        let mut total: u128 = 0;
        while !rest.is_empty() && rest != "0" {
            let nanos;
            (nanos, rest) = element(rest)?;
            total += nanos;
            if total > i64::MAX as u128 {
                return Err(InvalidDuration::TooLong);
            }
        }
        if negative && total > 0 {
            return Err(InvalidDuration::Negative);
        }
        let nanos = u64::try_from(total).map_err(|_| InvalidDuration::TooLong)?;
        Ok(Self(std::time::Duration::from_nanos(nanos)))
    }
}

/// Reads one number with its unit, giving nanoseconds and what follows.
fn element(text: &str) -> Result<(u128, &str), InvalidDuration> {
    let digits = |s: &str| s.len() - s.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (whole, mut rest) = text.split_at(digits(text));
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = after.split_at(digits(after));
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(InvalidDuration::NoNumber);
    }
    let unit_end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    if unit.is_empty() {
        return Err(InvalidDuration::NoUnit);
    }
    let nanos = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, nanos)| *nanos)
        .ok_or(InvalidDuration::UnknownUnit)?;
    let whole = match whole {
        "" => 0,
        digits => digits
            .parse::<u64>()
            .map_err(|_| InvalidDuration::TooLong)?,
    };
    // Past 18 digits nothing is left of a nanosecond, whatever the unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = match fraction {
        "" => 0,
        digits => {
            let value: u128 = digits.parse().map_err(|_| InvalidDuration::NoNumber)?;
            value * nanos / 10u128.pow(digits.len() as u32)
        }
    };
    Ok((u128::from(whole) * nanos + part, rest))
}

impl fmt::Display for Duration {
    /// Writes as Go does: `1h2m3.5s`, `200ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, scale) = match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        let seconds = nanos / 1_000_000_000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        let within = match unit {
            "s" => nanos % 60_000_000_000,
            _ => nanos,
        };
        write!(f, "{}", within / scale)?;
        let fraction = within % scale;
        if fraction > 0 {
            let width = scale.ilog10() as usize;
            let digits = format!("{fraction:0width$}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `30s`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
                match number {
                    0 => Ok(Duration::default()),
                    _ => Err(E::custom(InvalidDuration::NoUnit)),
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
                match number {
                    0 => Ok(Duration::default()),
                    _ => Err(E::custom(InvalidDuration::NoUnit)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "format": Self::FORMAT,
            "pattern": r"^\+?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$",
            "minimum": 0,
            "maximum": 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str) -> u128 {
        text.parse::<Duration>().unwrap().as_nanos()
    }

    #[test]
    fn every_form_of_go_is_read() {
        assert_eq!(nanos("0"), 0);
        assert_eq!(nanos("+5s"), 5_000_000_000);
        assert_eq!(nanos("1h2m3.5s"), 3_723_500_000_000);
        assert_eq!(nanos("200ms"), 200_000_000);
        assert_eq!(nanos("1µs1us1μs1ns"), 3_001);
        assert_eq!(nanos(".5h"), 1_800_000_000_000);
        assert_eq!(nanos("1.s"), 1_000_000_000);
        assert_eq!(nanos("0.3333333333333333333333h"), 1_200_000_000_000 - 1);
        assert_eq!(nanos("-0s"), 0);
    }

    #[test]
    fn a_fault_is_named() {
        let fault = |text: &str| text.parse::<Duration>().unwrap_err();
        assert_eq!(fault(""), InvalidDuration::Empty);
        assert_eq!(fault("5"), InvalidDuration::NoUnit);
        assert_eq!(fault("5 s"), InvalidDuration::Space);
        assert_eq!(fault("5d"), InvalidDuration::UnknownUnit);
        assert_eq!(fault("s"), InvalidDuration::NoNumber);
        assert_eq!(fault("."), InvalidDuration::NoNumber);
        assert_eq!(fault("-1s"), InvalidDuration::Negative);
        assert_eq!(fault("300000000h"), InvalidDuration::TooLong);
        assert_eq!(fault("99999999999999999999s"), InvalidDuration::TooLong);
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let written = |text: &str| text.parse::<Duration>().unwrap().to_string();
        for text in [
            "0s", "1ns", "1.5µs", "200ms", "1.001s", "5s", "1m0s", "1h0m0.5s", "25h0m0s",
        ] {
            assert_eq!(written(text), text);
        }
        assert_eq!(written("90s"), "1m30s");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0..=i64::MAX as u64) {
            let duration = Duration(std::time::Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in r"[0-9.hmsnuµ+\-]{0,40}|\PC{0,10}") {
            let _ = text.parse::<Duration>();
        }
    }
}
