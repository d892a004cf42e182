//! Extensions: what serves the process, not the data.

pub mod admin;
pub mod health_check;

use std::sync::Arc;

use tidegate_component::{Entry, Extension};

/// Every extension.
pub static ALL: &[Entry<Arc<dyn Extension>>] = &[
    Entry::of::<admin::Config>(),
    Entry::of::<health_check::Config>(),
];
