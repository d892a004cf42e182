//! `http_sd_configs`: targets listed by a server.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri, header};
use tidegate_component::{StartError, Workers};
use tidegate_transport::client::{HttpChannel, HttpSettings};
use tokio::time::{sleep, timeout};

use super::file::marked;
use crate::prometheus::config::StaticKeys;
use crate::prometheus::labels::Group;
use crate::prometheus::scrape::credentials::Credentials;
use crate::prometheus::scrape::{Updates, answer_of};

/// Bytes of an answer that are taken at most.
const MOST: usize = 64 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A list of targets on a server.
#[derive(Clone, Debug)]
pub(in crate::prometheus) struct List {
    url: String,
    uri: Uri,
    pause: Duration,
    client: HttpSettings,
    credentials: Credentials,
}

impl List {
    pub(in crate::prometheus) fn new(
        url: &str,
        pause: Duration,
        client: HttpSettings,
        credentials: Credentials,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| format!("\"{url}\" is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("the URL begins neither with http:// nor with https://".to_owned());
        }
        Ok(Self {
            url: url.to_owned(),
            uri,
            pause,
            client,
            credentials,
        })
    }

    pub(super) fn channel(&self, workers: &Workers) -> Result<HttpChannel, StartError> {
        self.client.start(Some(workers.clone()))
    }

    /// Brings the targets, again whenever the answer changes.
    pub(super) async fn watch(self: Box<Self>, channel: HttpChannel, updates: Updates) {
        let (mut told, mut failing) = (None, None);
        loop {
            match self.ask(&channel).await {
                Ok(groups) => {
                    if failing.take().is_some() {
                        tracing::info!(job = %updates.job, url = %self.url, "targets are listed again");
                    }
                    if told.as_ref() != Some(&groups) {
                        told = Some(groups.clone());
                        updates.set(groups).await;
                    }
                }
                Err(fault) if failing.as_ref() != Some(&fault) => {
                    tracing::warn!(job = %updates.job, url = %self.url, %fault, "cannot list targets: those known stay");
                    failing = Some(fault);
                }
                Err(_) => {}
            }
            sleep(self.pause).await;
        }
    }

    async fn ask(&self, channel: &HttpChannel) -> Result<Vec<Group>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let pause = self.pause.as_secs_f64().to_string();
        if let Ok(pause) = HeaderValue::try_from(pause) {
            headers.insert("x-prometheus-refresh-interval-seconds", pause);
        }
        let answer = answer_of(channel, &self.credentials, &self.uri, headers, MOST);
        let answer = timeout(PATIENCE, answer)
            .await
            .map_err(|_| format!("there is no answer after {PATIENCE:?}"))??;
        let content = answer.headers.get(header::CONTENT_TYPE);
        let content = content.and_then(|value| value.to_str().ok()).unwrap_or("");
        if !content
            .trim()
            .to_ascii_lowercase()
            .starts_with("application/json")
        {
            return Err(format!("the answer is \"{content}\" and not JSON"));
        }
        let lists: Vec<StaticKeys> = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("the answer is no list of targets: {error}"))?;
        Ok(marked(&lists, "__meta_url", &self.url))
    }
}
