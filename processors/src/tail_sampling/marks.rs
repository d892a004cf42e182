//! What was seen in a trace, a bit for each thing that is looked for.

use smallvec::SmallVec;

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(SmallVec<[u64; 2]>);

impl Marks {
    pub(super) fn has(&self, mark: usize) -> bool {
        let word = self.0.get(mark / 64).copied().unwrap_or(0);
        word >> (mark % 64) & 1 == 1
    }

    pub(super) fn set(&mut self, mark: usize) {
        let word = mark / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (mark % 64);
    }

    pub(super) fn add(&mut self, other: &Self) {
        if other.0.len() > self.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
