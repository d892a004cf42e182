//! `pprof`: the address at which a Go program hands out profiles of itself.
//!
//! A program in Rust has no runtime that takes samples, and what there is to say is how a profile is had
//! from outside, under the Collector's paths.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::{
    BuildContext, BuildError, ComponentConfig, Extension, ExtensionContext, StartError, async_trait,
};
use tidegate_document::Duration;
use tidegate_transport::pages::{self, Page};

use crate::site::Site;

const TEXT: &str = "text/plain; charset=utf-8";

/// The profiles that a Go program has.
const PROFILES: [&str; 8] = [
    "allocs",
    "block",
    "goroutine",
    "heap",
    "mutex",
    "profile",
    "threadcreate",
    "trace",
];

/// Tells at the Collector's paths how profiles of this process are had: it takes none itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens, as host:port.
    endpoint: String,
    /// Accepted and without effect: nothing is dialled.
    dialer: Dialer,
    /// Accepted with a warning: it steers Go's runtime.
    block_profile_fraction: i64,
    /// Accepted with a warning: it steers Go's runtime.
    mutex_profile_fraction: i64,
    /// Accepted with a warning: no profile is taken.
    save_to_file: String,
}

/// `dialer`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Dialer {
    /// Accepted and without effect.
    timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "localhost:1777".to_owned(),
            dialer: Dialer::default(),
            block_profile_fraction: 0,
            mutex_profile_fraction: 0,
            save_to_file: String::new(),
        }
    }
}

impl ComponentConfig for Config {
    type Builds = Arc<dyn Extension>;
    const TYPE: &'static str = "pprof";

    fn build(&self, cx: &BuildContext) -> Result<Arc<dyn Extension>, BuildError> {
        if self.endpoint.is_empty() {
            return Err(BuildError::at("endpoint", "it names no address")
                .remedy("write \"localhost:1777\""));
        }
        for (key, written) in [
            ("block_profile_fraction", self.block_profile_fraction > 0),
            ("mutex_profile_fraction", self.mutex_profile_fraction > 0),
            ("save_to_file", !self.save_to_file.is_empty()),
        ] {
            if written {
                tracing::warn!(extension = %cx.id, key, "it does nothing: this process takes no profiles of itself");
            }
        }
        Ok(Arc::new(Pprof {
            endpoint: self.endpoint.clone(),
            site: Site::default(),
        }))
    }

    fn listens(&self) -> Vec<(String, String)> {
        vec![("endpoint".to_owned(), self.endpoint.clone())]
    }
}

struct Pprof {
    endpoint: String,
    site: Site,
}

#[async_trait]
impl Extension for Pprof {
    async fn start(&self, _: ExtensionContext) -> Result<(), StartError> {
        let answer = |request: &Parts| answer(request.uri.path());
        self.site.open(&self.endpoint, answer).await
    }

    async fn stop(&self) {
        self.site.close().await;
    }
}

fn answer(path: &str) -> Page {
    let Some(name) = path.strip_prefix("/debug/pprof") else {
        return pages::not_found();
    };
    match name.trim_start_matches('/') {
        "" => pages::text(StatusCode::OK, TEXT, index()),
        "cmdline" => pages::text(StatusCode::OK, TEXT, command_line()),
        name if PROFILES.contains(&name) => {
            let text = format!("there is no {name} profile here\n\n{}", how());
            pages::text(StatusCode::NOT_IMPLEMENTED, TEXT, text)
        }
        _ => pages::not_found(),
    }
}

fn index() -> String {
    let known = PROFILES.join(", ");
    format!(
        "/debug/pprof/cmdline is the command line.\n\nThe profiles of a Go program ({known}) are answered 501: \
         this program has no Go runtime.\n\n{}",
        how()
    )
}

/// How a profile of this process is taken.
fn how() -> String {
    let process = std::process::id();
    format!(
        "To see where it spends its time, on its machine:\n\n  perf record -F 99 -g -p {process} -- sleep 30\n  perf report\n\n\
         What it holds in memory is in /ledger of the extension admin and in its own metrics.\n"
    )
}

/// The arguments with a zero between each two, as Go writes them.
fn command_line() -> String {
    let arguments = std::env::args_os();
    let texts = arguments.map(|argument| argument.to_string_lossy().into_owned());
    texts.collect::<Vec<_>>().join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> (u16, String) {
        let page = answer(path);
        let text = String::from_utf8_lossy(page.body()).into_owned();
        (page.status().as_u16(), text)
    }

    #[test]
    fn every_path_of_a_go_program_is_answered_with_what_there_is() {
        let process = std::process::id().to_string();
        for path in ["/debug/pprof", "/debug/pprof/"] {
            let (status, text) = shown(path);
            assert_eq!(status, 200);
            assert!(text.contains(&process), "{text}");
        }
        let program = std::env::args().next().unwrap();
        assert!(shown("/debug/pprof/cmdline").1.starts_with(&program));
        for name in PROFILES {
            let (status, text) = shown(&format!("/debug/pprof/{name}"));
            assert_eq!(status, 501, "{name}");
            assert!(text.contains("perf record"), "{text}");
        }
        for path in ["/", "/debug/pprof/other", "/debug"] {
            assert_eq!(shown(path).0, 404, "{path}");
        }
    }

    #[test]
    fn an_empty_endpoint_is_refused() {
        let cx = BuildContext::detached("extension", Config::TYPE.parse().unwrap());
        let config = Config {
            endpoint: String::new(),
            ..Config::default()
        };
        assert_eq!(config.build(&cx).err().unwrap().path, "endpoint");
    }
}
