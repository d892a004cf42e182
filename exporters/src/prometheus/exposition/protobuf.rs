//! Protobuf: each family an `io.prometheus.client.MetricFamily` message after its length.
//!
//! The only format with exponential histograms and with the times since which series count. A family's message is
//! made whole, because its length stands before it.

use tidegate_pdata::wire::{
    WireType, put_bytes, put_fixed64, put_head, put_tag, put_uint, put_varint,
};

use super::Style;
use crate::prometheus::family::{Family, Kind};
use crate::prometheus::labels::pairs;
use crate::prometheus::series::Series;
use crate::prometheus::value::{Buckets, Exemplar, Histogram, Native, State, Summary, Value};

/// What counts as zero where a source says nothing of it.
pub(crate) const ZERO_THRESHOLD: f64 = 1e-128;
/// Empty buckets that are cheaper written than skipped.
const SMALL_GAP: i64 = 2;

/// Writes a family, if it shows a series.
pub(super) fn write_family(family: &Family, style: Style, horizon: u64, out: &mut Vec<u8>) {
    let escaping = style.exposition.escaping;
    let mut message = Vec::new();
    put_bytes(&mut message, 1, escaping.apply(&family.name).as_bytes());
    put_bytes(&mut message, 2, family.help.as_bytes());
    let kind = match family.kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Summary => 2,
        Kind::Histogram => 4,
    };
    put_uint(&mut message, 3, kind);
    let empty = message.len();
    let mut metric = Vec::new();
    family.visit(0, |series| {
        series.with(|state| {
            if state.updated >= horizon {
                metric.clear();
                write_metric(&mut metric, family.kind, series, state, style);
                put_bytes(&mut message, 4, &metric);
            }
        });
        true
    });
    if message.len() > empty {
        put_varint(out, message.len() as u64);
        out.extend_from_slice(&message);
    }
}

fn write_metric(out: &mut Vec<u8>, kind: Kind, series: &Series, state: &State, style: Style) {
    let escaping = style.exposition.escaping;
    for (name, value) in pairs(&series.labels.text) {
        nested(out, 1, |label| {
            put_bytes(label, 1, escaping.apply(&name).as_bytes());
            put_bytes(label, 2, value.as_bytes());
        });
    }
    match &state.value {
        Value::Number(sample, _) if kind == Kind::Gauge => {
            nested(out, 2, |gauge| put_double(gauge, 1, sample.shown()));
        }
        Value::Number(sample, exemplar) => nested(out, 3, |counter| {
            put_double(counter, 1, sample.shown());
            if let Some(exemplar) = exemplar {
                nested(counter, 2, |out| write_exemplar(out, exemplar));
            }
            put_created(counter, 3, state);
        }),
        Value::Summary(summary) => nested(out, 4, |out| write_summary(out, summary, state)),
        Value::Histogram(histogram) => {
            nested(out, 7, |out| write_histogram(out, histogram, state));
        }
        Value::Native(native) => nested(out, 7, |out| write_native(out, native, state)),
    }
    if style.timestamps && state.time > 0 {
        put_uint(out, 6, state.time / 1_000_000);
    }
}

fn write_summary(out: &mut Vec<u8>, summary: &Summary, state: &State) {
    put_uint(out, 1, summary.count);
    put_double(out, 2, summary.sum);
    for (quantile, value) in &summary.quantiles {
        nested(out, 3, |out| {
            put_double(out, 1, *quantile);
            put_double(out, 2, *value);
        });
    }
    put_created(out, 4, state);
}

fn write_histogram(out: &mut Vec<u8>, histogram: &Histogram, state: &State) {
    put_uint(out, 1, histogram.count);
    put_double(out, 2, histogram.sum);
    let mut sum = 0_u64;
    let bounds = histogram.bounds.values().iter().zip(&histogram.counts);
    for (at, (bound, count)) in bounds.enumerate() {
        sum = sum.saturating_add(*count);
        write_bucket(out, sum, *bound, histogram.exemplar(at));
    }
    // The bucket of infinity goes without saying, but for its exemplar.
    if let above @ Some(_) = histogram.exemplar(histogram.counts.len()) {
        write_bucket(out, histogram.count, f64::INFINITY, above);
    }
    put_created(out, 15, state);
}

fn write_bucket(out: &mut Vec<u8>, count: u64, bound: f64, exemplar: Option<&Exemplar>) {
    nested(out, 3, |bucket| {
        put_uint(bucket, 1, count);
        put_double(bucket, 2, bound);
        if let Some(exemplar) = exemplar {
            nested(bucket, 3, |out| write_exemplar(out, exemplar));
        }
    });
}

fn write_native(out: &mut Vec<u8>, native: &Native, state: &State) {
    put_uint(out, 1, native.count);
    put_double(out, 2, native.sum);
    put_sint(out, 5, i64::from(native.scale));
    let threshold = if native.zero_threshold > 0.0 {
        native.zero_threshold
    } else {
        ZERO_THRESHOLD
    };
    put_double(out, 6, threshold);
    put_uint(out, 7, native.zero_count);
    for (buckets, spans, deltas) in [(&native.negative, 9, 10), (&native.positive, 12, 13)] {
        write_buckets(out, buckets, spans, deltas);
    }
    put_created(out, 15, state);
    for exemplar in &native.exemplars {
        nested(out, 16, |out| write_exemplar(out, exemplar));
    }
}

/// Writes buckets as spans of neighbours, and their counts as differences to the one before.
///
/// Prometheus's bucket of index i ends where OTLP's of index i − 1 does.
pub(crate) fn write_buckets(out: &mut Vec<u8>, buckets: &Buckets, spans: u32, deltas: u32) {
    let mut shape: Vec<(i64, u64)> = Vec::new();
    let mut counts: Vec<i64> = Vec::new();
    let mut next = 0;
    for (index, count) in buckets.iter() {
        let index = i64::from(index) + 1;
        let gap = index - next;
        match shape.last_mut() {
            Some((_, length)) if gap <= SMALL_GAP => {
                *length += gap.unsigned_abs() + 1;
                counts.extend((0..gap).map(|_| 0));
            }
            _ => shape.push((gap, 1)),
        }
        counts.push(i64::try_from(count).unwrap_or(i64::MAX));
        next = index + 1;
    }
    for (offset, length) in shape {
        nested(out, spans, |span| {
            put_sint(span, 1, offset);
            put_uint(span, 2, length);
        });
    }
    let mut last = 0_i64;
    for count in counts {
        put_sint(out, deltas, count.wrapping_sub(last));
        last = count;
    }
}

fn write_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    let ids: [(&str, &[u8]); 2] = [
        ("trace_id", &exemplar.trace_id),
        ("span_id", &exemplar.span_id),
    ];
    for (name, id) in ids {
        if id.iter().any(|byte| *byte != 0) {
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            nested(out, 1, |label| {
                put_bytes(label, 1, name.as_bytes());
                put_bytes(label, 2, hex.as_bytes());
            });
        }
    }
    put_double(out, 2, exemplar.value);
    put_time(out, 3, exemplar.time);
}

/// Writes since when a series counts, where it is known.
fn put_created(out: &mut Vec<u8>, field: u32, state: &State) {
    // In its first second nobody knew what time it was.
    if state.start >= 1_000_000_000 {
        put_time(out, field, state.start);
    }
}

/// Writes a `google.protobuf.Timestamp`.
fn put_time(out: &mut Vec<u8>, field: u32, nanos: u64) {
    nested(out, field, |time| {
        put_uint(time, 1, nanos / 1_000_000_000);
        put_uint(time, 2, nanos % 1_000_000_000);
    });
}

fn put_double(out: &mut Vec<u8>, field: u32, value: f64) {
    put_fixed64(out, field, value.to_bits());
}

fn put_sint(out: &mut Vec<u8>, field: u32, value: i64) {
    put_tag(out, field, WireType::Varint);
    put_varint(out, zigzag(value));
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// Writes a message whose size is known only when it is written.
fn nested(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let body = out.len() - start;
    // The head goes before the body by turning the two around: bodies are small.
    put_head(out, field, body);
    out[start..].rotate_left(body);
}
