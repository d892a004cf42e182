//! What the process tells of itself: its metrics, on an endpoint or pushed, its log on the console.

mod exposition;
mod logs;
mod periodic;
mod process;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use tidegate_component::metrics::Registry;
use tidegate_component::{BuildError, StartError};
use tidegate_config::telemetry::{MetricsLevel, Prometheus, Reader, Telemetry};
use tidegate_transport::pages::{self, Handler, Page, Pages};

pub use exposition::{Style, text};

use periodic::Pushing;
use process::Process;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Makes `service.telemetry.logs` the log of the process; only the first call counts.
pub fn install_logs(settings: &Telemetry) {
    let resource: Vec<_> = resource(settings).into_iter().collect();
    logs::install(&settings.logs, &resource);
}

/// What `service.telemetry.metrics.readers` asks for and cannot be had, by paths that begin with
/// the reader's number. Opens nothing.
pub(crate) fn check(settings: &Telemetry) -> Vec<BuildError> {
    let readers = settings.metrics.readers().unwrap_or_default();
    let periodic = readers.iter().enumerate();
    let periodic = periodic.filter_map(|(at, reader)| Some((at, reader.periodic.as_ref()?)));
    let faults = periodic.filter_map(|(at, reader)| Some((at, periodic::check(reader)?)));
    faults
        .map(|(at, mut error)| {
            error.path = format!("{at}::{}", error.path);
            error
        })
        .collect()
}

/// What the process tells of itself while it runs.
#[derive(Debug, Default)]
pub struct Served {
    pages: Vec<Pages>,
    pushing: Vec<Pushing>,
}

impl Served {
    /// Serves and pushes what `service.telemetry.metrics` asks for.
    ///
    /// # Errors
    /// An endpoint cannot be listened on, or a key cannot be used as it is.
    pub async fn start(settings: &Telemetry, registry: &Registry) -> Result<Self, StartError> {
        let mut served = Self::default();
        if settings.metrics.level == MetricsLevel::None {
            return Ok(served);
        }
        let readers = settings.metrics.readers().unwrap_or_default();
        for reader in &readers {
            if let Err(error) = served.add(settings, reader, registry).await {
                served.stop().await;
                return Err(error);
            }
        }
        Ok(served)
    }

    async fn add(
        &mut self,
        settings: &Telemetry,
        reader: &Reader,
        registry: &Registry,
    ) -> Result<(), StartError> {
        let pulled = reader.pull.as_ref();
        if let Some(prometheus) = pulled.and_then(|pull| pull.exporter.prometheus.as_ref()) {
            self.pages
                .push(serve(settings, prometheus, registry).await?);
        }
        if let Some(periodic) = &reader.periodic {
            self.pushing
                .push(Pushing::start(settings, periodic, registry)?);
        }
        Ok(())
    }

    /// Pushes a last time, and closes the endpoints.
    pub async fn stop(self) {
        for pushing in self.pushing {
            pushing.stop().await;
        }
        for pages in self.pages {
            pages.stop().await;
        }
    }
}

async fn serve(
    settings: &Telemetry,
    prometheus: &Prometheus,
    registry: &Registry,
) -> Result<Pages, StartError> {
    let resource = resource(settings);
    let style = Style {
        without_type_suffix: prometheus.without_type_suffix,
        constant_labels: constant(prometheus, &resource),
    };
    let labels: Vec<(String, String)> = resource
        .iter()
        .map(|(key, value)| (label_name(key), value.clone()))
        .collect();
    let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (&**k, &**v)).collect();
    registry
        .gauge("target_info", "Target metadata.", &labels)
        .set(1);
    let process = Process::new(registry);
    let registry = registry.clone();
    let handler: Handler = Arc::new(move |request| {
        let page = match request.uri.path() {
            "/metrics" => {
                process.update();
                metrics(&registry, &style)
            }
            _ => pages::not_found(),
        };
        Box::pin(std::future::ready(page))
    });
    let address = address(prometheus);
    Pages::serve(&address, handler)
        .await
        .map_err(|error| StartError::new(format!("cannot serve own metrics on {address}"), error))
}

fn metrics(registry: &Registry, style: &Style) -> Page {
    match text(registry, style) {
        Ok(body) => pages::text(StatusCode::OK, CONTENT_TYPE, body),
        Err(error) => pages::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain; charset=utf-8",
            format!("the metrics cannot be written: {error}\n"),
        ),
    }
}

/// Where an endpoint listens; an IPv6 address gets its brackets.
pub(crate) fn address(prometheus: &Prometheus) -> String {
    if prometheus.host.contains(':') && !prometheus.host.starts_with('[') {
        format!("[{}]:{}", prometheus.host, prometheus.port)
    } else {
        format!("{}:{}", prometheus.host, prometheus.port)
    }
}

/// What identifies this process, with what the configuration adds, replaces or (by null) removes.
fn resource(settings: &Telemetry) -> BTreeMap<String, String> {
    let mut resource = BTreeMap::from([
        ("service.name".to_owned(), "tidegate".to_owned()),
        (
            "service.version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("service.instance.id".to_owned(), instance()),
    ]);
    for (key, value) in &settings.resource.attributes {
        match value {
            Some(value) => resource.insert(key.clone(), value.clone()),
            None => resource.remove(key),
        };
    }
    resource
}

/// One ID for the life of the process.
fn instance() -> String {
    static INSTANCE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    INSTANCE
        .get_or_init(|| uuid::Uuid::new_v4().to_string())
        .clone()
}

fn constant(prometheus: &Prometheus, resource: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let Some(rules) = &prometheus.with_resource_constant_labels else {
        return Vec::new();
    };
    let matches = |patterns: &[String], key: &str| patterns.iter().any(|p| wildcard(p, key));
    resource
        .iter()
        .filter(|(key, _)| matches(&rules.included, key) && !matches(&rules.excluded, key))
        .map(|(key, value)| (label_name(key), value.clone()))
        .collect()
}

/// `*` stands for any text, `?` for any character.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let tails = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            let rest = rest.as_str();
            tails.into_iter().any(|tail| wildcard(rest, tail))
        }
        Some(first) => {
            let mut chars = text.chars();
            let fits = chars.next().is_some_and(|c| first == '?' || c == first);
            fits && wildcard(rest.as_str(), chars.as_str())
        }
    }
}

fn label_name(key: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    key.chars()
        .map(|c| if legal(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_the_reader_says() {
        assert!(wildcard("*", "service.name"));
        assert!(wildcard("service.*", "service.name"));
        assert!(wildcard("s?rvice.name", "service.name"));
        assert!(!wildcard("host.*", "service.name"));
        assert!(!wildcard("service", "service.name"));
    }

    #[test]
    fn attributes_become_legal_label_names() {
        assert_eq!(label_name("k8s.pod-name"), "k8s_pod_name");
    }
}
