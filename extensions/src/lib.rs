//! Extensions: what serves the process, not the data.

pub mod admin;
pub mod health_check;

use tidegate_component::{Entry, Extension};

/// Every extension.
pub static ALL: &[Entry<Box<dyn Extension>>] = &[
    Entry::of::<admin::Config>(),
    Entry::of::<health_check::Config>(),
];
