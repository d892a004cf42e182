//! An encoded request and the stamping of it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::record::{Patch, PatchKind, Record};
use crate::count::Tally;

/// An encoded `Export…ServiceRequest` that lacks its IDs and times.
pub(crate) struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
    items: u32,
}

impl Template {
    pub(super) fn new(request: Record, items: u32) -> Self {
        Self {
            bytes: request.bytes,
            patches: request.patches,
            items,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Fills templates in with IDs, from a sequence that its seed fixes, and with the present time.
pub(crate) struct Stamper {
    state: u64,
    trace: [u8; 16],
    span: [u8; 8],
    parent: [u8; 8],
}

impl Stamper {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            trace: [0; 16],
            span: [0; 8],
            parent: [0; 8],
        }
    }

    /// Appends the request to `out`; returns what a sink should count of it.
    pub(crate) fn stamp(&mut self, template: &Template, out: &mut Vec<u8>) -> Tally {
        let now = nanos_since_epoch();
        let start = out.len();
        out.extend_from_slice(&template.bytes);
        let request = &mut out[start..];
        let mut fingerprint = 0_u64;
        for patch in &template.patches {
            let place = &mut request[patch.at..];
            match patch.kind {
                PatchKind::NewTrace => {
                    let (high, low) = (self.random(), self.random());
                    self.trace[..8].copy_from_slice(&high);
                    self.trace[8..].copy_from_slice(&low);
                    place[..16].copy_from_slice(&self.trace);
                }
                PatchKind::SameTrace => place[..16].copy_from_slice(&self.trace),
                PatchKind::Span => {
                    self.parent = self.span;
                    self.span = self.random();
                    fingerprint = fingerprint.wrapping_add(u64::from_le_bytes(self.span));
                    place[..8].copy_from_slice(&self.span);
                }
                PatchKind::Parent => place[..8].copy_from_slice(&self.parent),
                PatchKind::Time(offset) => {
                    let time = now.saturating_add_signed(offset);
                    place[..8].copy_from_slice(&time.to_le_bytes());
                }
            }
        }
        Tally {
            items: u64::from(template.items),
            fingerprint,
        }
    }

    /// The next eight bytes of a splitmix64 sequence; never all zero, which OTLP takes for "no ID".
    fn random(&mut self) -> [u8; 8] {
        loop {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = super::values::mix(self.state);
            if mixed != 0 {
                return mixed.to_le_bytes();
            }
        }
    }
}

fn nanos_since_epoch() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_nanos() as u64
}
