//! The keys of `prometheus_remote_write`.

use std::collections::BTreeMap;

use http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::Delivery;
use tidegate_component::{BuildContext, BuildError};
use tidegate_document::{Duration, layered};
use tidegate_transport::client::{HttpClient, HttpCompression, HttpSettings};

use super::COMPRESSION;
use super::convert::Plan;
use crate::otlp_http::url;
use crate::prometheus::naming::Namer;
use crate::prometheus::{ResourceConversion, TranslationStrategy};

/// `max_batch_size_bytes` where it is not written.
const BATCH: usize = 3_000_000;
/// `remote_write_queue::queue_size` where it is not written.
const QUEUE: usize = 10_000;
/// `remote_write_queue::num_consumers` where it is not written.
const CONSUMERS: usize = 5;

/// The message that requests are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ProtobufMessage {
    /// Remote write 1.0, which everybody takes.
    #[default]
    #[serde(rename = "prometheus.WriteRequest")]
    V1,
    /// Remote write 2.0: each text once, with metadata and start times.
    #[serde(rename = "io.prometheus.write.v2.Request")]
    V2,
}

/// `remote_write_queue`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueKeys {
    /// Whether there is a queue; true unless told.
    pub enabled: Option<bool>,
    /// Batches that the queue holds; 10000 unless told.
    pub queue_size: Option<usize>,
    /// Requests of one batch that are sent at a time, unless `max_batch_request_parallelism` says it; 5 unless told.
    /// Batches go one after the other.
    pub num_consumers: Option<usize>,
}

/// `target_info`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetInfo {
    /// Whether there is a series `target_info` for each resource.
    pub enabled: bool,
}

impl Default for TargetInfo {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `wal`: accepted with a warning. A queue on disk is had by `sending_queue.storage`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wal {
    /// Without effect: the extension `file_storage` has a directory.
    pub directory: String,
    /// Without effect.
    pub buffer_size: usize,
    /// Without effect: what is delivered is let go at once.
    pub truncate_frequency: Duration,
    /// Without effect: the queue's metrics are always there.
    pub lag_record_frequency: Duration,
}

/// The time limit of a client.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutKey {
    /// Time for one attempt, unless the exporter's own `timeout` says it.
    pub timeout: Option<Duration>,
}

layered! {
    /// The keys of the HTTP client in a section of their own.
    #[derive(Clone, Debug)]
    pub struct HttpBlock {
        pub time: TimeoutKey,
        pub client: HttpClient,
    }
}

/// The keys beside those of the client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The keys of the HTTP client, in place of those that stand beside this one.
    pub http: Option<HttpBlock>,
    /// What stands before every name.
    pub namespace: String,
    /// Labels of every series that has none of the same name.
    pub external_labels: BTreeMap<String, String>,
    /// The queue before the exporter; `sending_queue` knows more, and wins.
    pub remote_write_queue: QueueKeys,
    /// Requests of one batch that are sent at a time; `remote_write_queue.num_consumers` unless told.
    pub max_batch_request_parallelism: Option<usize>,
    /// The size, in bytes before compression, from which a batch is sent in several requests; 0 means 3000000.
    pub max_batch_size_bytes: usize,
    /// Makes attributes of resources labels, beside `target_info`.
    pub resource_to_telemetry_conversion: ResourceConversion,
    /// The series that tells of a resource.
    pub target_info: TargetInfo,
    /// Leaves the labels out that tell the scope: `otel_scope_name` and its like.
    pub disable_scope_info: bool,
    /// Whether names end in their unit and type; `translation_strategy` says it better, and wins.
    pub add_metric_suffixes: bool,
    /// How names become Prometheus's.
    pub translation_strategy: Option<TranslationStrategy>,
    /// Sends type, help and unit of each metric with remote write 1.0; 2.0 always has them.
    pub send_metadata: bool,
    /// Remote write 1.0 (`prometheus.WriteRequest`) or 2.0 (`io.prometheus.write.v2.Request`).
    pub protobuf_message: ProtobufMessage,
    /// The original's queue on disk, of which ours is another: a warning says how it is had.
    pub wal: Option<Wal>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            http: None,
            namespace: String::new(),
            external_labels: BTreeMap::new(),
            remote_write_queue: QueueKeys::default(),
            max_batch_request_parallelism: None,
            max_batch_size_bytes: BATCH,
            resource_to_telemetry_conversion: ResourceConversion::default(),
            target_info: TargetInfo::default(),
            disable_scope_info: false,
            add_metric_suffixes: true,
            translation_strategy: None,
            send_metadata: false,
            protobuf_message: ProtobufMessage::default(),
            wal: None,
        }
    }
}

layered! {
    /// Writes metrics to Prometheus, Mimir, Thanos or another that takes Prometheus's remote write.
    ///
    /// Batches go out in the order in which they came, as backends refuse samples that are older than what they have.
    #[derive(Clone, Debug, Default)]
    pub struct Config {
        pub keys: Keys,
        pub client: HttpClient,
    }
}

impl Config {
    /// What the keys of the queue and of the `http` section say of a delivery.
    pub(super) fn shape(&self, keys: &mut Delivery) {
        let own = &self.keys.remote_write_queue;
        let queue = keys.sending_queue.get_or_insert_default();
        queue.enabled = queue.enabled.or(own.enabled);
        if queue.storage.is_none() {
            let size = own.queue_size.unwrap_or(QUEUE);
            queue.queue_size.get_or_insert(size);
        }
        let time = self.keys.http.as_ref().and_then(|http| http.time.timeout);
        keys.timeout = keys.timeout.or(time);
    }

    /// Where to write, and by what client.
    pub(super) fn client(&self, cx: &BuildContext) -> Result<(Uri, HttpSettings), BuildError> {
        let (path, client) = match &self.keys.http {
            Some(http) if http.client != HttpClient::default() => ("http::", &http.client),
            _ => ("", &self.client),
        };
        let key = |name: &str| format!("{path}{name}");
        let endpoint = client.endpoint.as_deref().unwrap_or_default();
        if endpoint.is_empty() {
            return Err(BuildError::at(key("endpoint"), "there is no endpoint")
                .remedy("write the URL, as `http://prometheus:9090/api/v1/write`"));
        }
        let uri = url(&key("endpoint"), endpoint)?;
        let mut client = client.clone();
        match client.compression {
            None
            | Some(HttpCompression::Snappy | HttpCompression::None | HttpCompression::Empty) => {
                client.compression = None;
            }
            Some(_) => {
                let message = "remote write is compressed by snappy, and nothing else";
                return Err(BuildError::at(key("compression"), message).remedy("take the key away"));
            }
        }
        let settings = client
            .build_with(&cx.extensions, COMPRESSION)
            .map_err(|mut error| {
                error.path.insert_str(0, path);
                error
            })?;
        Ok((uri, settings))
    }

    /// Requests of one batch at a time.
    pub(super) fn parallel(&self) -> usize {
        let own = self.keys.max_batch_request_parallelism;
        let consumers = self.keys.remote_write_queue.num_consumers;
        own.or(consumers).unwrap_or(CONSUMERS).max(1)
    }

    /// How batches are converted.
    pub(super) fn plan(&self) -> Result<Plan, BuildError> {
        let keys = &self.keys;
        let queue = &keys.remote_write_queue;
        if queue.queue_size == Some(0) && queue.enabled != Some(false) {
            let path = "remote_write_queue::queue_size";
            return Err(BuildError::at(path, "a queue of size 0 holds nothing")
                .remedy("write 1 or more, or `enabled: false`"));
        }
        if keys.max_batch_request_parallelism == Some(0) {
            let path = "max_batch_request_parallelism";
            return Err(BuildError::at(path, "must be at least 1"));
        }
        let (suffixes, utf8) = match keys.translation_strategy {
            Some(strategy) => strategy.flags(),
            None => (keys.add_metric_suffixes, false),
        };
        let namer = Namer {
            suffixes,
            utf8,
            namespace: keys.namespace.clone(),
        };
        let mut external = BTreeMap::new();
        for (name, value) in &keys.external_labels {
            if name.is_empty() || value.is_empty() {
                return Err(BuildError::at(
                    "external_labels",
                    "neither names nor values can be empty",
                ));
            }
            let Some(label) = namer.label(name) else {
                let message = format!("\"{name}\" cannot be the name of a label");
                return Err(BuildError::at("external_labels", message)
                    .remedy("write a name with a letter or a digit in it"));
            };
            external.insert(label, value.clone());
        }
        Ok(Plan {
            namer,
            external: external.into_iter().collect(),
            resource_labels: keys.resource_to_telemetry_conversion.labels(),
            target_info: keys.target_info.enabled,
            scope_labels: !keys.disable_scope_info,
            metadata: keys.send_metadata,
            version: keys.protobuf_message,
            largest: match keys.max_batch_size_bytes {
                0 => BATCH,
                size => size,
            },
        })
    }
}
