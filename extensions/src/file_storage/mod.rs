//! `file_storage`: a directory that sending queues are kept in.
//!
//! It opens the directory at its start and hands out a log for each exporter and signal; queues
//! do the rest. `docs/disk-queue.md` has the files and the rules.

mod config;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_component::{
    BuildContext, Extension, ExtensionContext, Notes, Promise, StartError, Storage, async_trait,
};
use tidegate_journal::{Fsync, Journal, Log, OpenError, Options, Stored};
use tokio::time::Instant;

pub use config::Config;

/// How often a lock that another process has is asked for again.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// What the configuration says, checked.
#[derive(Clone, Debug)]
struct Settings {
    directory: PathBuf,
    /// The mode of the directory, if it is to be made.
    create: Option<u32>,
    /// How long another process may keep the lock.
    patience: Duration,
    max_age: Option<Duration>,
    options: Options,
}

struct FileStorage(Arc<Directory>);

/// The directory, once it is open.
struct Directory {
    settings: Settings,
    journal: Mutex<Option<Arc<Journal>>>,
}

impl FileStorage {
    fn new(settings: Settings, cx: &BuildContext) -> Self {
        let most = settings.options.max_size;
        let directory = Arc::new(Directory {
            settings,
            journal: Mutex::new(None),
        });
        let read = Arc::downgrade(&directory);
        let used = move || read.upgrade().and_then(|directory| directory.journal());
        cx.metrics.gauge_of(
            "tidegate_storage_bytes",
            "Bytes that the files of the storage take, with room set aside.",
            &[],
            move || used().map_or(0, |journal| gauge(journal.used())),
        );
        if let Some(most) = most {
            let limit = "Bytes that the files of the storage may take.";
            let limit = cx.metrics.gauge("tidegate_storage_max_bytes", limit, &[]);
            limit.set(gauge(most));
        }
        Self(directory)
    }
}

#[async_trait]
impl Extension for FileStorage {
    async fn start(&self, _cx: ExtensionContext) -> Result<(), StartError> {
        let directory = Arc::clone(&self.0);
        let until = Instant::now() + self.0.settings.patience;
        loop {
            let attempt = Arc::clone(&directory);
            let opened = tokio::task::spawn_blocking(move || attempt.settings.open()).await;
            match opened.map_err(|fault| self.0.settings.fault(fault))? {
                Ok(journal) => {
                    *directory.opened() = Some(Arc::new(journal));
                    return Ok(());
                }
                // The process before this one may be about to let go.
                Err(OpenError::Held { .. }) if Instant::now() < until => {
                    tokio::time::sleep(LOCK_POLL).await;
                }
                Err(error) => return Err(self.0.settings.fault(error)),
            }
        }
    }

    fn storage(&self) -> Option<Arc<dyn Storage>> {
        Some(Arc::clone(&self.0) as _)
    }

    async fn stop(&self) {
        let journal = self.0.opened().take();
        // Closing writes and syncs what is left.
        let _ = tokio::task::spawn_blocking(move || drop(journal)).await;
    }
}

impl Directory {
    fn opened(&self) -> MutexGuard<'_, Option<Arc<Journal>>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> Option<Arc<Journal>> {
        self.opened().clone()
    }

    fn running(&self) -> Result<Arc<Journal>, StartError> {
        let closed = || StartError::new("the storage is not open", "it has not been started");
        self.journal().ok_or_else(closed)
    }
}

impl Storage for Directory {
    fn promise(&self) -> Promise {
        match self.settings.options.fsync {
            Fsync::Group | Fsync::Always => Promise::Durable,
            Fsync::Interval(_) => Promise::Memory,
        }
    }

    fn max_age(&self) -> Option<Duration> {
        self.settings.max_age
    }

    fn log(&self, name: &str) -> Result<Log, StartError> {
        let log = self.running()?.log(name);
        log.map_err(|error| StartError::new(format!("cannot open the log {name:?}"), error))
    }

    fn notes(&self, name: &str) -> Result<Notes, StartError> {
        let notes = self.running()?.notes(name);
        notes.map_err(|error| StartError::new(format!("cannot open the notes {name:?}"), error))
    }

    fn unclaimed(&self) -> Result<Vec<Stored>, StartError> {
        let stored = self.running()?.unclaimed();
        stored.map_err(|error| self.settings.fault(error))
    }

    fn flush(&self) {
        if let Some(journal) = self.journal() {
            journal.flush();
        }
    }
}

impl Settings {
    fn open(&self) -> Result<Journal, OpenError> {
        let failed = |what| {
            move |source: io::Error| OpenError::Io {
                what,
                path: self.directory.clone(),
                source,
            }
        };
        match self.create {
            Some(mode) if !self.directory.exists() => {
                let mut builder = DirBuilder::new();
                let made = builder.recursive(true).mode(mode).create(&self.directory);
                made.map_err(failed("make the directory"))?;
                // The umask of the process is no part of what was asked for.
                let exact = std::fs::set_permissions(&self.directory, Permissions::from_mode(mode));
                exact.map_err(failed("set the permissions of"))?;
            }
            _ => {
                let there = std::fs::metadata(&self.directory);
                there.map_err(failed(
                    "find the directory (make it, or set `create_directory: true`)",
                ))?;
            }
        }
        Journal::open(&self.directory, self.options.clone())
    }

    fn fault(&self, error: impl std::error::Error + Send + Sync + 'static) -> StartError {
        let directory = self.directory.display();
        StartError::new(format!("cannot use the directory {directory}"), error)
    }
}

fn gauge(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
