//! A batch: segments of OTLP protobuf, their context and the receipt that answers for them.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{Context, Receipt, Reservation, Signal};

/// One whole `Export…ServiceRequest` in canonical form.
///
/// It lives in an exactly sized buffer of its own, so it pins nothing else.
#[derive(Clone, Debug)]
pub struct Segment {
    bytes: Bytes,
    items: usize,
    /// Gives the bytes back to the budget when the last clone goes.
    hold: Option<Arc<Reservation>>,
}

impl Segment {
    /// A segment of bytes that are canonical and hold `items` records.
    ///
    /// The door, the splicer and the splitter make segments; nobody else should need to.
    #[must_use]
    pub fn new(bytes: Bytes, items: usize, hold: Option<Arc<Reservation>>) -> Self {
        Self { bytes, items, hold }
    }

    /// The request.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Spans, data points or log records in it.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.items
    }

    /// Its share of the byte budget.
    #[must_use]
    pub const fn hold(&self) -> Option<&Arc<Reservation>> {
        self.hold.as_ref()
    }
}

/// Telemetry of one signal, without anything that answers for it.
///
/// A request has one repeated top-level field, so segments put one after the other are one
/// valid request: merging is appending. Cloning counts references and copies no bytes.
#[derive(Clone, Debug)]
pub struct Payload {
    signal: Signal,
    segments: SmallVec<[Segment; 1]>,
    items: usize,
    bytes: usize,
}

impl Payload {
    /// A payload without a record.
    #[must_use]
    pub fn empty(signal: Signal) -> Self {
        Self {
            signal,
            segments: SmallVec::new(),
            items: 0,
            bytes: 0,
        }
    }

    /// A payload of one segment.
    #[must_use]
    pub fn from_segment(signal: Signal, segment: Segment) -> Self {
        let mut payload = Self::empty(signal);
        payload.push(segment);
        payload
    }

    /// The kind of telemetry.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.signal
    }

    /// The segments in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Spans, data points or log records in all segments.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.items
    }

    /// Bytes of all segments: the size of the request that they make together.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it holds no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Adds a segment at the end.
    pub fn push(&mut self, segment: Segment) {
        self.items += segment.items;
        self.bytes += segment.bytes.len();
        self.segments.push(segment);
    }

    /// Adds the segments of another payload of the same signal.
    pub fn append(&mut self, other: Self) {
        debug_assert_eq!(self.signal, other.signal);
        self.items += other.items;
        self.bytes += other.bytes;
        self.segments.extend(other.segments);
    }

    /// Takes the segments out.
    #[must_use]
    pub fn into_segments(self) -> SmallVec<[Segment; 1]> {
        self.segments
    }
}

/// Telemetry on its way through the pipelines.
///
/// A batch is not `Clone`: [`Batch::fork`] makes a branch that shares the receipt, and
/// cloning the [`Payload`] keeps the bytes without answering for them.
#[derive(Debug)]
pub struct Batch {
    payload: Payload,
    context: Context,
    receipt: Receipt,
}

impl Batch {
    /// A batch of a payload, with what is known of its sender and what is owed to it.
    #[must_use]
    pub const fn new(payload: Payload, context: Context, receipt: Receipt) -> Self {
        Self {
            payload,
            context,
            receipt,
        }
    }

    /// The kind of telemetry.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.payload.signal
    }

    /// Spans, data points or log records.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.payload.items
    }

    /// The telemetry.
    #[must_use]
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Replaces the telemetry, keeping context and receipt.
    pub fn set_payload(&mut self, payload: Payload) {
        self.payload = payload;
    }

    /// What is known of the sender.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// What is owed to the sender.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// What is owed to the sender, to be settled or added to.
    pub const fn receipt_mut(&mut self) -> &mut Receipt {
        &mut self.receipt
    }

    /// A branch: the same telemetry and another share of the receipt.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            payload: self.payload.clone(),
            context: self.context.clone(),
            receipt: self.receipt.fork(),
        }
    }

    /// Takes the batch apart.
    #[must_use]
    pub fn into_parts(self) -> (Payload, Context, Receipt) {
        (self.payload, self.context, self.receipt)
    }
}
