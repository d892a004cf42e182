//! The keys of `prometheus`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::BuildError;
use tidegate_component::delivery::SendingQueue;
use tidegate_document::{Duration, layered};
use tidegate_transport::server::config::HttpServer;

use super::naming::Namer;
use super::origin::ResourceLabels;
use super::store::Settings;

/// How names of metrics and attributes become names of families and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TranslationStrategy {
    /// Legal characters alone; names end in their unit and type.
    UnderscoreEscapingWithSuffixes,
    /// Legal characters alone.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay as they are but end in their unit and type.
    #[serde(rename = "NoUTF8EscapingWithSuffixes")]
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

impl TranslationStrategy {
    /// Whether names end in their unit and type, and whether they stay as they are else.
    pub(crate) const fn flags(self) -> (bool, bool) {
        match self {
            Self::UnderscoreEscapingWithSuffixes => (true, false),
            Self::UnderscoreEscapingWithoutSuffixes => (false, false),
            Self::NoUtf8EscapingWithSuffixes => (true, true),
            Self::NoTranslation => (false, true),
        }
    }
}

/// `resource_to_telemetry_conversion`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceConversion {
    /// Whether the attributes of a resource become labels of each of its series.
    pub enabled: bool,
    /// Leaves those out that `job` and `instance` are made of.
    pub exclude_service_attributes: bool,
}

impl ResourceConversion {
    pub(crate) const fn labels(&self) -> ResourceLabels {
        match (self.enabled, self.exclude_service_attributes) {
            (false, _) => ResourceLabels::None,
            (true, true) => ResourceLabels::Others,
            (true, false) => ResourceLabels::All,
        }
    }
}

/// The keys beside those of the server.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// What stands before every name.
    pub namespace: String,
    /// Labels that every series carries.
    pub const_labels: BTreeMap<String, String>,
    /// Shows the times of the points; without them a scraper takes the time of the scrape.
    pub send_timestamps: bool,
    /// How long a series is shown after its last point; `0s` is for ever.
    pub metric_expiration: Duration,
    /// Makes attributes of resources labels, beside `target_info` that always tells them.
    pub resource_to_telemetry_conversion: ResourceConversion,
    /// Serves OpenMetrics to scrapers that ask for it; the only text with exemplars.
    pub enable_open_metrics: bool,
    /// Leaves the labels out that tell the scope: `otel_scope_name` and its like.
    pub without_scope_info: bool,
    /// Whether names end in their unit and type; `translation_strategy` says it better, and wins.
    pub add_metric_suffixes: bool,
    /// How names become Prometheus's.
    pub translation_strategy: Option<TranslationStrategy>,
    /// Series that are kept at a time; points of further ones are counted and not shown. `0` sets no limit.
    pub max_series: usize,
    /// Accepted and without effect: points are taken at once.
    pub sending_queue: Option<SendingQueue>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            const_labels: BTreeMap::new(),
            send_timestamps: false,
            metric_expiration: Duration::from_secs(300),
            resource_to_telemetry_conversion: ResourceConversion::default(),
            enable_open_metrics: false,
            without_scope_info: false,
            add_metric_suffixes: true,
            translation_strategy: None,
            max_series: 1_000_000,
            sending_queue: None,
        }
    }
}

layered! {
    /// Shows metrics to Prometheus, which scrapes them at `/metrics`.
    #[derive(Clone, Debug, Default)]
    pub struct Config {
        pub keys: Keys,
        pub server: HttpServer,
    }
}

impl Keys {
    /// What the store is told.
    pub(super) fn settings(&self) -> Result<Settings, BuildError> {
        let (suffixes, utf8) = match self.translation_strategy {
            Some(strategy) => strategy.flags(),
            None => (self.add_metric_suffixes, false),
        };
        for name in self.const_labels.keys() {
            if name.is_empty() || name.starts_with("__") {
                let message = format!("\"{name}\" cannot be the name of a label");
                return Err(BuildError::at("const_labels", message)
                    .remedy("names are not empty and do not begin with two underscores"));
            }
        }
        let conversion = &self.resource_to_telemetry_conversion;
        let expiration = u64::try_from(self.metric_expiration.as_millis()).unwrap_or(u64::MAX);
        Ok(Settings {
            namer: Namer {
                suffixes,
                utf8,
                namespace: self.namespace.clone(),
            },
            constant_labels: self.const_labels.clone().into_iter().collect(),
            resource_labels: conversion.labels(),
            scope_labels: !self.without_scope_info,
            expiration: (expiration > 0).then_some(expiration),
            max_series: match self.max_series {
                0 => usize::MAX,
                limit => limit,
            },
        })
    }
}
