//! Receivers: what brings telemetry in.

pub mod otlp;

use tidegate_component::{Entry, Receiver};

/// Every receiver.
pub static ALL: &[Entry<Box<dyn Receiver>>] = &[Entry::of::<otlp::Config>()];
