//! `healthcheckv2`: how the process and each pipeline are, over HTTP.
//!
//! Without `use_v2` it is `health_check`; with it, statuses have the original's names and form.

mod aggregate;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::request::Parts;
use http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::status::StatusSource;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Extension, ExtensionContext, StartError, async_trait,
};
use tidegate_document::Duration;
use tidegate_transport::pages::{self, Page};
use tidegate_transport::query;

use crate::health_check::{self, CheckPipeline, ResponseBody};
use crate::site::Site;
use aggregate::Observer;

/// The address of both forms.
const ENDPOINT: &str = "localhost:13133";

/// Answers probes with the state of the process and of each pipeline.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Answers in the second form, at `http`; without it, it is as `health_check` and takes that one's keys.
    use_v2: bool,
    /// Where it listens in the first form, as host:port; `localhost:13133` unless told.
    endpoint: Option<String>,
    /// The path of the first form; `/` unless told.
    path: Option<String>,
    /// Texts to answer with in the first form instead of JSON.
    response_body: Option<ResponseBody>,
    /// Accepted for the Collector's sake, which ignores it.
    check_collector_pipeline: Option<CheckPipeline>,
    /// What makes the second form answer that something is wrong.
    component_health: ComponentHealth,
    /// The second form over HTTP.
    http: Option<Http>,
}

/// `component_health`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ComponentHealth {
    /// Without effect: a component that cannot go on keeps the process from starting.
    #[schemars(extend("x-no-effect" = "no component fails for good while the process runs"))]
    include_permanent_errors: bool,
    /// Answers 500 where an exporter has failed for longer than `recovery_duration`.
    include_recoverable_errors: bool,
    /// How long an exporter may fail before.
    recovery_duration: Duration,
}

impl Default for ComponentHealth {
    fn default() -> Self {
        Self {
            include_permanent_errors: false,
            include_recoverable_errors: false,
            recovery_duration: Duration::from_secs(60),
        }
    }
}

/// `http`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Http {
    /// Where it listens, as host:port.
    endpoint: String,
    /// The state of the process; `?pipeline=NAME` asks for that of a pipeline, `&verbose` for all that is within.
    status: StatusPath,
    /// The configuration as it runs: not built, and refused.
    config: ConfigPath,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            endpoint: ENDPOINT.to_owned(),
            status: StatusPath::default(),
            config: ConfigPath::default(),
        }
    }
}

/// `http.status`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct StatusPath {
    /// Whether it is there.
    enabled: bool,
    /// Where it is.
    path: String,
}

impl Default for StatusPath {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/status".to_owned(),
        }
    }
}

/// `http.config`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ConfigPath {
    /// Whether it is there.
    enabled: bool,
    /// Where it would be.
    path: String,
}

impl Default for ConfigPath {
    fn default() -> Self {
        Self {
            enabled: false,
            path: "/config".to_owned(),
        }
    }
}

impl Config {
    /// The second form, or what is missing or not built of it.
    fn second(&self) -> Result<&Http, BuildError> {
        let first = [
            ("endpoint", self.endpoint.is_some()),
            ("path", self.path.is_some()),
            ("response_body", self.response_body.is_some()),
        ];
        if let Some((key, _)) = first.iter().find(|(_, given)| *given) {
            let message = format!("`{key}` belongs to the first form");
            return Err(
                BuildError::at(*key, message).remedy("write it under `http`, or take `use_v2` out")
            );
        }
        let http = self.http.as_ref().ok_or_else(|| {
            BuildError::at("http", "no protocol is named").remedy("write `http: {}`")
        })?;
        if http.config.enabled {
            let message = "the configuration is not shown over HTTP";
            return Err(BuildError::at("http::config::enabled", message)
                .remedy("use `tidegate print-config`, which hides secrets"));
        }
        if !http.status.path.starts_with('/') {
            let message = format!("{:?} does not start with a slash", http.status.path);
            return Err(BuildError::at("http::status::path", message)
                .remedy(format!("write \"/{}\"", http.status.path)));
        }
        Ok(http)
    }

    fn first(&self) -> health_check::Config {
        health_check::Config::new(
            self.endpoint.clone(),
            self.path.clone(),
            self.response_body.clone(),
        )
    }
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "healthcheckv2";

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        if !self.use_v2 {
            if self.http.is_some() {
                return Err(BuildError::at("http", "it belongs to the second form")
                    .remedy("write `use_v2: true` beside it"));
            }
            return self.first().build(cx);
        }
        let http = self.second()?;
        Ok(Arc::new(HealthCheckV2 {
            http: http.clone(),
            health: self.component_health,
            site: Site::default(),
        }))
    }

    fn listens(&self) -> Vec<(String, String)> {
        match (self.use_v2, &self.http) {
            (false, _) => ComponentConfig::listens(&self.first()),
            (true, Some(http)) => vec![("http::endpoint".to_owned(), http.endpoint.clone())],
            (true, None) => Vec::new(),
        }
    }
}

struct HealthCheckV2 {
    http: Http,
    health: ComponentHealth,
    site: Site,
}

#[async_trait]
impl Extension for HealthCheckV2 {
    async fn start(&self, cx: ExtensionContext) -> Result<(), StartError> {
        let recovery = self.health.include_recoverable_errors;
        let recovery = recovery.then(|| *self.health.recovery_duration);
        let desk = Desk {
            status: self.http.status.clone(),
            source: cx.status,
            observer: Observer::new(recovery),
        };
        let answer = move |request: &Parts| desk.answer(&request.uri);
        self.site.open(&self.http.endpoint, answer).await
    }

    async fn stop(&self) {
        self.site.close().await;
    }
}

/// Where probes are answered.
struct Desk {
    status: StatusPath,
    source: Arc<dyn StatusSource>,
    observer: Observer,
}

impl Desk {
    fn answer(&self, uri: &Uri) -> Page {
        if !self.status.enabled || uri.path() != self.status.path {
            return pages::not_found();
        }
        let query = uri.query().unwrap_or_default();
        let mut asked = None;
        let mut verbose = false;
        for (key, value) in query::pairs(query) {
            match &*key {
                "pipeline" => asked = Some(value.into_owned()),
                "verbose" => verbose = value != "false",
                _ => {}
            }
        }
        let mut state = self.observer.look(&*self.source);
        if let Some(pipeline) = asked.filter(|name| !name.is_empty()) {
            match state.pipeline(&pipeline) {
                Some(found) => state = found,
                None => return pages::not_found(),
            }
        }
        let code = state.code();
        let body = state.json(self.observer.since(), verbose);
        pages::text(code, "application/json", format!("{body}\n"))
    }
}

/// What is answered to each status.
const fn code(healthy: bool, over: bool) -> StatusCode {
    match (healthy, over) {
        (true, _) => StatusCode::OK,
        (false, true) => StatusCode::INTERNAL_SERVER_ERROR,
        (false, false) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
