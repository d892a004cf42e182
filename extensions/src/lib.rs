//! Extensions: what serves the process, not the data.

pub mod admin;
pub mod basicauth;
pub mod bearertokenauth;
mod credentials;
pub mod file_storage;
pub mod headers_setter;
pub mod health_check;
pub mod healthcheckv2;
pub mod pprof;
mod site;
pub mod zpages;

use std::sync::Arc;

use tidegate_component::{Entry, Extension};

/// Every extension.
pub static ALL: &[Entry<Arc<dyn Extension>>] = &[
    Entry::of::<admin::Config>(),
    Entry::of::<basicauth::Config>(),
    Entry::of::<bearertokenauth::Config>(),
    Entry::of::<file_storage::Config>(),
    Entry::of::<headers_setter::Config>(),
    Entry::of::<health_check::Config>(),
    Entry::of::<healthcheckv2::Config>(),
    Entry::of::<pprof::Config>(),
    Entry::of::<zpages::Config>(),
];
