//! A set of small numbers, a bit each.

/// A set of numbers that grows as they are put in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Bits {
    /// Puts a number in and tells whether it is new.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        let word = number as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (number % 64);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u32::from(new);
        new
    }

    pub(crate) fn has(&self, number: u32) -> bool {
        self.words
            .get(number as usize / 64)
            .is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// Whether any number is in.
    pub(crate) const fn has_any(&self) -> bool {
        self.count > 0
    }

    /// The numbers that are in, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let end = u32::try_from(self.words.len() * 64).unwrap_or(u32::MAX);
        (0..end).filter(|number| self.has(*number))
    }

    /// Whether all numbers below `end` are in.
    pub(crate) fn has_all_below(&self, end: u32) -> bool {
        self.count >= end && (0..end).all(|number| self.has(number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(numbers in prop::collection::vec(0_u32..300, 0..200)) {
            let mut bits = Bits::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(bits.insert(number), set.insert(number));
            }
            prop_assert_eq!(bits.count as usize, set.len());
            prop_assert_eq!(bits.has_any(), !set.is_empty());
            prop_assert!(bits.iter().eq(set.iter().copied()));
            for number in 0..400 {
                prop_assert_eq!(bits.has(number), set.contains(&number));
                let all = (0..number).all(|number| set.contains(&number));
                prop_assert_eq!(bits.has_all_below(number), all);
            }
        }
    }
}
