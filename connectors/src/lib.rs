//! Connectors: what joins pipelines.

use tidegate_component::{Entry, Connector};

/// Every connector.
pub static ALL: &[Entry<Box<dyn Connector>>] = &[];
