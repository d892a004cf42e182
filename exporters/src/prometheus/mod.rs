//! `prometheus`: shows metrics to Prometheus, which scrapes them.
//!
//! The way of a data point: [`ingest`] walks a batch's views, [`store`] finds the point's series, [`value`] takes the
//! point into it. The way of a scrape: [`endpoint`] negotiates, [`exposition`] writes. A series' labels are text from
//! the moment it is first seen, so that a scrape copies them and formats nothing but numbers.

mod aliases;
mod config;
mod endpoint;
pub(crate) mod exposition;
mod family;
mod ingest;
mod interner;
mod labels;
mod meters;
pub(crate) mod naming;
mod number;
pub(crate) mod origin;
pub(crate) mod rejection;
mod series;
mod store;
mod stream;
pub(crate) mod value;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_component::metrics::Metrics;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, Delivered, ExportError,
    ExporterContext, InlineExporter, Stability, StartError, async_trait,
};
use tidegate_pdata::{Batch, Signals};
use tidegate_transport::server::config::Prepared;
use tidegate_transport::server::{ListenError, Server};
use tokio::sync::watch;

pub use config::{Config, Keys, ResourceConversion, TranslationStrategy};

use endpoint::Endpoint;
use store::Store;

/// The longest time between two searches for series to which no points come any more.
const TIDY_AT_LEAST: Duration = Duration::from_secs(60);
/// The shortest.
const TIDY_AT_MOST: Duration = Duration::from_secs(1);

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "prometheus";
    const SIGNALS: Signals = Signals::METRICS;
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        Ok(AnyExporter::Inline(Arc::new(self.exporter(cx)?)))
    }

    fn listens(&self) -> Vec<(String, String)> {
        let endpoint = self.server.endpoint.clone();
        endpoint
            .map(|endpoint| ("endpoint".to_owned(), endpoint))
            .into_iter()
            .collect()
    }
}

impl Config {
    fn exporter(&self, cx: &BuildContext) -> Result<Prometheus, BuildError> {
        let endpoint = self.server.endpoint.as_deref().unwrap_or_default();
        if endpoint.trim().is_empty() {
            return Err(BuildError::at("endpoint", "there is no endpoint")
                .remedy("write where Prometheus scrapes, as `localhost:8889`"));
        }
        let settings = self.keys.settings()?;
        let page = endpoint::Settings {
            open_metrics: self.keys.enable_open_metrics,
            timestamps: self.keys.send_timestamps,
            response_headers: self.server.response_headers("")?,
            cors: self.server.cors("")?,
        };
        Ok(Prometheus {
            prepared: self.server.prepare("", endpoint)?,
            page,
            store: Arc::new(Store::new(settings, cx)),
            metrics: cx.metrics.clone(),
            running: tokio::sync::Mutex::default(),
        })
    }
}

/// The exporter.
struct Prometheus {
    prepared: Prepared,
    page: endpoint::Settings,
    store: Arc<Store>,
    metrics: Metrics,
    running: tokio::sync::Mutex<Option<Running>>,
}

/// What runs while it is started.
struct Running {
    server: Server,
    stop: watch::Sender<()>,
}

#[async_trait]
impl InlineExporter for Prometheus {
    async fn start(&self, cx: ExporterContext) -> Result<(), StartError> {
        let page = Endpoint::new(Arc::clone(&self.store), self.page.clone(), &self.metrics);
        let server = Server::start(self.prepared.load()?, page, &cx.workers)
            .await
            .map_err(|ListenError { address, source }| {
                StartError::new(format!("cannot listen on {address}"), source)
            })?;
        tracing::info!(exporter = %cx.id, endpoint = %server, "shows metrics at /metrics");
        let (stop, stopped) = watch::channel(());
        cx.workers
            .spawn(cx.workers.next(), tidy(Arc::clone(&self.store), stopped));
        *self.running.lock().await = Some(Running { server, stop });
        Ok(())
    }

    fn apply(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        Ok(ingest::take(&self.store, batch.payload()))
    }

    async fn stop(&self) {
        if let Some(Running { server, stop }) = self.running.lock().await.take() {
            drop(stop);
            server.stop().await;
        }
    }
}

/// Ends old series until the exporter is stopped, whether or not anybody scrapes.
async fn tidy(store: Arc<Store>, mut stopped: watch::Receiver<()>) {
    let half = store
        .settings
        .expiration
        .map(|millis| Duration::from_millis(millis / 2));
    let every = half.map_or(TIDY_AT_LEAST, |half| {
        half.clamp(TIDY_AT_MOST, TIDY_AT_LEAST)
    });
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(every) => {}
        }
        if store.is_small() {
            store.tidy();
        } else {
            let store = Arc::clone(&store);
            // Looking at very many series would hold up what else this worker does.
            let _ = tokio::task::spawn_blocking(move || store.tidy()).await;
        }
    }
}

/// Locks what holds no more than numbers and lists: a panic elsewhere leaves nothing half done in it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
