//! Stopping: receivers, then every node from left to right, then the queues until the deadline.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::time::Duration;

use futures_util::future::join_all;
use tidegate_component::status::{LedgerRow, Phase, StatusSource};
use tidegate_component::{AnyExporter, ComponentId};
use tokio::time::{Instant, timeout_at};

use super::Running;
use crate::graph::{End, Local, Make, SinkEnd};

/// How long a component may take to close when the deadline has passed.
const TO_CLOSE: Duration = Duration::from_secs(2);

/// How long between two questions whether connectors have heard of all that they passed on.
const TO_HEAR: Duration = Duration::from_millis(5);

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
        self.hear(deadline).await;
        self.wired.graph.draining.store(true, Release);
        self.drain(deadline).await;
        self.last_accounts().await;
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

    /// Lets connectors hear how ended what they passed on, so that it can still go elsewhere;
    /// half of the time is left to the queues.
    async fn hear(&self, deadline: Instant) {
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / 2;
        while self.awaited().await > 0 && Instant::now() < until {
            tokio::time::sleep(TO_HEAR).await;
        }
        let idle = self.wired.graph.in_flight.idle();
        within(until.max(now + TO_CLOSE), "graph", "hand-overs", idle).await;
    }

    /// Drains the queues, those behind others that get what these give up: they have a moment
    /// for it even when time is up.
    async fn drain(&self, deadline: Instant) {
        let sinks = &self.wired.graph.sinks;
        let mut until = deadline;
        for stage in drain_stages(sinks) {
            join_all(stage.iter().map(|end| end.sink.drain(until))).await;
            until = deadline.max(Instant::now() + TO_CLOSE);
        }
    }

    /// Batches of which connectors wait to hear how they ended.
    async fn awaited(&self) -> usize {
        let sum = Arc::new(AtomicUsize::new(0));
        self.on_workers(|local, node| local.awaits(node), &sum)
            .await;
        sum.load(Acquire)
    }

    /// Has connectors account for what came back while the queues were drained.
    async fn last_accounts(&self) {
        let none = Arc::new(AtomicUsize::new(0));
        let close = |local: &Local, node| {
            local.close(node);
            0
        };
        self.on_workers(close, &none).await;
    }

    /// Calls every connector's part on every worker and adds up what comes of it.
    async fn on_workers(&self, call: fn(&Local, usize) -> usize, sum: &Arc<AtomicUsize>) {
        let graph = &self.wired.graph;
        let nodes = graph.nodes.iter().enumerate();
        let connectors: Vec<_> = nodes
            .filter(|(_, node)| matches!(node.make, Make::Connector(..)))
            .map(|(at, _)| at)
            .collect();
        if connectors.is_empty() {
            return;
        }
        let calls = (0..self.pool.count()).map(|worker| {
            let (id, connectors, sum) = (graph.id, connectors.clone(), Arc::clone(sum));
            self.pool.run(worker, move || {
                if let Some(local) = crate::graph::local(id) {
                    let all = connectors.iter().map(|node| call(&local, *node)).sum();
                    sum.fetch_add(all, AcqRel);
                }
            })
        });
        let calls = async { drop(join_all(calls).await) };
        within(Instant::now() + TO_CLOSE, "graph", "connectors", calls).await;
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

/// Sinks in the order in which they are drained: an exporter behind all whose dead letters it gets.
fn drain_stages(sinks: &[SinkEnd]) -> Vec<Vec<&SinkEnd>> {
    let mut stage: BTreeMap<&ComponentId, usize> = BTreeMap::new();
    // Who gets letters lies before those that they come from.
    for end in sinks.iter().rev() {
        let own = *stage.entry(&end.id).or_default();
        if let Some(End::Sink(letters)) = end.letters {
            let of_letters = stage.entry(&sinks[letters as usize].id).or_default();
            *of_letters = (*of_letters).max(own + 1);
        }
    }
    let last = stage.values().max().copied().unwrap_or_default();
    let of = |at| sinks.iter().filter(|end| stage[&end.id] == at).collect();
    (0..=last).map(of).collect()
}

/// Waits for a step of the shutdown no longer than until a time.
async fn within(until: Instant, kind: &str, component: &str, step: impl Future<Output = ()>) {
    if timeout_at(until, step).await.is_err() {
        tracing::warn!(kind, component, "did not stop in time");
    }
}
