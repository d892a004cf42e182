//! Calculating with exponential histograms.

use crate::compose::{Fields, exponential_point};
use crate::view;

/// Neighbouring buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// The index of the first.
    pub offset: i32,
    /// How many values each has.
    pub counts: Vec<u64>,
}

impl Buckets {
    /// Reads them off a view.
    #[must_use]
    pub fn read(view: Option<view::Buckets<'_>>) -> Self {
        let fields = view.map(|view| view.fields()).unwrap_or_default();
        Self {
            offset: fields.offset,
            counts: fields.bucket_counts.collect(),
        }
    }

    /// Writes them as the fields of their message.
    pub fn write(&self, out: &mut Fields) {
        out.zigzag(exponential_point::OFFSET, self.offset);
        out.packed_varints(
            exponential_point::BUCKET_COUNTS,
            self.counts.iter().copied(),
        );
    }

    /// The index after the last bucket.
    #[must_use]
    pub fn end(&self) -> i64 {
        i64::from(self.offset) + self.counts.len() as i64
    }

    /// The indexes of the first bucket and of the one after the last, if there is any.
    #[must_use]
    pub fn reach(&self) -> Option<(i64, i64)> {
        (!self.counts.is_empty()).then(|| (self.offset.into(), self.end()))
    }

    /// Takes empty buckets off both ends.
    pub fn trim(&mut self) {
        let last = self.counts.iter().rposition(|count| *count > 0);
        self.counts.truncate(last.map_or(0, |last| last + 1));
        let first = self.counts.iter().position(|count| *count > 0).unwrap_or(0);
        self.counts.drain(..first);
        self.offset = self.offset.saturating_add(first as i32);
    }

    /// Puts buckets together as a scale that is `bits` less asks for.
    pub fn coarsen(&mut self, bits: u32) {
        let bits = bits.min(31);
        if bits == 0 {
            return;
        }
        let first = self.offset >> bits;
        let mut filled = 0;
        for at in 0..self.counts.len() {
            let index = i64::from(self.offset) + at as i64;
            let into = ((index >> bits) - i64::from(first)) as usize; // not past `at`
            let count = std::mem::take(&mut self.counts[at]);
            self.counts[into] = self.counts[into].wrapping_add(count);
            filled = into + 1;
        }
        self.counts.truncate(filled);
        self.offset = first;
    }

    /// Takes out the buckets up to this index; says how many values they had.
    pub fn take_until(&mut self, last: i32) -> u64 {
        let wanted = i64::from(last) - i64::from(self.offset) + 1;
        let taken = wanted.clamp(0, self.counts.len() as i64) as usize;
        self.offset = self.offset.saturating_add(taken as i32);
        self.counts
            .drain(..taken)
            .fold(0, |sum, count| sum.wrapping_add(count))
    }

    /// The values that these have more than `old` has, of the same scale, without empty buckets at the ends.
    #[must_use]
    pub fn since(&self, old: &Self) -> Self {
        let mut more = Self::default();
        for (at, count) in self.counts.iter().enumerate() {
            let index = i64::from(self.offset) + at as i64;
            let place = usize::try_from(index - i64::from(old.offset)).ok();
            let before = place.and_then(|place| old.counts.get(place));
            let gained = count.saturating_sub(before.copied().unwrap_or(0));
            if gained == 0 {
                continue;
            }
            if more.counts.is_empty() {
                more.offset = index as i32; // is one of a message
            }
            let gap = (index - more.end()) as usize; // not more than these have buckets
            more.counts.resize(more.counts.len() + gap, 0);
            more.counts.push(gained);
        }
        more
    }

    /// Counts values of one bucket.
    ///
    /// Whoever calls has made sure that it does not lie too far from the others.
    pub fn count(&mut self, index: i32, values: u64) {
        if self.counts.is_empty() {
            self.offset = index;
        }
        if index < self.offset {
            let missing = i64::from(self.offset) - i64::from(index);
            self.counts
                .splice(..0, std::iter::repeat_n(0, missing as usize));
            self.offset = index;
        }
        let at = (i64::from(index) - i64::from(self.offset)) as usize; // not before the first
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].wrapping_add(values);
    }

    /// Adds others of the same scale.
    ///
    /// Whoever calls has made sure that they do not lie too far apart.
    pub fn add(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        let start = self.offset.min(other.offset);
        let before = i64::from(self.offset) - i64::from(start);
        if before > 0 {
            self.counts
                .splice(..0, std::iter::repeat_n(0, before as usize));
            self.offset = start;
        }
        let missing = other.end() - self.end();
        if missing > 0 {
            self.counts.resize(self.counts.len() + missing as usize, 0);
        }
        let at = (i64::from(other.offset) - i64::from(start)) as usize;
        for (into, count) in self.counts[at..].iter_mut().zip(&other.counts) {
            *into = into.wrapping_add(*count);
        }
    }
}

/// By how much less the scale must be for buckets that reach from one index to before another to be at most so many.
#[must_use]
pub fn bits_to_fit((first, end): (i64, i64), most: i64) -> u32 {
    let fits = |bits: &u32| ((end - 1) >> bits) - (first >> bits) < most;
    (0..32).find(fits).unwrap_or(32)
}

/// The index of the bucket that a threshold above zero falls into.
#[must_use]
pub fn bucket_of(threshold: f64, scale: i32) -> i32 {
    let factor = f64::from(scale).exp2();
    let is_power_of_two = threshold.is_normal() && threshold.to_bits().trailing_zeros() >= 52;
    // Powers of two are the upper bounds of buckets, and their logarithms exact.
    let index = match is_power_of_two {
        true => threshold.log2() * factor,
        false => threshold.ln() * (std::f64::consts::LOG2_E * factor),
    };
    (index.ceil() - 1.0) as i32 // saturates
}

/// The upper bound of a bucket.
#[must_use]
pub fn upper_bound(index: i32, scale: i32) -> f64 {
    let width = std::f64::consts::LN_2 * f64::from(scale.saturating_neg()).exp2();
    ((f64::from(index) + 1.0) * width).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(offset: i32, counts: &[u64]) -> Buckets {
        Buckets {
            offset,
            counts: counts.to_vec(),
        }
    }

    #[test]
    fn coarser_buckets_have_the_same_values() {
        let mut some = buckets(-3, &[1, 2, 3, 4, 5]);
        some.coarsen(1);
        assert_eq!(some, buckets(-2, &[1, 5, 9]));
        some.coarsen(2);
        assert_eq!(some, buckets(-1, &[6, 9]));
        let mut far = buckets(i32::MIN, &[1, 1]);
        far.coarsen(40);
        assert_eq!(far, buckets(-1, &[2]));
    }

    #[test]
    fn what_is_near_zero_is_taken_out() {
        let mut some = buckets(2, &[1, 2, 3]);
        assert_eq!((some.take_until(1), some.take_until(3)), (0, 3));
        assert_eq!(some, buckets(4, &[3]));
        assert_eq!((some.take_until(i32::MAX), some.counts.len()), (3, 0));
    }

    #[test]
    fn differences_begin_where_something_changed() {
        let old = buckets(0, &[1, 1, 1]);
        assert_eq!(
            buckets(0, &[1, 2, 1, 0, 4]).since(&old),
            buckets(1, &[1, 0, 0, 4])
        );
        assert_eq!(old.since(&old), Buckets::default());
        assert_eq!(buckets(-5, &[2]).since(&old), buckets(-5, &[2]));
    }

    #[test]
    fn single_values_widen_the_buckets_to_both_sides() {
        let mut some = Buckets::default();
        for index in [3, 5, 3, 1] {
            some.count(index, 2);
        }
        assert_eq!(some, buckets(1, &[2, 0, 4, 0, 2]));
    }

    #[test]
    fn sums_reach_from_the_first_to_the_last() {
        let mut some = buckets(2, &[1, 2]);
        some.add(&buckets(0, &[5]));
        some.add(&buckets(3, &[1, 1]));
        some.add(&Buckets::default());
        assert_eq!(some, buckets(0, &[5, 0, 1, 3, 1]));
        assert_eq!(some.end(), 5);
    }

    #[test]
    fn scales_fall_until_buckets_are_few_enough() {
        assert_eq!(bits_to_fit((0, 4), 4), 0);
        assert_eq!(bits_to_fit((0, 4), 2), 1);
        assert_eq!(bits_to_fit((-1, 3), 2), 2);
        assert_eq!(
            bits_to_fit((i32::MIN.into(), i64::from(i32::MAX) + 1), 2),
            31
        );
    }

    #[test]
    fn empty_buckets_at_the_ends_go() {
        let mut some = buckets(-2, &[0, 0, 3, 0, 4, 0]);
        some.trim();
        assert_eq!(some, buckets(0, &[3, 0, 4]));
        let mut none = buckets(5, &[0, 0]);
        none.trim();
        assert_eq!(none.reach(), None);
    }

    #[test]
    fn thresholds_fall_into_the_bucket_below_their_bound() {
        // At scale 0 bucket 0 holds what is above 1, up to 2.
        assert_eq!((bucket_of(2.0, 0), bucket_of(2.1, 0)), (0, 1));
        assert_eq!(bucket_of(1.0, 3), -1);
        assert_eq!(bucket_of(f64::INFINITY, 20), i32::MAX);
    }
}
