//! The Kubernetes API, as far as components need it: objects by name, collections listed and watched.
//!
//! Only a handful of fields of few kinds of objects are ever read here, so each component reads
//! them off the JSON itself, and this module knows none of their types.

mod access;
mod api;
mod kubeconfig;
#[cfg(any(test, feature = "testing"))]
pub mod scripted;
#[cfg(test)]
mod tests;
mod watch;

pub use access::{Access, AccessKeys, AuthType, Authorize, Surroundings, Token};
pub use api::{Api, ApiError};
pub use watch::{Came, Collection, Event, Watch};
