//! OTLP over gRPC and HTTP: the way in for SDKs, agents and other collectors.
//!
//! Both protocols do the same with a request: ask the door for room, read the body into one
//! buffer, let the door check it, hand it to the pipelines and answer with what became of it.

mod config;
mod grpc;
mod http;
mod reply;

#[cfg(test)]
mod tests;

use tidegate_component::metrics::Metrics;
use tidegate_component::{Receiver, ReceiverContext, StartError, async_trait};
use tidegate_transport::server::config::Prepared;
use tidegate_transport::server::{Grpc, Pace, Server};

pub use config::Config;

use crate::doors::Doors;
use crate::servers::listen;
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
            let doors = Doors::new(cx, "grpc", &self.metrics);
            let calls = Calls::new(doors, *include_metadata);
            let service = Grpc::new(calls, *max_message, Pace::default());
            self.running
                .push(listen(prepared, service, cx, "grpc").await?);
        }
        if let Some((prepared, settings)) = &self.http {
            let doors = Doors::new(cx, "http", &self.metrics);
            let service = Http::new(doors, settings.clone());
            self.running
                .push(listen(prepared, service, cx, "http").await?);
        }
        Ok(())
    }
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
