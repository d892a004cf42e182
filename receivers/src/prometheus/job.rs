//! A job: what a `scrape_configs` entry says, checked.

use std::time::Duration;

use tidegate_transport::client::HttpSettings;

use super::discovery::Source;
use super::exposition::Format;
use super::relabel::Rule;
use super::scrape::credentials::Credentials;

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    /// The `Accept` header.
    pub(super) accept: String,
    /// What a page is read as that does not say what it is.
    pub(super) fallback: Format,
    pub(super) params: Vec<(String, Vec<String>)>,
    pub(super) metrics_path: String,
    pub(super) scheme: &'static str,
    pub(super) honor_labels: bool,
    pub(super) honor_timestamps: bool,
    /// Tells of the end of series that have times of their own too.
    pub(super) track_timestamps: bool,
    pub(super) limits: Limits,
    pub(super) compression: bool,
    /// Takes native histograms as such.
    pub(super) native: bool,
    /// Takes their classic buckets too.
    pub(super) classic: bool,
    /// Adds further metrics of the scrape itself.
    pub(super) extra: bool,
    /// Takes names of ASCII alone.
    pub(super) legacy: bool,
    /// Takes units and types off metric names.
    pub(super) trim: bool,
    pub(super) external: Vec<(String, String)>,
    pub(super) relabel: Vec<Rule>,
    pub(super) metric_relabel: Vec<Rule>,
    pub(super) client: HttpSettings,
    pub(super) credentials: Credentials,
    pub(super) sources: Vec<Source>,
}

/// What targets and pages are held to; the largest number where there is no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) body: usize,
    pub(super) samples: usize,
    pub(super) targets: usize,
    pub(super) labels: usize,
    pub(super) label_name: usize,
    pub(super) label_value: usize,
    pub(super) buckets: usize,
    /// The least factor between buckets of a native histogram; 0 where all are taken.
    pub(super) bucket_factor: f64,
}
