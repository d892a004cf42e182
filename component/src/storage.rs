//! Storages: extensions that keep what queues hold on disk.

use std::sync::Arc;
use std::time::Duration;

use tidegate_document::ComponentId;
use tidegate_journal::{Log, Stored};

pub use tidegate_journal::Notes;

use crate::{BuildError, Promise, StartError};

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

    /// Opens the notes of this name, which nobody else has open: small values under names, as receivers
    /// keep their places in. Asked for as a log is.
    ///
    /// # Errors
    /// Names the file or directory that is at fault, or says that this storage has none.
    fn notes(&self, name: &str) -> Result<Notes, StartError> {
        let message = format!("cannot keep notes of {name:?}");
        Err(StartError::new(message, "this storage keeps queues alone"))
    }

    /// Logs on disk that nobody has opened: those of exporters that were removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn unclaimed(&self) -> Result<Vec<Stored>, StartError>;

    /// Returns once all that was appended and marked before has been written. Blocks.
    fn flush(&self);
}

/// An extension, and the storage that it is, if it is one.
type Named = (ComponentId, Option<Arc<dyn Storage>>);

/// The storages of a configuration, as components that name one find it.
#[derive(Clone, Default)]
pub struct Storages(Arc<[Named]>);

impl Storages {
    /// The extensions of the service, those that are no storage among them.
    #[must_use]
    pub fn new(extensions: Vec<Named>) -> Self {
        Self(extensions.into())
    }

    /// The storage that a component names under the key `path`.
    ///
    /// # Errors
    /// When the service has no such extension, or it is no storage.
    pub fn named(&self, wanted: &ComponentId, path: &str) -> Result<Arc<dyn Storage>, BuildError> {
        let Some((_, storage)) = self.0.iter().find(|(id, _)| id == wanted) else {
            let message = format!("there is no extension `{wanted}` in the service");
            let remedy = "define it under `extensions` and name it in `service::extensions`";
            return Err(BuildError::at(path, message).remedy(remedy));
        };
        storage.clone().ok_or_else(|| {
            let message = format!("the extension `{wanted}` stores nothing");
            BuildError::at(path, message).remedy("name a `file_storage`")
        })
    }
}

impl std::fmt::Debug for Storages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.0.iter().map(|(id, _)| id);
        f.debug_list().entries(names).finish()
    }
}
