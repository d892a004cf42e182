//! The ledger: what became of every item, edge by edge.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_component::metrics::Metrics;
use tidegate_component::status::LedgerRow;

use crate::graph::{Graph, InlineEnd, Make, Node, SinkEnd, Tallies, Totals};

/// Every edge of a graph, from its receivers to its exporters.
pub(crate) fn rows(graph: &Graph) -> Vec<LedgerRow> {
    let doors = graph.doors.iter().flat_map(|door| {
        door.edges.iter().map(|edge| LedgerRow {
            pipeline: graph.pipelines[edge.pipeline].name.clone(),
            kind: "receiver",
            component: door.receiver.to_string(),
            signal: door.signal.name(),
            ..counted(edge.tallies.totals())
        })
    });
    let nodes = graph.nodes.iter().map(|node| self::node(graph, node));
    let sinks = graph.sinks.iter().map(sink);
    let inlines = graph.inlines.iter().map(inline);
    doors.chain(nodes).chain(sinks).chain(inlines).collect()
}

fn counted(totals: Totals) -> LedgerRow {
    LedgerRow {
        r#in: totals.came,
        created: totals.created,
        out: totals.went,
        consumed: totals.consumed,
        held: totals.held,
        ..LedgerRow::default()
    }
}

fn node(graph: &Graph, node: &Node) -> LedgerRow {
    let pipeline = node.pipeline.map(|at| graph.pipelines[at].name.clone());
    let counts = node.context.reasons.counts().into_iter();
    LedgerRow {
        pipeline: pipeline.unwrap_or_default(),
        kind: match node.make {
            Make::Processor(..) => "processor",
            Make::Connector(..) => "connector",
        },
        component: node.id.to_string(),
        signal: node.signal.name(),
        dropped: counts
            .filter(|(_, items)| *items > 0)
            .map(|(name, items)| (name.to_owned(), items))
            .collect(),
        ..counted(node.tallies.totals())
    }
}

fn sink(end: &SinkEnd) -> LedgerRow {
    let account = end.sink.account();
    let mut dropped = account.dropped;
    if end.panicked.value() > 0 {
        *dropped.entry("panic".to_owned()).or_default() += end.panicked.value();
    }
    LedgerRow {
        pipeline: String::new(),
        kind: "exporter",
        component: end.id.to_string(),
        signal: end.signal.name(),
        r#in: account.taken,
        consumed: account.consumed,
        held: account.held,
        dropped,
        ..LedgerRow::default()
    }
}

fn inline(end: &InlineEnd) -> LedgerRow {
    LedgerRow {
        kind: "exporter",
        component: end.id.to_string(),
        signal: end.signal.name(),
        dropped: end.dropped(),
        ..counted(end.tallies.totals())
    }
}

/// Serves what the graph counts: the Collector's counters of processors, and the ledger.
pub(crate) fn publish(graph: &Arc<Graph>, metrics: &tidegate_component::metrics::Registry) {
    for (labels, tallies) in processors(graph) {
        let own = Metrics::new(metrics.clone(), &[]);
        let labels = [("processor", labels.0.as_str()), ("otel_signal", labels.1)];
        let (came, went) = (tallies.clone(), tallies);
        own.counter_of(
            "otelcol_processor_incoming_items",
            "Items passed to the processor.",
            &labels,
            move || came.iter().map(|t| t.totals().came).sum(),
        );
        own.counter_of(
            "otelcol_processor_outgoing_items",
            "Items emitted from the processor.",
            &labels,
            move || went.iter().map(|t| t.totals().went).sum(),
        );
    }
    for node in &graph.nodes {
        let row = self::node(graph, node);
        let labels = [
            ("pipeline", row.pipeline.as_str()),
            ("component", row.component.as_str()),
            ("signal", row.signal),
        ];
        let (items, bytes) = (node.tallies.clone(), node.tallies.clone());
        metrics.gauge_of(
            "tidegate_held_items",
            "Items that a component holds between calls.",
            &labels,
            move || gauge(items.totals().held),
        );
        metrics.gauge_of(
            "tidegate_held_bytes",
            "Bytes that a component holds between calls.",
            &labels,
            move || gauge(bytes.totals().held_bytes),
        );
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The tallies of each processor and signal, over all pipelines that name it.
fn processors(graph: &Graph) -> BTreeMap<(String, &'static str), Vec<Tallies>> {
    let mut all: BTreeMap<_, Vec<Tallies>> = BTreeMap::new();
    for node in graph.nodes.iter().filter(|node| node.pipeline.is_some()) {
        let key = (node.id.to_string(), node.signal.name());
        all.entry(key).or_default().push(node.tallies.clone());
    }
    all
}
