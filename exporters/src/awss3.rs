//! OTLP in Amazon S3, an object for each batch, as the Collector's `awss3` exporter keeps it.
//!
//! It is the lake of [`object_storage`](crate::object_storage) with other keys and other paths.

use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::DeliveryDefaults;
use tidegate_component::{AnyExporter, BuildContext, BuildError, ComponentConfig, Stability};
use tidegate_document::ComponentId;
use tidegate_pdata::{Signal, Signals};

use crate::object_storage::each_batch::{EachBatch, lake};
use crate::object_storage::{Bucket, Element, LineCompression, LineFormat, Naming, Unique};

/// Keeps each batch as an object of OTLP in a bucket of Amazon S3, under the time of its arrival.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The bucket and how it is reached.
    pub s3uploader: Uploader,
    /// How records are written: otlp_json, otlp_proto or, for logs, body.
    pub marshaler: Marshaler,
    /// Not built: there are no encoding extensions.
    pub encoding: Option<ComponentId>,
    /// Not built: it goes with `encoding`.
    pub encoding_file_extension: String,
    /// Attributes of resources that say where their records go.
    pub resource_attrs_to_s3: ResourceAttributes,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Marshaler {
    /// OTLP/JSON.
    #[default]
    OtlpJson,
    /// OTLP protobuf.
    OtlpProto,
    /// The bodies of log records as text.
    Body,
    /// Not built: Sumo Logic's archive.
    SumoIc,
}

/// The bucket and how it is reached.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Uploader {
    /// The region.
    pub region: String,
    /// The bucket.
    pub s3_bucket: String,
    /// What keys begin with, behind `s3_base_prefix`.
    pub s3_prefix: String,
    /// What all keys begin with.
    pub s3_base_prefix: String,
    /// The time in keys, in a format of strftime.
    pub s3_partition_format: String,
    /// The time zone of the time in keys; the machine's own where it is empty.
    pub s3_partition_timezone: String,
    /// What names begin with.
    pub file_prefix: String,
    /// The URL of a store that speaks S3.
    pub endpoint: String,
    /// A role that the web identity of this process (AWS_WEB_IDENTITY_TOKEN_FILE) is to take.
    pub role_arn: String,
    /// Not built: it goes with a role that is taken from other credentials.
    pub external_id: String,
    /// Whether the bucket stands in the path of URLs, not in their host name.
    pub s3_force_path_style: bool,
    /// Whether to speak HTTP without TLS.
    pub disable_ssl: bool,
    /// The canned ACL; only that which a bucket gives anyway, `private`.
    pub acl: String,
    /// The storage class.
    pub storage_class: StorageClass,
    /// How objects are compressed: gzip, zstd or not at all.
    pub compression: Compression,
    /// Whether the client itself repeats what fails, before the engine does: standard, adaptive
    /// (as standard) or nop.
    pub retry_mode: RetryMode,
    /// The client's own attempts.
    pub retry_max_attempts: usize,
    /// The longest wait between them.
    pub retry_max_backoff: tidegate_document::Duration,
    /// What tells names apart: `uuidv7`, or without a word this process's UUID and a number.
    pub unique_key_func_name: UniqueKey,
}

/// What tells names apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum UniqueKey {
    /// The process's UUID and a number.
    #[default]
    #[serde(rename = "")]
    Process,
    /// A UUID of version 7.
    #[serde(rename = "uuidv7")]
    Uuid7,
}

/// How objects are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    #[serde(alias = "")]
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    pub(crate) const fn of_lines(self) -> LineCompression {
        match self {
            Self::None => LineCompression::None,
            Self::Gzip => LineCompression::Gzip,
            Self::Zstd => LineCompression::Zstd,
        }
    }
}

/// Whether the client itself repeats what fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RetryMode {
    /// It does.
    #[default]
    Standard,
    /// As standard.
    Adaptive,
    /// It does not.
    Nop,
}

/// The storage class of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Amazon documents them")]
pub enum StorageClass {
    #[default]
    Standard,
    StandardIa,
    OnezoneIa,
    IntelligentTiering,
    Glacier,
    DeepArchive,
}

impl StorageClass {
    const fn name(self) -> Option<&'static str> {
        match self {
            // What a bucket gives anyway, and what others that speak S3 may not know.
            Self::Standard => None,
            Self::StandardIa => Some("STANDARD_IA"),
            Self::OnezoneIa => Some("ONEZONE_IA"),
            Self::IntelligentTiering => Some("INTELLIGENT_TIERING"),
            Self::Glacier => Some("GLACIER"),
            Self::DeepArchive => Some("DEEP_ARCHIVE"),
        }
    }
}

/// Attributes of resources that say where their records go.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceAttributes {
    /// Not built: the attribute that names the bucket.
    pub s3_bucket: String,
    /// The attribute that stands in the place of `s3_prefix`, where a resource has it.
    pub s3_prefix: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            s3uploader: Uploader::default(),
            marshaler: Marshaler::OtlpJson,
            encoding: None,
            encoding_file_extension: String::new(),
            resource_attrs_to_s3: ResourceAttributes::default(),
        }
    }
}

impl Default for Uploader {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            s3_bucket: String::new(),
            s3_prefix: String::new(),
            s3_base_prefix: String::new(),
            s3_partition_format: "year=%Y/month=%m/day=%d/hour=%H/minute=%M".to_owned(),
            s3_partition_timezone: String::new(),
            file_prefix: String::new(),
            endpoint: String::new(),
            role_arn: String::new(),
            external_id: String::new(),
            s3_force_path_style: false,
            disable_ssl: false,
            acl: String::new(),
            storage_class: StorageClass::Standard,
            compression: Compression::None,
            retry_mode: RetryMode::Standard,
            retry_max_attempts: 3,
            retry_max_backoff: tidegate_document::Duration::from_secs(20),
            unique_key_func_name: UniqueKey::Process,
        }
    }
}

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "awss3";
    const STABILITY: Stability = Stability::Alpha;
    const DELIVERY: Option<DeliveryDefaults> = Some(DeliveryDefaults {
        timeout_ms: 5_000,
        queue: false,
        retry: true,
        ..DeliveryDefaults::UNTIMED
    });

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        self.refuse_what_is_not_built(std::env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some())?;
        let s3 = &self.s3uploader;
        let (format, extension) = self.format(cx.signals)?;
        let compression = s3.compression.of_lines();
        let by_prefix = &self.resource_attrs_to_s3.s3_prefix;
        let plan = EachBatch {
            elements: self.elements()?,
            group_by: (!by_prefix.is_empty()).then(|| by_prefix.clone()),
            naming: Naming::Prefixed {
                prefix: s3.file_prefix.clone(),
                signal: true,
                unique: match s3.unique_key_func_name {
                    UniqueKey::Process => Unique::Process,
                    UniqueKey::Uuid7 => Unique::Uuid7,
                },
            },
            extension: format!("{extension}{}", compression.suffix()),
            format,
            compression,
        };
        Ok(lake(plan, self.bucket().target("", "s3uploader")?, cx))
    }
}

impl Config {
    fn refuse_what_is_not_built(&self, has_identity: bool) -> Result<(), BuildError> {
        let s3 = &self.s3uploader;
        let refuse = |key: &str, message: &str, remedy: &str| {
            Err(BuildError::at(key, message).remedy(remedy))
        };
        if s3.s3_bucket.is_empty() {
            let remedy = "write the bucket's name";
            return refuse("s3uploader::s3_bucket", "there is no bucket", remedy);
        }
        if self.encoding.is_some() || !self.encoding_file_extension.is_empty() {
            let remedy = "write `marshaler: otlp_json` or `otlp_proto`";
            return refuse("encoding", "there are no encoding extensions", remedy);
        }
        if !self.resource_attrs_to_s3.s3_bucket.is_empty() {
            let remedy = "write an exporter for each bucket, behind a connector that routes";
            let message = "a bucket cannot be chosen by an attribute";
            return refuse("resource_attrs_to_s3::s3_bucket", message, remedy);
        }
        if !matches!(s3.acl.as_str(), "" | "private") {
            let remedy = "take the key away and set the bucket's policy";
            return refuse("s3uploader::acl", "objects get no ACL of their own", remedy);
        }
        if !s3.role_arn.is_empty() && !has_identity || !s3.external_id.is_empty() {
            return refuse(
                "s3uploader::role_arn",
                "a role can only be taken by a web identity",
                "set AWS_WEB_IDENTITY_TOKEN_FILE (EKS does), or give credentials of the role",
            );
        }
        Ok(())
    }

    fn format(&self, signals: Signals) -> Result<(LineFormat, &'static str), BuildError> {
        match self.marshaler {
            Marshaler::OtlpJson => Ok((LineFormat::Json { ended: false }, "json")),
            Marshaler::OtlpProto => Ok((LineFormat::Proto, "binpb")),
            Marshaler::Body if signals.has(Signal::Traces) || signals.has(Signal::Metrics) => {
                Err(BuildError::at("marshaler", "only log records have a body")
                    .remedy("write `otlp_json` or `otlp_proto`"))
            }
            Marshaler::Body => Ok((LineFormat::Body, "txt")),
            Marshaler::SumoIc => Err(BuildError::at("marshaler", "`sumo_ic` is not built")
                .remedy("write `otlp_json` or `otlp_proto`")),
        }
    }

    fn elements(&self) -> Result<Vec<Element>, BuildError> {
        let s3 = &self.s3uploader;
        let zone = match s3.s3_partition_timezone.as_str() {
            "" => TimeZone::system(),
            name => TimeZone::get(name).map_err(|error| {
                let message = format!("\"{name}\" is no time zone: {error}");
                BuildError::at("s3uploader::s3_partition_timezone", message)
                    .remedy("write a name of the IANA database, as `Europe/Berlin` or `UTC`")
            })?,
        };
        let time = Element::time(&s3.s3_partition_format, zone)
            .map_err(|message| BuildError::at("s3uploader::s3_partition_format", message))?;
        let prefix = if self.resource_attrs_to_s3.s3_prefix.is_empty() {
            Element::Fixed(s3.s3_prefix.clone())
        } else {
            Element::GroupPath(s3.s3_prefix.clone())
        };
        Ok(vec![
            Element::Fixed(s3.s3_base_prefix.clone()),
            prefix,
            time,
        ])
    }

    fn bucket(&self) -> Bucket {
        let s3 = &self.s3uploader;
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let plain = format!("http://s3.{}.amazonaws.com", s3.region);
        let attempts = match s3.retry_mode {
            RetryMode::Nop => 1,
            RetryMode::Standard | RetryMode::Adaptive => s3.retry_max_attempts,
        };
        Bucket {
            name: s3.s3_bucket.clone(),
            region: given(&s3.region),
            endpoint: given(&s3.endpoint).or_else(|| s3.disable_ssl.then_some(plain)),
            path_style: s3.s3_force_path_style,
            role: given(&s3.role_arn),
            storage_class: s3.storage_class.name().map(str::to_owned),
            content_encoding: match s3.compression {
                Compression::None => None,
                Compression::Gzip => Some("gzip"),
                Compression::Zstd => Some("zstd"),
            },
            // 0 means for ever, which is the engine's to decide.
            retries: Some((
                attempts.saturating_sub(1),
                Duration::from(s3.retry_max_backoff),
            )),
            ..Bucket::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_component::testing::read;

    use super::*;

    fn refused(yaml: &str) -> BuildError {
        read::<Config>(yaml)
            .refuse_what_is_not_built(false)
            .unwrap_err()
    }

    #[test]
    fn what_is_not_built_is_refused_by_its_key_with_what_to_write() {
        for (yaml, path) in [
            ("{}", "s3uploader::s3_bucket"),
            (
                "{encoding: text_encoding, s3uploader: {s3_bucket: b}}",
                "encoding",
            ),
            (
                "{resource_attrs_to_s3: {s3_bucket: a}, s3uploader: {s3_bucket: b}}",
                "resource_attrs_to_s3::s3_bucket",
            ),
            (
                "{s3uploader: {s3_bucket: b, acl: public-read}}",
                "s3uploader::acl",
            ),
            (
                "{s3uploader: {s3_bucket: b, role_arn: 'arn:aws:iam::1:role/r'}}",
                "s3uploader::role_arn",
            ),
        ] {
            let error = refused(yaml);
            assert_eq!(error.path, path, "{yaml}");
            assert!(error.remedy.is_some(), "{yaml}");
        }
    }

    #[test]
    fn formats_and_time_zones_that_do_not_exist_are_refused() {
        for (yaml, path) in [
            (
                "{s3uploader: {s3_partition_timezone: Mars/Olympus}}",
                "s3uploader::s3_partition_timezone",
            ),
            (
                "{s3uploader: {s3_partition_format: 'year=%!'}}",
                "s3uploader::s3_partition_format",
            ),
        ] {
            assert_eq!(read::<Config>(yaml).elements().unwrap_err().path, path);
        }
        for marshaler in ["body", "sumo_ic"] {
            let config = read::<Config>(&format!("marshaler: {marshaler}"));
            assert_eq!(config.format(Signals::ALL).unwrap_err().path, "marshaler");
        }
    }
}
