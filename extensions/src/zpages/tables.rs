//! The pages about pipelines and extensions.

use tidegate_component::status::{ExporterStatus, LedgerRow, PipelineStatus, StatusSource};

use super::html::{Cell, Document, encoded};

/// Every pipeline; below, the ledger of the component that was asked for.
pub(super) fn pipelines(
    status: &dyn StatusSource,
    pipeline: Option<&str>,
    kind: Option<&str>,
    component: Option<&str>,
) -> Document {
    let heads = [
        "FullName",
        "InputType",
        "Receivers",
        "Processors",
        "Exporters",
        "Promise",
        "Healthy",
    ];
    let rows = status
        .pipelines()
        .into_iter()
        .map(|pipeline| row(&pipeline));
    let document = Document::new("Pipelines").table(&heads, rows);
    let Some(component) = component else {
        return document;
    };
    let about = |row: &LedgerRow| {
        row.component == component
            && kind.is_none_or(|kind| row.kind == kind || row.kind == "connector")
            // What exporters share over pipelines is in no pipeline's row.
            && pipeline.is_none_or(|name| row.pipeline.is_empty() || row.pipeline == name)
    };
    let ledger = status.ledger().into_iter().filter(about);
    let document = document.heading(component);
    ledger_table(document, ledger)
}

fn row(pipeline: &PipelineStatus) -> Vec<Cell> {
    let links = |kind: &str, names: &[String]| {
        let link = |name: &String| {
            let target = format!(
                "?zpipelinename={}&zcomponentname={}&zcomponentkind={kind}",
                encoded(&pipeline.name),
                encoded(name)
            );
            (name.clone(), target)
        };
        Cell::Links(names.iter().map(link).collect())
    };
    let exporters = pipeline.exporters.iter();
    let exporters: Vec<_> = exporters.map(|exporter| exporter.id.clone()).collect();
    vec![
        pipeline.name.clone().into(),
        pipeline.signal.to_owned().into(),
        links("receiver", &pipeline.receivers),
        links("processor", &pipeline.processors),
        links("exporter", &exporters),
        pipeline.promise.to_owned().into(),
        health(pipeline).into(),
    ]
}

fn health(pipeline: &PipelineStatus) -> String {
    let failing = pipeline.exporters.iter().filter_map(|exporter| {
        let ExporterStatus { id, error, .. } = exporter;
        error.as_ref().map(|error| format!("{id}: {error}"))
    });
    let failing: Vec<_> = failing.collect();
    match (pipeline.healthy, failing.is_empty()) {
        (true, _) => "yes".to_owned(),
        (false, true) => "no".to_owned(),
        (false, false) => format!("no: {}", failing.join("; ")),
    }
}

fn ledger_table(document: Document, rows: impl Iterator<Item = LedgerRow>) -> Document {
    let heads = [
        "Signal", "In", "Created", "Out", "Consumed", "Held", "Dropped",
    ];
    let rows = rows.map(|row| {
        let dropped = row.dropped.iter();
        let dropped: Vec<_> = dropped
            .map(|(why, items)| format!("{why} {items}"))
            .collect();
        vec![
            row.signal.into_owned().into(),
            row.r#in.to_string().into(),
            row.created.to_string().into(),
            row.out.to_string().into(),
            row.consumed.to_string().into(),
            row.held.to_string().into(),
            dropped.join(", ").into(),
        ]
    });
    document.table(&heads, rows)
}

/// Every extension; those that have pages of their own say where in their configuration.
pub(super) fn extensions(status: &dyn StatusSource, asked: Option<&str>) -> Document {
    let names = status.extensions();
    let known = asked.filter(|asked| names.iter().any(|name| name == asked));
    let rows = names.iter().map(|name| {
        let target = format!("?zextensionname={}", encoded(name));
        vec![Cell::Links(vec![(name.clone(), target)])]
    });
    let document = Document::new("Extensions").table(&["FullName"], rows);
    match known {
        Some(name) => document.heading(name).text("It runs."),
        None => document,
    }
}
