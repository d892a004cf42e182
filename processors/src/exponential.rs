//! Calculating with exponential histograms.

use tidegate_pdata::compose::{Fields, exponential_point};
use tidegate_pdata::view;

/// Neighbouring buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Buckets {
    pub(crate) offset: i32,
    pub(crate) counts: Vec<u64>,
}

impl Buckets {
    pub(crate) fn read(view: Option<view::Buckets<'_>>) -> Self {
        let fields = view.map(|view| view.fields()).unwrap_or_default();
        Self {
            offset: fields.offset,
            counts: fields.bucket_counts.collect(),
        }
    }

    /// Writes them as the fields of their message.
    pub(crate) fn write(&self, out: &mut Fields) {
        out.zigzag(exponential_point::OFFSET, self.offset);
        out.packed_varints(
            exponential_point::BUCKET_COUNTS,
            self.counts.iter().copied(),
        );
    }

    /// The index after the last bucket.
    pub(crate) fn end(&self) -> i64 {
        i64::from(self.offset) + self.counts.len() as i64
    }

    /// Puts buckets together as a scale that is `bits` less asks for.
    pub(crate) fn coarsen(&mut self, bits: u32) {
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
    pub(crate) fn take_until(&mut self, last: i32) -> u64 {
        let wanted = i64::from(last) - i64::from(self.offset) + 1;
        let taken = wanted.clamp(0, self.counts.len() as i64) as usize;
        self.offset = self.offset.saturating_add(taken as i32);
        self.counts
            .drain(..taken)
            .fold(0, |sum, count| sum.wrapping_add(count))
    }

    /// The values that these have more than `old` has, of the same scale, without empty buckets at the ends.
    pub(crate) fn since(&self, old: &Self) -> Self {
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
}

/// The index of the bucket that a threshold above zero falls into.
pub(crate) fn bucket_of(threshold: f64, scale: i32) -> i32 {
    let factor = std::f64::consts::LOG2_E * f64::from(scale).exp2();
    ((threshold.ln() * factor).ceil() - 1.0) as i32 // saturates
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
    fn thresholds_fall_into_the_bucket_below_their_bound() {
        // At scale 0 bucket 0 holds what is above 1, up to 2.
        assert_eq!((bucket_of(2.0, 0), bucket_of(2.1, 0)), (0, 1));
        assert_eq!(bucket_of(1.0, 3), -1);
        assert_eq!(bucket_of(f64::INFINITY, 20), i32::MAX);
    }
}
