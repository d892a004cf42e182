//! The kernel's texts, taken apart as bytes: nothing in them is trusted to be there, to be a number
//! or to be UTF-8.

use std::borrow::Cow;

/// The lines, without their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

/// A whole number.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// A whole number in hexadecimal digits.
pub(super) fn hexadecimal(word: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(word).ok()?;
    u64::from_str_radix(text, 16).ok()
}

/// A number with a fraction.
pub(super) fn decimal(word: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(word).ok()?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The number behind a label: `btime 1700000000`, `MemTotal:  16 kB`.
pub(super) fn labelled(line: &[u8], label: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(label)?;
    let mut words = words(rest.strip_prefix(b":").unwrap_or(rest));
    let separated = rest
        .first()
        .is_some_and(|byte| matches!(byte, b':' | b' ' | b'\t'));
    separated.then(|| words.next().and_then(number)).flatten()
}

/// The first words of a line as numbers.
pub(super) fn numbers<const N: usize>(line: &[u8]) -> Option<[u64; N]> {
    let mut found = [0; N];
    let mut words = words(line);
    for number in &mut found {
        *number = self::number(words.next()?)?;
    }
    Some(found)
}

/// As text; what is not UTF-8 becomes U+FFFD.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A share, rounded to as many digits as its terms have, as the Collector does; none of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return f64::NAN;
    }
    let (part, whole) = (part as f64, whole as f64);
    let digits = (part.max(whole).log10().floor() + 1.0).max(1.0);
    let scale = 10_f64.powf(digits);
    (part / whole * scale).round() / scale
}

/// Milliseconds in seconds.
pub(super) fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_whole_and_fit_or_are_none() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for word in [
            &b"18446744073709551616"[..],
            b"",
            b"-1",
            b"1x",
            b"+1",
            b"0x1",
        ] {
            assert_eq!(number(word), None, "{word:?}");
        }
        assert_eq!(numbers::<2>(b" 1\t2 x"), Some([1, 2]));
        assert_eq!(numbers::<3>(b" 1\t2 x"), None);
        assert_eq!(hexadecimal(b"0000000000004002"), Some(0x4002));
        assert_eq!(decimal(b"nan"), None);
    }

    #[test]
    fn a_label_is_a_whole_word() {
        assert_eq!(labelled(b"btime 17", b"btime"), Some(17));
        assert_eq!(labelled(b"MemFree:   12 kB", b"MemFree"), Some(12));
        assert_eq!(labelled(b"btimes 17", b"btime"), None);
        assert_eq!(labelled(b"btime", b"btime"), None);
        assert_eq!(labelled(b"btime x", b"btime"), None);
    }

    #[test]
    fn a_share_has_as_many_digits_as_its_terms() {
        assert!((ratio(1, 3) - 0.3).abs() < 1e-12);
        assert!((ratio(100, 300) - 0.333).abs() < 1e-12);
        assert!(ratio(0, 0).is_nan());
        assert!((ratio(0, 10) - 0.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_taken_apart(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for line in lines(&bytes) {
                let _ = labelled(line, b"a");
                let _ = numbers::<3>(line);
                for word in words(line) {
                    let _ = (number(word), hexadecimal(word), decimal(word));
                }
            }
        }

        #[test]
        fn a_number_is_read_as_it_is_written(value: u64) {
            prop_assert_eq!(number(value.to_string().as_bytes()), Some(value));
        }
    }
}
