//! For how many spans one stands, by the sampling threshold in its trace state.
//!
//! A span that was kept with a threshold of th in 2^56 stands for 2^56 / (2^56 - th). Where that is no whole number it is
//! rounded up or down at random, so that sums are right in the long run, as the original does.

const VALUES: u64 = 1 << 56;
const MOST_DIGITS: usize = 14;

/// For how many spans one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adjusted {
    pub(super) count: u64,
    /// Whether a threshold told so.
    pub(super) by_threshold: bool,
}

/// A trace state of before and what it tells: consecutive spans often have the same.
#[derive(Debug)]
pub(super) struct Adjuster {
    state: Vec<u8>,
    /// How many values pass; none where there is no threshold.
    passing: Option<u64>,
    random: u64,
}

impl Adjuster {
    /// One that begins somewhere else for each seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            state: Vec::new(),
            passing: None,
            random: seed | 1,
        }
    }

    /// What a trace state tells.
    pub(super) fn of(&mut self, state: &[u8]) -> Adjusted {
        let one = Adjusted {
            count: 1,
            by_threshold: false,
        };
        if state.is_empty() {
            return one;
        }
        if self.state != state {
            self.state.clear();
            self.state.extend_from_slice(state);
            self.passing = passing(state);
        }
        let Some(passing) = self.passing else {
            return one;
        };
        let (whole, rest) = (VALUES / passing, VALUES % passing);
        let up = rest > 0 && self.next() % passing < rest;
        Adjusted {
            count: whole + u64::from(up),
            by_threshold: true,
        }
    }

    /// A number that is as good as random, by the generator SplitMix64.
    const fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// How many of 2^56 values pass the threshold of OpenTelemetry's member of a trace state.
fn passing(state: &[u8]) -> Option<u64> {
    let members = state.split(|byte| *byte == b',');
    let ot = members
        .map(<[u8]>::trim_ascii)
        .find_map(|member| member.strip_prefix(b"ot="))?;
    let threshold = ot
        .split(|byte| *byte == b';')
        .find_map(|field| field.strip_prefix(b"th:"))?;
    if threshold.is_empty() || threshold.len() > MOST_DIGITS {
        return None;
    }
    let mut value = 0;
    for digit in threshold {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u64::from(digit);
    }
    Some(VALUES - (value << (4 * (MOST_DIGITS - threshold.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_tells_for_how_many_a_span_stands() {
        let mut adjuster = Adjuster::new(7);
        for (state, count, by_threshold) in [
            ("", 1, false),
            ("ot=th:8", 2, true),
            ("a=b, ot=rv:12345678901234;th:c,c=d", 4, true),
            ("ot=th:0", 1, true),
            ("ot=rv:12345678901234", 1, false),
            ("ot=th:", 1, false),
            ("ot=th:g", 1, false),
            ("ot=th:123456789012345", 1, false),
            ("other=th:8", 1, false),
        ] {
            let expected = Adjusted {
                count,
                by_threshold,
            };
            assert_eq!(adjuster.of(state.as_bytes()), expected, "{state}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_right_in_the_sum() {
        let mut adjuster = Adjuster::new(1);
        // Five of eight pass: each stands for 1.6.
        let sum: u64 = (0..10_000).map(|_| adjuster.of(b"ot=th:6").count).sum();
        assert!((15_800..16_200).contains(&sum), "{sum}");
    }
}
