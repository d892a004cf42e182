//! The `grpc-timeout` header: up to eight digits and a unit.

use std::time::Duration;

/// Reads a timeout; none where it is malformed.
#[must_use]
pub fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Writes a timeout in the finest unit that eight digits hold, rounded down.
#[must_use]
pub fn format_timeout(timeout: Duration) -> String {
    const MOST: u128 = 99_999_999;
    let units = [
        (timeout.as_nanos(), 'n'),
        (timeout.as_micros(), 'u'),
        (timeout.as_millis(), 'm'),
        (u128::from(timeout.as_secs()), 'S'),
        (u128::from(timeout.as_secs() / 60), 'M'),
    ];
    units
        .into_iter()
        .find(|(amount, _)| *amount <= MOST)
        .map_or_else(
            || format!("{}H", u128::from(timeout.as_secs() / 3600).min(MOST)),
            |(amount, unit)| format!("{amount}{unit}"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_unit() {
        for (text, nanos) in [
            ("2H", 7_200_000_000_000),
            ("3M", 180_000_000_000),
            ("10S", 10_000_000_000),
            ("99999999m", 99_999_999_000_000),
            ("0u", 0),
            ("7n", 7),
        ] {
            let read = parse_timeout(text.as_bytes()).unwrap();
            assert_eq!(read.as_nanos(), nanos, "{text}");
        }
    }

    #[test]
    fn turns_away_what_is_no_timeout() {
        for text in ["", "S", "1", "-1S", "1.5S", "123456789S", "1s", "1 S"] {
            assert_eq!(parse_timeout(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_timeout_is_never_longer(secs in 0u64..1 << 40, nanos in 0u32..1_000_000_000) {
            let timeout = Duration::new(secs, nanos);
            let read = parse_timeout(format_timeout(timeout).as_bytes()).unwrap();
            prop_assert!(read <= timeout);
            if secs < 99_999_999 * 3600 {
                prop_assert!(timeout - read <= timeout / 1000 + Duration::from_nanos(1));
            }
        }
    }
}
