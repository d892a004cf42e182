//! OTLP/JSON in Google Cloud Storage, an object for each batch, as the Collector's
//! `googlecloudstorage` exporter keeps it.
//!
//! It is the lake of [`object_storage`](crate::object_storage) with other keys and other paths.

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{AnyExporter, BuildContext, BuildError, ComponentConfig, Stability};
use tidegate_document::ComponentId;

use crate::awss3::Compression;
use crate::object_storage::each_batch::{EachBatch, lake};
use crate::object_storage::{Element, Gcs, LineFormat, Naming, Unique};

/// Keeps each batch as an object of OTLP/JSON in a bucket of Google Cloud Storage.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Not built: there are no encoding extensions.
    pub encoding: Option<ComponentId>,
    /// The bucket and the names of objects.
    pub bucket: Bucket,
    /// Ours: how the store is reached, where it is not Google's.
    pub gcs: Gcs,
}

/// The bucket and the names of objects.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bucket {
    /// Accepted and without effect: it is needed only to make a bucket.
    pub project_id: String,
    /// The bucket.
    pub name: String,
    /// What names begin with, behind the partition.
    pub file_prefix: String,
    /// The partition of objects.
    pub partition: Partition,
    /// Whether a bucket that exists is used; as no bucket is made here, it must be true.
    pub reuse_if_exists: bool,
    /// Accepted and without effect: it is needed only to make a bucket.
    pub region: String,
    /// How objects are compressed: gzip, zstd or not at all.
    pub compression: Compression,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            project_id: String::new(),
            name: String::new(),
            file_prefix: "logs".to_owned(),
            partition: Partition::default(),
            reuse_if_exists: false,
            region: String::new(),
            compression: Compression::None,
        }
    }
}

/// The partition of objects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Partition {
    /// The time of arrival in UTC, in a format of strftime.
    pub format: String,
    /// What stands before it.
    pub prefix: String,
}

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "googlecloudstorage";
    const STABILITY: Stability = Stability::Alpha;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults {
        timeout_ms: 30_000,
        queue: false,
        retry: true,
        ..DeliveryDefaults::UNTIMED
    });

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        let bucket = &self.bucket;
        if bucket.name.is_empty() {
            return Err(BuildError::at("bucket::name", "there is no bucket")
                .remedy("write the bucket's name"));
        }
        if self.encoding.is_some() {
            return Err(
                BuildError::at("encoding", "there are no encoding extensions")
                    .remedy("take the key away: records are written as OTLP/JSON"),
            );
        }
        if !bucket.reuse_if_exists {
            return Err(
                BuildError::at("bucket::reuse_if_exists", "buckets are not made here")
                    .remedy("make the bucket and write `reuse_if_exists: true`"),
            );
        }
        let compression = bucket.compression.of_lines();
        let plan = EachBatch {
            elements: self.elements()?,
            group_by: None,
            naming: Naming::Prefixed {
                prefix: match bucket.file_prefix.as_str() {
                    prefix if prefix.is_empty() || prefix.ends_with('/') => prefix.to_owned(),
                    prefix => format!("{prefix}_"),
                },
                signal: false,
                unique: Unique::Process,
            },
            extension: compression.suffix().trim_start_matches('.').to_owned(),
            format: LineFormat::Json { ended: false },
            compression,
        };
        let target = self.gcs.target(&bucket.name, "", "bucket")?;
        Ok(lake(plan, target, cx))
    }
}

impl Config {
    fn elements(&self) -> Result<Vec<Element>, BuildError> {
        let partition = &self.bucket.partition;
        let mut elements = vec![Element::Fixed(partition.prefix.clone())];
        if !partition.format.is_empty() {
            let time = Element::time(&partition.format, TimeZone::UTC)
                .map_err(|message| BuildError::at("bucket::partition::format", message))?;
            elements.push(time);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_component::testing::read;

    use super::*;

    #[test]
    fn what_is_not_built_is_refused_by_its_key() {
        for (yaml, path) in [
            ("{}", "bucket::name"),
            ("{bucket: {name: b}}", "bucket::reuse_if_exists"),
            (
                "{bucket: {name: b, reuse_if_exists: true}, encoding: a}",
                "encoding",
            ),
            (
                "{bucket: {name: b, reuse_if_exists: true, partition: {format: '%!'}}}",
                "bucket::partition::format",
            ),
        ] {
            let id = "googlecloudstorage".parse().unwrap();
            let context = BuildContext::detached("exporter", id);
            let error = read::<Config>(yaml).build(&context).err().unwrap();
            assert_eq!(error.path, path, "{yaml}");
        }
    }
}
