//! The ledger: what became of every item, edge by edge.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_component::metrics::Metrics;
use tidegate_component::status::LedgerRow;

use crate::graph::{Door, DoorEdge, Graph, InlineEnd, Make, Node, SinkEnd, Tallies, Totals};

/// Every edge of a graph, from its receivers to its exporters.
pub(crate) fn rows(graph: &Graph) -> Vec<LedgerRow> {
    (0..).map_while(|at| row(graph, at)).collect()
}

/// The row of this number, in the order of [`rows`].
fn row(graph: &Graph, at: usize) -> Option<LedgerRow> {
    let edges = graph.doors.iter();
    let mut edges = edges.flat_map(|door| door.edges.iter().map(move |edge| (door, edge)));
    if let Some((door, edge)) = edges.nth(at) {
        return Some(self::edge(graph, door, edge));
    }
    let at = at
        - graph
            .doors
            .iter()
            .map(|door| door.edges.len())
            .sum::<usize>();
    if let Some(node) = graph.nodes.get(at) {
        return Some(self::node(graph, node));
    }
    let at = at - graph.nodes.len();
    if let Some(end) = graph.sinks.get(at) {
        return Some(sink(end));
    }
    let end = graph.inlines.get(at - graph.sinks.len());
    end.map(|end| inline(end))
}

fn edge(graph: &Graph, door: &Door, edge: &DoorEdge) -> LedgerRow {
    LedgerRow {
        pipeline: graph.pipelines[edge.pipeline].name.clone(),
        kind: "receiver".into(),
        component: door.receiver.to_string(),
        signal: door.signal.name().into(),
        ..counted(edge.tallies.totals())
    }
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
    let mut row = LedgerRow {
        pipeline: pipeline.unwrap_or_default(),
        kind: match node.make {
            Make::Processor(..) => "processor".into(),
            Make::Connector(..) => "connector".into(),
        },
        component: node.id.to_string(),
        signal: node.signal.name().into(),
        ..counted(node.tallies.totals())
    };
    for reason in node.context.reasons.all() {
        row.drop_items(reason.name(), reason.value(), reason.is_loss());
    }
    row
}

fn sink(end: &SinkEnd) -> LedgerRow {
    let account = end.sink.account();
    let mut row = LedgerRow {
        kind: "exporter".into(),
        component: end.id.to_string(),
        signal: end.signal.name().into(),
        r#in: account.taken,
        created: account.created,
        out: account.dead_letters.values().sum(),
        consumed: account.consumed,
        held: account.held,
        dead_letters: account.dead_letters,
        dropped: account.dropped,
        lost: account.lost,
        ..LedgerRow::default()
    };
    row.drop_items(
        end.panicked.name(),
        end.panicked.value(),
        end.panicked.is_loss(),
    );
    row
}

fn inline(end: &InlineEnd) -> LedgerRow {
    let mut row = LedgerRow {
        kind: "exporter".into(),
        component: end.id.to_string(),
        signal: end.signal.name().into(),
        ..counted(end.tallies.totals())
    };
    for reason in end.reasons() {
        row.drop_items(reason.name(), reason.value(), reason.is_loss());
    }
    row
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
            ("signal", &row.signal),
        ];
        let bytes = node.tallies.clone();
        metrics.gauge_of(
            "tidegate_held_bytes",
            "Bytes that a component holds between calls.",
            &labels,
            move || gauge(bytes.totals().held_bytes),
        );
    }
    for at in 0..rows(graph).len() {
        columns(graph, at, metrics);
    }
}

/// A column of the ledger whose items are only ever added to: its metric, its help, its value.
type Column = (&'static str, &'static str, fn(&LedgerRow) -> u64);

const COLUMNS: [Column; 5] = [
    ("tidegate_ledger_in_items", "Items that came in.", |row| {
        row.r#in
    }),
    (
        "tidegate_ledger_created_items",
        "Items that were made here.",
        |row| row.created,
    ),
    ("tidegate_ledger_out_items", "Items that went on.", |row| {
        row.out
    }),
    (
        "tidegate_ledger_consumed_items",
        "Items that were delivered or used up here.",
        |row| row.consumed,
    ),
    (
        "tidegate_ledger_dropped_items",
        "Items that ended here; tidegate_dropped_items and tidegate_lost_items say why.",
        LedgerRow::dropped_items,
    ),
];

/// Serves one row: `in + created = out + consumed + dropped + held`.
fn columns(graph: &Arc<Graph>, at: usize, metrics: &tidegate_component::metrics::Registry) {
    let Some(row) = row(graph, at) else { return };
    let labels = [
        ("pipeline", row.pipeline.as_str()),
        ("kind", &row.kind),
        ("component", row.component.as_str()),
        ("signal", &row.signal),
    ];
    for (name, help, value) in COLUMNS {
        let graph = Arc::downgrade(graph);
        metrics.counter_of(name, help, &labels, move || {
            let row = graph.upgrade().and_then(|graph| self::row(&graph, at));
            row.as_ref().map_or(0, value)
        });
    }
    let graph = Arc::downgrade(graph);
    metrics.gauge_of(
        "tidegate_ledger_held_items",
        "Items that are here now.",
        &labels,
        move || {
            let row = graph.upgrade().and_then(|graph| self::row(&graph, at));
            row.map_or(0, |row| gauge(row.held))
        },
    );
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
