//! Extensions serve the process, not the data.

use std::sync::Arc;

use async_trait::async_trait;
use tidegate_document::ComponentId;

use crate::status::StatusSource;
use crate::{
    BuildError, ClientAuthenticator, Extensions, ServerAuthenticator, StartError, Storage, Workers,
};

/// What an extension gets at its start.
#[derive(Clone)]
pub struct ExtensionContext {
    /// Its name in the configuration.
    pub id: ComponentId,
    /// Where its tasks run.
    pub workers: Workers,
    /// How the pipelines are.
    pub status: Arc<dyn StatusSource>,
}

/// Serves the process. Starts before the receivers and stops after the exporters.
#[async_trait]
pub trait Extension: Send + Sync {
    /// Finds the extensions that it stands on, once all are built. Opens nothing.
    fn join(&self, _extensions: &Extensions) -> Result<(), BuildError> {
        Ok(())
    }

    /// Opens what it serves.
    async fn start(&self, cx: ExtensionContext) -> Result<(), StartError>;

    /// What it keeps for queues on disk, where it is a storage.
    fn storage(&self) -> Option<Arc<dyn Storage>> {
        None
    }

    /// What servers ask who sends them requests, where it tells.
    fn server_authenticator(&self) -> Option<Arc<dyn ServerAuthenticator>> {
        None
    }

    /// What clients have their requests signed by, where it does so.
    fn client_authenticator(&self) -> Option<Arc<dyn ClientAuthenticator>> {
        None
    }

    /// Closes.
    async fn stop(&self);
}
