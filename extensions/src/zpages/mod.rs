//! `zpages`: how the process is, as pages for people.
//!
//! The paths are those of the Collector's extension. They show what is known here: pipelines with
//! what their answers are worth, and the ledger of each component; spans of its own are not
//! recorded, and `/debug/tracez` says so.

mod html;
mod tables;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::request::Parts;
use http::{StatusCode, Uri};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::memory::resident_memory;
use tidegate_component::status::{StatusSource, Summary};
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Extension, ExtensionContext, StartError, async_trait,
};
use tidegate_document::Duration;
use tidegate_transport::pages::{self, Page};
use tidegate_transport::query;
use tokio::time::Instant;

use crate::site::Site;

use html::Document;

/// Shows the process, its pipelines and extensions as pages under `/debug`, as the Collector does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens, as host:port. Anyone who reaches it can read names and counts.
    endpoint: String,
    /// Figures of the process as JSON, at `/debug/expvarz`.
    expvar: Expvar,
}

/// `expvar`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expvar {
    /// Whether they are shown.
    enabled: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "localhost:55679".to_owned(),
            expvar: Expvar::default(),
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "zpages";

    fn build(&self, _cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        if self.endpoint.is_empty() {
            return Err(BuildError::at("endpoint", "it names no address")
                .remedy("write \"localhost:55679\""));
        }
        Ok(Arc::new(ZPages {
            config: self.clone(),
            site: Site::default(),
        }))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![("endpoint".to_owned(), self.endpoint.clone())]
    }
}

struct ZPages {
    config: Config,
    site: Site,
}

#[async_trait]
impl Extension for ZPages {
    async fn start(&self, cx: ExtensionContext) -> Result<(), StartError> {
        let desk = Desk {
            expvar: self.config.expvar.enabled,
            workers: cx.workers.count(),
            status: cx.status,
            since: (Timestamp::now(), Instant::now()),
        };
        let answer = move |request: &Parts| desk.answer(&request.uri);
        self.site.open(&self.config.endpoint, answer).await
    }

    async fn stop(&self) {
        self.site.close().await;
    }
}

/// Where requests are answered.
struct Desk {
    expvar: bool,
    workers: usize,
    status: Arc<dyn StatusSource>,
    since: (Timestamp, Instant),
}

/// The pages, each with what it is about.
const PAGES: [(&str, &str); 5] = [
    ("servicez", "the process"),
    ("pipelinez", "its pipelines"),
    ("extensionz", "its extensions"),
    ("featurez", "its feature gates"),
    ("tracez", "its own spans"),
];

impl Desk {
    fn answer(&self, uri: &Uri) -> Page {
        let query = uri.query().unwrap_or_default();
        let asked = |key| query::values(query, key).last();
        let document = match uri.path() {
            "/" | "/debug" | "/debug/" => index(),
            "/debug/servicez" => self.service(),
            "/debug/pipelinez" => tables::pipelines(
                &*self.status,
                asked("zpipelinename").as_deref(),
                asked("zcomponentkind").as_deref(),
                asked("zcomponentname").as_deref(),
            ),
            "/debug/extensionz" => {
                tables::extensions(&*self.status, asked("zextensionname").as_deref())
            }
            "/debug/featurez" => {
                Document::new("Feature Gates").text("There are no feature gates here.")
            }
            "/debug/tracez" => traces(),
            "/debug/expvarz" if self.expvar => return self.figures(),
            _ => return pages::not_found(),
        };
        pages::text(
            StatusCode::OK,
            "text/html; charset=utf-8",
            document.finish(),
        )
    }

    fn service(&self) -> Document {
        let uptime = Duration::from(self.since.1.elapsed()).to_string();
        let memory = resident_memory().map_or_else(|| "unknown".to_owned(), mebibytes);
        let ledger = self.status.ledger();
        Document::new("Service")
            .facts(
                "Build Info",
                &[
                    ("Command", "tidegate".to_owned()),
                    ("Version", env!("CARGO_PKG_VERSION").to_owned()),
                ],
            )
            .facts(
                "Runtime Info",
                &[
                    ("StartTimestamp", self.since.0.to_string()),
                    ("Uptime", uptime),
                    ("Phase", self.status.phase().name().to_owned()),
                    ("Workers", self.workers.to_string()),
                    ("Memory", memory),
                    ("Process", std::process::id().to_string()),
                ],
            )
            .facts(
                "Items",
                &[("Ledger", Summary::of(&ledger).in_words("held"))],
            )
            .links(PAGES[1..].iter().map(|(path, _)| *path))
    }

    /// What Go's `expvar` has here: how the process was called, and its memory.
    fn figures(&self) -> Page {
        let arguments: Vec<_> = std::env::args_os()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        let figures = serde_json::json!({
            "cmdline": arguments,
            "resident_memory_bytes": resident_memory(),
            "uptime_seconds": self.since.1.elapsed().as_secs_f64(),
            "workers": self.workers,
        });
        let body = format!("{figures:#}\n");
        pages::text(StatusCode::OK, "application/json; charset=utf-8", body)
    }
}

fn index() -> Document {
    let paths = PAGES.iter().map(|(path, _)| *path);
    Document::new("Tidegate").links(paths)
}

fn traces() -> Document {
    Document::new("Trace Spans")
        .text("Tidegate records no spans of its own, so there is none to show.")
        .text("What became of every item stands in the ledger of each component: see pipelinez.")
        .links(["pipelinez"])
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
