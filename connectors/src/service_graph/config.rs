//! The keys of `service_graph`.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_document::Duration;

use crate::aggregate::Shape;

/// Makes metrics of the requests between services, by spans of clients and servers that belong together.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Spans that wait for their other side.
    pub(super) store: Store,
    /// Attributes of resources or spans that the metrics tell, as `client_…` and `server_…`.
    pub(super) dimensions: Vec<String>,
    /// The upper bounds of durations' buckets, in rising order; `[2ms, 4ms, 6ms, 8ms, 10ms, 50ms, 100ms, 200ms, 400ms,
    /// 800ms, 1s, 1400ms, 2s, 5s, 10s, 15s]` unless told.
    latency_histogram_buckets: Option<Vec<Duration>>,
    /// How many buckets that follow the values there are at most, from 2 to 16384, in place of those that are written
    /// down; none where it is `0`.
    exponential_histogram_max_size: u32,
    /// Attributes of clients' spans that name a server which sends no spans itself, the first that there is; no such
    /// servers are told where there is none.
    pub(super) virtual_node_peer_attributes: Vec<String>,
    /// Whether `virtual_node` tells which side sent no span.
    pub(super) virtual_node_extra_label: bool,
    /// Attributes that name the database that a client asks, the first that there is.
    database_name_attributes: Vec<String>,
    /// The older form of `database_name_attributes`.
    database_name_attribute: Option<String>,
    /// How often metrics are passed on; after each batch where it is `0`.
    pub(super) metrics_flush_interval: Duration,
    /// By how much the times of points are set back.
    pub(super) metrics_timestamp_offset: Duration,
    /// How often is looked for what has waited too long.
    pub(super) store_expiration_loop: Duration,
    /// How often is looked for series that nothing was added to for 15 minutes, which end.
    pub(super) cache_loop: Duration,
    /// How many series there are at most; requests beyond are counted as lost (`tidegate_service_graph_lost_edges`).
    pub(super) max_series: NonZeroUsize,
    /// The exporter of metrics, which the pipelines tell.
    #[schemars(extend("x-no-effect" = "pipelines tell where metrics go; remove it"))]
    #[allow(dead_code, reason = "accepted for the sake of older configurations")]
    metrics_exporter: Option<String>,
}

/// Spans that wait for their other side.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    /// How long they wait.
    pub(super) ttl: Duration,
    /// How many wait at most, on all workers together.
    pub(super) max_items: NonZeroUsize,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(2),
            max_items: NonZeroUsize::MIN.saturating_add(999),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let names = ["peer.service", "db.name", "db.system"];
        Self {
            store: Store::default(),
            dimensions: Vec::new(),
            latency_histogram_buckets: None,
            exponential_histogram_max_size: 0,
            virtual_node_peer_attributes: names.map(str::to_owned).to_vec(),
            virtual_node_extra_label: false,
            database_name_attributes: Vec::new(),
            database_name_attribute: None,
            metrics_flush_interval: Duration::from_secs(60),
            metrics_timestamp_offset: Duration::from_secs(0),
            store_expiration_loop: Duration::from_secs(2),
            cache_loop: Duration::from_secs(60),
            max_series: NonZeroUsize::MIN.saturating_add(99_999),
            metrics_exporter: None,
        }
    }
}

impl Config {
    /// The attributes that name databases.
    pub(super) fn databases(&self) -> Vec<String> {
        match (
            &self.database_name_attributes[..],
            &self.database_name_attribute,
        ) {
            ([], Some(name)) if !name.is_empty() => vec![name.clone()],
            ([], _) => vec!["db.name".to_owned()],
            (names, _) => names.to_vec(),
        }
    }

    /// What buckets durations have, in seconds.
    pub(super) fn shape(&self) -> Result<Shape, BuildError> {
        const SECONDS: [f64; 16] = [
            0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0,
            15.0,
        ];
        let most = self.exponential_histogram_max_size;
        match &self.latency_histogram_buckets {
            Some(_) if most > 0 => {
                let message = "`latency_histogram_buckets` and `exponential_histogram_max_size` stand side by side";
                Err(BuildError::at("exponential_histogram_max_size", message)
                    .remedy("take one of them out"))
            }
            Some(buckets) => {
                let bounds = buckets
                    .iter()
                    .map(|bound| std::time::Duration::from(*bound).as_secs_f64());
                let bounds: Vec<f64> = bounds.collect();
                match bounds.windows(2).position(|pair| pair[0] >= pair[1]) {
                    None => Ok(Shape::Explicit(bounds.into())),
                    Some(at) => {
                        let path = format!("latency_histogram_buckets::{}", at + 1);
                        Err(
                            BuildError::at(path, "this bound is not above the one before")
                                .remedy("write the bounds in rising order, each once"),
                        )
                    }
                }
            }
            None if most == 0 => Ok(Shape::Explicit(SECONDS.into())),
            None if (2..=16384).contains(&most) => Ok(Shape::Exponential(most.into())),
            None => {
                let message = format!("{most} buckets are too few or too many");
                let error = BuildError::at("exponential_histogram_max_size", message);
                Err(error.remedy("write a number from 2 to 16384, as 160"))
            }
        }
    }
}
