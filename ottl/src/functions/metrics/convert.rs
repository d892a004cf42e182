//! From one kind of metric to another.

use tidegate_pdata::splice::Part;
use tidegate_pdata::wire::{Cursor, put_bytes, put_uint};

use super::{Args, Fault, Subject, temporality};

/// The fields of a metric's data that a gauge and a sum number alike: its points.
const POINTS: u32 = 1;

pub(super) fn sum_to_gauge(_: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    convert(subject, 7, 5, |_| {});
    Ok(())
}

pub(super) fn gauge_to_sum(args: &Args, subject: &mut Subject<'_>) -> Result<(), Fault> {
    let temporality = temporality(args);
    let monotonic = args.constant_bool(1) == Some(true);
    convert(subject, 5, 7, |sum| {
        put_uint(sum, 2, temporality);
        if monotonic {
            put_uint(sum, 3, 1);
        }
    });
    Ok(())
}

/// Writes the points under another kind, if the metric is of the one.
fn convert(subject: &mut Subject<'_>, from: u32, to: u32, finish: impl FnOnce(&mut Vec<u8>)) {
    let old = subject.open.content(Part::Metric);
    let Some(data) = Cursor::new(old).find(|field| field.number == from) else {
        return;
    };
    let mut points = Vec::with_capacity(data.bytes.len() + 4);
    for field in Cursor::new(data.bytes).filter(|field| field.number == POINTS) {
        points.extend_from_slice(&data.bytes[field.start..field.end]);
    }
    finish(&mut points);
    let mut new = Vec::with_capacity(old.len() + 4);
    for field in Cursor::new(old) {
        if field.number == from {
            put_bytes(&mut new, to, &points);
        } else {
            new.extend_from_slice(&old[field.start..field.end]);
        }
    }
    subject.open.replace(Part::Metric, &new);
}
