//! The texts a configuration was made of, and positions in them.

use std::sync::Arc;

/// Names one text of a [`Sources`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(u32);

/// A range of bytes in one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    source: SourceId,
    start: u32,
    end: u32,
}

impl Span {
    /// A place in no text: what a value has that nobody wrote.
    pub const NONE: Self = Self {
        source: SourceId(u32::MAX),
        start: 0,
        end: 0,
    };

    /// Makes the span of the bytes `start..end` of a source.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            source,
            start: clamp(start),
            end: clamp(end.max(start)),
        }
    }

    /// Gives the source, or none for [`Span::NONE`].
    pub fn source(self) -> Option<SourceId> {
        (self.source.0 != u32::MAX).then_some(self.source)
    }

    /// Gives the first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Gives the byte past the last one.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Rebuilds a span from [`Span::parts`].
    pub(crate) fn from_parts([source, start, end]: [u64; 3]) -> Self {
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            source: SourceId(narrow(source)),
            start: narrow(start),
            end: narrow(end),
        }
    }

    /// Gives source, start and end as numbers, to travel through serde.
    pub(crate) fn parts(self) -> [u64; 3] {
        [self.source.0, self.start, self.end].map(u64::from)
    }

    /// Gives the range of bytes.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start()..self.end()
    }

    /// Gives the smallest span over both, or `self` when they lie in different sources.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.source != other.source {
            return self;
        }
        Self {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A place as a person reads it; line and column count from 1, the column in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Name of the source: a path, `--set`, `env:NAME`…
    pub source: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)
    }
}

/// The table of all texts a configuration came from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: Arc<str>,
}

impl Sources {
    /// Adds a text under the name that diagnostics show.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let id = u32::try_from(self.list.len()).unwrap_or(u32::MAX - 1);
        let text: Arc<str> = text.into();
        self.list.push(Source {
            name: name.into(),
            // A byte order mark is no part of the text, and editors do not count it as a column.
            text: match text.strip_prefix('\u{feff}') {
                Some(rest) => rest.into(),
                None => text,
            },
        });
        SourceId(id)
    }

    /// Gives the name of a source.
    pub fn name(&self, id: SourceId) -> &str {
        self.list.get(id.0 as usize).map_or("", |s| s.name.as_str())
    }

    /// Gives the text of a source.
    pub fn text(&self, id: SourceId) -> &str {
        self.list.get(id.0 as usize).map_or("", |s| &s.text)
    }

    /// Gives the place where a span starts, or none for [`Span::NONE`].
    pub fn locate(&self, span: Span) -> Option<Location> {
        let id = span.source()?;
        let text = self.text(id);
        let mut at = span.start().min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Some(Location {
            source: self.name(id).to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let mut sources = Sources::default();
        let id = sources.add("c.yaml", "a: b\nü: öx\n");
        let x = "a: b\nü: ö".len();
        let place = sources.locate(Span::new(id, x, x + 1)).unwrap();
        assert_eq!(place.to_string(), "c.yaml:2:5");
        assert_eq!(sources.locate(Span::NONE), None);
    }

    #[test]
    fn a_place_past_the_end_is_the_end() {
        let mut sources = Sources::default();
        let id = sources.add("c.yaml", "a");
        assert_eq!(sources.locate(Span::new(id, 90, 91)).unwrap().column, 2);
    }
}
