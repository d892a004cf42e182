//! Extensions: what serves the process, not the data.

pub mod admin;
pub mod file_storage;
pub mod health_check;

use std::sync::Arc;

use tidegate_component::{Entry, Extension};

/// Every extension.
pub static ALL: &[Entry<Arc<dyn Extension>>] = &[
    Entry::of::<admin::Config>(),
    Entry::of::<file_storage::Config>(),
    Entry::of::<health_check::Config>(),
];
