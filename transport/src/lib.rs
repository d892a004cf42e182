//! What components share on the wire.

pub mod pages;
pub mod tls;
