//! Stopping: receivers, then every node from left to right, then the queues until the deadline.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use futures_util::future::join_all;
use tidegate_component::AnyExporter;
use tidegate_component::status::{LedgerRow, Phase, StatusSource};
use tokio::time::{Instant, timeout_at};

use super::Running;
use crate::graph::Local;

/// How long a component may take to close when the deadline has passed.
const TO_CLOSE: Duration = Duration::from_secs(2);

impl Running {
    /// Stops the graph and says what became of every item.
    ///
    /// Receivers stop, processors and connectors emit what they hold, queues deliver until
    /// `deadline`; what is left then is counted as dropped by reason `shutdown`.
    pub async fn shutdown(self, deadline: Instant) -> Vec<LedgerRow> {
        let status = Arc::clone(&self.status);
        self.stop(deadline).await;
        status.ledger()
    }

    pub(super) async fn stop(mut self, deadline: Instant) {
        self.status.enter(Phase::Stopping);
        self.wired.closing.store(true, Release);
        self.stop_receivers(deadline).await;
        self.wired.graph.shut.store(true, Release);
        self.flush(deadline).await;
        let sinks = self.wired.graph.sinks.iter();
        join_all(sinks.map(|end| end.sink.drain(deadline))).await;
        self.remove().await;
        self.close().await;
    }

    /// Lets requests that have begun come to an end, but leaves half of the time to the queues.
    async fn stop_receivers(&mut self, deadline: Instant) {
        let now = Instant::now();
        let half = deadline.saturating_duration_since(now) / 2;
        let until = now + half.max(TO_CLOSE);
        let receivers = self.wired.receivers.iter_mut();
        let stops =
            receivers.map(|(id, receiver)| within(until, "receiver", id.as_str(), receiver.stop()));
        join_all(stops).await;
    }

    /// Has every node emit what it holds, those first that feed others.
    async fn flush(&self, deadline: Instant) {
        let graph = &self.wired.graph;
        let until = deadline.max(Instant::now() + TO_CLOSE);
        let idle = || within(until, "graph", "hand-overs", graph.in_flight.idle());
        idle().await;
        for (at, node) in graph.nodes.iter().enumerate() {
            let flushes = (0..self.pool.count()).map(|worker| {
                let id = graph.id;
                self.pool.run(worker, move || {
                    if let Some(local) = crate::graph::local(id) {
                        local.flush_last(at);
                    }
                })
            });
            let flushes = async { drop(join_all(flushes).await) };
            within(until, node.context.kind, node.id.as_str(), flushes).await;
            idle().await;
        }
    }

    /// Takes the workers' parts down.
    async fn remove(&self) {
        self.wired.graph.closed.store(true, Release);
        let removals = (0..self.pool.count()).map(|worker| {
            let graph = Arc::clone(&self.wired.graph);
            self.pool.run(worker, move || Local::remove(&graph, worker))
        });
        let removals = async { drop(join_all(removals).await) };
        within(Instant::now() + TO_CLOSE, "graph", "workers", removals).await;
    }

    /// Closes exporters, then extensions.
    async fn close(&self) {
        let until = Instant::now() + TO_CLOSE;
        let exporters = self.wired.exporters.iter();
        let stops = exporters.map(|(id, exporter)| async move {
            let stop = async {
                match exporter {
                    AnyExporter::Remote(exporter) => exporter.stop().await,
                    AnyExporter::Inline(exporter) => exporter.stop().await,
                    AnyExporter::Bulk(exporter) => exporter.stop().await,
                }
            };
            within(until, "exporter", id.as_str(), stop).await;
        });
        join_all(stops).await;
        let until = Instant::now() + TO_CLOSE;
        let extensions = self.wired.extensions.iter();
        let stops = extensions
            .map(|(id, extension)| within(until, "extension", id.as_str(), extension.stop()));
        join_all(stops).await;
    }
}

/// Waits for a step of the shutdown no longer than until a time.
async fn within(until: Instant, kind: &str, component: &str, step: impl Future<Output = ()>) {
    if timeout_at(until, step).await.is_err() {
        tracing::warn!(kind, component, "did not stop in time");
    }
}
