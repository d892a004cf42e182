//! Receivers: what brings telemetry in.

use tidegate_component::{Entry, Receiver};

/// Every receiver.
pub static ALL: &[Entry<Box<dyn Receiver>>] = &[];
