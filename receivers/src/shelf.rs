//! A storage in a folder, for tests of what keeps notes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_component::{Notes, Promise, StartError, Storage, Storages};
use tidegate_journal::{Journal, Log, Options, Stored};

/// A storage in a folder.
pub(crate) struct Shelf(Journal);

impl Shelf {
    pub(crate) fn storages(folder: &Path) -> Storages {
        let journal = Journal::open(&folder.join("storage"), Options::default()).unwrap();
        let shelf: Arc<dyn Storage> = Arc::new(Self(journal));
        Storages::new(vec![("file_storage".parse().unwrap(), Some(shelf))])
    }
}

impl Storage for Shelf {
    fn promise(&self) -> Promise {
        Promise::Durable
    }

    fn max_age(&self) -> Option<Duration> {
        None
    }

    fn log(&self, name: &str) -> Result<Log, StartError> {
        self.0
            .log(name)
            .map_err(|error| StartError::new("no log", error))
    }

    fn notes(&self, name: &str) -> Result<Notes, StartError> {
        self.0
            .notes(name)
            .map_err(|error| StartError::new("no notes", error))
    }

    fn unclaimed(&self) -> Result<Vec<Stored>, StartError> {
        Ok(Vec::new())
    }

    fn flush(&self) {}
}
