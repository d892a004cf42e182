//! The text format 0.0.4 and OpenMetrics.

use std::borrow::Cow;

use super::{Format, Style};
use crate::prometheus::family::{Family, Kind};
use crate::prometheus::labels::{escaped, write_escaped, write_name};
use crate::prometheus::naming::{Escaping, is_legal};
use crate::prometheus::number::{write_float, write_integer, write_open_float};
use crate::prometheus::series::Series;
use crate::prometheus::value::{Exemplar, Histogram, Native, State, Summary, Value};

const INFINITY: &str = "le=\"+Inf\"";

/// What stands before the labels of the samples of a family, and before the samples themselves.
pub(super) struct Head {
    pub(super) preamble: String,
    plain: Name,
    bucket: Name,
    sum: Name,
    count: Name,
}

/// A sample's name up to its first label, and without any.
#[derive(Default)]
struct Name {
    open: String,
    bare: String,
}

impl Name {
    fn new(name: &str) -> Self {
        if is_legal(name) {
            return Self {
                open: format!("{name}{{"),
                bare: name.to_owned(),
            };
        }
        let mut open = "{".to_owned();
        write_name(&mut open, name);
        Self {
            bare: format!("{open}}}"),
            open: open + ",",
        }
    }
}

impl Head {
    pub(super) fn new(family: &Family, style: Style) -> Self {
        let escaping = style.exposition.escaping;
        let name = escaping.apply(&family.name);
        let suffixed = |suffix: &str| match family.kind {
            Kind::Gauge | Kind::Counter => Name::default(),
            Kind::Histogram | Kind::Summary => Name::new(&format!("{name}{suffix}")),
        };
        Self {
            preamble: preamble(family, &name, is_open(style)),
            bucket: suffixed("_bucket"),
            sum: suffixed("_sum"),
            count: suffixed("_count"),
            plain: Name::new(&name),
        }
    }
}

fn preamble(family: &Family, name: &str, open: bool) -> String {
    let (name, kind) = match family.kind {
        Kind::Gauge => (name, "gauge"),
        Kind::Histogram => (name, "histogram"),
        Kind::Summary => (name, "summary"),
        Kind::Counter if !open => (name, "counter"),
        // OpenMetrics has no counters whose samples do not end in `_total`.
        Kind::Counter => match name.strip_suffix("_total") {
            Some(name) => (name, "counter"),
            None => (name, "unknown"),
        },
    };
    let mut text = "# HELP ".to_owned();
    write_name(&mut text, name);
    text.push(' ');
    write_escaped(&mut text, &family.help, open);
    text.push_str("\n# TYPE ");
    write_name(&mut text, name);
    text.push(' ');
    text.push_str(kind);
    text.push('\n');
    text
}

const fn is_open(style: Style) -> bool {
    matches!(style.exposition.format, Format::OpenMetrics(_))
}

/// Writes the samples of a series.
pub(super) fn write_series(
    out: &mut Vec<u8>,
    head: &Head,
    series: &Series,
    state: &State,
    style: Style,
) {
    let escaping = style.exposition.escaping;
    let labels = if series.labels.foreign && escaping != Escaping::AllowUtf8 {
        Cow::Owned(escaped(&series.labels.text, escaping))
    } else {
        Cow::Borrowed(&*series.labels.text)
    };
    let mut lines = Lines {
        out,
        labels: &labels,
        open: is_open(style),
        // A point that does not know its time has none to show.
        time: (style.timestamps && state.time > 0).then_some(state.time / 1_000_000),
    };
    match &state.value {
        Value::Number(sample, exemplar) => {
            lines.name(&head.plain, "");
            lines.float(sample.shown());
            lines.end(exemplar.as_deref());
        }
        Value::Histogram(histogram) => lines.histogram(head, histogram),
        Value::Native(native) => lines.native(head, native),
        Value::Summary(summary) => lines.summary(head, summary),
    }
}

/// The samples of one series.
struct Lines<'a> {
    out: &'a mut Vec<u8>,
    labels: &'a str,
    open: bool,
    /// In milliseconds since 1970.
    time: Option<u64>,
}

impl Lines<'_> {
    /// Writes name, labels and one label more, if it is not empty.
    fn name(&mut self, name: &Name, more: &str) {
        let out = &mut *self.out;
        if self.labels.is_empty() && more.is_empty() {
            out.extend_from_slice(name.bare.as_bytes());
            out.push(b' ');
            return;
        }
        out.extend_from_slice(name.open.as_bytes());
        out.extend_from_slice(self.labels.as_bytes());
        if !self.labels.is_empty() && !more.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(more.as_bytes());
        out.extend_from_slice(b"} ");
    }

    fn float(&mut self, value: f64) {
        if self.open {
            write_open_float(self.out, value);
        } else {
            write_float(self.out, value);
        }
    }

    /// Counts are integers in OpenMetrics, and numbers like all others in the text format.
    fn count(&mut self, value: u64) {
        if self.open {
            write_integer(self.out, value);
        } else {
            write_float(self.out, value as f64);
        }
    }

    fn end(&mut self, exemplar: Option<&Exemplar>) {
        if let Some(time) = self.time {
            self.out.push(b' ');
            if self.open {
                write_open_float(self.out, time as f64 / 1000.0);
            } else {
                write_integer(self.out, time);
            }
        }
        if let Some(exemplar) = exemplar.filter(|exemplar| self.open && exemplar.is_traced()) {
            self.exemplar(exemplar);
        }
        self.out.push(b'\n');
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.out.extend_from_slice(b" # {");
        let ids: [(&str, &[u8]); 2] = [
            ("trace_id=\"", &exemplar.trace_id),
            ("span_id=\"", &exemplar.span_id),
        ];
        let mut first = true;
        for (label, id) in ids {
            if id.iter().all(|byte| *byte == 0) {
                continue;
            }
            if !first {
                self.out.push(b',');
            }
            first = false;
            self.out.extend_from_slice(label.as_bytes());
            write_hex(self.out, id);
            self.out.push(b'"');
        }
        self.out.extend_from_slice(b"} ");
        write_open_float(self.out, exemplar.value);
        self.out.push(b' ');
        write_open_float(self.out, exemplar.time as f64 / 1e9);
    }

    fn histogram(&mut self, head: &Head, histogram: &Histogram) {
        let mut sum = 0_u64;
        let bounds = &histogram.bounds;
        let buckets = bounds.labels(self.open).zip(&histogram.counts);
        for (at, (label, count)) in buckets.enumerate() {
            sum = sum.saturating_add(*count);
            self.name(&head.bucket, label);
            self.count(sum);
            self.end(histogram.exemplar(at));
        }
        if !bounds.reach_infinity() {
            let above = histogram.exemplar(histogram.counts.len());
            self.infinity(head, histogram.count, above);
        }
        self.total(head, histogram.sum, histogram.count);
    }

    /// Text has no place for exponential buckets: what is left are the count and the sum.
    fn native(&mut self, head: &Head, native: &Native) {
        self.infinity(head, native.count, None);
        self.total(head, native.sum, native.count);
    }

    fn infinity(&mut self, head: &Head, count: u64, exemplar: Option<&Exemplar>) {
        self.name(&head.bucket, INFINITY);
        self.count(count);
        self.end(exemplar);
    }

    fn summary(&mut self, head: &Head, summary: &Summary) {
        let mut label = Vec::new();
        for (quantile, value) in &summary.quantiles {
            label.clear();
            label.extend_from_slice(b"quantile=\"");
            if self.open {
                write_open_float(&mut label, *quantile);
            } else {
                write_float(&mut label, *quantile);
            }
            label.push(b'"');
            self.name(&head.plain, std::str::from_utf8(&label).unwrap_or_default());
            self.float(*value);
            self.end(None);
        }
        self.total(head, summary.sum, summary.count);
    }

    fn total(&mut self, head: &Head, sum: f64, count: u64) {
        self.name(&head.sum, "");
        self.float(sum);
        self.end(None);
        self.name(&head.count, "");
        self.count(count);
        self.end(None);
    }
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}
