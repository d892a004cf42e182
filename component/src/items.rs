//! Which items of a batch.

use std::ops::Range;

/// A set of items of a batch, by their numbers in the order in which they lie in it.
///
/// Neighbours cost nothing: it is kept as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Items {
    /// Ranges in order, none empty, no two of which touch; most sets have one.
    first: Range<usize>,
    more: Vec<Range<usize>>,
    len: usize,
}

impl Items {
    /// The items before `count`.
    #[must_use]
    pub fn first(count: usize) -> Self {
        let mut items = Self::default();
        items.push(0..count);
        items
    }

    /// Adds items behind all that are in it.
    ///
    /// What is not behind them changes nothing: the part of `range` before the end is cut off.
    pub fn push(&mut self, range: Range<usize>) {
        let range = range.start.max(self.end())..range.end;
        if range.is_empty() {
            return;
        }
        self.len += range.len();
        match self.more.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            Some(_) => self.more.push(range),
            None if self.first.is_empty() => self.first = range,
            None if self.first.end == range.start => self.first.end = range.end,
            None => self.more.push(range),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One past the last.
    #[must_use]
    pub fn end(&self) -> usize {
        self.more.last().map_or(self.first.end, |last| last.end)
    }

    /// The ranges that it is made of, in order; no two of them touch.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let first = (!self.first.is_empty()).then(|| self.first.clone());
        first.into_iter().chain(self.more.iter().cloned())
    }

    /// What is in it or in the other.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut ranges: Vec<_> = self.ranges().chain(other.ranges()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut items = Self::default();
        for range in ranges {
            items.push(range);
        }
        items
    }

    /// The items before `count` that are not in it.
    #[must_use]
    pub fn rest(&self, count: usize) -> Self {
        let (mut items, mut at) = (Self::default(), 0);
        for range in self.ranges() {
            items.push(at..range.start.min(count));
            at = range.end;
        }
        items.push(at..count);
        items
    }

    /// Tells of one item after the other whether it is in it.
    pub fn picks(&self) -> impl FnMut() -> bool {
        let mut ranges = self.ranges().peekable();
        let mut at = 0;
        move || {
            let _ = ranges.next_if(|range| range.end <= at);
            let picked = ranges.peek().is_some_and(|range| range.start <= at);
            at += 1;
            picked
        }
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // lists of ranges, some of one
mod tests {
    use super::*;

    fn items(ranges: &[Range<usize>]) -> Items {
        let mut items = Items::default();
        for range in ranges {
            items.push(range.clone());
        }
        items
    }

    fn picked(items: &Items, count: usize) -> Vec<usize> {
        let mut picks = items.picks();
        (0..count).filter(|_| picks()).collect()
    }

    #[test]
    fn ranges_that_touch_become_one() {
        let some = items(&[0..2, 2..3, 5..6, 6..9, 12..12]);
        assert_eq!(some.ranges().collect::<Vec<_>>(), [0..3, 5..9]);
        assert_eq!((some.len(), some.end()), (7, 9));
        assert_eq!(Items::first(0), Items::default());
    }

    #[test]
    fn rest_is_all_that_is_not_in_it() {
        for ranges in [&[][..], &[0..3], &[2..4, 6..7], &[1..2, 9..10], &[0..10]] {
            let some = items(ranges);
            let rest = some.rest(10);
            assert_eq!(some.len() + rest.len(), 10, "{ranges:?}");
            assert_eq!(some.union(&rest), Items::first(10), "{ranges:?}");
            assert_eq!(rest.rest(10), some, "{ranges:?}");
        }
        assert_eq!(items(&[2..20]).rest(10), Items::first(2));
    }

    #[test]
    fn picks_follow_the_ranges() {
        assert_eq!(picked(&items(&[1..3, 5..6]), 8), [1, 2, 5]);
        assert_eq!(picked(&Items::default(), 3), [0; 0]);
        let unions = items(&[0..2, 4..5]).union(&items(&[1..3, 4..6]));
        assert_eq!(picked(&unions, 8), [0, 1, 2, 4, 5]);
    }
}
