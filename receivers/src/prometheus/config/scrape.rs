//! `global` and `scrape_configs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_document::OneOrMany;

use super::discovery::DiscoveryKeys;
use super::http::HttpKeys;
use super::relabel::RelabelKeys;
use super::types::{Bytes, Span, Unbuilt, Word};

/// A format that targets may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(in crate::prometheus) enum Protocol {
    /// Protobuf, the only one with native histograms.
    PrometheusProto,
    /// OpenMetrics' draft.
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetrics001,
    /// OpenMetrics 1.0.
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics100,
    /// The text format.
    #[serde(rename = "PrometheusText0.0.4")]
    Text004,
    /// The text format with quoted names.
    #[serde(rename = "PrometheusText1.0.0")]
    Text100,
}

/// Which names metrics and labels may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::prometheus) enum Names {
    /// Any text.
    #[serde(alias = "")]
    Utf8,
    /// Letters, digits, underscores and colons.
    Legacy,
}

/// How targets are asked to write names with other characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::prometheus) enum Escaping {
    /// As they are, quoted.
    #[serde(rename = "allow-utf-8")]
    AllowUtf8,
    /// With underscores in their place.
    Underscores,
    /// With dots written out.
    Dots,
    /// With their numbers.
    Values,
}

impl Escaping {
    /// As the `Accept` header names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// Limits, and what else a job may set for itself or find in `global`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct SharedKeys {
    /// How often targets are scraped; 1m unless told. In a job: what `global` says unless told.
    pub(super) scrape_interval: Option<Span>,
    /// How long a scrape may take, at most its interval; 10s unless told.
    pub(super) scrape_timeout: Option<Span>,
    /// The formats that targets are asked for, best first.
    pub(super) scrape_protocols: Option<Vec<Protocol>>,
    /// Bytes of a page, inflated; 0 sets no limit but the 256 MiB that always hold.
    pub(super) body_size_limit: Option<Bytes>,
    /// Samples of a page after relabelling; 0 sets no limit.
    pub(super) sample_limit: Option<u64>,
    /// Targets of a job after relabelling; 0 sets no limit.
    pub(super) target_limit: Option<u64>,
    /// Labels of a series after relabelling; 0 sets no limit.
    pub(super) label_limit: Option<u64>,
    /// Bytes of a label's name; 0 sets no limit.
    pub(super) label_name_length_limit: Option<u64>,
    /// Bytes of a label's value; 0 sets no limit.
    pub(super) label_value_length_limit: Option<u64>,
    /// Accepted and without effect: dropped targets are not kept.
    #[schemars(extend("x-no-effect" = "dropped targets are not kept"))]
    pub(super) keep_dropped_targets: Option<u64>,
    /// Which names metrics and labels may have: utf8 (unless told) or legacy.
    pub(super) metric_name_validation_scheme: Option<Names>,
    /// How targets are asked to write names with other characters: allow-utf-8, underscores, dots or values.
    pub(super) metric_name_escaping_scheme: Option<Escaping>,
    /// Takes native histograms where a target has them; false unless told.
    pub(super) scrape_native_histograms: Option<bool>,
    /// Takes the classic buckets of a histogram that is a native one too; false unless told.
    pub(super) always_scrape_classic_histograms: Option<bool>,
    /// Accepted and without effect: either way a classic histogram becomes one with explicit bounds.
    #[schemars(extend("x-no-effect" = "either way a classic histogram becomes one with explicit bounds"))]
    pub(super) convert_classic_histograms_to_nhcb: Option<bool>,
    /// Adds `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes`; false unless told.
    pub(super) extra_scrape_metrics: Option<bool>,
    /// A file for failed scrapes: not built.
    pub(super) scrape_failure_log_file: Option<Unbuilt>,
}

/// The keys of `global` alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct GlobalOnlyKeys {
    /// Labels to give to every series.
    pub(super) external_labels: BTreeMap<String, Word>,
    /// Accepted and without effect: there are no rules.
    #[schemars(extend("x-no-effect" = "there are no rules"))]
    pub(super) evaluation_interval: Option<Span>,
    /// Accepted and without effect: there are no rules.
    #[schemars(extend("x-no-effect" = "there are no rules"))]
    pub(super) rule_query_offset: Option<Span>,
    /// Accepted and without effect: there are no queries.
    #[schemars(extend("x-no-effect" = "there are no queries"))]
    pub(super) query_log_file: Option<String>,
}

tidegate_document::layered! {
    /// `global`.
    #[derive(Clone, Debug)]
    pub(in crate::prometheus) struct GlobalKeys {
        pub(super) own: GlobalOnlyKeys,
        pub(super) shared: SharedKeys,
    }
}

/// The keys of a job alone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::prometheus) struct JobKeys {
    /// The job's name, which no other has.
    #[schemars(length(min = 1))]
    pub(super) job_name: Word,
    /// Keeps labels of a target's page that stand against the target's own; else they become `exported_…`. False unless told.
    #[serde(default)]
    pub(super) honor_labels: bool,
    /// Takes the times that a page gives; true unless told.
    #[serde(default)]
    pub(super) honor_timestamps: Option<bool>,
    /// Tells of the end of series that have times of their own too; false unless told.
    #[serde(default)]
    pub(super) track_timestamps_staleness: bool,
    /// Parameters of the URL.
    #[serde(default)]
    pub(super) params: BTreeMap<String, OneOrMany<Word>>,
    /// What a page is read as whose `Content-Type` says nothing known; PrometheusText0.0.4 unless told.
    #[serde(default)]
    pub(super) fallback_scrape_protocol: Option<Protocol>,
    /// The path of the page; `/metrics` unless told.
    #[serde(default)]
    pub(super) metrics_path: Option<String>,
    /// http (unless told) or https.
    #[serde(default)]
    pub(super) scheme: Option<Scheme>,
    /// Asks for compressed pages; true unless told.
    #[serde(default)]
    pub(super) enable_compression: Option<bool>,
    /// Buckets of a native histogram, which are merged where there are more; 0 sets no limit.
    #[serde(default)]
    pub(super) native_histogram_bucket_limit: u64,
    /// The least factor from one bucket of a native histogram to the next; buckets are merged up to it.
    #[serde(default)]
    pub(super) native_histogram_min_bucket_factor: f64,
    /// What is done to the labels of targets before they are scraped.
    #[serde(default)]
    pub(super) relabel_configs: Vec<RelabelKeys>,
    /// What is done to the labels of scraped series.
    #[serde(default)]
    pub(super) metric_relabel_configs: Vec<RelabelKeys>,
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::prometheus) enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

tidegate_document::layered! {
    /// An element of `scrape_configs`.
    #[derive(Clone, Debug)]
    pub(in crate::prometheus) struct ScrapeKeys {
        pub(super) job: JobKeys,
        pub(super) shared: SharedKeys,
        pub(super) client: HttpKeys,
        pub(super) discovery: DiscoveryKeys,
    }
}
