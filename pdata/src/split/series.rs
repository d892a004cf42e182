//! What tells the points of one series from others.

use super::Dealt;
use crate::wire::Cursor;

/// Hashes series, remembering what the points of one metric have in common.
pub(super) struct SeriesHash<H> {
    hash: H,
    resource: Common,
    metric: Common,
    /// The field of a point that holds its attributes.
    attributes: u32,
}

/// A message, by where it lies, and its hash.
#[derive(Default)]
struct Common {
    at: (usize, usize),
    hash: u64,
}

impl Common {
    /// Whether this is the message that was seen last.
    fn is(&mut self, message: &[u8]) -> bool {
        let at = (message.as_ptr() as usize, message.len());
        let same = self.at == at;
        self.at = at;
        same
    }
}

/// Fields of `ResourceMetrics`, `Resource`, `Metric`.
const RESOURCE: u32 = 1;
const RESOURCE_ATTRIBUTES: u32 = 1;
const NAME: u32 = 1;

impl<H: FnMut(&[u8]) -> u64> SeriesHash<H> {
    pub(super) fn new(hash: H) -> Self {
        Self {
            hash,
            resource: Common::default(),
            metric: Common::default(),
            attributes: 0,
        }
    }

    /// The hash of a point's series: of the resource's attributes, the metric's name and the
    /// point's attributes, these in whatever order.
    pub(super) fn of(&mut self, point: Dealt<'_>) -> u64 {
        if !self.resource.is(point.resource) {
            let resource = Cursor::new(point.resource).find(|field| field.number == RESOURCE);
            let resource = resource.map_or(&[][..], |field| field.bytes);
            self.resource.hash = self.sum(resource, RESOURCE_ATTRIBUTES);
        }
        if !self.metric.is(point.metric) {
            self.begin(point.metric);
        }
        let attributes = self.sum(point.record, self.attributes);
        let parts = [self.resource.hash, self.metric.hash, attributes];
        let mut bytes = [0; 24];
        for (place, part) in bytes.chunks_exact_mut(8).zip(parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        (self.hash)(&bytes)
    }

    /// Looks at a metric: its name, and what kind its points are of.
    fn begin(&mut self, metric: &[u8]) {
        self.metric.hash = 0;
        self.attributes = 0;
        for field in Cursor::new(metric) {
            match field.number {
                NAME => self.metric.hash = (self.hash)(field.bytes),
                // Gauge, sum and summary; histogram; exponential histogram.
                5 | 7 | 11 => self.attributes = 7,
                9 => self.attributes = 9,
                10 => self.attributes = 1,
                _ => {}
            }
        }
    }

    /// The sum of the hashes of a message's fields of this number.
    fn sum(&mut self, message: &[u8], number: u32) -> u64 {
        let entries = Cursor::new(message).filter(|field| field.number == number);
        entries.fold(0, |sum: u64, entry| {
            sum.wrapping_add((self.hash)(entry.bytes))
        })
    }
}
