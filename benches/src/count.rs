//! Counts the items of an export request without decoding them.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::wire::{Fields, Malformed, Value};

/// Items of one signal, and what tells one set of items from another of the same size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Spans, log records or data points.
    pub(crate) items: u64,
    /// The wrapping sum of the span IDs (of spans and log records) read as little-endian numbers.
    ///
    /// A lost item and a doubled one cancel out in `items`, but not here.
    pub(crate) fingerprint: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.items += other.items;
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
    }
}

/// Counts the items of one uncompressed `Export…ServiceRequest`.
pub(crate) fn tally(signal: Signal, request: &[u8]) -> Result<Tally, Malformed> {
    let mut total = Tally::default();
    each_message(request, 1, |resource| {
        each_message(resource, 2, |scope| {
            each_message(scope, 2, |record| {
                total += match signal {
                    Signal::Traces => identified(record, 2)?,
                    Signal::Logs => identified(record, 10)?,
                    Signal::Metrics => points(record)?,
                };
                Ok(())
            })
        })
    })?;
    Ok(total)
}

fn each_message<'a>(
    message: &'a [u8],
    field: u32,
    mut visit: impl FnMut(&'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if let Value::Bytes(inner) = value
            && number == field
        {
            visit(inner)?;
        }
    }
    Ok(())
}

/// One item, told from others by the span ID in `id_field`.
fn identified(record: &[u8], id_field: u32) -> Result<Tally, Malformed> {
    let mut fields = Fields::of(record);
    let mut fingerprint = 0;
    while let Some((number, value)) = fields.next()? {
        if number == id_field
            && let Value::Bytes(id) = value
            && let Ok(id) = id.try_into()
        {
            fingerprint = u64::from_le_bytes(id);
            break;
        }
    }
    Ok(Tally {
        items: 1,
        fingerprint,
    })
}

/// The data points of a metric of any kind; the kinds' fields all hold their points in field 1.
fn points(metric: &[u8]) -> Result<Tally, Malformed> {
    let mut items = 0;
    for kind in [5, 7, 9, 10, 11] {
        each_message(metric, kind, |data| {
            each_message(data, 1, |_point| {
                items += 1;
                Ok(())
            })
        })?;
    }
    Ok(Tally {
        items,
        fingerprint: 0,
    })
}
