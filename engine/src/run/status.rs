//! How a graph is, for health checks, the admin page and tests.

use tidegate_component::ComponentId;
use tidegate_component::status::{ExporterStatus, LedgerRow, Phase, PipelineStatus, StatusSource};

use super::Status;
use crate::graph::{End, Graph, Pipeline};
use crate::ledger;
use crate::sink::Health;

impl StatusSource for Status {
    fn phase(&self) -> Phase {
        self.now()
    }

    fn pipelines(&self) -> Vec<PipelineStatus> {
        let running = self.now() == Phase::Running;
        let pipelines = self.graph.pipelines.iter();
        pipelines
            .map(|part| pipeline(&self.graph, part, running))
            .collect()
    }

    fn ledger(&self) -> Vec<LedgerRow> {
        ledger::rows(&self.graph)
    }

    fn extensions(&self) -> Vec<String> {
        names(&self.extensions)
    }
}

fn pipeline(graph: &Graph, pipeline: &Pipeline, running: bool) -> PipelineStatus {
    let ends = with_letters(graph, &pipeline.ends);
    let exporters: Vec<_> = ends.iter().map(|end| exporter(graph, *end)).collect();
    PipelineStatus {
        name: pipeline.name.clone(),
        signal: pipeline.signal.name(),
        receivers: names(&pipeline.receivers),
        processors: names(&pipeline.processors),
        promise: pipeline.promise.name(),
        healthy: running && exporters.iter().all(|exporter| exporter.healthy),
        exporters,
    }
}

/// The ends of a pipeline, and those that get what these give up.
fn with_letters(graph: &Graph, ends: &[End]) -> Vec<End> {
    let mut all = ends.to_vec();
    let mut at = 0;
    while let Some(end) = all.get(at) {
        let letters = match end {
            End::Sink(sink) => graph.sinks[*sink as usize].letters,
            End::Inline(_) | End::Node(_) => None,
        };
        all.extend(letters.filter(|letters| !all.contains(letters)));
        at += 1;
    }
    all
}

fn exporter(graph: &Graph, end: End) -> ExporterStatus {
    let (id, health, queue_size) = match end {
        End::Sink(at) => {
            let end = &graph.sinks[at as usize];
            (&end.id, end.sink.health(), end.sink.depth().requests)
        }
        End::Inline(at) => {
            let end = &graph.inlines[at as usize];
            (&end.id, end.health(), 0)
        }
        End::Node(at) => (&graph.nodes[at as usize].id, Health::default(), 0),
    };
    ExporterStatus {
        id: id.to_string(),
        healthy: health.error.is_none(),
        error: health.error,
        breaker: health.breaker,
        queue_size,
    }
}

fn names(ids: &[ComponentId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
