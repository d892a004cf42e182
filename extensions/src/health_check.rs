//! `health_check`: whether the process is up and its pipelines take data, over HTTP.
//!
//! The path of the Collector's extension answers as that one does. Beside it, `/live` says that
//! the process answers at all, and `/ready` says for each pipeline whether it delivers.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_component::status::{Phase, PipelineStatus, StatusSource};
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Extension, ExtensionContext, StartError, async_trait,
};
use tidegate_document::Duration;
use tidegate_transport::pages::{self, Page};
use tokio::time::Instant;

use crate::site::Site;

/// Answers probes: 200 while receivers take data, 503 before and after.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens, as host:port.
    endpoint: String,
    /// The path of the Collector's probe; `/live` and `/ready` are there beside it.
    path: String,
    /// Texts to answer with instead of JSON.
    response_body: Option<ResponseBody>,
    /// Accepted for the Collector's sake, which ignores it; `/ready` tells how pipelines are.
    check_collector_pipeline: Option<CheckPipeline>,
}

/// `response_body`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseBody {
    /// The text while receivers take data.
    healthy: String,
    /// The text before and after.
    unhealthy: String,
}

/// `check_collector_pipeline`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(dead_code)] // read for its keys' sake alone
pub struct CheckPipeline {
    /// Without effect.
    enabled: bool,
    /// Without effect.
    interval: Option<Duration>,
    /// Without effect.
    exporter_failure_threshold: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "localhost:13133".to_owned(),
            path: "/".to_owned(),
            response_body: None,
            check_collector_pipeline: None,
        }
    }
}

impl Config {
    /// The keys that another extension has in common with this one.
    pub(crate) fn new(
        endpoint: Option<String>,
        path: Option<String>,
        response_body: Option<ResponseBody>,
    ) -> Self {
        let default = Self::default();
        Self {
            endpoint: endpoint.unwrap_or(default.endpoint),
            path: path.unwrap_or(default.path),
            response_body,
            check_collector_pipeline: None,
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "health_check";

    fn build(&self, _cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        if !self.path.starts_with('/') {
            let message = format!("{:?} does not start with a slash", self.path);
            return Err(BuildError::at("path", message).remedy(format!("write \"/{}\"", self.path)));
        }
        Ok(Arc::new(HealthCheck {
            config: self.clone(),
            site: Site::default(),
        }))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![("endpoint".to_owned(), self.endpoint.clone())]
    }
}

struct HealthCheck {
    config: Config,
    site: Site,
}

#[async_trait]
impl Extension for HealthCheck {
    async fn start(&self, cx: ExtensionContext) -> Result<(), StartError> {
        let probe = Probe {
            config: self.config.clone(),
            status: cx.status,
            since: (Timestamp::now(), Instant::now()),
        };
        let answer = move |request: &Parts| probe.answer(request.uri.path());
        self.site.open(&self.config.endpoint, answer).await
    }

    async fn stop(&self) {
        self.site.close().await;
    }
}

struct Probe {
    config: Config,
    status: Arc<dyn StatusSource>,
    since: (Timestamp, Instant),
}

/// What the Collector's extension answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    up_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<String>,
}

/// What `/ready` answers.
#[derive(Serialize)]
struct Readiness {
    phase: Phase,
    ready: bool,
    pipelines: Vec<PipelineStatus>,
}

impl Probe {
    fn answer(&self, path: &str) -> Page {
        if path == self.config.path {
            return self.collectors();
        }
        match path {
            "/live" => pages::text(StatusCode::OK, "text/plain; charset=utf-8", "live\n"),
            "/ready" => self.readiness(),
            _ => pages::not_found(),
        }
    }

    fn running(&self) -> bool {
        self.status.phase() == Phase::Running
    }

    fn collectors(&self) -> Page {
        let up = self.running();
        let status = code(up);
        if let Some(body) = &self.config.response_body {
            let text = if up { &body.healthy } else { &body.unhealthy };
            return pages::text(status, "text/plain; charset=utf-8", text.clone());
        }
        let answer = if up {
            Answer {
                status: "Server available",
                up_since: Some(self.since.0.to_string()),
                uptime: Some(Duration::from(self.since.1.elapsed()).to_string()),
            }
        } else {
            Answer {
                status: "Server not available",
                up_since: None,
                uptime: None,
            }
        };
        json(status, &answer)
    }

    /// Ready while receivers take data, even where an exporter fails: what it cannot deliver is
    /// in its queue, and taking the process out of service would only move the queue to clients.
    fn readiness(&self) -> Page {
        let ready = self.running();
        let answer = Readiness {
            phase: self.status.phase(),
            ready,
            pipelines: self.status.pipelines(),
        };
        json(code(ready), &answer)
    }
}

fn code(up: bool) -> StatusCode {
    if up {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Page {
    match serde_json::to_vec(value) {
        Ok(body) => pages::text(status, "application/json", body),
        Err(_) => pages::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain; charset=utf-8",
            "",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_component::status::LedgerRow;

    struct In(Phase);

    impl StatusSource for In {
        fn phase(&self) -> Phase {
            self.0
        }

        fn pipelines(&self) -> Vec<PipelineStatus> {
            vec![PipelineStatus {
                name: "traces".to_owned(),
                signal: "traces",
                receivers: vec!["otlp".to_owned()],
                processors: Vec::new(),
                exporters: Vec::new(),
                promise: "memory",
                healthy: true,
            }]
        }

        fn ledger(&self) -> Vec<LedgerRow> {
            Vec::new()
        }
    }

    fn probe(phase: Phase, config: Config) -> Probe {
        Probe {
            config,
            status: Arc::new(In(phase)),
            since: (Timestamp::UNIX_EPOCH, Instant::now()),
        }
    }

    #[tokio::test]
    async fn answers_as_the_collector_while_running_and_not() {
        let page = probe(Phase::Running, Config::default()).answer("/");
        assert_eq!(page.status(), StatusCode::OK);
        let body: serde_json::Value = serde_json::from_slice(page.body()).unwrap();
        assert_eq!(body["status"], "Server available");
        assert_eq!(body["upSince"], "1970-01-01T00:00:00Z");

        let page = probe(Phase::Stopping, Config::default()).answer("/");
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(&page.body()[..], br#"{"status":"Server not available"}"#);
    }

    #[tokio::test]
    async fn readiness_tells_of_each_pipeline_and_liveness_of_none() {
        let probe = probe(Phase::Starting, Config::default());
        assert_eq!(probe.answer("/live").status(), StatusCode::OK);
        let page = probe.answer("/ready");
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body: serde_json::Value = serde_json::from_slice(page.body()).unwrap();
        assert_eq!(body["phase"], "starting");
        assert_eq!(body["pipelines"][0]["promise"], "memory");
    }

    #[tokio::test]
    async fn configured_texts_replace_the_json() {
        let config: Config = serde_json::from_str(
            r#"{"path": "/health", "response_body": {"healthy": "ok", "unhealthy": "no"}}"#,
        )
        .unwrap();
        let page = probe(Phase::Running, config).answer("/health");
        assert_eq!(&page.body()[..], b"ok");
    }
}
