//! OTLP over gRPC and HTTP: the way in for SDKs, agents and other collectors.
//!
//! Both protocols do the same with a request: ask the door for room, read the body into one
//! buffer, let the door check it, hand it to the pipelines and answer with what became of it.

mod config;
mod export;
mod grpc;
mod http;
mod reply;

#[cfg(test)]
mod tests;

use tidegate_component::metrics::Metrics;
use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_transport::server::config::Prepared;
use tidegate_transport::server::{Grpc, ListenError, Pace, Server, Service};

pub use config::Config;

use export::Export;
use grpc::Calls;
use http::{Http, HttpSettings};

/// The receiver.
struct Otlp {
    /// The server, its largest message, and whether metadata is kept.
    grpc: Option<(Prepared, usize, bool)>,
    http: Option<(Prepared, HttpSettings)>,
    metrics: Metrics,
    running: Vec<Server>,
}

impl Otlp {
    const fn new(
        grpc: Option<(Prepared, usize, bool)>,
        http: Option<(Prepared, HttpSettings)>,
        metrics: Metrics,
    ) -> Self {
        Self {
            grpc,
            http,
            metrics,
            running: Vec::new(),
        }
    }

    async fn serve(&mut self, cx: &ReceiverContext) -> Result<(), StartError> {
        if let Some((prepared, max_message, include_metadata)) = &self.grpc {
            let export = Export::new(cx, "grpc", &self.metrics);
            let calls = Calls::new(export, *include_metadata);
            let service = Grpc::new(calls, *max_message, Pace::default());
            self.running
                .push(listen(prepared, service, cx, "grpc").await?);
        }
        if let Some((prepared, settings)) = &self.http {
            let export = Export::new(cx, "http", &self.metrics);
            let service = Http::new(export, settings.clone());
            self.running
                .push(listen(prepared, service, cx, "http").await?);
        }
        Ok(())
    }
}

async fn listen<S: Service>(
    prepared: &Prepared,
    service: S,
    cx: &ReceiverContext,
    protocol: &str,
) -> Result<Server, StartError> {
    let settings = prepared.load()?;
    let server = Server::start(settings, service, &cx.workers)
        .await
        .map_err(|ListenError { address, source }| {
            StartError::new(format!("cannot listen on {address}"), source)
        })?;
    tracing::info!(receiver = %cx.id, protocol, endpoint = %server, "listening");
    Ok(server)
}

#[async_trait]
impl Receiver for Otlp {
    async fn start(&mut self, cx: ReceiverContext) -> Result<(), StartError> {
        let served = self.serve(&cx).await;
        if served.is_err() {
            self.stop().await;
        }
        served
    }

    async fn stop(&mut self) {
        let servers = self.running.drain(..).map(Server::stop);
        futures_util::future::join_all(servers).await;
    }
}
