//! Reading what targets expose: the text format, OpenMetrics and protobuf.
//!
//! The readers borrow from the page: a name or a label's value is a slice of it, and only what holds
//! an escape is written anew, by whoever needs it plain. A page is read entry by entry, so that its
//! reader can pause between two of them.

mod fault;
mod number;
mod protobuf;
mod scan;
mod text;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use fault::{Fault, ParseError};
pub(crate) use number::open_metrics;

/// What a metric is, as its family's `TYPE` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Type {
    /// It only rises.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// A histogram whose buckets rise and fall.
    GaugeHistogram,
    /// Quantiles.
    Summary,
    /// Facts as labels.
    Info,
    /// A set of truths.
    StateSet,
    /// Nothing is said.
    #[default]
    Unknown,
}

impl Type {
    /// The word that Prometheus has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// A format of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text format, versions 0.0.4 and 1.0.0.
    Text,
    /// OpenMetrics 1.0 and its draft 0.0.1.
    OpenMetrics,
    /// `io.prometheus.client.MetricFamily`, each behind its length.
    Protobuf,
}

/// A piece of a page that may hold escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'p> {
    /// As it stands on the page.
    pub raw: &'p str,
    /// Whether there is a backslash in it.
    pub escaped: bool,
    /// Whether `\"` stands for a quote in it, as it does within quotes.
    quoted: bool,
}

impl<'p> Text<'p> {
    /// A text without an escape.
    #[must_use]
    pub const fn plain(raw: &'p str) -> Self {
        Self {
            raw,
            escaped: false,
            quoted: false,
        }
    }

    /// The text itself; borrowed unless it holds escapes.
    #[must_use]
    pub fn to_cow(self) -> Cow<'p, str> {
        match self.escaped {
            false => Cow::Borrowed(self.raw),
            true => Cow::Owned(scan::unescaped(self.raw, self.quoted)),
        }
    }
}

/// A label as it stands on the page.
pub type Label<'p> = (Text<'p>, Text<'p>);

/// What a page holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'p> {
    /// `# TYPE`.
    Type(Text<'p>, Type),
    /// `# HELP`.
    Help(Text<'p>, Text<'p>),
    /// `# UNIT`.
    Unit(Text<'p>, Text<'p>),
    /// A series with its value; its labels are the page's.
    Sample(Sample<'p>),
    /// A native histogram; its labels are the page's.
    Native(Sample<'p>, Box<Native>),
}

/// One value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'p> {
    /// The metric's name, without the suffix.
    pub name: Text<'p>,
    /// What follows it where the format has no such names itself: `_bucket`, `_sum`, `_count`.
    pub suffix: &'static str,
    /// The label that stands for a bound where the format has no such labels itself.
    pub bound: Option<(&'static str, f64)>,
    /// The value.
    pub value: f64,
    /// When it was taken, in milliseconds since 1970, where the page says so.
    pub timestamp: Option<i64>,
    /// When the series was created, in nanoseconds since 1970, where the format says so beside the value.
    pub created: Option<u64>,
    /// How many of the page's exemplars belong to it.
    pub exemplars: usize,
}

/// An example of what was counted; its labels are a range of the page's.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Where its labels are among those of exemplars.
    labels: std::ops::Range<usize>,
    /// The value.
    pub value: f64,
    /// When it was taken, in milliseconds since 1970.
    pub timestamp: Option<i64>,
}

/// A native histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Native {
    /// The count of all.
    pub count: f64,
    /// The sum of all.
    pub sum: f64,
    /// The schema: the scale of its buckets.
    pub schema: i32,
    /// The width of the bucket around zero.
    pub zero_threshold: f64,
    /// The count of that bucket.
    pub zero_count: f64,
    /// Buckets above zero.
    pub positive: Buckets,
    /// Buckets below zero.
    pub negative: Buckets,
    /// Whether its values may fall.
    pub gauge: bool,
}

/// Buckets side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// The index of the first, whose upper bound is the base to this power.
    pub first: i32,
    /// The counts, gaps between spans as zeros.
    pub counts: Vec<u64>,
}

/// What a page may hold at most, so that no target can make its reader run away.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a line, or of a metric in protobuf.
    pub line: usize,
    /// Labels of a series.
    pub labels: usize,
    /// Buckets of a native histogram, gaps between spans included.
    pub buckets: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            line: 1 << 20,
            labels: 1 << 10,
            buckets: 1 << 16,
        }
    }
}

/// Labels and exemplars of the entry that was read last.
#[derive(Debug, Default)]
struct Scratch<'p> {
    labels: Vec<Label<'p>>,
    exemplar_labels: Vec<Label<'p>>,
    exemplars: Vec<Exemplar>,
}

impl Scratch<'_> {
    fn clear(&mut self) {
        self.labels.clear();
        self.exemplar_labels.clear();
        self.exemplars.clear();
    }
}

/// A page that is being read.
pub struct Page<'p> {
    reader: Reader<'p>,
    scratch: Scratch<'p>,
}

enum Reader<'p> {
    Text(text::Reader<'p>),
    Protobuf(Box<protobuf::Reader<'p>>),
}

impl<'p> Page<'p> {
    /// Begins to read a page; `native` has native histograms read as such, and `classic` their
    /// classic buckets too.
    ///
    /// # Errors
    /// When the page is text and no UTF-8.
    pub fn new(
        format: Format,
        bytes: &'p [u8],
        bounds: Bounds,
        native: bool,
        classic: bool,
    ) -> Result<Self, ParseError> {
        let reader = match format {
            Format::Text => Reader::Text(text::Reader::new(bytes, false, bounds)?),
            Format::OpenMetrics => Reader::Text(text::Reader::new(bytes, true, bounds)?),
            Format::Protobuf => Reader::Protobuf(Box::new(protobuf::Reader::new(
                bytes, bounds, native, classic,
            ))),
        };
        Ok(Self {
            reader,
            scratch: Scratch::default(),
        })
    }

    /// Reads the next entry; none at the end.
    ///
    /// # Errors
    /// When the page breaks a rule of its format.
    #[inline]
    pub fn next_entry(&mut self) -> Result<Option<Entry<'p>>, ParseError> {
        match &mut self.reader {
            Reader::Text(reader) => reader.next(&mut self.scratch),
            Reader::Protobuf(reader) => reader.next(&mut self.scratch),
        }
    }

    /// The labels of the entry read last.
    #[must_use]
    pub fn labels(&self) -> &[Label<'p>] {
        &self.scratch.labels
    }

    /// The exemplars of the entry read last.
    #[must_use]
    pub fn exemplars(&self) -> &[Exemplar] {
        &self.scratch.exemplars
    }

    /// The labels of an exemplar.
    #[must_use]
    pub fn labels_of(&self, exemplar: &Exemplar) -> &[Label<'p>] {
        self.scratch
            .exemplar_labels
            .get(exemplar.labels.clone())
            .unwrap_or_default()
    }

    /// Where the entry read last begins: for what is wrong with it in a way that its format allows.
    #[must_use]
    pub fn here(&self, fault: Fault) -> ParseError {
        match &self.reader {
            Reader::Text(reader) => reader.entry_error(fault),
            Reader::Protobuf(reader) => reader.entry_error(fault),
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        match &self.reader {
            Reader::Text(reader) => reader.position(),
            Reader::Protobuf(reader) => reader.position(),
        }
    }
}
