//! Telling series from one another.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use crate::view::Attributes;

/// What tells one series from others: 128 bits of a hash with secret seeds over all that identifies it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeriesId(u64, u64);

impl SeriesId {
    /// One that no hash gives, in all likelihood: for the series that stands for all others.
    pub const OTHER: Self = Self(u64::MAX, u64::MAX);

    /// Half of its bits, for what can live with two series in a hundred million being taken for one.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The ID of a set that has one element more, in whatever order they come.
    #[must_use]
    pub const fn plus(self, element: Self) -> Self {
        Self(
            self.0.wrapping_add(element.0),
            self.1.wrapping_add(element.1),
        )
    }
}

/// Makes IDs; those that one made, and its clones, can be compared.
#[derive(Clone, Debug, Default)]
pub struct SeriesHash(RandomState, RandomState);

impl SeriesHash {
    /// The ID of these bytes.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> SeriesId {
        SeriesId(self.0.hash_one(bytes), self.1.hash_one(bytes))
    }

    /// The ID of a set of attributes, in whatever order they are.
    #[must_use]
    pub fn attributes(&self, attributes: Attributes<'_>) -> SeriesId {
        let entries = attributes.entries().map(|entry| self.bytes(entry.bytes()));
        entries.fold(SeriesId::default(), SeriesId::plus)
    }

    /// The ID of what has these parts.
    #[must_use]
    pub fn join<const N: usize>(&self, parts: [SeriesId; N]) -> SeriesId {
        SeriesId(self.0.hash_one(parts), self.1.hash_one(parts))
    }

    /// The ID of a number.
    #[must_use]
    pub fn number(&self, number: u64) -> SeriesId {
        SeriesId(self.0.hash_one(number), self.1.hash_one(number))
    }
}
