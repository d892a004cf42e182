//! One record as a request of its own, for the few that their cells cannot hold exactly.

use tidegate_pdata::Signal;
use tidegate_pdata::wire::{Cursor, put_bytes};

use super::rows::Place;

/// The fields of `Metric` that hold its points.
const DATA: [u32; 5] = [5, 7, 9, 10, 11];

/// The `Export…ServiceRequest` with this record alone, its containers around it.
pub(super) fn request_of(place: &Place<'_>, signal: Signal) -> Vec<u8> {
    let record = if signal == Signal::Metrics {
        metric_of(place)
    } else {
        place.record.to_vec()
    };
    let scope = with_child(place.scope, 2, &record);
    let resource = with_child(place.resource, 2, &scope);
    let mut request = Vec::with_capacity(resource.len() + 6);
    put_bytes(&mut request, 1, &resource);
    request
}

/// The metric with this point alone.
fn metric_of(place: &Place<'_>) -> Vec<u8> {
    let mut metric = Vec::with_capacity(place.record.len() + 64);
    for field in Cursor::new(place.metric) {
        if DATA.contains(&field.number) {
            let data = with_child(field.bytes, 1, place.record);
            put_bytes(&mut metric, field.number, &data);
        } else {
            metric.extend_from_slice(&place.metric[field.start..field.end]);
        }
    }
    metric
}

/// A container with its own fields and one child.
fn with_child(container: &[u8], number: u32, child: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(child.len() + 256);
    for field in Cursor::new(container).filter(|field| field.number != number) {
        out.extend_from_slice(&container[field.start..field.end]);
    }
    put_bytes(&mut out, number, child);
    out
}
