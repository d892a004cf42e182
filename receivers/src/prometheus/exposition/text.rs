//! Prometheus' text format and OpenMetrics: lines of comments and series.
//!
//! The two differ in what they let pass. The text format takes blanks nearly anywhere, unknown comments
//! and a last line without its break; OpenMetrics takes single spaces alone, three comments, and wants
//! an end that says so.

use super::fault::{Fault, ParseError, excerpt};
use super::scan::Scan;
use super::{Bounds, Entry, Exemplar, Sample, Scratch, Text, Type, number};

/// Reads a page of text.
pub(super) struct Reader<'p> {
    scan: Scan<'p>,
    /// Where the entry that was read last begins.
    start: usize,
    /// Whether the page is OpenMetrics.
    strict: bool,
    done: bool,
    bounds: Bounds,
}

impl<'p> Reader<'p> {
    pub(super) fn new(bytes: &'p [u8], strict: bool, bounds: Bounds) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| ParseError::in_text(bytes, error.valid_up_to(), Fault::Utf8))?;
        Ok(Self {
            scan: Scan { text, at: 0 },
            start: 0,
            strict,
            done: false,
            bounds,
        })
    }

    pub(super) fn position(&self) -> usize {
        self.scan.at
    }

    pub(super) fn entry_error(&self, fault: Fault) -> ParseError {
        self.scan.fault_at(self.start, fault)
    }

    #[inline]
    pub(super) fn next(
        &mut self,
        scratch: &mut Scratch<'p>,
    ) -> Result<Option<Entry<'p>>, ParseError> {
        if self.done {
            return Ok(None);
        }
        loop {
            self.start = self.scan.at;
            if !self.strict {
                self.scan.blanks();
            }
            let entry = match self.scan.peek() {
                None if self.strict => return Err(self.scan.fault(Fault::NoEnd)),
                None => None,
                Some(b'\n') if self.strict => return Err(self.scan.fault(Fault::EmptyLine)),
                Some(b'\n') => {
                    self.scan.at += 1;
                    continue;
                }
                Some(b'#') => match self.comment()? {
                    Comment::Entry(entry) => Some(entry),
                    Comment::Other => continue,
                    Comment::End => None,
                },
                Some(_) => Some(Entry::Sample(self.sample(scratch)?)),
            };
            if self.scan.at - self.start > self.bounds.line {
                return Err(self.entry_error(Fault::LongLine(self.bounds.line)));
            }
            self.done = entry.is_none();
            return Ok(entry);
        }
    }

    #[inline]
    fn sample(&mut self, scratch: &mut Scratch<'p>) -> Result<Sample<'p>, ParseError> {
        scratch.clear();
        let start = self.scan.at;
        let mut name = self.scan.metric_name().map(Text::plain);
        if !self.strict {
            self.scan.blanks();
        }
        if self.scan.take(b'{') {
            let within = self
                .scan
                .labels(!self.strict, &self.bounds, &mut scratch.labels)?;
            match (name, within) {
                (Some(_), Some((at, _))) => return Err(self.scan.fault_at(at, Fault::TwoNames)),
                (None, Some((_, within))) => name = Some(within),
                (None, None) => return Err(self.scan.fault_at(start, Fault::NoName)),
                (Some(_), None) => {}
            }
        }
        let Some(name) = name else {
            return Err(self.scan.fault_at(start, Fault::Start));
        };
        let value = self.value(Fault::NoValue)?;
        let timestamp = self.timestamp()?;
        if self.strict {
            self.exemplar(scratch)?;
        }
        self.end_of_line()?;
        Ok(Sample {
            name,
            suffix: "",
            bound: None,
            value,
            timestamp,
            created: None,
            exemplars: scratch.exemplars.len(),
        })
    }

    /// Takes the blank before a word, and the word; none where there is no more but the line's end
    /// or an exemplar.
    #[inline]
    fn word(&mut self) -> Option<(usize, &'p str)> {
        let before = self.scan.at;
        match self.strict {
            false => {
                self.scan.blanks();
            }
            true if self.scan.take(b' ') => {}
            true => return None,
        }
        let start = self.scan.at;
        if self.strict && self.scan.peek() == Some(b'#') {
            self.scan.at = before;
            return None;
        }
        let word = self.scan.token();
        if word.is_empty() {
            self.scan.at = if self.strict { before } else { start };
            return None;
        }
        Some((start, word))
    }

    #[inline]
    fn value(&mut self, missing: Fault) -> Result<f64, ParseError> {
        let Some((start, word)) = self.word() else {
            return Err(self.scan.fault(missing));
        };
        number::float(word).ok_or_else(|| self.scan.fault_at(start, Fault::Value(excerpt(word))))
    }

    #[inline]
    fn timestamp(&mut self) -> Result<Option<i64>, ParseError> {
        let Some((start, word)) = self.word() else {
            return Ok(None);
        };
        let read = match self.strict {
            true => number::float(word).and_then(number::milliseconds),
            false => word.parse().ok(),
        };
        match read {
            Some(time) => Ok(Some(time)),
            None => {
                let fault = Fault::Timestamp(excerpt(word), self.strict);
                Err(self.scan.fault_at(start, fault))
            }
        }
    }

    #[inline]
    fn exemplar(&mut self, scratch: &mut Scratch<'p>) -> Result<(), ParseError> {
        if !self.scan.take(b' ') {
            return Ok(());
        }
        if !self.scan.rest().starts_with(b"# {") {
            return Err(self.scan.fault(Fault::Exemplar));
        }
        self.scan.at += 3;
        let name = self
            .scan
            .labels(false, &self.bounds, &mut scratch.exemplar_labels)?;
        if let Some((at, _)) = name {
            return Err(self.scan.fault_at(at, Fault::Equal));
        }
        let value = self.value(Fault::NoValue)?;
        let timestamp = self.timestamp()?;
        scratch.exemplars.push(Exemplar {
            labels: 0..scratch.exemplar_labels.len(),
            value,
            timestamp,
        });
        Ok(())
    }

    #[inline]
    fn end_of_line(&mut self) -> Result<(), ParseError> {
        if !self.strict {
            self.scan.blanks();
        }
        if self.scan.take(b'\n') {
            return Ok(());
        }
        match (self.scan.peek(), self.strict) {
            (None, false) => Ok(()),
            (None, true) => Err(self.scan.fault(Fault::NoEnd)),
            (Some(_), _) => Err(self.scan.fault(Fault::LineEnd)),
        }
    }

    /// Reads a comment, its `#` being next.
    fn comment(&mut self) -> Result<Comment<'p>, ParseError> {
        let start = self.scan.at;
        self.scan.at += 1;
        let spaced = match self.strict {
            true => self.scan.take(b' '),
            false => self.scan.blanks(),
        };
        let keyword = if spaced { self.scan.token() } else { "" };
        if self.strict && spaced && keyword == "EOF" {
            let ended = self.scan.take(b'\n') || self.scan.peek().is_none();
            return match ended && self.scan.peek().is_none() {
                true => Ok(Comment::End),
                false => Err(self.scan.fault(Fault::AfterEnd)),
            };
        }
        // A comment that ends with one of these words is no more than a comment.
        let goes_on = self.strict || matches!(self.scan.peek(), Some(b' ' | b'\t'));
        let keyword = match keyword {
            "TYPE" if goes_on => "TYPE",
            "HELP" if goes_on => "HELP",
            "UNIT" if self.strict => "UNIT",
            _ if self.strict => return Err(self.scan.fault_at(start, Fault::Comment)),
            _ => {
                self.scan.line();
                return Ok(Comment::Other);
            }
        };
        self.metadata(keyword).map(Comment::Entry)
    }

    fn metadata(&mut self, keyword: &'static str) -> Result<Entry<'p>, ParseError> {
        match self.strict {
            true => {
                self.scan.take(b' ');
            }
            false => {
                self.scan.blanks();
            }
        }
        let name = match self.scan.peek() {
            Some(b'"') => self.scan.quoted(false)?,
            _ => match self.scan.metric_name() {
                Some(name) => Text::plain(name),
                None => return Err(self.scan.fault(Fault::MetadataName(keyword))),
            },
        };
        let behind = self.scan.at;
        let (rest, broken) = self.scan.line();
        if self.strict && !broken {
            return Err(self.scan.fault(Fault::NoEnd));
        }
        let text = match rest.strip_prefix(' ') {
            Some(text) if self.strict => text,
            None if self.strict => {
                return Err(self.scan.fault_at(behind, Fault::MetadataText(keyword)));
            }
            _ if rest.starts_with([' ', '\t']) || rest.is_empty() => rest.trim_matches([' ', '\t']),
            _ => return Err(self.scan.fault_at(behind, Fault::MetadataText(keyword))),
        };
        let at = behind + usize::from(!rest.is_empty());
        match keyword {
            "TYPE" => match self.type_of(text) {
                Some(kind) => Ok(Entry::Type(name, kind)),
                None => {
                    let fault = Fault::Type(excerpt(text), self.strict);
                    Err(self.scan.fault_at(at, fault))
                }
            },
            "HELP" => Ok(Entry::Help(name, free(text, self.strict))),
            _ => {
                let whole = name.to_cow();
                let ends = whole
                    .strip_suffix(text)
                    .is_some_and(|stem| stem.ends_with('_'));
                if !text.is_empty() && !ends {
                    let fault = Fault::Unit {
                        unit: excerpt(text),
                        name: excerpt(&whole),
                    };
                    return Err(self.scan.fault_at(at, fault));
                }
                Ok(Entry::Unit(name, free(text, true)))
            }
        }
    }

    fn type_of(&self, word: &str) -> Option<Type> {
        Some(match (word, self.strict) {
            ("counter", _) => Type::Counter,
            ("gauge", _) => Type::Gauge,
            ("histogram", _) => Type::Histogram,
            ("summary", _) => Type::Summary,
            ("untyped", false) | ("unknown", true) => Type::Unknown,
            ("gaugehistogram", true) => Type::GaugeHistogram,
            ("info", true) => Type::Info,
            ("stateset", true) => Type::StateSet,
            _ => return None,
        })
    }
}

/// What a comment says.
enum Comment<'p> {
    Entry(Entry<'p>),
    Other,
    End,
}

/// Text to the end of a line; OpenMetrics has escaped quotes in it too.
fn free(raw: &str, quoted: bool) -> Text<'_> {
    Text {
        raw,
        escaped: raw.contains('\\'),
        quoted,
    }
}
