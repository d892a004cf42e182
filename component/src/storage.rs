//! Storages: extensions that keep what queues hold on disk.

use std::time::Duration;

use tidegate_journal::{Log, Stored};

use crate::{Promise, StartError};

/// A directory of logs that queues stand on; an extension offers it ([`crate::Extension::storage`]).
pub trait Storage: Send + Sync {
    /// What a record is worth that the storage has: durable, or memory where it syncs only now
    /// and then.
    fn promise(&self) -> Promise;

    /// How old a record may get before its queue drops it.
    fn max_age(&self) -> Option<Duration>;

    /// Opens the log of this name, which nobody else has open. Asked for once the extension has
    /// been started, where blocking does no harm.
    ///
    /// # Errors
    /// Names the file or directory that is at fault.
    fn log(&self, name: &str) -> Result<Log, StartError>;

    /// Logs on disk that nobody has opened: those of exporters that were removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn unclaimed(&self) -> Result<Vec<Stored>, StartError>;

    /// Returns once all that was appended and marked before has been written. Blocks.
    fn flush(&self);
}
