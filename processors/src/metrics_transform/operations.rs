//! What is done to the points of a metric.

use std::collections::HashMap;

use tidegate_pdata::compose::{
    Fields, Value, exemplar, exponential_point, histogram_point, number_point,
};
use tidegate_pdata::exponential;
use tidegate_pdata::view::{Attributes, KeyValue};
use tidegate_pdata::wire::{Cursor, Field};

use super::filter::Filter;
use crate::merge::{Aggregation, Merger};
use crate::message::{Arena, attribute, copy_but, text_of};
use crate::metric::Metric;

/// One thing that is done to points.
pub(super) enum Operation {
    AddLabel {
        label: Box<str>,
        value: Box<str>,
    },
    UpdateLabel {
        label: Box<str>,
        new_label: Option<Box<str>>,
        values: HashMap<Box<str>, Box<str>>,
    },
    DeleteLabelValue {
        label: Box<str>,
        value: Box<str>,
    },
    ToggleScalarDataType,
    Scale(f64),
    AggregateLabels {
        labels: Vec<Box<str>>,
        aggregation: Option<Aggregation>,
    },
    AggregateLabelValues {
        label: Box<str>,
        values: Vec<Box<str>>,
        new_value: Box<str>,
        aggregation: Option<Aggregation>,
    },
}

/// What became of points.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Points deleted.
    pub(super) deleted: usize,
    /// Points that went into others.
    pub(super) merged: usize,
}

impl Operation {
    /// Does it to a metric. `all` says whether all of its points match, as some operations need.
    pub(super) fn apply(
        &self,
        metric: &mut Metric<'_>,
        (filter, all): (&Filter, bool),
        (arena, merger): (&mut Arena, &mut Merger),
        gone: &mut Gone,
    ) {
        let field = metric.attributes_field();
        match self {
            Self::UpdateLabel {
                label,
                new_label,
                values,
            } => edit(metric, arena, |point, out| {
                filter.matches_point(Attributes::new(point, field))
                    && update_label(point, field, (label, new_label.as_deref()), values, out)
            }),
            Self::ToggleScalarDataType if matches!(metric.kind(), 5 | 7) => {
                edit(metric, arena, |point, out| {
                    filter.matches_point(Attributes::new(point, field)) && toggle(point, out)
                });
            }
            Self::Scale(factor) => {
                let kind = metric.kind();
                edit(metric, arena, |point, out| {
                    filter.matches_point(Attributes::new(point, field))
                        && scale(point, kind, *factor, out)
                });
            }
            _ if !all => {}
            Self::ToggleScalarDataType => {}
            Self::AddLabel { label, value } => edit(metric, arena, |point, out| {
                add_label(point, field, (label, value), out)
            }),
            Self::DeleteLabelValue { label, value } => {
                let before = metric.points().len();
                metric.points().retain(|point| {
                    let text = text_of(Attributes::new(arena.get(point), field), label);
                    text != Some(value.as_bytes())
                });
                gone.deleted += before - metric.points().len();
            }
            // Summaries cannot be put together.
            Self::AggregateLabels { .. } | Self::AggregateLabelValues { .. }
                if !matches!(metric.kind(), 5 | 7 | 9 | 10) => {}
            Self::AggregateLabels {
                labels,
                aggregation,
            } => {
                edit(metric, arena, |point, out| {
                    keep_labels(point, field, labels, out)
                });
                gone.merged += merger.merge(metric, *aggregation, arena);
            }
            Self::AggregateLabelValues {
                label,
                values,
                new_value,
                aggregation,
            } => {
                edit(metric, arena, |point, out| {
                    let text = text_of(Attributes::new(point, field), label);
                    let is_one = |text| values.iter().any(|value| value.as_bytes() == text);
                    text.is_some_and(is_one)
                        && set_label(point, field, (label, label), new_value, out)
                });
                gone.merged += merger.merge(metric, *aggregation, arena);
            }
        }
    }
}

/// Has points written anew.
pub(super) fn edit(
    metric: &mut Metric<'_>,
    arena: &mut Arena,
    mut write: impl FnMut(&[u8], &mut Fields) -> bool,
) {
    for point in metric.points() {
        arena.rewrite(point, &mut write);
    }
}

/// Adds a label, unless there is one.
fn add_label(point: &[u8], field: u32, (label, value): (&str, &str), out: &mut Fields) -> bool {
    if Attributes::new(point, field).get(label).is_some() {
        return false;
    }
    out.raw(point);
    out.attribute(field, label, value);
    true
}

/// Gives a point a label, in the place of another of that name.
pub(super) fn put_label(point: &[u8], field: u32, label: &str, value: &[u8], out: &mut Fields) {
    copy_but(point, out, |number, bytes| {
        number == field && key_of(bytes) == label.as_bytes()
    });
    let value = String::from_utf8_lossy(value);
    attribute(out, field, label.as_bytes(), Value::Str(&value));
}

fn key_of(entry: &[u8]) -> &[u8] {
    let field = Cursor::new(entry).find(|field| field.number == 1);
    field.map_or(&[], |field| field.bytes)
}

fn update_label(
    point: &[u8],
    field: u32,
    (label, new_label): (&str, Option<&str>),
    values: &HashMap<Box<str>, Box<str>>,
    out: &mut Fields,
) -> bool {
    let attributes = Attributes::new(point, field);
    let Some(text) = text_of(attributes, label) else {
        return false;
    };
    let value = std::str::from_utf8(text)
        .ok()
        .and_then(|text| values.get(text));
    match (new_label, value) {
        (None, None) => false,
        (new_label, Some(value)) => set_label(
            point,
            field,
            (label, new_label.unwrap_or(label)),
            value,
            out,
        ),
        (Some(new_label), None) => {
            let same = attributes.entries().find(|entry| entry.key() == label);
            let value = same.as_ref().map_or(&[][..], KeyValue::value_bytes);
            write_label(point, field, (label, new_label), Value::Message(value), out);
            true
        }
    }
}

/// Gives a label another name and another value.
fn set_label(point: &[u8], field: u32, names: (&str, &str), value: &str, out: &mut Fields) -> bool {
    write_label(point, field, names, Value::Str(value), out);
    true
}

fn write_label(
    point: &[u8],
    field: u32,
    (label, new_label): (&str, &str),
    value: Value<'_>,
    out: &mut Fields,
) {
    let left_out = |number, bytes: &[u8]| {
        let is_one = |key: &[u8]| key == label.as_bytes() || key == new_label.as_bytes();
        number == field && is_one(key_of(bytes))
    };
    copy_but(point, out, left_out);
    attribute(out, field, new_label.as_bytes(), value);
}

/// Takes all labels away but these.
fn keep_labels(point: &[u8], field: u32, labels: &[Box<str>], out: &mut Fields) -> bool {
    let is_kept = |key: &[u8]| labels.iter().any(|label| label.as_bytes() == key);
    let before = point.len();
    copy_but(point, out, |number, bytes| {
        number == field && !is_kept(key_of(bytes))
    });
    out.len() < before
}

/// Makes a floating-point number of a whole one, or the other way round.
fn toggle(point: &[u8], out: &mut Fields) -> bool {
    const VALUES: [u32; 2] = [number_point::AS_DOUBLE, number_point::AS_INT];
    let value = Cursor::new(point).filter(|field| VALUES.contains(&field.number));
    let Some(value) = value.last() else {
        return false;
    };
    copy_but(point, out, |number, _| VALUES.contains(&number));
    if value.number == number_point::AS_INT {
        out.double(number_point::AS_DOUBLE, value.scalar as i64 as f64);
    } else {
        out.int(number_point::AS_INT, value.double() as i64); // saturates
    }
    true
}

fn scaled_int(field: &Field<'_>, factor: f64) -> i64 {
    (field.scalar as i64 as f64 * factor) as i64 // saturates
}

/// Multiplies the values of a point.
fn scale(point: &[u8], kind: u32, factor: f64, out: &mut Fields) -> bool {
    match kind {
        5 | 7 => scale_number(point, factor, out),
        9 => scale_histogram(point, factor, out),
        10 => scale_exponential(point, factor, out),
        _ => return false,
    }
    true
}

fn scale_number(point: &[u8], factor: f64, out: &mut Fields) {
    use number_point::{AS_DOUBLE, AS_INT};
    each(point, out, |field, out| {
        match field.number {
            AS_DOUBLE => out.double(AS_DOUBLE, field.double() * factor),
            AS_INT => out.int(AS_INT, scaled_int(field, factor)),
            _ => return false,
        }
        true
    });
}

fn scale_histogram(point: &[u8], factor: f64, out: &mut Fields) {
    use histogram_point::{EXEMPLARS, EXPLICIT_BOUNDS, MAX, MIN, SUM};
    each(point, out, |field, out| {
        match field.number {
            SUM | MIN | MAX => out.double(field.number, field.double() * factor),
            EXPLICIT_BOUNDS => {
                let bounds = field.bytes.as_chunks().0.iter();
                let scaled = bounds.map(|bound| f64::from_le_bytes(*bound) * factor);
                out.packed_doubles(EXPLICIT_BOUNDS, scaled);
            }
            EXEMPLARS => scale_exemplar(field, factor, out),
            _ => return false,
        }
        true
    });
}

fn scale_exponential(point: &[u8], factor: f64, out: &mut Fields) {
    use exponential_point::{EXEMPLARS, MAX, MIN, NEGATIVE, POSITIVE, SCALE, SUM, ZERO_THRESHOLD};
    let scale = Cursor::new(point).find(|field| field.number == SCALE);
    let scale = scale.map_or(0, |field| unzigzag(field.scalar));
    each(point, out, |field, out| {
        match field.number {
            SUM | MIN | MAX | ZERO_THRESHOLD => out.double(field.number, field.double() * factor),
            POSITIVE | NEGATIVE => out.message(field.number, |out| {
                move_buckets(field.bytes, scale, factor, out);
            }),
            EXEMPLARS => scale_exemplar(field, factor, out),
            _ => return false,
        }
        true
    });
}

const fn unzigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Moves buckets to where the middle of the first lies then.
fn move_buckets(buckets: &[u8], scale: i32, factor: f64, out: &mut Fields) {
    use exponential_point::{BUCKET_COUNTS, OFFSET};
    let mut offset = 0;
    let mut has_counts = false;
    for field in Cursor::new(buckets) {
        match field.number {
            OFFSET => offset = unzigzag(field.scalar),
            BUCKET_COUNTS => has_counts |= !field.bytes.is_empty(),
            _ => {}
        }
    }
    if !has_counts {
        out.raw(buckets);
        return;
    }
    let base = (-f64::from(scale)).exp2().exp2();
    let bound = |at: f64| base.powf(at);
    let middle = f64::midpoint(bound(offset.into()), bound(f64::from(offset) + 1.0));
    copy_but(buckets, out, |number, _| number == OFFSET);
    out.zigzag(OFFSET, exponential::bucket_of(middle * factor, scale));
}

fn scale_exemplar(field: &Field<'_>, factor: f64, out: &mut Fields) {
    use exemplar::{AS_DOUBLE, AS_INT};
    out.message(field.number, |out| {
        each(field.bytes, out, |value, out| {
            match value.number {
                AS_DOUBLE => out.double(AS_DOUBLE, value.double() * factor),
                AS_INT => out.int(AS_INT, scaled_int(value, factor)),
                _ => return false,
            }
            true
        });
    });
}

/// Writes a message field by field; what `write` does not write is copied.
fn each(message: &[u8], out: &mut Fields, mut write: impl FnMut(&Field<'_>, &mut Fields) -> bool) {
    for field in Cursor::new(message) {
        if !write(&field, out) {
            out.raw(&message[field.start..field.end]);
        }
    }
}
