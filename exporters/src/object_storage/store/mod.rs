//! Stores: a local directory, S3, Google Cloud Storage, Azure.

mod azure;
mod gcs;
mod local;
mod s3;
mod url;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    Attributes, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig,
};
use tidegate_component::ExportError;

pub use azure::Azure;
pub use gcs::Gcs;
pub(crate) use s3::Bucket;
pub use s3::S3;
pub(super) use url::Stores;

/// Where objects go.
pub(crate) struct Target {
    store: Arc<dyn ObjectStore>,
    /// What every path begins with.
    pub(super) root: Path,
    /// How messages name it.
    pub(super) name: Arc<str>,
    attributes: Attributes,
    /// Whether the store takes objects that must not be there yet.
    conditional: AtomicBool,
    /// Whether it is a directory.
    is_local: bool,
}

/// How a put went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// The object is there now.
    Done,
    /// The object was there: an earlier attempt had come through.
    WasThere,
}

impl Target {
    pub(super) fn new(store: impl ObjectStore, root: Path, name: &str) -> Self {
        Self {
            store: Arc::new(store),
            root,
            name: name.into(),
            attributes: Attributes::new(),
            conditional: AtomicBool::new(true),
            is_local: false,
        }
    }

    /// Gives every object these attributes.
    pub(super) fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Says that it is a directory.
    pub(super) fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Puts an object, which must not be there yet.
    ///
    /// Names are never used twice, so an object that is there is this one, put by an attempt whose
    /// answer was lost. A store without conditions gets the same bytes under the same name again.
    pub(super) async fn put(&self, path: &Path, content: Bytes) -> Result<Put, ExportError> {
        if self.conditional.load(Relaxed) {
            match self.put_as(PutMode::Create, path, &content).await {
                Ok(()) => return Ok(Put::Done),
                Err(Error::AlreadyExists { .. }) => return self.was_there(path).await,
                Err(error) if knows_no_conditions(&error) => {
                    self.conditional.store(false, Relaxed);
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        let put = self.put_as(PutMode::Overwrite, path, &content).await;
        put.map(|()| Put::Done).map_err(|error| self.failed(error))
    }

    /// The path of an object that was named before, by this target or another.
    pub(super) fn path(&self, name: &str) -> Result<Path, ExportError> {
        Path::parse(name).map_err(|error| self.refused(error.to_string()))
    }

    /// Whether there is an object.
    pub(super) async fn has(&self, path: &Path) -> Result<bool, ExportError> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Makes sure of an object that was there: a directory may have been about to forget it.
    async fn was_there(&self, path: &Path) -> Result<Put, ExportError> {
        if self.is_local {
            let file = file_of(path);
            let kept = tokio::task::spawn_blocking(move || local::keep_name(&file)).await;
            kept.unwrap_or_else(|torn| Err(torn.into()))
                .map_err(|error| ExportError::Retryable {
                    endpoint: Arc::clone(&self.name),
                    source: error.into(),
                })?;
        }
        Ok(Put::WasThere)
    }

    /// Takes away what a process that died while it put an object has left beside it.
    ///
    /// Only a directory has such things: stores take an object in one request, whole or not.
    pub(super) async fn clear_leftovers(&self, path: &Path) {
        if self.is_local {
            let file = file_of(path);
            // What cannot be taken away is in nobody's way: no reader takes it for an object.
            let _ = tokio::task::spawn_blocking(move || local::clear_leftovers(&file)).await;
        }
    }

    /// What is wrong for good.
    pub(super) fn refused(&self, reason: String) -> ExportError {
        ExportError::Permanent {
            endpoint: Arc::clone(&self.name),
            reason,
            divisible: false,
        }
    }

    async fn put_as(&self, mode: PutMode, path: &Path, content: &Bytes) -> Result<(), Error> {
        let options = PutOptions {
            mode,
            attributes: self.attributes.clone(),
            ..PutOptions::default()
        };
        let payload = PutPayload::from_bytes(content.clone());
        self.store
            .put_opts(path, payload, options)
            .await
            .map(|_| ())
    }

    /// What an error means: what is wrong with a store may be mended while the data waits, but a
    /// path that no store takes stays one.
    fn failed(&self, error: Error) -> ExportError {
        let endpoint = Arc::clone(&self.name);
        match error {
            Error::InvalidPath { source } => self.refused(source.to_string()),
            error => ExportError::Retryable {
                endpoint,
                source: fault(&error).into(),
            },
        }
    }
}

/// The file that an object in a directory is.
fn file_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("/{path}"))
}

/// The innermost reasons of an error on one line; object_store says each at every level.
fn fault(error: &Error) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a store does not know conditional puts, as some that speak S3.
fn knows_no_conditions(error: &Error) -> bool {
    match error {
        Error::NotImplemented { .. } | Error::NotSupported { .. } => true,
        other => {
            let text = other.to_string();
            text.contains("501 Not Implemented") || text.contains("<Code>NotImplemented</Code>")
        }
    }
}

/// Clients of stores: the engine sets the time for an attempt, and repeats it.
fn client() -> ClientOptions {
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(Duration::from_secs(5))
        .with_user_agent(http::HeaderValue::from_static(concat!(
            "tidegate/",
            env!("CARGO_PKG_VERSION")
        )))
}

fn no_retry() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}
