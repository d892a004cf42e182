//! Texts, each kept once.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::BuildHasher;

/// The number of a text.
pub(super) type Symbol = u32;

/// The empty text.
pub(super) const EMPTY: Symbol = 0;

/// Texts by number; the first is the empty one.
#[derive(Debug)]
pub(super) struct Symbols {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
    known: HashTable<Symbol>,
    random: foldhash::fast::RandomState,
}

impl Default for Symbols {
    fn default() -> Self {
        Self {
            text: String::new(),
            ends: vec![0],
            known: HashTable::new(),
            random: foldhash::fast::RandomState::default(),
        }
    }
}

impl Symbols {
    /// The number of a text, which is kept from now on.
    pub(super) fn intern(&mut self, text: &str) -> Symbol {
        if text.is_empty() {
            return EMPTY;
        }
        let Self {
            text: all,
            ends,
            known,
            random,
        } = self;
        let hash = random.hash_one(text.as_bytes());
        let entry = known.entry(
            hash,
            |symbol| at(all, ends, *symbol) == text,
            |symbol| random.hash_one(at(all, ends, *symbol).as_bytes()),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                // A batch is far smaller than four billion texts.
                let symbol = Symbol::try_from(ends.len()).unwrap_or(Symbol::MAX);
                entry.insert(symbol);
                all.push_str(text);
                ends.push(all.len());
                symbol
            }
        }
    }

    /// The text of a number.
    pub(super) fn get(&self, symbol: Symbol) -> &str {
        at(&self.text, &self.ends, symbol)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }
}

fn at<'t>(text: &'t str, ends: &[usize], symbol: Symbol) -> &'t str {
    let symbol = symbol as usize;
    let start = symbol.checked_sub(1).and_then(|before| ends.get(before));
    let end = ends.get(symbol);
    let range = start.copied().unwrap_or(0)..end.copied().unwrap_or(0);
    text.get(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_number_and_comes_back() {
        let mut symbols = Symbols::default();
        let texts = ["", "a", "bc", "a", "", "\u{fc}", "bc"];
        let numbers: Vec<Symbol> = texts.iter().map(|text| symbols.intern(text)).collect();
        assert_eq!(numbers, [0, 1, 2, 1, 0, 3, 2]);
        for (text, number) in texts.iter().zip(numbers) {
            assert_eq!(symbols.get(number), *text);
        }
        assert_eq!(symbols.len(), 4);
        assert_eq!(symbols.get(99), "");
    }
}
