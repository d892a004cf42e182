//! Numbers as Prometheus writes them: Go's `strconv` with format `g` and the fewest digits.

/// Writes a number of the text format.
pub(super) fn write_float(out: &mut Vec<u8>, value: f64) {
    write(out, value, false);
}

/// Writes a number of OpenMetrics, which has a point or an exponent to tell that it is no integer.
pub(super) fn write_open_float(out: &mut Vec<u8>, value: f64) {
    write(out, value, true);
}

/// Writes an integer.
pub(super) fn write_integer(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn write(out: &mut Vec<u8>, value: f64, open: bool) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.abs() < 1e6 && value.fract() == 0.0 {
        // Exact: a whole number far below 2^63. Negative zero is written as zero, as Prometheus does.
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
        if open {
            out.extend_from_slice(b".0");
        }
    } else {
        shortest(out, value);
    }
}

/// Digits and where their point is: 0.digits times ten to the power of `point`.
struct Decimal {
    digits: [u8; 24],
    len: usize,
    point: i32,
}

impl Decimal {
    /// Reads what a formatter of shortest digits prints, with or without exponent.
    fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let mut decimal = Self {
            digits: [0; 24],
            len: 0,
            point: exponent,
        };
        let mut whole = true;
        for byte in mantissa.bytes() {
            match byte {
                b'.' => whole = false,
                b'0' if decimal.len == 0 => decimal.point -= i32::from(!whole),
                b'0'..=b'9' => {
                    if let Some(digit) = decimal.digits.get_mut(decimal.len) {
                        *digit = byte;
                        decimal.len += 1;
                    }
                    decimal.point += i32::from(whole);
                }
                _ => {}
            }
        }
        while decimal.len > 1 && decimal.digits[decimal.len - 1] == b'0' {
            decimal.len -= 1;
        }
        decimal
    }
}

/// Writes a finite number that is not a small whole one.
fn shortest(out: &mut Vec<u8>, value: f64) {
    let mut buffer = zmij::Buffer::new();
    if value < 0.0 {
        out.push(b'-');
    }
    let decimal = Decimal::read(buffer.format_finite(value.abs()));
    let digits = &decimal.digits[..decimal.len];
    let exponent = decimal.point - 1;
    // Where Go is asked for the fewest digits it writes an exponent from six digits before the point on.
    if !(-4..6).contains(&exponent) {
        return scientific(out, digits, exponent);
    }
    match usize::try_from(decimal.point) {
        Ok(0) | Err(_) => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(
                b'0',
                decimal.point.unsigned_abs() as usize,
            ));
            out.extend_from_slice(digits);
        }
        Ok(point) => {
            let (whole, fraction) = digits.split_at(point.min(digits.len()));
            out.extend_from_slice(whole);
            out.extend(std::iter::repeat_n(b'0', point - whole.len()));
            if !fraction.is_empty() {
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
        }
    }
}

fn scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let exponent = exponent.unsigned_abs();
    if exponent < 10 {
        out.push(b'0');
    }
    write_integer(out, u64::from(exponent));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(value: f64) -> String {
        let mut out = Vec::new();
        write_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn open(value: f64) -> String {
        let mut out = Vec::new();
        write_open_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (value, expected, expected_open) in [
            (0.0, "0", "0.0"),
            (-0.0, "0", "0.0"),
            (1.0, "1", "1.0"),
            (-1.0, "-1", "-1.0"),
            (17.0, "17", "17.0"),
            (0.1, "0.1", "0.1"),
            (-2.5, "-2.5", "-2.5"),
            (0.0001, "0.0001", "0.0001"),
            (0.000_01, "1e-05", "1e-05"),
            (999_999.0, "999999", "999999.0"),
            (123_456.75, "123456.75", "123456.75"),
            (1e6, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (
                1_767_323_045.678_901_2,
                "1.7673230456789012e+09",
                "1.7673230456789012e+09",
            ),
            (1e21, "1e+21", "1e+21"),
            (1.5e-300, "1.5e-300", "1.5e-300"),
            (
                f64::MAX,
                "1.7976931348623157e+308",
                "1.7976931348623157e+308",
            ),
            (5e-324, "5e-324", "5e-324"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!(plain(value), expected);
            assert_eq!(open(value), expected_open);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(plain(value).parse::<f64>().unwrap(), value);
            prop_assert_eq!(open(value).parse::<f64>().unwrap(), value);
        }

        #[test]
        fn numbers_of_everyday_size_read_back(value in -1e9f64..1e9, cut in 0u32..6) {
            let scale = 10f64.powi(cut as i32);
            let value = (value * scale).round() / scale;
            prop_assert_eq!(plain(value).parse::<f64>().unwrap(), value);
            prop_assert!(open(value).contains(['.', 'e']));
        }
    }
}
