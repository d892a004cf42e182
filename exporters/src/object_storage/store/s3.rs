//! Amazon S3, and what speaks as it does.

use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{Attribute, Attributes, RetryConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Secret;

use super::{Target, client, no_retry};

/// How S3 is reached. What is not said here comes from the environment (`AWS_REGION`,
/// `AWS_ACCESS_KEY_ID`, …) or, for credentials, from the container, the web identity or the
/// instance.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct S3 {
    /// The region, `us-east-1` where nothing says another.
    pub region: Option<String>,
    /// The URL of a store that speaks S3, as `http://minio:9000`.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path of URLs, not in their host name.
    pub force_path_style: bool,
    /// The ID of an access key.
    pub access_key_id: Option<String>,
    /// The secret of the access key.
    pub secret_access_key: Option<Secret>,
    /// The token of a session that the access key is for.
    pub session_token: Option<Secret>,
    /// The storage class of objects, as `STANDARD_IA`.
    pub storage_class: Option<String>,
}

/// A bucket of S3, as several components describe it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) path_style: bool,
    /// The ID and the secret of an access key, and the token of its session.
    pub(crate) keys: Option<(String, Secret, Option<Secret>)>,
    /// The role that a web identity takes.
    pub(crate) role: Option<String>,
    pub(crate) storage_class: Option<String>,
    pub(crate) content_encoding: Option<&'static str>,
    /// Attempts of the client's own, beside those of the engine, and the longest wait between.
    pub(crate) retries: Option<(usize, Duration)>,
}

impl Bucket {
    /// The target of this bucket; `key` is the key of the configuration that is at fault for what
    /// cannot be.
    pub(crate) fn target(&self, prefix: &str, key: &str) -> Result<Target, BuildError> {
        let mut builder = AmazonS3Builder::from_env()
            .with_client_options(client().with_allow_http(true))
            .with_retry(no_retry())
            .with_bucket_name(&self.name)
            .with_virtual_hosted_style_request(!self.path_style);
        if let Some((retries, wait)) = self.retries {
            let mut config = RetryConfig {
                max_retries: retries,
                ..RetryConfig::default()
            };
            config.backoff.max_backoff = wait;
            builder = builder.with_retry(config);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        } else if builder
            .get_config_value(&AmazonS3ConfigKey::Region)
            .is_none()
        {
            builder = builder.with_region("us-east-1");
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(self.url(endpoint));
        }
        if let Some(role) = &self.role {
            builder = builder.with_config(AmazonS3ConfigKey::RoleArn, role);
        }
        if let Some((id, secret, token)) = &self.keys {
            builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret.reveal());
            if let Some(token) = token {
                builder = builder.with_token(token.reveal());
            }
        }
        let store = builder
            .build()
            .map_err(|error| BuildError::at(key, format!("this is no store: {error}")))?;
        let root = Path::parse(prefix)
            .map_err(|error| BuildError::at(key, format!("\"{prefix}\" is no prefix: {error}")))?;
        let name = format!("s3://{}", self.name);
        Ok(Target::new(store, root, &name).with_attributes(self.attributes()))
    }

    /// The URL that requests go to: with virtual hosts the bucket is a part of the host's name.
    fn url(&self, endpoint: &str) -> String {
        let endpoint = endpoint.trim_end_matches('/');
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.path_style && !self.name.is_empty() => {
                format!("{scheme}://{}.{host}", self.name)
            }
            _ => endpoint.to_owned(),
        }
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::new();
        if let Some(class) = &self.storage_class {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        if let Some(encoding) = self.content_encoding {
            attributes.insert(Attribute::ContentEncoding, encoding.into());
        }
        attributes
    }
}

impl S3 {
    /// The target of a bucket.
    pub(super) fn target(&self, bucket: &str, prefix: &str) -> Result<Target, BuildError> {
        let keys = match (&self.access_key_id, &self.secret_access_key) {
            (Some(id), Some(secret)) => {
                Some((id.clone(), secret.clone(), self.session_token.clone()))
            }
            (None, None) => None,
            _ => {
                return Err(BuildError::at("s3", "an access key has an ID and a secret")
                    .remedy("write both `access_key_id` and `secret_access_key`, or neither"));
            }
        };
        let bucket = Bucket {
            name: bucket.to_owned(),
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            path_style: self.force_path_style,
            keys,
            storage_class: self.storage_class.clone(),
            ..Bucket::default()
        };
        bucket.target(prefix, "url")
    }
}
