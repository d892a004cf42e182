//! Handing over between the process that runs and the one that follows.
//!
//! The running process waits on a unix socket (`service.handover.socket`). The one that follows
//! asks in two steps, so that one that cannot start changes nothing:
//!
//! ```text
//! new  tidegate-handover 1 prepare
//! old  sockets 2                     the listening sockets, as SCM_RIGHTS
//!      (the new one checks whatever it can check without them)
//! new  commit
//! old  stopping 25                   seconds that its drain may take
//!      (the old one stops accepting, drains, closes its storages)
//! old  released
//! ```
//!
//! Until `commit` the old process goes on whatever happens; from then on it ends. A connection
//! that breaks stands for `released`: the process has ended. Lines end in a line feed; each side
//! makes sure that the other runs as the same user.

mod give;
mod take;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use give::{Committed, Giving, remove};
pub(crate) use take::prepare;

/// The version of the protocol.
const VERSION: &str = "1";
/// What the first line begins with.
const GREETING: &str = "tidegate-handover";
/// Sockets that one message can carry; the kernel's limit is 253.
const MOST_SOCKETS: usize = 200;
