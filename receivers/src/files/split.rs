//! Splitting what is read of a file into entries.

use memchr::memchr;
use regex::bytes::Regex;

use super::encoding::Encoding;

/// How entries are told apart.
#[derive(Clone, Debug)]
pub(crate) enum Splitter {
    /// Each line is one.
    Lines,
    /// A byte of zeros ends each.
    Zeros,
    /// Each line of UTF-16 is one.
    Utf16Lines { little: bool },
    /// Each begins with what this pattern matches.
    Starts { pattern: Regex, omit: bool },
    /// Each ends with what this pattern matches.
    Ends { pattern: Regex, omit: bool },
    /// Nothing but their size ends one.
    Never,
}

/// An entry among what has been read, and where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) next: usize,
}

impl Token {
    const fn of(start: usize, end: usize, next: usize) -> Option<Self> {
        Some(Self { start, end, next })
    }
}

impl Splitter {
    /// How entries are told apart where nothing else is said.
    pub(crate) const fn plain(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Nop => Self::Never,
            Encoding::Utf16 { little } => Self::Utf16Lines { little },
            _ => Self::Lines,
        }
    }

    /// The first entry of what has been read, of `most` bytes at the most; none until more has been read.
    ///
    /// `at_end` tells that nothing follows for now, `flush` that nothing is expected to.
    pub(crate) fn first(
        &self,
        data: &[u8],
        most: usize,
        at_end: bool,
        flush: bool,
    ) -> Option<Token> {
        if data.is_empty() {
            return None;
        }
        let found = match self {
            Self::Lines => line(data),
            Self::Zeros => memchr(0, data).and_then(|end| Token::of(0, end, end + 1)),
            Self::Utf16Lines { little } => utf16_line(data, *little),
            Self::Starts { pattern, omit } => started(data, pattern, *omit),
            Self::Ends { pattern, omit } => ended(data, pattern, *omit, at_end),
            Self::Never => None,
        };
        match found {
            Some(token) if token.end - token.start <= most => Some(token),
            Some(token) => self.cut(&data[..token.start + most], token.start),
            None if data.len() >= most => self.cut(&data[..most], 0),
            None if flush => Some(self.rest(data)),
            None => None,
        }
    }

    /// All that is left as one entry.
    fn rest(&self, data: &[u8]) -> Token {
        let start = match self {
            Self::Starts {
                pattern,
                omit: true,
            } => pattern
                .find(data)
                .filter(|found| found.start() == 0)
                .map_or(0, |found| found.end()),
            _ => 0,
        };
        Token {
            start,
            end: data.len(),
            next: data.len(),
        }
    }

    /// An entry of the greatest size, but for what is left of a character at its end.
    fn cut(&self, data: &[u8], start: usize) -> Option<Token> {
        let mut end = data.len();
        match self {
            Self::Utf16Lines { .. } if (end - start) % 2 == 1 && end - start > 1 => end -= 1,
            Self::Utf16Lines { .. } | Self::Never => {}
            _ => {
                let from = end.saturating_sub(4).max(start + 1);
                // The last byte that begins a character, if the character is not all there.
                let last = (from..end).rev().find(|at| data[*at] & 0xc0 != 0x80);
                if let Some(last) = last {
                    let length = match data[last] {
                        0xc2..=0xdf => 2,
                        0xe0..=0xef => 3,
                        0xf0..=0xf4 => 4,
                        _ => 1,
                    };
                    if last + length > end {
                        end = last;
                    }
                }
            }
        }
        Token::of(start, end, end)
    }
}

fn line(data: &[u8]) -> Option<Token> {
    let end = memchr(b'\n', data)?;
    let without = end - usize::from(end > 0 && data[end - 1] == b'\r');
    Token::of(0, without, end + 1)
}

fn utf16_line(data: &[u8], little: bool) -> Option<Token> {
    let newline = if little { [b'\n', 0] } else { [0, b'\n'] };
    let units = data.chunks_exact(2);
    let end = 2 * units.into_iter().position(|unit| unit == newline)?;
    let carriage = if little { [b'\r', 0] } else { [0, b'\r'] };
    let without = if end >= 2 && data[end - 2..end] == carriage {
        end - 2
    } else {
        end
    };
    Token::of(0, without, end + 2)
}

fn started(data: &[u8], pattern: &Regex, omit: bool) -> Option<Token> {
    let first = pattern.find(data)?;
    let before = &data[..first.start()];
    if !before.is_empty() && !before.iter().all(u8::is_ascii_whitespace) {
        return Token::of(0, first.start(), first.start());
    }
    // A pattern that matches nothing at all would never come further.
    let from = first.end().max(first.start() + 1);
    if from >= data.len() {
        return None;
    }
    let second = pattern.find_at(data, from)?;
    let start = if omit { first.end() } else { first.start() };
    Token::of(start, second.start(), second.start())
}

fn ended(data: &[u8], pattern: &Regex, omit: bool, at_end: bool) -> Option<Token> {
    let found = pattern.find_iter(data).find(|found| found.end() > 0)?;
    if found.end() == data.len() && !at_end {
        return None;
    }
    let end = if omit { found.start() } else { found.end() };
    Token::of(0, end, found.end())
}

/// Takes white space off the ends of an entry.
pub(crate) fn trimmed(text: &[u8], leading: bool, trailing: bool) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b'\r' | b'\n' | b'\t' | b' ');
    let start = match leading {
        true => text
            .iter()
            .position(|byte| !is_space(byte))
            .unwrap_or(text.len()),
        false => 0,
    };
    let end = match trailing {
        true => text
            .iter()
            .rposition(|byte| !is_space(byte))
            .map_or(0, |last| last + 1),
        false => text.len(),
    };
    &text[start.min(end)..end]
}

#[cfg(test)]
mod tests {
    use tidegate_component::pattern;

    use super::*;

    /// All entries of a text that is read in pieces of so many bytes.
    fn split(splitter: &Splitter, text: &[u8], most: usize, piece: usize) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        let (mut from, mut read) = (0, 0);
        loop {
            let at_end = read == text.len();
            match splitter.first(&text[from..read], most, at_end, false) {
                Some(token) => {
                    assert!(token.next > 0, "it comes no further");
                    entries.push(text[from + token.start..from + token.end].to_vec());
                    from += token.next;
                }
                None if at_end => break,
                None => read = (read + piece).min(text.len()),
            }
        }
        if let Some(token) = splitter.first(&text[from..], most, true, true) {
            entries.push(text[from + token.start..from + token.end].to_vec());
        }
        entries
    }

    fn check(splitter: &Splitter, text: &str, most: usize, expected: &[&str]) {
        for piece in [1, 2, 7, 1000] {
            let entries = split(splitter, text.as_bytes(), most, piece);
            let shown: Vec<_> = entries
                .iter()
                .map(|entry| String::from_utf8_lossy(entry))
                .collect();
            assert_eq!(shown, expected, "in pieces of {piece}");
        }
    }

    fn starts(pattern: &str, omit: bool) -> Splitter {
        let pattern = pattern::compile(&format!("(?m){pattern}")).unwrap();
        Splitter::Starts { pattern, omit }
    }

    fn ends(pattern: &str, omit: bool) -> Splitter {
        let pattern = pattern::compile(&format!("(?m){pattern}")).unwrap();
        Splitter::Ends { pattern, omit }
    }

    #[test]
    fn lines_end_with_a_newline_and_are_cut_where_they_are_long() {
        check(&Splitter::Lines, "a\r\n\nbc\nd", 100, &["a", "", "bc", "d"]);
        check(&Splitter::Lines, "abcdef\ng\n", 4, &["abcd", "ef", "g"]);
        check(&Splitter::Lines, "abžcd", 3, &["ab", "žc", "d"]);
    }

    #[test]
    fn lines_of_utf_16_end_with_a_newline_of_two_bytes() {
        let text: Vec<u8> = "a\u{0a0a}\r\nb\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let splitter = Splitter::Utf16Lines { little: true };
        for piece in [1, 2, 100] {
            let entries = split(&splitter, &text, 100, piece);
            assert_eq!(entries, [vec![b'a', 0, 0x0a, 0x0a], vec![b'b', 0]]);
        }
    }

    #[test]
    fn entries_begin_with_a_pattern() {
        let text = "before\n2024 a\n  at x\n2025 b\n2026 c";
        check(
            &starts("^20", false),
            text,
            100,
            &["before\n", "2024 a\n  at x\n", "2025 b\n", "2026 c"],
        );
        check(
            &starts("^20", true),
            text,
            100,
            &["before\n", "24 a\n  at x\n", "25 b\n", "26 c"],
        );
        check(&starts("^20", false), "none at all", 100, &["none at all"]);
        check(&starts("", false), "ab", 100, &["a", "b"]);
    }

    #[test]
    fn entries_end_with_a_pattern() {
        check(&ends(";$", false), "a;\nb\nc;", 100, &["a;", "\nb\nc;"]);
        check(&ends(";\n", true), "a;\nb\nc;\nd", 100, &["a", "b\nc", "d"]);
    }

    #[test]
    fn bytes_are_cut_by_size_alone() {
        check(&Splitter::Never, "abc\ndefg", 3, &["abc", "\nde", "fg"]);
    }

    #[test]
    fn white_space_is_taken_off_as_told() {
        assert_eq!(trimmed(b" \ta b\r\n", true, true), b"a b");
        assert_eq!(trimmed(b" a ", false, true), b" a");
        assert_eq!(trimmed(b" a ", true, false), b"a ");
        assert_eq!(trimmed(b" \n", true, true), b"");
        assert_eq!(trimmed(b"", true, true), b"");
    }
}
