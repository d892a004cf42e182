//! Where a receiver was in what a collection tells, kept for the next process.

use std::sync::{Arc, Mutex, PoisonError};

use tidegate_component::{Notes, StartError, Storage};

/// The places of a receiver's collections, in one file of notes.
#[derive(Clone)]
pub(crate) struct Places(Arc<Mutex<Notes>>);

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Places").finish()
    }
}

impl Places {
    /// Opens the notes of a receiver, if it has a storage.
    pub(crate) async fn open(
        storage: Option<Arc<dyn Storage>>,
        receiver: String,
    ) -> Result<Option<Self>, StartError> {
        let Some(storage) = storage else {
            return Ok(None);
        };
        let notes = tokio::task::spawn_blocking(move || storage.notes(&receiver));
        let notes = notes
            .await
            .map_err(|error| StartError::new("the storage cannot be read", error))?;
        Ok(Some(Self(Arc::new(Mutex::new(notes?)))))
    }

    /// The place in one collection.
    pub(crate) fn of(&self, collection: String) -> Place {
        Place {
            kept: self.read(&collection),
            places: self.clone(),
            collection,
        }
    }

    fn read(&self, collection: &str) -> Option<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = notes.iter();
        let (_, version) = notes.find(|(name, _)| *name == collection)?;
        String::from_utf8(version.to_vec()).ok()
    }
}

/// Where it was in one collection: the version up to which everything has been handed over.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    collection: String,
    kept: Option<String>,
}

impl Place {
    /// The version that the process before kept.
    pub(crate) fn version(&self) -> Option<String> {
        self.kept.clone()
    }

    /// Keeps a version, if it is another.
    pub(crate) fn keep(&mut self, version: &str) {
        if self.kept.as_deref() == Some(version) {
            return;
        }
        let mut notes = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.change([(self.collection.as_str(), Some(version.as_bytes()))]) {
            Ok(()) => self.kept = Some(version.to_owned()),
            Err(error) => {
                tracing::error!(%error, "the place in what Kubernetes tells cannot be kept");
            }
        }
    }
}
