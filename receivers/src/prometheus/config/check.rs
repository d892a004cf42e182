//! From keys to jobs: Prometheus' own rules, and what holds where nothing is said.

use std::collections::HashMap;
use std::time::Duration;

use tidegate_component::BuildError;
use tidegate_document::OneOrMany;

use super::Config;
use super::http::unbuilt;
use super::scrape::{Escaping, GlobalKeys, Names, Protocol, Scheme, ScrapeKeys, SharedKeys};
use super::types::Span;
use crate::prometheus::exposition::Format;
use crate::prometheus::job::{Job, Limits};

/// Bytes of a page that are taken at most, whatever the configuration says.
const MAX_BODY: u64 = 256 << 20;

/// A limit of the configuration, where 0 stands for none.
fn limit(own: Option<u64>, global: Option<u64>) -> usize {
    let given = own.filter(|own| *own > 0).or(global);
    match given {
        None | Some(0) => usize::MAX,
        Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
    }
}

impl Config {
    /// The jobs, checked.
    pub(super) fn jobs(&self) -> Result<Vec<Job>, BuildError> {
        let keys = &self.config;
        if keys.scrape_configs.is_empty() {
            return Err(BuildError::at("config", "there is nothing to scrape")
                .remedy("list jobs under `scrape_configs`"));
        }
        let none = SharedKeys::default();
        let global = keys.global.as_ref().map_or(&none, |keys| &keys.shared);
        check_shared(global, "config::global")?;
        let external = external_labels(keys.global.as_ref())?;
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut jobs = Vec::with_capacity(keys.scrape_configs.len());
        for (at, scrape) in keys.scrape_configs.iter().enumerate() {
            let path = format!("config::scrape_configs::{at}");
            let name = scrape.job.job_name.0.as_str();
            if let Some(first) = names.insert(name, at) {
                let path = format!("{path}::job_name");
                let message = format!("job {} has the name \"{name}\" already", first + 1);
                return Err(BuildError::at(path, message).remedy("give each job a name of its own"));
            }
            let job = Draft {
                keys: scrape,
                global,
                path,
            };
            jobs.push(job.build(&external, self.trim_metric_suffixes)?);
        }
        Ok(jobs)
    }
}

fn external_labels(global: Option<&GlobalKeys>) -> Result<Vec<(String, String)>, BuildError> {
    let Some(global) = global else {
        return Ok(Vec::new());
    };
    let labels = &global.own.external_labels;
    if let Some(name) = labels.keys().find(|name| name.is_empty()) {
        let path = format!("config::global::external_labels::{name}");
        return Err(BuildError::at(path, "a label has no name").remedy("give it one"));
    }
    Ok(labels
        .iter()
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect())
}

fn check_shared(keys: &SharedKeys, path: &str) -> Result<(), BuildError> {
    if keys.scrape_failure_log_file.is_some() {
        return Err(unbuilt(
            format!("{path}::scrape_failure_log_file"),
            "a file for failed scrapes is",
            "take it away: each failed scrape is logged once until one succeeds",
        ));
    }
    let protocols = keys.scrape_protocols.as_deref();
    if protocols == Some(&[]) {
        let path = format!("{path}::scrape_protocols");
        return Err(BuildError::at(path, "the list is empty").remedy("take the key away"));
    }
    for (at, protocol) in protocols.into_iter().flatten().enumerate() {
        if protocols.is_some_and(|all| all[..at].contains(protocol)) {
            let path = format!("{path}::scrape_protocols::{at}");
            return Err(BuildError::at(path, "the format is listed twice").remedy("name it once"));
        }
    }
    Ok(())
}

/// A job being made.
struct Draft<'k> {
    keys: &'k ScrapeKeys,
    global: &'k SharedKeys,
    path: String,
}

impl Draft<'_> {
    fn at(&self, key: &str) -> String {
        format!("{}::{key}", self.path)
    }

    fn build(&self, external: &[(String, String)], trim: bool) -> Result<Job, BuildError> {
        let (job, own, global) = (&self.keys.job, &self.keys.shared, self.global);
        check_shared(own, &self.path)?;
        let (interval, timeout) = self.times()?;
        let names = own.metric_name_validation_scheme;
        let legacy = names.or(global.metric_name_validation_scheme) == Some(Names::Legacy);
        let escaping = self.escaping(legacy)?;
        let flag = |read: fn(&SharedKeys) -> Option<bool>| {
            read(own).or_else(|| read(global)).unwrap_or(false)
        };
        let native = flag(|keys| keys.scrape_native_histograms);
        let rules = |rules: &[super::relabel::RelabelKeys], key: &str| {
            let rules = rules.iter().enumerate();
            rules
                .map(|(at, rule)| rule.build(&self.at(&format!("{key}::{at}")), legacy))
                .collect::<Result<Vec<_>, _>>()
        };
        let (client, credentials) = self.keys.client.build(&self.path)?;
        let body = own.body_size_limit.filter(|own| own.0 > 0);
        let body = body.or(global.body_size_limit).map_or(0, |size| size.0);
        let body = if body == 0 {
            MAX_BODY
        } else {
            body.min(MAX_BODY)
        };
        Ok(Job {
            name: job.job_name.0.clone(),
            interval,
            timeout,
            accept: accept(&self.protocols(native), escaping),
            fallback: job
                .fallback_scrape_protocol
                .map_or(Format::Text, Protocol::format),
            params: self.params(),
            metrics_path: job
                .metrics_path
                .clone()
                .unwrap_or_else(|| "/metrics".to_owned()),
            scheme: match job.scheme {
                Some(Scheme::Https) => "https",
                Some(Scheme::Http) | None => "http",
            },
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps.unwrap_or(true),
            track_timestamps: job.track_timestamps_staleness,
            limits: Limits {
                body: usize::try_from(body).unwrap_or(usize::MAX),
                samples: limit(own.sample_limit, global.sample_limit),
                targets: limit(own.target_limit, global.target_limit),
                labels: limit(own.label_limit, global.label_limit),
                label_name: limit(own.label_name_length_limit, global.label_name_length_limit),
                label_value: limit(
                    own.label_value_length_limit,
                    global.label_value_length_limit,
                ),
                buckets: limit(Some(job.native_histogram_bucket_limit), None),
                bucket_factor: job.native_histogram_min_bucket_factor,
            },
            compression: job.enable_compression.unwrap_or(true),
            native,
            classic: flag(|keys| keys.always_scrape_classic_histograms),
            extra: flag(|keys| keys.extra_scrape_metrics),
            legacy,
            trim,
            external: external.to_vec(),
            relabel: rules(&job.relabel_configs, "relabel_configs")?,
            metric_relabel: rules(&job.metric_relabel_configs, "metric_relabel_configs")?,
            client,
            credentials,
            sources: self.keys.discovery.build(&self.path)?,
        })
    }

    fn times(&self) -> Result<(Duration, Duration), BuildError> {
        let (own, global) = (&self.keys.shared, self.global);
        let given = |span: Option<Span>| span.map(|span| span.0).filter(|span| !span.is_zero());
        let interval = given(own.scrape_interval)
            .or(given(global.scrape_interval))
            .unwrap_or(Duration::from_secs(60));
        if let Some(timeout) = given(own.scrape_timeout)
            && timeout > interval
        {
            let message = format!(
                "the timeout {} is longer than the interval {}",
                Span(timeout),
                Span(interval)
            );
            return Err(BuildError::at(self.at("scrape_timeout"), message)
                .remedy("write a shorter timeout or a longer interval"));
        }
        let timeout = given(own.scrape_timeout)
            .or(given(global.scrape_timeout))
            .unwrap_or(Duration::from_secs(10));
        Ok((interval, timeout.min(interval)))
    }

    fn escaping(&self, legacy: bool) -> Result<Escaping, BuildError> {
        let own = &self.keys.shared;
        let default = match legacy {
            true => Escaping::Underscores,
            false => Escaping::AllowUtf8,
        };
        let given = own.metric_name_escaping_scheme;
        let inherited = match own.metric_name_validation_scheme {
            Some(_) => None,
            None => self.global.metric_name_escaping_scheme,
        };
        let escaping = given.or(inherited).unwrap_or(default);
        if legacy && escaping == Escaping::AllowUtf8 {
            let message = "names of UTF-8 are asked for, and only legacy ones are taken";
            return Err(
                BuildError::at(self.at("metric_name_escaping_scheme"), message)
                    .remedy("write `underscores`, or `metric_name_validation_scheme: utf8`"),
            );
        }
        Ok(escaping)
    }

    fn protocols(&self, native: bool) -> Vec<Protocol> {
        let own = self.keys.shared.scrape_protocols.as_ref();
        if let Some(given) = own.or(self.global.scrape_protocols.as_ref()) {
            return given.clone();
        }
        let text = [
            Protocol::OpenMetrics100,
            Protocol::OpenMetrics001,
            Protocol::Text100,
            Protocol::Text004,
        ];
        let first = native.then_some(Protocol::PrometheusProto);
        first.into_iter().chain(text).collect()
    }

    fn params(&self) -> Vec<(String, Vec<String>)> {
        let params = self.keys.job.params.iter();
        let words = |words: &OneOrMany<super::types::Word>| {
            words.as_slice().iter().map(|word| word.0.clone()).collect()
        };
        params
            .map(|(name, values)| (name.clone(), words(values)))
            .collect()
    }
}

impl Protocol {
    /// How its pages are read.
    pub(in crate::prometheus) const fn format(self) -> Format {
        match self {
            Self::PrometheusProto => Format::Protobuf,
            Self::OpenMetrics001 | Self::OpenMetrics100 => Format::OpenMetrics,
            Self::Text004 | Self::Text100 => Format::Text,
        }
    }

    /// As the `Accept` header names it.
    const fn media_type(self) -> (&'static str, bool) {
        match self {
            Self::PrometheusProto => (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
                true,
            ),
            Self::OpenMetrics001 => ("application/openmetrics-text;version=0.0.1", false),
            Self::OpenMetrics100 => ("application/openmetrics-text;version=1.0.0", true),
            Self::Text004 => ("text/plain;version=0.0.4", false),
            Self::Text100 => ("text/plain;version=1.0.0", true),
        }
    }
}

/// The `Accept` header: each format a little less wanted than the one before.
fn accept(protocols: &[Protocol], escaping: Escaping) -> String {
    let mut accept = String::new();
    let mut weight = protocols.len() + 1;
    for protocol in protocols {
        let (media_type, escapes) = protocol.media_type();
        accept.push_str(media_type);
        if escapes {
            accept.push_str(";escaping=");
            accept.push_str(escaping.name());
        }
        accept.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    accept.push_str(&format!("*/*;q=0.{weight}"));
    accept
}
