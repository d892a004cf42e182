//! Times, numbers and values as Go's `fmt` and the Collector's types write them.

use std::fmt;

use jiff::Timestamp;
use tidegate_pdata::view::AnyValue;

/// A time as `time.Time` writes itself, in UTC.
pub(super) struct Time(pub(super) u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Go takes the number as signed.
        let nanos = i128::from(self.0.cast_signed());
        match Timestamp::from_nanosecond(nanos) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC")),
            Err(_) => write!(f, "{nanos} ns"),
        }
    }
}

/// A number as `%f` writes it.
pub(super) struct Fixed(pub(super) f64);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match odd(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:.6}", self.0),
        }
    }
}

/// A number as `%v` writes it: the shortest digits, with an exponent where it is far from 1.
pub(super) struct Plain(pub(super) f64);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = odd(self.0) {
            return f.write_str(name);
        }
        let scientific = format!("{:e}", self.0);
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if (-4..6).contains(&exponent) {
            return write!(f, "{}", self.0);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{mantissa}e{sign}{:02}", exponent.abs())
    }
}

fn odd(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("+Inf")
    } else if value == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// An ID in hexadecimal; nothing where it is empty or zero.
pub(super) struct Id<'a>(pub(super) &'a [u8]);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A value as text.
pub(super) struct Text<'a>(pub(super) AnyValue<'a>);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_text(f)
    }
}

/// A value as text, with its type.
pub(super) struct Typed<'a>(pub(super) AnyValue<'a>);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            AnyValue::Empty => "Empty",
            AnyValue::String(_) => "Str",
            AnyValue::Bool(_) => "Bool",
            AnyValue::Int(_) => "Int",
            AnyValue::Double(_) => "Double",
            AnyValue::Bytes(_) => "Bytes",
            AnyValue::Array(_) => "Slice",
            AnyValue::KeyValues(_) => "Map",
        };
        write!(f, "{kind}({})", Text(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, plain, fixed) in [
            (0.0, "0", "0.000000"),
            (1.0, "1", "1.000000"),
            (-2.5, "-2.5", "-2.500000"),
            (0.0001, "0.0001", "0.000100"),
            (0.000_01, "1e-05", "0.000010"),
            (123_456.75, "123456.75", "123456.750000"),
            (1e6, "1e+06", "1000000.000000"),
            (1.5e21, "1.5e+21", "1500000000000000000000.000000"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!(Plain(value).to_string(), plain);
            assert_eq!(Fixed(value).to_string(), fixed);
        }
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "1970-01-01 00:00:00 +0000 UTC"),
            (
                1_581_452_772_000_000_321,
                "2020-02-11 20:26:12.000000321 +0000 UTC",
            ),
            (1_581_452_772_500_000_000, "2020-02-11 20:26:12.5 +0000 UTC"),
            (u64::MAX, "1969-12-31 23:59:59.999999999 +0000 UTC"),
        ] {
            assert_eq!(Time(nanos).to_string(), text);
        }
    }

    #[test]
    fn an_id_of_zeros_is_none() {
        assert_eq!(Id(&[0, 0xab]).to_string(), "00ab");
        assert_eq!(Id(&[0; 16]).to_string(), "");
        assert_eq!(Id(&[]).to_string(), "");
    }
}
