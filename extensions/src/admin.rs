//! `admin`: what happens inside, as JSON on a local port.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_component::status::StatusSource;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Extension, ExtensionContext, StartError, async_trait,
};
use tidegate_transport::pages::{self, Page};

use crate::site::Site;

/// Shows pipelines and ledger on a local port: `/pipelines` and `/ledger`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens, as host:port. Anyone who reaches it can read names and counts.
    endpoint: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "localhost:13134".to_owned(),
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "admin";

    fn build(&self, _cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        Ok(Arc::new(Admin {
            endpoint: self.endpoint.clone(),
            site: Site::default(),
        }))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![("endpoint".to_owned(), self.endpoint.clone())]
    }
}

struct Admin {
    endpoint: String,
    site: Site,
}

#[async_trait]
impl Extension for Admin {
    async fn start(&self, cx: ExtensionContext) -> Result<(), StartError> {
        let status = cx.status;
        let answer = move |request: &Parts| answer(request.uri.path(), &*status);
        self.site.open(&self.endpoint, answer).await
    }

    async fn stop(&self) {
        self.site.close().await;
    }
}

fn answer(path: &str, status: &dyn StatusSource) -> Page {
    match path {
        "/pipelines" => json(&status.pipelines()),
        "/ledger" => json(&status.ledger()),
        "/" => pages::text(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "/pipelines\n/ledger\n",
        ),
        _ => pages::not_found(),
    }
}

fn json(value: &impl Serialize) -> Page {
    match serde_json::to_vec_pretty(value) {
        Ok(body) => pages::text(StatusCode::OK, "application/json", body),
        Err(error) => pages::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain; charset=utf-8",
            format!("the status cannot be written as JSON: {error}\n"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_component::status::{LedgerRow, Phase, PipelineStatus};

    struct Still;

    impl StatusSource for Still {
        fn phase(&self) -> Phase {
            Phase::Running
        }

        fn pipelines(&self) -> Vec<PipelineStatus> {
            Vec::new()
        }

        fn ledger(&self) -> Vec<LedgerRow> {
            vec![LedgerRow {
                component: "otlp".to_owned(),
                r#in: 7,
                out: 7,
                ..LedgerRow::default()
            }]
        }
    }

    #[test]
    fn serves_the_ledger_as_json() {
        let page = answer("/ledger", &Still);
        assert_eq!(page.status(), StatusCode::OK);
        let rows: serde_json::Value = serde_json::from_slice(page.body()).unwrap();
        assert_eq!(rows[0]["in"], 7);
        assert_eq!(rows[0]["component"], "otlp");
        assert_eq!(answer("/other", &Still).status(), StatusCode::NOT_FOUND);
    }
}
