//! Dates and times as numbers, without a time zone's table.

/// Days from 1970-01-01 to a date of the Gregorian calendar.
pub(crate) const fn days(year: i64, month: i64, day: i64) -> i64 {
    // Counted from March on, leap days come last in a year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// How many days a month has.
pub(crate) const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Reads `2006-01-02T15:04:05.999999999Z`, or with `+07:00` for the `Z`, as nanoseconds since 1970.
pub(crate) fn rfc3339(text: &[u8]) -> Option<u64> {
    let (head, rest) = text.split_at_checked(19)?;
    let shape = (head[4], head[7], head[10], head[13], head[16]);
    if !matches!(shape, (b'-', b'-', b'T' | b't' | b' ', b':', b':')) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        head[from..to].iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !valid {
        return None;
    }
    let (nanos, rest) = fraction(rest)?;
    let offset = offset(rest)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    nanoseconds(seconds, nanos)
}

/// Seconds and nanoseconds since 1970 as one number; none where it does not fit.
pub(crate) fn nanoseconds(seconds: i64, nanos: i64) -> Option<u64> {
    let whole = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    u64::try_from(whole).ok()
}

/// The nanoseconds behind a dot or a comma, if there are any, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.' | b',', digits)) = text.split_first() else {
        return Some((0, text));
    };
    let end = digits
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let mut nanos = 0;
    for at in 0..9 {
        let digit = digits[..end].get(at).map_or(0, |byte| byte - b'0');
        nanos = nanos * 10 + i64::from(digit);
    }
    Some((nanos, &digits[end..]))
}

fn offset(text: &[u8]) -> Option<i64> {
    match text {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2];
            if !digits.iter().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            let digit = |byte: &u8| i64::from(byte - b'0');
            let minutes = (digit(h1) * 10 + digit(h2)) * 60 + digit(m1) * 10 + digit(m2);
            Some(if *sign == b'-' { -minutes } else { minutes } * 60)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        let mut date = jiff::civil::date(1890, 1, 1);
        let epoch = jiff::civil::date(1970, 1, 1);
        while date.year() < 2110 {
            let (year, month, day) = (date.year(), date.month(), date.day());
            let counted = days(year.into(), month.into(), day.into());
            assert_eq!(counted, i64::from((date - epoch).get_days()), "{date}");
            assert_eq!(
                i64::from(date.days_in_month()),
                days_in(year.into(), month.into())
            );
            date = date.checked_add(jiff::Span::new().days(13)).unwrap();
        }
    }

    #[test]
    fn timestamps_are_read_with_fractions_and_offsets() {
        let parsed = |text: &str| rfc3339(text.as_bytes());
        let base = 1_136_214_245_000_000_000;
        assert_eq!(parsed("2006-01-02T15:04:05Z"), Some(base));
        assert_eq!(
            parsed("2006-01-02T22:04:05.5+07:00"),
            Some(base + 500_000_000)
        );
        assert_eq!(
            parsed("2006-01-02T15:04:05.123456789Z"),
            Some(base + 123_456_789)
        );
        assert_eq!(
            parsed("2006-01-02T15:04:05.1234567891Z"),
            Some(base + 123_456_789)
        );
        for faulty in [
            "",
            "2006-01-02T15:04:05",
            "2006-13-02T15:04:05Z",
            "2006-02-30T15:04:05Z",
            "2006-01-02T24:04:05Z",
            "2006-01-02T15:04:05.Z",
            "2006-01-02T15:04:05+7:00",
            "1960-01-02T15:04:05Z",
            "x006-01-02T15:04:05Z",
        ] {
            assert_eq!(parsed(faulty), None, "{faulty}");
        }
    }
}
