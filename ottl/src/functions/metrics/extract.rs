//! Metrics that are made of parts of the one at hand.

use tidegate_pdata::splice::Part;
use tidegate_pdata::view::{
    Attributes, ExponentialHistogramDataPoint, HistogramDataPoint, Repeated, SummaryDataPoint, View,
};
use tidegate_pdata::wire::{put_bytes, put_fixed64};

use super::{Args, Fault, Subject, add, data, put_names, put_sum, temporality, text};
use crate::tree::Tree;
use crate::value::{put_any, put_entry_message};

/// What a point of a histogram or a summary counts.
struct Source<'a> {
    attributes: Attributes<'a>,
    start: u64,
    time: u64,
    count: u64,
    sum: Option<f64>,
}

fn sources(number: u32, bytes: &[u8]) -> Vec<Source<'_>> {
    let points = Repeated::<'_, &[u8]>::new(bytes, 1);
    points
        .map(|point| match number {
            9 => {
                let fields = HistogramDataPoint::of(point).fields();
                Source {
                    attributes: fields.attributes,
                    start: fields.start_time_unix_nano,
                    time: fields.time_unix_nano,
                    count: fields.count,
                    sum: fields.sum,
                }
            }
            10 => {
                let fields = ExponentialHistogramDataPoint::of(point).fields();
                Source {
                    attributes: fields.attributes,
                    start: fields.start_time_unix_nano,
                    time: fields.time_unix_nano,
                    count: fields.count,
                    sum: fields.sum,
                }
            }
            _ => {
                let fields = SummaryDataPoint::of(point).fields();
                Source {
                    attributes: fields.attributes,
                    start: fields.start_time_unix_nano,
                    time: fields.time_unix_nano,
                    count: fields.count,
                    sum: Some(fields.sum),
                }
            }
        })
        .collect()
}

enum Number {
    Int(u64),
    Double(f64),
}

/// Writes a point of a sum or a gauge.
fn put_point(out: &mut Vec<u8>, source: &Source<'_>, value: &Number, extra: Option<(&[u8], f64)>) {
    let mut point = Vec::new();
    for (number, nanos) in [(2, source.start), (3, source.time)] {
        if nanos != 0 {
            put_fixed64(&mut point, number, nanos);
        }
    }
    match value {
        Number::Double(value) => put_fixed64(&mut point, 4, value.to_bits()),
        Number::Int(value) => put_fixed64(&mut point, 6, *value),
    }
    let mut message = Vec::new();
    let mut entry = Vec::new();
    for (key, value) in source.attributes {
        if extra.is_some_and(|(replaced, _)| replaced == key.as_bytes()) {
            continue;
        }
        message.clear();
        put_any(&mut message, value);
        put_attribute(&mut point, &mut entry, key.as_bytes(), &message);
    }
    if let Some((key, value)) = extra {
        message.clear();
        Tree::Double(value).put(&mut message);
        put_attribute(&mut point, &mut entry, key, &message);
    }
    put_bytes(out, 1, &point);
}

/// Writes an attribute of a number point, whose field differs from that of an entry of a map.
fn put_attribute(point: &mut Vec<u8>, entry: &mut Vec<u8>, key: &[u8], message: &[u8]) {
    entry.clear();
    put_entry_message(entry, key, message);
    if let Some(field) = tidegate_pdata::wire::Cursor::new(entry).next() {
        put_bytes(point, 7, field.bytes);
    }
}

/// The points made of each that has a value.
fn points(sources: &[Source<'_>], value: impl Fn(&Source<'_>) -> Option<Number>) -> Vec<u8> {
    let mut out = Vec::new();
    for source in sources {
        if let Some(value) = value(source) {
            put_point(&mut out, source, &value, None);
        }
    }
    out
}

const fn counted(source: &Source<'_>) -> Option<Number> {
    Some(Number::Int(source.count))
}

fn summed(source: &Source<'_>) -> Option<Number> {
    source.sum.map(Number::Double)
}

pub(super) fn count(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    // The unit of what is counted says nothing of how often it came.
    extract(args, subject, "_count", Some(b"1"), counted)
}

pub(super) fn sum(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    extract(args, subject, "_sum", None, summed)
}

fn extract(
    args: &Args,
    subject: &mut Subject<'_>,
    suffix: &str,
    unit: Option<&[u8]>,
    value: impl Fn(&Source<'_>) -> Option<Number>,
) -> Result<(), Fault> {
    let found = data(subject).filter(|data| matches!(data.number, 9..=11));
    let Some(data) = found else {
        return Err(Fault::new("a histogram or a summary is needed"));
    };
    let temporality = match data.number {
        11 => 2,
        _ => tidegate_pdata::wire::Cursor::new(data.bytes)
            .find(|field| field.number == 2)
            .map_or(0, |field| field.scalar),
    };
    if temporality == 0 {
        return Err(Fault::new("the metric has no aggregation temporality"));
    }
    let points = points(&sources(data.number, data.bytes), value);
    if points.is_empty() {
        return Ok(());
    }
    let suffix = args.constant(1).unwrap_or(suffix.as_bytes());
    let mut metric = Vec::new();
    let name = [text(subject, 1), suffix].concat();
    let unit = unit.unwrap_or_else(|| text(subject, 3));
    put_names(&mut metric, &name, text(subject, 2), unit);
    put_sum(
        &mut metric,
        &points,
        temporality,
        args.constant_bool(0) == Some(true),
    );
    add(subject, &metric)
}

pub(super) fn summary_count(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    of_summary(args, subject, "_count", counted)
}

pub(super) fn summary_sum(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    of_summary(args, subject, "_sum", summed)
}

fn of_summary(
    args: &Args,
    subject: &mut Subject<'_>,
    suffix: &str,
    value: impl Fn(&Source<'_>) -> Option<Number>,
) -> Result<(), Fault> {
    let Some(data) = data(subject).filter(|data| data.number == 11) else {
        return Ok(());
    };
    let points = points(&sources(11, data.bytes), value);
    let suffix = args.constant(2).unwrap_or(suffix.as_bytes());
    let mut metric = Vec::new();
    let name = [text(subject, 1), suffix].concat();
    put_names(&mut metric, &name, text(subject, 2), text(subject, 3));
    let monotonic = args.constant_bool(1) == Some(true);
    put_sum(&mut metric, &points, temporality(args), monotonic);
    add(subject, &metric)
}

pub(super) fn summary_quantiles(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let Some(data) = data(subject).filter(|data| data.number == 11) else {
        return Ok(());
    };
    let key = args.constant(0).unwrap_or(b"quantile");
    let mut gauge = Vec::new();
    let views = Repeated::<'_, SummaryDataPoint<'_>>::new(data.bytes, 1);
    for (source, view) in sources(11, data.bytes).iter().zip(views) {
        for quantile in view.quantile_values() {
            let value = Number::Double(quantile.value());
            put_point(&mut gauge, source, &value, Some((key, quantile.quantile())));
        }
    }
    let mut metric = Vec::new();
    let name = [text(subject, 1), args.constant(1).unwrap_or(b".quantiles")].concat();
    put_names(&mut metric, &name, text(subject, 2), text(subject, 3));
    put_bytes(&mut metric, 5, &gauge);
    add(subject, &metric)
}

pub(super) fn copy(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let mut changed = Vec::new();
    for index in 0..3 {
        if args.has(index) {
            changed.push((index as u32 + 1, args.text(index, subject)?.into_owned()));
        }
    }
    let old = subject.open.content(Part::Metric);
    let mut metric = Vec::with_capacity(old.len());
    for (number, text) in &changed {
        if !text.is_empty() {
            put_bytes(&mut metric, *number, text);
        }
    }
    for field in tidegate_pdata::wire::Cursor::new(old) {
        if !changed.iter().any(|(number, _)| *number == field.number) {
            metric.extend_from_slice(&old[field.start..field.end]);
        }
    }
    add(subject, &metric)
}
