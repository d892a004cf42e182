//! What can be wrong with a page, and where.

use std::fmt;

use tidegate_pdata::wire::Malformed;

/// The rule that a page breaks.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The page is no text.
    #[error("the page is not UTF-8 here")]
    Utf8,
    /// A line is too long.
    #[error("the line is longer than {0} bytes")]
    LongLine(usize),
    /// A series has too many labels.
    #[error("the series has more than {0} labels")]
    ManyLabels(usize),
    /// A line begins with nothing that a line may begin with.
    #[error("a line begins with a metric name, `{{` or `#`")]
    Start,
    /// OpenMetrics has no empty lines.
    #[error("OpenMetrics allows no empty line")]
    EmptyLine,
    /// OpenMetrics knows three comments and an end.
    #[error("OpenMetrics allows no comment but `# TYPE`, `# HELP`, `# UNIT` and `# EOF`")]
    Comment,
    /// A name was due.
    #[error("a metric name is missing behind `# {0}`: a letter, `_` or `:`, or a quoted name")]
    MetadataName(&'static str),
    /// What follows a name in a comment.
    #[error("a space and the text belong behind the name in `# {0}`")]
    MetadataText(&'static str),
    /// A type that does not exist.
    #[error("`{0}` is no type; the types are {known}", known = if *.1 { "counter, gauge, histogram, gaugehistogram, summary, info, stateset and unknown" } else { "counter, gauge, histogram, summary and untyped" })]
    Type(String, bool),
    /// A unit that is no suffix.
    #[error("the unit `{unit}` does not end the name `{name}` behind a `_`")]
    Unit {
        /// The unit.
        unit: String,
        /// The metric's name.
        name: String,
    },
    /// Two names.
    #[error("the metric has a name already")]
    TwoNames,
    /// No name.
    #[error("the series has no metric name")]
    NoName,
    /// A label's name was due.
    #[error("a label name begins with a letter or `_`, or is quoted")]
    LabelName,
    /// An equals sign was due.
    #[error("`=` belongs behind a label name")]
    Equal,
    /// A quote was due.
    #[error("a label's value stands in double quotes")]
    LabelValue,
    /// A quote is not closed.
    #[error("the quote is not closed")]
    OpenQuote,
    /// A comma or brace was due.
    #[error("`,` or `}}` belongs behind a label's value")]
    Comma,
    /// A label comes twice.
    #[error("the label `{0}` comes twice in a series")]
    DuplicateLabel(String),
    /// A value was due.
    #[error("a value is missing: a space, then a number, `NaN`, `+Inf` or `-Inf`")]
    NoValue,
    /// A value is no number.
    #[error("`{0}` is no number")]
    Value(String),
    /// A timestamp is no number.
    #[error("`{0}` is no timestamp: {unit} since 1970", unit = if *.1 { "seconds" } else { "whole milliseconds" })]
    Timestamp(String, bool),
    /// Something follows where a line should end.
    #[error("the line should end here")]
    LineEnd,
    /// An exemplar without labels.
    #[error("an exemplar begins with ` # {{`")]
    Exemplar,
    /// OpenMetrics must say that it ends.
    #[error("the page does not end with `# EOF`: it was cut off, or is no OpenMetrics")]
    NoEnd,
    /// OpenMetrics has ended already.
    #[error("something follows `# EOF`")]
    AfterEnd,
    /// The bytes are no protobuf.
    #[error("the page is no protobuf: {}", .0.fault)]
    Wire(Malformed),
    /// A message is too large.
    #[error("a metric family is larger than {0} bytes")]
    LongFamily(usize),
    /// A type number that does not exist.
    #[error("there is no type of the number {0}")]
    TypeNumber(u64),
    /// A histogram whose spans and counts do not fit.
    #[error("the native histogram's {0}")]
    Native(&'static str),
    /// More series than are followed.
    #[error("the target exposes more than {0} series")]
    ManySeries(usize),
    /// A limit of the configuration.
    #[error("{0}")]
    Limit(String),
}

/// Where a page breaks a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseError {
    /// The rule.
    pub fault: Fault,
    /// Where.
    pub place: Place,
}

/// A place on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line and a column of it, in characters, both from 1.
    Line(usize, usize),
    /// A byte, from 0.
    Byte(usize),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Line(line, column) => {
                write!(f, "line {line}, column {column}: {}", self.fault)
            }
            Place::Byte(byte) => write!(f, "byte {byte}: {}", self.fault),
        }
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    /// An error at a byte of a text; counts its line and column.
    #[cold]
    pub(super) fn in_text(text: &[u8], at: usize, fault: Fault) -> Self {
        let before = &text[..at.min(text.len())];
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Self {
            fault,
            place: Place::Line(line, column),
        }
    }
}

/// The beginning of what was found, so that an error stays a line.
pub(super) fn excerpt(found: &str) -> String {
    match found.char_indices().nth(64) {
        None => found.to_owned(),
        Some((end, _)) => format!("{}…", &found[..end]),
    }
}
