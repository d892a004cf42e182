//! The little of X.509 that is needed beyond what webpki tells: when a certificate is valid.

/// The seconds since the epoch between which a certificate is valid, ends included.
///
/// None where the bytes are not a certificate (RFC 5280, section 4.1).
pub(super) fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    // The version is tagged [0] and may be absent; serial, algorithm and issuer follow.
    let mut skip = 3;
    if rest.first() == Some(&0xa0) {
        skip = 4;
    }
    for _ in 0..skip {
        (_, _, rest) = element(rest)?;
    }
    let (_, validity, _) = element(rest)?;
    let (tag, from, rest) = element(validity)?;
    let from = time(tag, from)?;
    let (tag, to, _) = element(rest)?;
    Some((from, time(tag, to)?))
}

/// Tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (length, rest) = rest.split_at_checked(count)?;
        let length = length
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// UTCTime (tag 23) or GeneralizedTime (tag 24), both in the form that ends in `SSZ`.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let (century, text) = match tag {
        // A two-digit year below 50 is of this century (RFC 5280, section 4.1.2.5.1).
        23 if text.first()? >= &b'5' => (19, text),
        23 => (20, text),
        24 => {
            let (century, text) = text.split_at_checked(2)?;
            (number(century)?, text)
        }
        _ => return None,
    };
    let text = text.strip_suffix(b"Z")?;
    if text.len() != 12 {
        return None;
    }
    let mut parts = text.chunks_exact(2).map(number);
    let mut next = || parts.next().flatten();
    let year = century * 100 + next()?;
    let (month, day) = (next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_since_epoch(year, month, day)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u64::from(digit - b'0'))
    })
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years begin in March, so that the day of the leap is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let leaps = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leaps + (month * 153 + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_time() {
        assert_eq!(time(23, b"700101000000Z"), Some(0));
        assert_eq!(time(23, b"261121173305Z"), Some(1_795_282_385));
        assert_eq!(time(24, b"20500228235959Z"), Some(2_529_705_599));
        assert_eq!(time(24, b"2050022823595Z"), None);
        assert_eq!(time(23, b"7013010000005"), None);
    }

    #[test]
    fn reads_when_a_certificate_is_valid() {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2061, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(
            validity(certificate.der()),
            Some((1_709_164_800, 2_871_763_200))
        );
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_validity() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        for end in 0..80 {
            assert_eq!(validity(&certificate.der()[..end]), None);
        }
    }
}
