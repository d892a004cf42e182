//! Stores: a local directory, S3, Google Cloud Storage, Azure.

mod azure;
mod gcs;
mod local;
mod s3;
mod url;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{
    Attributes, ClientOptions, Error, ObjectStore, PutMode, PutOptions, PutPayload, RetryConfig,
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
        }
    }

    /// Gives every object these attributes.
    pub(super) fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
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
                Err(Error::AlreadyExists { .. }) => return Ok(Put::WasThere),
                Err(error) if knows_no_conditions(&error) => {
                    self.conditional.store(false, Relaxed);
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
        let put = self.put_as(PutMode::Overwrite, path, &content).await;
        put.map(|()| Put::Done).map_err(|error| self.failed(error))
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
            Error::InvalidPath { source } => ExportError::Permanent {
                endpoint,
                reason: source.to_string(),
                divisible: false,
            },
            error => ExportError::Retryable {
                endpoint,
                source: fault(&error).into(),
            },
        }
    }
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
