//! What both text formats are made of: names, quotes, labels, words.

use super::fault::{Fault, ParseError};
use super::{Bounds, Label, Text};

/// A letter, or `_`.
const LETTER: u8 = 1;
/// `:`.
const COLON: u8 = 2;
/// A digit.
const DIGIT: u8 = 4;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LETTER,
            b':' => COLON,
            b'0'..=b'9' => DIGIT,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// A position on a page of text.
///
/// Positions that it stops at are behind whole characters, as it stops at ASCII alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'p> {
    pub(super) text: &'p str,
    pub(super) at: usize,
}

impl<'p> Scan<'p> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn rest(&self) -> &'p [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(super) fn since(&self, start: usize) -> &'p str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Takes a byte, if it is the next one.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes spaces and tabs.
    #[inline]
    pub(super) fn blanks(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > start
    }

    #[cold]
    pub(super) fn fault(&self, fault: Fault) -> ParseError {
        ParseError::in_text(self.text.as_bytes(), self.at, fault)
    }

    #[cold]
    pub(super) fn fault_at(&self, at: usize, fault: Fault) -> ParseError {
        ParseError::in_text(self.text.as_bytes(), at, fault)
    }

    /// Takes a name; none where none begins.
    #[inline]
    fn word(&mut self, first: u8, more: u8) -> Option<&'p str> {
        let bytes = self.rest();
        if CLASSES[usize::from(*bytes.first()?)] & first == 0 {
            return None;
        }
        let length = bytes
            .iter()
            .position(|byte| CLASSES[usize::from(*byte)] & more == 0)
            .unwrap_or(bytes.len());
        let start = self.at;
        self.at += length;
        Some(self.since(start))
    }

    /// Takes a metric's name without quotes.
    #[inline]
    pub(super) fn metric_name(&mut self) -> Option<&'p str> {
        self.word(LETTER | COLON, LETTER | COLON | DIGIT)
    }

    #[inline]
    fn label_name(&mut self) -> Option<&'p str> {
        self.word(LETTER, LETTER | DIGIT)
    }

    /// Takes what stands in quotes, the opening one being next; `lines` lets it go over several lines.
    #[inline]
    pub(super) fn quoted(&mut self, lines: bool) -> Result<Text<'p>, ParseError> {
        let open = self.at;
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(found) = quote_or_escape(self.rest(), lines) else {
                self.at = open;
                return Err(self.fault(Fault::OpenQuote));
            };
            self.at += found;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    let next = self.rest().get(1).copied();
                    if next.is_none() || next == Some(b'\n') && !lines {
                        self.at = open;
                        return Err(self.fault(Fault::OpenQuote));
                    }
                    // Behind a backslash may be the first byte of a longer character; the search
                    // goes on within it, where no quote can be.
                    self.at += 2;
                }
                _ => {
                    self.at = open;
                    return Err(self.fault(Fault::OpenQuote));
                }
            }
        }
        let raw = self.since(start);
        self.at += 1;
        Ok(Text {
            raw,
            escaped,
            quoted: true,
        })
    }

    /// Takes labels up to the closing brace, the opening one being behind; gives the name among
    /// them, where one is.
    ///
    /// `blanks` lets there be blanks between them.
    #[inline]
    pub(super) fn labels(
        &mut self,
        blanks: bool,
        bounds: &Bounds,
        into: &mut Vec<Label<'p>>,
    ) -> Result<Option<(usize, Text<'p>)>, ParseError> {
        let mut name = None;
        let first = into.len();
        loop {
            self.skip(blanks);
            if self.take(b'}') {
                return Ok(name);
            }
            let start = self.at;
            let label = match self.peek() {
                Some(b'"') => self.quoted(blanks)?,
                _ => Text::plain(
                    self.label_name()
                        .ok_or_else(|| self.fault(Fault::LabelName))?,
                ),
            };
            self.skip(blanks);
            if label.quoted && matches!(self.peek(), Some(b',' | b'}')) {
                if name.replace((start, label)).is_some() {
                    return Err(self.fault_at(start, Fault::TwoNames));
                }
                self.take(b',');
                continue;
            }
            if !self.take(b'=') {
                return Err(self.fault(Fault::Equal));
            }
            self.skip(blanks);
            if self.peek() != Some(b'"') {
                return Err(self.fault(Fault::LabelValue));
            }
            let value = self.quoted(blanks)?;
            if into.len() - first >= bounds.labels {
                return Err(self.fault_at(start, Fault::ManyLabels(bounds.labels)));
            }
            into.push((label, value));
            self.skip(blanks);
            if !self.take(b',') && self.peek() != Some(b'}') {
                return Err(self.fault(Fault::Comma));
            }
        }
    }

    #[inline]
    fn skip(&mut self, blanks: bool) {
        if blanks {
            self.blanks();
        }
    }

    /// Takes what is up to the next blank or the end of the line.
    #[inline]
    pub(super) fn token(&mut self) -> &'p str {
        let start = self.at;
        let bytes = self.rest();
        let length = bytes
            .iter()
            .position(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
            .unwrap_or(bytes.len());
        self.at += length;
        self.since(start)
    }

    /// Takes the rest of the line, the break too, and gives it without the break.
    #[inline]
    pub(super) fn line(&mut self) -> (&'p str, bool) {
        let start = self.at;
        match memchr::memchr(b'\n', self.rest()) {
            Some(length) => {
                self.at += length;
                let line = self.since(start);
                self.at += 1;
                (line, true)
            }
            None => {
                self.at = self.text.len();
                (self.since(start), false)
            }
        }
    }
}

/// Where the next quote or backslash is; or the next end of a line, where a quote may not pass it.
#[inline]
fn quote_or_escape(bytes: &[u8], lines: bool) -> Option<usize> {
    match lines {
        true => memchr::memchr2(b'"', b'\\', bytes),
        false => memchr::memchr3(b'"', b'\\', b'\n', bytes),
    }
}

/// The text that escapes stand for; one that stands for nothing stays as it is.
pub(super) fn unescaped(raw: &str, quoted: bool) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let stands_for = match tail.as_bytes().get(1) {
            Some(b'\\') => '\\',
            Some(b'n') => '\n',
            Some(b'"') if quoted => '"',
            _ => {
                out.push('\\');
                rest = &tail[1..];
                continue;
            }
        };
        out.push(stands_for);
        rest = &tail[2..];
    }
    out.push_str(rest);
    out
}
