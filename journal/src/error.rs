//! What goes wrong, one type per decision of the caller.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

/// Why a directory or a log in it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has the directory.
    #[error(
        "{} is in use by process {holder}; stop that process or choose another directory",
        path.display()
    )]
    Held {
        /// The directory.
        path: PathBuf,
        /// The process as it wrote itself down, or a question mark.
        holder: String,
    },
    /// The log is open already.
    #[error("the log {name:?} is open already; each exporter and signal needs a log of its own")]
    Claimed {
        /// The log's name.
        name: String,
    },
    /// The name is empty or too long for a file name.
    #[error("the log {name:?} needs a name of 1 to 240 bytes once escaped")]
    Name {
        /// The log's name.
        name: String,
    },
    /// The files were written by a later version.
    #[error(
        "{} has format version {version}, which this build does not know; use the build that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// No file of the log tells which log it is.
    #[error(
        "nothing in {} tells which log it is; move it away for another look and start again",
        path.display()
    )]
    Unrecognized {
        /// The log's directory.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io<'a>(
        what: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a record was not taken. Nothing holds it; other logs and deliveries go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// There is no room: the file system is full or `max_size` is reached.
    #[error("the disk queue is full: {0}")]
    Full(&'static str),
    /// The record is larger than any may be.
    #[error("a record of {0} bytes is larger than a disk queue takes (1 GiB)")]
    TooLarge(u64),
    /// The directory, or the lock in it, was taken away.
    #[error("the directory of the disk queue was removed while in use; restart to make it anew")]
    Gone,
    /// The file system could not write it or make it durable.
    #[error("the disk queue cannot be written")]
    Failed(#[source] Arc<io::Error>),
    /// The journal is closed.
    #[error("the disk queue is closed")]
    Closed,
}

impl Refused {
    /// What an error of the file system means for those who append.
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::Full("no space left on the file system"),
            io::ErrorKind::QuotaExceeded => Self::Full("the quota of the file system is used up"),
            io::ErrorKind::NotFound => Self::Gone,
            _ if error.raw_os_error() == Some(Errno::STALE.raw_os_error()) => Self::Gone,
            _ => Self::Failed(Arc::new(error)),
        }
    }
}

/// Why a record cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was marked delivered, is too old, or was never there.
    #[error("the record is not in the disk queue any more")]
    Gone,
    /// Its bytes are damaged; it was moved to quarantine and counted.
    #[error("the record is damaged on disk and was put into quarantine")]
    Damaged,
    /// The file system could not read it.
    #[error("the disk queue cannot be read")]
    Io(#[from] io::Error),
}
