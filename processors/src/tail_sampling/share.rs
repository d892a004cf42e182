//! Choosing a share of all traces by a hash of their IDs, as the Collector chooses.

/// What is hashed before the ID where nothing else is said.
const DEFAULT_SALT: &str = "default-hash-seed";

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A share of all traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// The hash's state behind the salt.
    salted: u64,
    /// The greatest hash that is chosen.
    threshold: u64,
}

impl Share {
    pub(super) fn new(salt: &str, percentage: f64) -> Self {
        let salt = if salt.is_empty() { DEFAULT_SALT } else { salt };
        Self {
            salted: fnv1a(OFFSET, salt.as_bytes()),
            threshold: threshold(percentage / 100.0),
        }
    }

    pub(super) fn has(self, id: &[u8; 16]) -> bool {
        fnv1a(self.salted, id) <= self.threshold
    }
}

fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    let step = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(PRIME);
    bytes.iter().fold(state, step)
}

/// `ratio` of 2^64 - 1, the product taken to 64 bits as Go's arbitrary-precision arithmetic takes it, then cut.
fn threshold(ratio: f64) -> u64 {
    if ratio.is_nan() || ratio <= 0.0 {
        return 0;
    }
    if ratio >= 1.0 {
        return u64::MAX;
    }
    let bits = ratio.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = match exponent {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << 52, exponent - 1075),
    };
    let product = u128::from(u64::MAX) * u128::from(mantissa);
    let excess = 64_u32.saturating_sub(product.leading_zeros());
    let mut kept = product >> excess;
    if excess > 0 {
        let rest = product & ((1 << excess) - 1);
        let half = 1 << (excess - 1);
        if rest > half || rest == half && kept & 1 == 1 {
            kept += 1;
        }
    }
    // The exponent is so far below zero that what was rounded up to 65 bits fits again.
    let down = (-exponent).saturating_sub_unsigned(excess);
    match u32::try_from(down) {
        Ok(down) => u64::try_from(kept.checked_shr(down).unwrap_or(0)).unwrap_or(u64::MAX),
        Err(_) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_those_of_the_collector() {
        // What Go's arbitrary-precision arithmetic makes of the same ratios.
        let cases = [
            (10.0, 0x1999_9999_9999_99ff),
            (15.5, 0x27ae_147a_e147_adff),
            (33.3, 0x553f_7ced_9168_6fff),
            (0.1, 0x0041_8937_4bc6_a7ef),
            (1e-7, 0x4_4b82_fa09),
            (99.999, 0xffff_583a_53b8_dfff),
            (1.0 / 3.0, 0x00da_740d_a740_da6f),
        ];
        for (percentage, expected) in cases {
            assert_eq!(threshold(percentage / 100.0), expected, "{percentage}");
        }
        assert_eq!(threshold(1.0), u64::MAX);
        assert_eq!(threshold(0.0), 0);
        assert_eq!(threshold(0.5), 0x7fff_ffff_ffff_ffff);
        assert_eq!(threshold(0.25), 0x3fff_ffff_ffff_ffff);
        assert_eq!(threshold(2.0), u64::MAX);
        assert_eq!(threshold(-1.0), 0);
        assert_eq!(threshold(f64::MIN_POSITIVE), 0);
    }

    #[test]
    fn hashes_are_fnv_1a() {
        assert_eq!(fnv1a(OFFSET, b""), OFFSET);
        assert_eq!(fnv1a(OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_share_is_as_large_as_it_says() {
        let share = Share::new("", 10.0);
        let chosen = (0..100_000_u128)
            .map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
            .filter(|id| share.has(&id.to_be_bytes()))
            .count();
        assert!((9_600..10_400).contains(&chosen), "{chosen}");
    }
}
