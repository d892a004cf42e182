//! The keys of `prometheus`: the receiver's own, and under `config` those of Prometheus.

mod check;
mod discovery;
mod http;
mod oauth2;
mod relabel;
mod scrape;
mod types;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::jobs_of;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Receiver, Stability};
use tidegate_pdata::Signals;

use super::Prometheus;
use super::meters::Meters;
use http::unbuilt;
use scrape::{GlobalKeys, ScrapeKeys};
use types::Unbuilt;

pub(super) use discovery::StaticKeys;
pub(super) use http::HttpKeys;
pub(super) use types::Span;

/// Scrapes targets that speak Prometheus' formats.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A configuration as Prometheus itself reads it; of it, `global` and `scrape_configs` count.
    config: PrometheusKeys,
    /// Takes units and `_total` off metric names; false unless told.
    trim_metric_suffixes: bool,
    /// Targets from the operator's allocator: not built.
    target_allocator: Option<Unbuilt>,
    /// The receiver's own pages: not built.
    api_server: ApiServer,
}

/// `api_server`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct ApiServer {
    /// Must be false: these pages are not built.
    enabled: bool,
    /// Accepted and without effect while the pages are off.
    #[schemars(extend("x-no-effect" = "these pages are not built"))]
    server_config: Option<Unbuilt>,
}

/// `config`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::prometheus) struct PrometheusKeys {
    /// What holds for all jobs.
    global: Option<GlobalKeys>,
    /// The jobs: what is scraped, and how.
    scrape_configs: Vec<ScrapeKeys>,
    /// Files with more jobs: not built.
    scrape_config_files: Option<Unbuilt>,
    /// Not for a receiver, as in the original.
    rule_files: Option<Unbuilt>,
    /// Not for a receiver, as in the original.
    alerting: Option<Unbuilt>,
    /// Not for a receiver, as in the original.
    remote_write: Option<Unbuilt>,
    /// Not for a receiver, as in the original.
    remote_read: Option<Unbuilt>,
    /// Accepted and without effect: nothing is stored here.
    #[schemars(extend("x-no-effect" = "nothing is stored here"))]
    storage: Option<Unbuilt>,
    /// Accepted and without effect: scrapes are not traced.
    #[schemars(extend("x-no-effect" = "scrapes are not traced"))]
    tracing: Option<Unbuilt>,
    /// Accepted and without effect: it is for Prometheus' own OTLP endpoint.
    #[schemars(extend("x-no-effect" = "it is for the OTLP endpoint of Prometheus"))]
    otlp: Option<Unbuilt>,
    /// Accepted and without effect: it is for Go's runtime.
    #[schemars(extend("x-no-effect" = "it is for Go's runtime"))]
    runtime: Option<Unbuilt>,
}

impl Config {
    fn check_unbuilt(&self) -> Result<(), BuildError> {
        if self.target_allocator.is_some() {
            return Err(unbuilt(
                "target_allocator".to_owned(),
                "the target allocator's client is",
                "let the allocator be asked by `http_sd_configs`, one for each job",
            ));
        }
        if self.api_server.enabled {
            return Err(unbuilt(
                "api_server::enabled".to_owned(),
                "the receiver's own pages are",
                "take `api_server` away",
            ));
        }
        let keys = &self.config;
        for (key, named) in [
            ("rule_files", keys.rule_files),
            ("alerting", keys.alerting),
            ("remote_write", keys.remote_write),
            ("remote_read", keys.remote_read),
        ] {
            if named.is_some() {
                let message = format!("`{key}` is for Prometheus and not for a receiver");
                return Err(BuildError::at(format!("config::{key}"), message)
                    .remedy("take it away; what is scraped goes where the pipeline says"));
            }
        }
        if keys.scrape_config_files.is_some() {
            return Err(unbuilt(
                "config::scrape_config_files".to_owned(),
                "files with jobs are",
                "write `scrape_configs: ${file:jobs.yaml}`",
            ));
        }
        Ok(())
    }
}

impl ComponentConfig for Config {
    type Builds = Box<dyn Receiver>;
    const TYPE: &'static str = "prometheus";
    const SIGNALS: Signals = Signals::METRICS;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        self.check_unbuilt()?;
        let jobs = self.jobs()?;
        Ok(Box::new(Prometheus::new(
            jobs.into_iter().map(Arc::new).collect(),
            Meters::new(&cx.metrics),
        )))
    }
}
