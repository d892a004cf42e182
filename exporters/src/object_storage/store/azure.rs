//! Azure Blob Storage.

use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Secret;

use super::{Target, client, no_retry};

/// How Azure is reached. What is not said here comes from the environment
/// (`AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, …) or from the machine's identity.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Azure {
    /// The storage account.
    pub account: Option<String>,
    /// A key of the account.
    pub access_key: Option<Secret>,
    /// The URL of the account, as `http://127.0.0.1:10000/devstoreaccount1` of an emulator.
    pub endpoint: Option<String>,
}

impl Azure {
    /// The target of a container.
    pub(super) fn target(&self, container: &str, prefix: &str) -> Result<Target, BuildError> {
        let mut builder = MicrosoftAzureBuilder::from_env()
            .with_client_options(client().with_allow_http(self.endpoint.is_some()))
            .with_retry(no_retry())
            .with_container_name(container);
        if let Some(account) = &self.account {
            builder = builder.with_account(account);
        }
        if let Some(key) = &self.access_key {
            builder = builder.with_access_key(key.reveal());
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let store = builder.build().map_err(|error| {
            BuildError::at("url", format!("this is no store: {error}"))
                .remedy("write `azure: {account: …}` or set AZURE_STORAGE_ACCOUNT_NAME")
        })?;
        let root = Path::parse(prefix).map_err(|error| {
            BuildError::at("url", format!("\"{prefix}\" is no prefix: {error}"))
        })?;
        Ok(Target::new(store, root, &format!("az://{container}")))
    }
}
