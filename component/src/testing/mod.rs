//! For tests of components: the contract that each must keep, a bench to run one on, and fakes
//! of what stands around it.
//!
//! ```text
//! #[test]
//! fn keeps_the_contract() {
//!     Contract::<Config>::new("min: info", &["min: warn"]).processor();
//! }
//! ```

mod accounts;
mod bench;
mod contract;
mod extensions;
mod fakes;
mod payloads;
mod read;
#[cfg(test)]
mod tests;

pub use bench::{ConnectorBench, ProcessorBench};
pub use contract::Contract;
pub use extensions::{extension, extension_fault};
pub use fakes::{FakeDoor, FakePeer, FakeStorage, HereWorkers, IdleStatus, unavailable};
pub use payloads::{hostile, odd, realistic};
pub use read::{findings, read};
