//! What is wrong with a statement, and where.

use std::fmt;
use std::ops::Range;

/// A statement or condition that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
    /// The bytes of the text that are at fault.
    pub span: Range<usize>,
    text: String,
}

impl Error {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            remedy: None,
            span,
            text: String::new(),
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn in_text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    /// The line of the text at fault and the column in it, both from 1.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        let before = self.text.get(..self.span.start).unwrap_or(&self.text);
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line..].chars().count() + 1,
        )
    }

    /// The line at fault with carets below what is at fault.
    fn excerpt(&self) -> String {
        let (line, column) = self.position();
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        let at_fault = self.text.get(self.span.clone()).unwrap_or_default();
        let width = at_fault.lines().next().unwrap_or_default();
        let carets = "^".repeat(width.chars().count().max(1));
        format!("{text}\n{}{carets}", " ".repeat(column - 1))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        if line > 1 {
            write!(f, "line {line}, ")?;
        }
        write!(f, "column {column}: {}", self.message)?;
        if !self.text.is_empty() {
            write!(f, "\n{}", self.excerpt())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The known name that is most like an unknown one, if any is.
pub(crate) fn nearest<'n>(
    unknown: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let likeness = |name: &str| {
        strsim::jaro_winkler(&unknown.to_ascii_lowercase(), &name.to_ascii_lowercase())
    };
    known
        .into_iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
