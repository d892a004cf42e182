//! Thresholds and randomness: 56 bits each, as OpenTelemetry's consistent probability sampling defines them.
//!
//! An item is sampled where its threshold is no more than its randomness. Both are written as
//! hexadecimal digits: a randomness as 14 of them, a threshold without the zeros at its end.

/// How many there are of each.
const VALUES: u64 = 1 << 56;

/// The digits of a full value.
pub(super) const DIGITS: usize = 14;

/// The least probability that is not zero.
const LEAST: f64 = 1.0 / VALUES as f64;

/// From which randomness on an item is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Threshold(u64);

/// What decides about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Randomness(u64);

impl Threshold {
    pub(super) const ALWAYS: Self = Self(0);
    pub(super) const NEVER: Self = Self(VALUES);

    /// The threshold that rejects this many of 2^14.
    pub(super) const fn rejecting_of_14_bits(rejected: u32) -> Self {
        Self((rejected as u64) << 42)
    }

    /// The threshold of a probability, to this many digits and some more near 0 and 1; `None` where
    /// the probability is no such or less than can be told.
    pub(super) fn of_probability(probability: f64, digits: u8) -> Option<Self> {
        if !(LEAST..=1.0).contains(&probability) {
            return None;
        }
        if probability == 1.0 {
            return Some(Self::ALWAYS);
        }
        let digits = i32::from(digits);
        let precision = [probability, 1.0 - probability]
            .into_iter()
            .map(|near_zero| digits + exponent(near_zero) / -4)
            .fold(0, i32::max)
            .min(DIGITS as i32);
        let accepted = (probability * VALUES as f64).round() as u64;
        let threshold = VALUES - accepted;
        let shift = 4 * (DIGITS as i32 - precision);
        if shift == 0 {
            return Some(Self(threshold));
        }
        let rounded = threshold + (1 << (shift - 1));
        Some(Self(rounded >> shift << shift))
    }

    /// The probability with which an item passes.
    pub(super) fn probability(self) -> f64 {
        (VALUES - self.0) as f64 / VALUES as f64
    }

    /// Whether an item of this randomness is sampled.
    pub(super) const fn samples(self, randomness: Randomness) -> bool {
        self.0 <= randomness.0
    }

    /// Reads 1 to 14 digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > DIGITS {
            return None;
        }
        Some(Self(hexadecimal(text)? << (4 * (DIGITS - text.len()))))
    }

    /// Writes it: nothing where nothing is ever sampled.
    pub(super) fn write(self, out: &mut String) {
        match self {
            Self::ALWAYS => out.push('0'),
            Self(value) if value >= VALUES => {}
            Self(value) => {
                write_digits(value, out);
                out.truncate(out.trim_end_matches('0').len());
            }
        }
    }
}

impl Randomness {
    /// That which passes every threshold but the last.
    pub(super) const HIGHEST: Self = Self(VALUES - 1);

    /// The last 56 bits of a trace ID, as W3C's Trace Context Level 2 fills them.
    pub(super) fn of_trace_id(id: &[u8; 16]) -> Self {
        let half = id.last_chunk::<8>().copied().unwrap_or_default();
        Self(u64::from_be_bytes(half) & (VALUES - 1))
    }

    /// What the Collector has always made of a hash: FNV-1a over the seed and the bytes, of which
    /// 14 bits decide. The rest of the 56 bits is filled with what else the hash holds.
    pub(super) fn of_hash(seed: u32, bytes: &[u8]) -> Self {
        let hash = seed
            .to_le_bytes()
            .iter()
            .chain(bytes)
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            });
        let deciding = u64::from(hash & 0x3fff);
        let rest = u64::from(hash >> 18);
        // Those were sampled whose hash was below a limit; here it is those above one.
        let turned = 0x3fff - deciding;
        Self(turned << 42 | (rest ^ rest << 10) << 14 | deciding)
    }

    /// Reads 14 digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text.len() == DIGITS).then(|| hexadecimal(text).map(Self))?
    }

    /// Writes 14 digits.
    pub(super) fn write(self, out: &mut String) {
        write_digits(self.0, out);
    }
}

/// The power of two that a positive number is less than and at least half of.
const fn exponent(value: f64) -> i32 {
    (value.to_bits() >> 52 & 0x7ff) as i32 - 1022
}

fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok())?
}

fn write_digits(value: u64, out: &mut String) {
    for place in (0..DIGITS).rev() {
        let digit = (value >> (4 * place) & 15) as u32;
        out.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(threshold: Threshold) -> String {
        let mut text = String::new();
        threshold.write(&mut text);
        text
    }

    fn of(probability: f64, digits: u8) -> String {
        written(Threshold::of_probability(probability, digits).unwrap())
    }

    #[test]
    fn thresholds_are_rounded_to_the_digits_that_are_asked_for() {
        assert_eq!(of(1.0, 4), "0");
        assert_eq!(of(0.5, 4), "8");
        assert_eq!(of(0.25, 4), "c");
        assert_eq!(of(0.1, 4), "e666");
        assert_eq!(of(1.0 / 3.0, 14), "aaaaaaaaaaaaac");
        assert_eq!(of(0.4, 3), "99a");
        assert_eq!(of(0.4 * 0.5, 6), "cccccd");
    }

    #[test]
    fn more_digits_are_kept_near_none_and_all() {
        assert_eq!(of(1.0 / 16384.0, 4), "fffc");
        assert_eq!(of(f64::from((1.0 - 8e-7_f64) as f32), 10), "00000d");
        assert_eq!(of(LEAST, 4), "ffffffffffffff");
    }

    #[test]
    fn probabilities_out_of_range_have_none() {
        for probability in [0.0, LEAST / 2.0, 1.1, -1.0, f64::NAN] {
            assert_eq!(Threshold::of_probability(probability, 4), None);
        }
    }

    #[test]
    fn never_has_no_digits_and_samples_nothing() {
        assert_eq!(written(Threshold::NEVER), "");
        assert!(!Threshold::NEVER.samples(Randomness::HIGHEST));
        assert!(Threshold::ALWAYS.samples(Randomness(0)));
    }

    #[test]
    fn hashes_fill_56_bits_and_decide_by_14() {
        // FNV-1a of 00 00 00 00 is 0x4b95f515.
        let randomness = Randomness::of_hash(0, &[]);
        assert_eq!(randomness.0 & 0x3fff, 0x3515);
        assert_eq!(randomness.0 >> 42, 0x3fff - 0x3515);
    }

    #[test]
    fn digits_that_are_none_are_refused() {
        for text in ["", "-1", "g", "abababababababab", "+1"] {
            assert_eq!(Threshold::parse(text), None, "{text}");
        }
        assert_eq!(Randomness::parse("1234"), None);
        assert_eq!(Randomness::parse("+2345678901234"), None);
    }

    proptest! {
        #[test]
        fn thresholds_come_back_from_their_digits(value in 0..VALUES) {
            prop_assert_eq!(Threshold::parse(&written(Threshold(value))), Some(Threshold(value)));
            let mut text = String::new();
            Randomness(value).write(&mut text);
            prop_assert_eq!(Randomness::parse(&text), Some(Randomness(value)));
        }

        #[test]
        fn a_threshold_stands_for_its_probability(probability in 1e-6..1.0_f64) {
            let threshold = Threshold::of_probability(probability, 4).unwrap();
            prop_assert!((threshold.probability() / probability - 1.0).abs() < 1e-3);
        }
    }
}
