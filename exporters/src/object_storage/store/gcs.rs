//! Google Cloud Storage.

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::path::Path;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;

use super::{Target, client, no_retry};

/// How Google Cloud Storage is reached. Without a word here, credentials come from the
/// environment (`GOOGLE_APPLICATION_CREDENTIALS`, …), from gcloud's own file or from the machine.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gcs {
    /// The file with the key of a service account.
    pub service_account_path: Option<String>,
    /// The URL of another server of the XML API, as for tests.
    pub endpoint: Option<String>,
    /// Whether requests go unsigned, as to a server for tests.
    pub anonymous: bool,
}

impl Gcs {
    /// The target of a bucket.
    pub(crate) fn target(
        &self,
        bucket: &str,
        prefix: &str,
        key: &str,
    ) -> Result<Target, BuildError> {
        let mut builder = GoogleCloudStorageBuilder::from_env()
            .with_client_options(client().with_allow_http(self.endpoint.is_some()))
            .with_retry(no_retry())
            .with_bucket_name(bucket);
        if let Some(path) = &self.service_account_path {
            builder = builder.with_service_account_path(path);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if self.anonymous {
            // Without a credential of its own a put would ask the machine for one.
            let nobody = GcpCredential {
                bearer: String::new(),
            };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(nobody)));
        }
        let store = builder
            .build()
            .map_err(|error| BuildError::at(key, format!("this is no store: {error}")))?;
        let root = Path::parse(prefix)
            .map_err(|error| BuildError::at(key, format!("\"{prefix}\" is no prefix: {error}")))?;
        Ok(Target::new(store, root, &format!("gs://{bucket}")))
    }
}
