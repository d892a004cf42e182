//! Headers of files: lines at their beginning that tell of all that follows.

use regex::bytes::Regex;

use crate::operators::{Chain, Entry, Map};

/// Reads headers.
pub(super) struct Header {
    pattern: Regex,
    chain: Chain,
}

impl Header {
    pub(super) const fn new(pattern: Regex, chain: Chain) -> Self {
        Self { pattern, chain }
    }

    /// What a line of a header tells; none where it is no such line.
    pub(super) fn read(&mut self, line: &[u8]) -> Option<Map> {
        if !self.pattern.is_match(line) {
            return None;
        }
        let entry = Entry {
            body: String::from_utf8_lossy(line).into_owned().into(),
            ..Entry::default()
        };
        let mut told = Map::default();
        let mut take = |entry: Entry| told.merge(entry.attributes);
        self.chain.push(entry, &mut take);
        self.chain.flush(None, &mut take);
        Some(told)
    }
}
