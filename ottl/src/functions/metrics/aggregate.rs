//! Putting points together whose attributes have become the same.

use std::borrow::Cow;

use tidegate_pdata::splice::Part;
use tidegate_pdata::view::{Attributes, HistogramDataPoint, Number, NumberDataPoint, View};
use tidegate_pdata::wire::{Cursor, put_bytes, put_fixed64};

use super::{Args, Fault, Misuse, Subject, data};
use crate::tree::{self, Tree};
use crate::value::put_entry_message;
use tidegate_pdata::splice::NewField;

#[derive(Clone, Copy, PartialEq)]
enum Aggregation {
    Sum,
    Mean,
    Min,
    Max,
    Median,
    Count,
}

impl Aggregation {
    fn of(args: &Args) -> Option<Self> {
        Some(match args.constant_str(0)? {
            "sum" => Self::Sum,
            "mean" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "median" => Self::Median,
            "count" => Self::Count,
            _ => return None,
        })
    }
}

pub(super) fn check(args: &mut Args) -> Result<(), Misuse> {
    match Aggregation::of(args) {
        Some(_) => Ok(()),
        None => Err((
            0,
            "the functions are \"sum\", \"mean\", \"min\", \"max\", \"median\" and \"count\""
                .to_owned(),
        )),
    }
}

pub(super) fn on_attributes(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let kept = args.has(1).then(|| args.constants(1).collect::<Vec<_>>());
    aggregate(args, subject, |key, value| match &kept {
        Some(kept) if !kept.contains(&key) => None,
        _ => Some(value),
    })
}

pub(super) fn on_attribute_value(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let attribute = args.constant(1).unwrap_or_default();
    let new = args.constant(3).unwrap_or_default();
    aggregate(args, subject, |key, value| {
        if key == attribute {
            let text = match &value {
                Tree::Str(text) => &**text,
                _ => b"",
            };
            if args.constants(2).any(|old| old == text) {
                return Some(Tree::Str(new.to_vec()));
            }
        }
        Some(value)
    })
}

/// Points that become one.
struct Group<'a> {
    key: Vec<u8>,
    attributes: Vec<(Vec<u8>, Tree)>,
    points: Vec<&'a [u8]>,
}

fn aggregate(
    args: &Args,
    subject: &mut Subject<'_>,
    change: impl Fn(&[u8], Tree) -> Option<Tree>,
) -> Result<(), Fault> {
    let aggregation = Aggregation::of(args).unwrap_or(Aggregation::Sum);
    let Some(found) = data(subject) else {
        return Ok(());
    };
    let number = found.number;
    let attributes_field = match number {
        5 | 7 => 7,
        9 => 9,
        10 => 1,
        _ => return Err(Fault::new("summaries cannot be aggregated")),
    };
    let is_delta =
        number != 5 && Cursor::new(found.bytes).any(|field| field.number == 2 && field.scalar == 1);
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut rest = Vec::new();
    for field in Cursor::new(found.bytes) {
        if field.number != 1 {
            rest.extend_from_slice(&found.bytes[field.start..field.end]);
            continue;
        }
        let attributes: Vec<(Vec<u8>, Tree)> = Attributes::new(field.bytes, attributes_field)
            .filter_map(|(key, value)| {
                let key = key.as_bytes();
                change(key, Tree::of(value)).map(|value| (key.to_vec(), value))
            })
            .collect();
        let key = group_key(number, field.bytes, &attributes, is_delta);
        match groups.iter_mut().find(|group| group.key == key) {
            Some(group) => group.points.push(field.bytes),
            None => groups.push(Group {
                key,
                attributes,
                points: vec![field.bytes],
            }),
        }
    }
    if number == 10 && groups.iter().any(|group| group.points.len() > 1) {
        return Err(Fault::new(
            "putting exponential histograms together is not built",
        ));
    }
    let mut out = Vec::new();
    for group in &groups {
        let mut point = match number {
            9 => histogram(&group.points),
            10 => others(group.points[0], &[1]),
            _ => numbers(&group.points, aggregation),
        };
        for (key, value) in &group.attributes {
            put_attribute(&mut point, attributes_field, key, value);
        }
        put_bytes(&mut out, 1, &point);
    }
    out.extend_from_slice(&rest);
    subject
        .open
        .set(Part::Metric, number, NewField::Bytes(&out));
    Ok(())
}

fn put_attribute(point: &mut Vec<u8>, number: u32, key: &[u8], value: &Tree) {
    let mut message = Vec::new();
    value.put(&mut message);
    let mut entry = Vec::new();
    put_entry_message(&mut entry, key, &message);
    if let Some(field) = Cursor::new(&entry).next() {
        put_bytes(point, number, field.bytes);
    }
}

/// What points that become one have in common.
fn group_key(number: u32, point: &[u8], attributes: &[(Vec<u8>, Tree)], is_delta: bool) -> Vec<u8> {
    let mut sorted: Vec<Cow<'_, (Vec<u8>, Tree)>> = attributes.iter().map(Cow::Borrowed).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let sorted: Vec<(Vec<u8>, Tree)> = sorted.into_iter().map(Cow::into_owned).collect();
    let mut key = tree::map(&sorted);
    let mut start = 0;
    for field in Cursor::new(point) {
        match field.number {
            2 => start = field.scalar,
            3 => put_fixed64(&mut key, 3, field.scalar),
            7 if number == 9 => put_bytes(&mut key, 7, field.bytes),
            10 if number == 9 => put_fixed64(&mut key, 10, field.scalar),
            11 | 12 if number == 9 => put_bytes(&mut key, field.number, &[]),
            _ => {}
        }
    }
    if is_delta {
        put_fixed64(&mut key, 2, start);
    }
    key
}

/// The fields of a point without those that are written anew.
fn others(point: &[u8], left_out: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(point.len());
    for field in Cursor::new(point).filter(|field| !left_out.contains(&field.number)) {
        out.extend_from_slice(&point[field.start..field.end]);
    }
    out
}

fn earliest(starts: impl Iterator<Item = u64>) -> u64 {
    starts.min().unwrap_or(0)
}

fn numbers(points: &[&[u8]], aggregation: Aggregation) -> Vec<u8> {
    let views: Vec<NumberDataPoint<'_>> = points.iter().map(|point| View::of(point)).collect();
    let mut out = others(points[0], &[2, 4, 6, 7]);
    let start = earliest(views.iter().map(NumberDataPoint::start_time_unix_nano));
    if start != 0 {
        put_fixed64(&mut out, 2, start);
    }
    match views[0].value() {
        Some(Number::Double(_)) => {
            let values = views
                .iter()
                .map(|view| view.value().map_or(0.0, Number::to_double));
            put_fixed64(
                &mut out,
                4,
                doubles(values.collect(), aggregation).to_bits(),
            );
        }
        Some(Number::Int(_)) => {
            let values = views.iter().map(|view| match view.value() {
                Some(Number::Int(value)) => value,
                // Adding up counts only whole numbers, as in the Collector.
                Some(Number::Double(_))
                    if matches!(aggregation, Aggregation::Sum | Aggregation::Mean) =>
                {
                    0
                }
                Some(Number::Double(value)) => value as i64,
                None => 0,
            });
            put_fixed64(&mut out, 6, ints(values.collect(), aggregation) as u64);
        }
        None => {}
    }
    out
}

fn doubles(mut values: Vec<f64>, aggregation: Aggregation) -> f64 {
    let count = values.len();
    match aggregation {
        Aggregation::Sum => values.iter().sum(),
        Aggregation::Mean => values.iter().sum::<f64>() / count as f64,
        Aggregation::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        Aggregation::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Aggregation::Count if count == 1 => values[0],
        Aggregation::Count => count as f64,
        Aggregation::Median => {
            // As Go sorts: what is no number first.
            values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
            let middle = count / 2;
            if count % 2 == 1 {
                values[middle]
            } else {
                f64::midpoint(values[middle - 1], values[middle])
            }
        }
    }
}

fn ints(mut values: Vec<i64>, aggregation: Aggregation) -> i64 {
    let count = values.len();
    let sum = || {
        values
            .iter()
            .fold(0_i64, |sum, value| sum.wrapping_add(*value))
    };
    match aggregation {
        Aggregation::Sum => sum(),
        Aggregation::Mean => sum() / count as i64,
        Aggregation::Min => values.iter().copied().min().unwrap_or(0),
        Aggregation::Max => values.iter().copied().max().unwrap_or(0),
        Aggregation::Count if count == 1 => values[0],
        Aggregation::Count => count as i64,
        Aggregation::Median => {
            values.sort_unstable();
            let middle = count / 2;
            if count % 2 == 1 {
                values[middle]
            } else {
                values[middle - 1].wrapping_add(values[middle]) / 2
            }
        }
    }
}

/// Histograms with the same bounds put together.
fn histogram(points: &[&[u8]]) -> Vec<u8> {
    if let [single] = points {
        return others(single, &[9]);
    }
    let views: Vec<HistogramDataPoint<'_>> = points.iter().map(|point| View::of(point)).collect();
    let mut out = others(points[0], &[2, 4, 5, 6, 9, 11, 12]);
    let first = views[0].fields();
    let others = || views[1..].iter().filter(|view| view.count() != 0);
    let start = earliest(
        std::iter::once(first.start_time_unix_nano)
            .chain(others().map(HistogramDataPoint::start_time_unix_nano)),
    );
    if start != 0 {
        put_fixed64(&mut out, 2, start);
    }
    let count = others().fold(first.count, |count, view| count.wrapping_add(view.count()));
    if count != 0 {
        put_fixed64(&mut out, 4, count);
    }
    let is_summed = first.sum.is_some() || others().next().is_some();
    if is_summed {
        let sum = others().fold(first.sum.unwrap_or(0.0), |sum, view| {
            sum + view.sum().unwrap_or(0.0)
        });
        put_fixed64(&mut out, 5, sum.to_bits());
    }
    let mut counts: Vec<u64> = first.bucket_counts.collect();
    for view in others() {
        for (total, count) in counts.iter_mut().zip(view.bucket_counts()) {
            *total = total.wrapping_add(count);
        }
    }
    if !counts.is_empty() {
        let packed: Vec<u8> = counts.into_iter().flat_map(u64::to_le_bytes).collect();
        put_bytes(&mut out, 6, &packed);
    }
    if let Some(min) = first.min {
        let min = others().fold(min, |min, view| min.min(view.min().unwrap_or(0.0)));
        put_fixed64(&mut out, 11, min.to_bits());
    }
    if let Some(max) = first.max {
        let max = others().fold(max, |max, view| max.max(view.max().unwrap_or(0.0)));
        put_fixed64(&mut out, 12, max.to_bits());
    }
    for view in others() {
        for field in Cursor::new(view.bytes()).filter(|field| field.number == 8) {
            put_bytes(&mut out, 8, field.bytes);
        }
    }
    out
}
