//! Numbers as the formats write them.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Reads a number as Go does without hexadecimal and underscores; none where it is none, or does not fit.
#[inline]
pub(super) fn float(text: &str) -> Option<f64> {
    short(text.as_bytes()).or_else(|| any(text))
}

/// A number of at most fifteen digits without an exponent: both it and the power of ten that it is
/// divided by are exact, so the quotient is the nearest double.
#[inline]
fn short(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let (mut value, mut places, mut seen) = (0_u64, 0, 0_usize);
    let mut fraction = false;
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u64::from(byte - b'0');
                places += usize::from(fraction);
                seen += 1;
            }
            b'.' if !fraction => fraction = true,
            _ => return None,
        }
    }
    if seen == 0 || seen > 15 {
        return None;
    }
    let value = value as f64 / POWERS[places];
    Some(if negative { -value } else { value })
}

#[cold]
fn any(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let word = || text.bytes().any(|byte| matches!(byte, b'i' | b'I'));
    if value.is_infinite() && !word() {
        return None; // past the largest double
    }
    // One bit pattern of NaN says that a series has gone; no page may say so.
    Some(canonical(value))
}

/// The number with the one bit pattern of NaN that means no more than that.
pub(super) const fn canonical(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// Milliseconds from seconds, as OpenMetrics writes times.
pub(super) fn milliseconds(seconds: f64) -> Option<i64> {
    seconds.is_finite().then_some((seconds * 1e3) as i64)
}

/// Writes a number as OpenMetrics has it in `le` and `quantile`: always as one with a fraction or an exponent.
pub(crate) fn open_metrics(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let plain = format!("{value}");
        return match plain.contains('.') {
            true => plain,
            false => format!("{plain}.0"),
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("17", 17.0),
            ("+17", 17.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("123456789012345", 123_456_789_012_345.0),
            ("0.123456789012345", 0.123_456_789_012_345),
            ("1.7560473e+07", 17_560_473.0),
            ("4.9e-324", 5e-324),
            ("Inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            let read = float(text).map(f64::to_bits);
            assert_eq!(read, Some(value.to_bits()), "{text}");
        }
        for text in ["NaN", "nan", "NAN"] {
            assert_eq!(float(text).map(f64::to_bits), Some(f64::NAN.to_bits()));
        }
        for text in [
            "", "-", ".", "1,5", "0x1p-2", "1_000", "1e400", "12a", "--1", "1.2.3",
        ] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_are_written_as_open_metrics_has_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e21, "1e+21"),
            (1e6, "1e+06"),
            (250_000.0, "250000.0"),
            (-0.5, "-0.5"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(open_metrics(value), text);
        }
    }
}
