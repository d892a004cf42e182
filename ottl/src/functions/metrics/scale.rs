//! Multiplying a metric.

use tidegate_pdata::splice::Part;
use tidegate_pdata::wire::{Cursor, Field, WireType, put_bytes, put_fixed64};

use super::{Args, Fault, Subject, data};
use tidegate_pdata::splice::NewField;

pub(super) fn scale(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let factor = args
        .double_like(0, subject)?
        .ok_or_else(|| Fault::new("the multiplier is nil"))?;
    let unit = if args.has(1) {
        Some(args.text(1, subject)?.into_owned())
    } else {
        None
    };
    let Some(found) = data(subject) else {
        return Err(Fault::new("the metric has no type"));
    };
    let point: fn(&Field<'_>, f64, &mut Vec<u8>, &[u8]) = match found.number {
        5 | 7 => number_field,
        9 => histogram_field,
        11 => summary_field,
        _ => {
            return Err(Fault::new(
                "exponential histograms are not supported by scale_metric",
            ));
        }
    };
    let number = found.number;
    let mut points = Vec::with_capacity(found.bytes.len());
    for field in Cursor::new(found.bytes) {
        if field.number == 1 {
            put_bytes(&mut points, 1, &scaled(field.bytes, factor, point));
        } else {
            points.extend_from_slice(&found.bytes[field.start..field.end]);
        }
    }
    subject
        .open
        .set(Part::Metric, number, NewField::Bytes(&points));
    if let Some(unit) = unit {
        let field = if unit.is_empty() {
            NewField::Absent
        } else {
            NewField::Bytes(&unit)
        };
        subject.open.set(Part::Metric, 3, field);
    }
    Ok(())
}

/// A message with its fields handed through, one by one.
fn scaled(message: &[u8], factor: f64, put: fn(&Field<'_>, f64, &mut Vec<u8>, &[u8])) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for field in Cursor::new(message) {
        put(&field, factor, &mut out, &message[field.start..field.end]);
    }
    out
}

fn double(field: &Field<'_>, factor: f64, out: &mut Vec<u8>) {
    put_fixed64(out, field.number, (field.double() * factor).to_bits());
}

fn int(field: &Field<'_>, factor: f64, out: &mut Vec<u8>) {
    let value = (field.scalar as i64 as f64 * factor) as i64;
    put_fixed64(out, field.number, value as u64);
}

fn number_field(field: &Field<'_>, factor: f64, out: &mut Vec<u8>, whole: &[u8]) {
    match field.number {
        4 => double(field, factor, out),
        6 => int(field, factor, out),
        _ => out.extend_from_slice(whole),
    }
}

fn histogram_field(field: &Field<'_>, factor: f64, out: &mut Vec<u8>, whole: &[u8]) {
    match field.number {
        5 | 11 | 12 => double(field, factor, out),
        7 if field.wire == WireType::Len => {
            let (bounds, _) = field.bytes.as_chunks();
            let bounds = bounds.iter().flat_map(|bound| {
                (f64::from_le_bytes(*bound) * factor)
                    .to_bits()
                    .to_le_bytes()
            });
            put_bytes(out, 7, &bounds.collect::<Vec<u8>>());
        }
        8 => put_bytes(out, 8, &scaled(field.bytes, factor, exemplar_field)),
        _ => out.extend_from_slice(whole),
    }
}

fn exemplar_field(field: &Field<'_>, factor: f64, out: &mut Vec<u8>, whole: &[u8]) {
    match field.number {
        3 => double(field, factor, out),
        6 => int(field, factor, out),
        _ => out.extend_from_slice(whole),
    }
}

fn summary_field(field: &Field<'_>, factor: f64, out: &mut Vec<u8>, whole: &[u8]) {
    match field.number {
        5 => double(field, factor, out),
        6 => put_bytes(out, 6, &scaled(field.bytes, factor, quantile_field)),
        _ => out.extend_from_slice(whole),
    }
}

fn quantile_field(field: &Field<'_>, factor: f64, out: &mut Vec<u8>, whole: &[u8]) {
    match field.number {
        2 => double(field, factor, out),
        _ => out.extend_from_slice(whole),
    }
}
