//! A histogram with exponential bounds, that takes coarser ones as its values spread.

use std::collections::BTreeMap;

/// The finest scale that a histogram begins with.
const FINEST: i32 = 20;
/// The coarsest: one bucket spans more than half of all numbers.
const COARSEST: i32 = -10;
/// Bits of a double's mantissa.
const MANTISSA: u32 = 52;
/// The exponent of the least number that is not subnormal.
const LEAST: i32 = -1022;

/// A histogram.
#[derive(Clone, Debug)]
pub(super) struct Exponential {
    pub(super) scale: i32,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) zeros: u64,
    pub(super) positive: Side,
    pub(super) negative: Side,
    max_size: usize,
}

/// Buckets on one side of zero, by index: the one of index i ends at base to the power of i + 1.
pub(super) type Side = BTreeMap<i32, u64>;

impl Exponential {
    pub(super) const fn new(max_size: usize) -> Self {
        Self {
            scale: FINEST,
            count: 0,
            sum: 0.0,
            min: 0.0,
            max: 0.0,
            zeros: 0,
            positive: Side::new(),
            negative: Side::new(),
            max_size,
        }
    }

    /// Adds a value so many times.
    pub(super) fn add(&mut self, value: f64, times: u64) {
        if times == 0 {
            return;
        }
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        }
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        self.count = self.count.saturating_add(times);
        self.sum += value * times as f64;
        if value == 0.0 {
            self.zeros = self.zeros.saturating_add(times);
            return;
        }
        loop {
            let at = index(value.abs(), self.scale);
            let side = if value > 0.0 {
                &self.positive
            } else {
                &self.negative
            };
            if self.scale <= COARSEST || spans(side, at) <= self.max_size {
                let side = if value > 0.0 {
                    &mut self.positive
                } else {
                    &mut self.negative
                };
                let count = side.entry(at).or_default();
                *count = count.saturating_add(times);
                return;
            }
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.scale -= 1;
        for side in [&mut self.positive, &mut self.negative] {
            for (at, count) in std::mem::take(side) {
                let held = side.entry(at >> 1).or_default();
                *held = held.saturating_add(count);
            }
        }
    }
}

/// Buckets from the first to the last if there is one more.
fn spans(side: &Side, more: i32) -> usize {
    let first = side
        .first_key_value()
        .map_or(more, |(at, _)| (*at).min(more));
    let last = side
        .last_key_value()
        .map_or(more, |(at, _)| (*at).max(more));
    usize::try_from(i64::from(last) - i64::from(first) + 1).unwrap_or(usize::MAX)
}

/// The index of a positive value's bucket: bounds belong to the bucket below them.
fn index(value: f64, scale: i32) -> i32 {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << MANTISSA) - 1);
    let exponent = i32::try_from(bits >> MANTISSA & 0x7ff).unwrap_or(0) - 1023;
    // Subnormal numbers count as the least that is not.
    let (exponent, mantissa) = match exponent < LEAST {
        true => (LEAST, 0),
        false => (exponent, mantissa),
    };
    let is_bound = mantissa == 0;
    if scale <= 0 {
        return (exponent - i32::from(is_bound)) >> -scale;
    }
    let whole = exponent << scale;
    if is_bound {
        return whole - 1;
    }
    let fraction = f64::from_bits(mantissa | 1023 << MANTISSA);
    let steps = f64::from(scale).exp2();
    // From 0 to one less than the steps, whatever is lost in rounding.
    let within = (fraction.log2() * steps).ceil() as i32 - 1;
    whole + within.clamp(0, (1 << scale) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(at: i32, scale: i32) -> (f64, f64) {
        let width = f64::from(-scale).exp2();
        let bound = |at: i32| (f64::from(at) * width).exp2();
        (bound(at), bound(at + 1))
    }

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        for (value, scale, at) in [
            (1.0, 0, -1),
            (2.0, 0, 0),
            (3.0, 0, 1),
            (4.0, 0, 1),
            (4.0, -1, 0),
            (5.0, -1, 1),
            (1.0, 3, -1),
            (2.0, 3, 7),
            (1.0001, 3, 0),
            (f64::MIN_POSITIVE / 4.0, 0, -1023),
        ] {
            assert_eq!(index(value, scale), at, "{value} at {scale}");
        }
    }

    #[test]
    fn values_that_spread_make_it_coarser() {
        let mut one = Exponential::new(4);
        one.add(1.5, 2);
        assert_eq!(one.scale, 20);
        for value in [1e-300, 0.0, -7.0, 1e300] {
            one.add(value, 1);
        }
        assert_eq!((one.count, one.zeros), (6, 1));
        assert_eq!((one.min, one.max), (-7.0, 1e300));
        assert!(one.positive.len() <= 4 && one.negative.len() == 1);
        assert_eq!(one.positive.values().sum::<u64>(), 4);
    }

    proptest! {
        #[test]
        fn every_value_is_in_its_bucket(values in prop::collection::vec(1e-9_f64..1e9, 1..50), size in 2_usize..200) {
            let mut one = Exponential::new(size);
            for value in &values {
                one.add(*value, 1);
            }
            prop_assert_eq!(one.positive.values().sum::<u64>(), values.len() as u64);
            let first = *one.positive.first_key_value().unwrap().0;
            let last = *one.positive.last_key_value().unwrap().0;
            prop_assert!((last - first) < i32::try_from(size).unwrap());
            for value in values {
                let (low, high) = bounds(index(value, one.scale), one.scale);
                prop_assert!(low <= value * 1.000_001 && value <= high * 1.000_001, "{value} in {low}..{high}");
            }
        }
    }
}
