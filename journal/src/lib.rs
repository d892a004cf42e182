//! The log on disk that sending queues with `storage` stand on.
//!
//! ```text
//! append ─▶ channel ─▶ committer: write the group, sync, tell ─▶ segments ─▶ cursor, read
//!                            ▲ mark (no sync)                        └─▶ quarantine
//! ```
//!
//! A [`Journal`] is a directory that one process holds. It has a [`Log`] for each exporter and
//! signal. Records go in as parts of bytes and come back as the same bytes; what they mean is
//! their owner's business. A record that was told durable and not marked comes back after
//! whatever crash, each once per replay; a mark that a crash takes lets its record come again.
//! Beside the logs it keeps [`Notes`]: small values under names.
//! `docs/disk-queue.md` has the format of the files and the rules.

mod append;
mod bits;
mod catalog;
mod committer;
mod cursor;
pub mod disk;
mod error;
mod flights;
mod format;
#[cfg(any(test, feature = "testing"))]
pub mod hostile;
mod inspect;
mod journal;
mod load;
mod log;
mod marks;
mod names;
mod notes;
mod options;
mod quarantine;
mod rewrite;
mod seal;
mod segment;
mod spare;
mod state;
mod tally;
mod verdict;
mod withdrawal;
mod writer;

#[cfg(test)]
mod tests;

pub use catalog::Position;
pub use cursor::Cursor;
pub use error::{OpenError, ReadError, Refused};
pub use flights::Flight;
pub use inspect::{Inspector, LogReport, Met, Quarantined};
pub use journal::{Journal, Stored};
pub use log::{Done, Draft, Extent, Kept, Log, Record};
pub use notes::{Change, Notes};
pub use options::{Fsync, MAX_RECORD, MAX_SEGMENT, MIN_SEGMENT, Options};
pub use tally::Counts;
pub use withdrawal::Withdrawal;
