//! The commands that tell and do not run: validate, compat, components, print-config, schema.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use schemars::Schema;
use tidegate_component::{Entry, Stability};
use tidegate_config::{self as config, Kind, whole_schema};
use tidegate_engine::Registry;
use tidegate_pdata::Signals;

use crate::cli::{Format, Mode, Sources};
use crate::compat::differences;
use crate::configuration::{Configuration, loaded};
use crate::registry::registry;

/// Writes to the standard output stream; a reader that went away is no error.
pub(crate) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Says why the program ends, with the reasons behind the reason.
pub(crate) fn failure(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}

/// Builds everything, opens nothing, says what is wrong and what each pipeline promises.
pub(crate) fn validate(sources: &Sources) -> anyhow::Result<ExitCode> {
    let configuration = Configuration::read(sources)?;
    configuration.report();
    let Some(plan) = &configuration.plan else {
        return Ok(ExitCode::FAILURE);
    };
    let mut text = String::from("the configuration is valid\n");
    for (pipeline, promise) in plan.promises() {
        writeln!(
            text,
            "  {pipeline}: an answer means {}",
            meaning(promise.name())
        )?;
    }
    text.push_str(&touched(&configuration)?);
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// The deliberate differences from the Collector that concern a configuration, with the lines.
fn touched(configuration: &Configuration) -> anyhow::Result<String> {
    let mut text = String::new();
    for (kind, name, id, component) in configuration.settings.components() {
        let ids: Vec<&str> = differences(kind, name)
            .into_iter()
            .map(|(difference, _)| difference)
            .collect();
        if ids.is_empty() {
            continue;
        }
        if text.is_empty() {
            text.push_str("it differs here from the Collector, see docs/differences.md:\n");
        }
        let place = configuration.loaded.sources.locate(component.span);
        let place = place.map(|at| format!("{}:{}: ", at.source, at.line));
        let place = place.unwrap_or_default();
        writeln!(text, "  {place}{kind} {id}: {}", ids.join(", "))?;
    }
    Ok(text)
}

fn meaning(promise: &str) -> &'static str {
    match promise {
        "durable" => "on disk",
        "delivered" => "delivered",
        _ => "held in memory",
    }
}

/// One component of this build.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) stability: Stability,
    pub(crate) signals: Signals,
    pub(crate) schema: Schema,
}

/// Every component of this build.
pub(crate) fn rows() -> Vec<Row> {
    fn add<T: 'static>(rows: &mut Vec<Row>, kind: Kind, table: &'static [Entry<T>]) {
        for entry in table {
            rows.push(Row {
                kind,
                name: entry.name,
                stability: entry.stability,
                signals: entry.signals,
                schema: entry.whole_schema(),
            });
        }
    }
    let Registry {
        receivers,
        processors,
        exporters,
        connectors,
        extensions,
    } = registry();
    let mut rows = Vec::new();
    add(&mut rows, Kind::Receiver, receivers);
    add(&mut rows, Kind::Processor, processors);
    add(&mut rows, Kind::Exporter, exporters);
    add(&mut rows, Kind::Connector, connectors);
    add(&mut rows, Kind::Extension, extensions);
    rows
}

/// Lists the components as the Collector's command of the same name does.
pub(crate) fn components() -> anyhow::Result<ExitCode> {
    let mut sections: BTreeMap<usize, (&str, String)> = BTreeMap::new();
    for row in rows() {
        let place = Kind::ALL.iter().position(|kind| *kind == row.kind);
        let section = sections.entry(place.unwrap_or_default());
        let (_, text) = section.or_insert_with(|| (row.kind.section(), String::new()));
        writeln!(text, "    - name: {}", row.name)?;
        writeln!(text, "      module: tidegate {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(text, "      stability: {}", row.stability.name())?;
    }
    let mut text = format!(
        "buildinfo:\n    command: tidegate\n    description: A telemetry collector\n    version: {}\n",
        env!("CARGO_PKG_VERSION")
    );
    for (section, rows) in sections.values() {
        write!(text, "{section}:\n{rows}")?;
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Prints the configuration after merging and expansion.
pub(crate) fn print_config(
    sources: &Sources,
    mode: Mode,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let loaded = loaded(sources)?;
    if loaded.diagnostics.has_errors() {
        Configuration::read(sources)?.report();
        return Ok(ExitCode::FAILURE);
    }
    let rows = rows();
    let schema_of = |kind: Kind, name: &str| {
        let row = rows.iter().find(|row| row.kind == kind && row.name == name);
        row.map(|row| row.schema.clone())
    };
    let mode = match mode {
        Mode::Redacted => config::Mode::Redacted,
        Mode::Unredacted => config::Mode::Unredacted,
    };
    let format = match format {
        Format::Yaml => config::Format::Yaml,
        Format::Json => config::Format::Json,
    };
    print(&config::print(&loaded.document, mode, format, &schema_of));
    Ok(ExitCode::SUCCESS)
}

/// Prints a JSON Schema of the whole configuration.
pub(crate) fn schema() -> anyhow::Result<ExitCode> {
    let rows = rows();
    let schemas: Vec<(Kind, &str, Schema)> = rows
        .into_iter()
        .map(|row| (row.kind, row.name, row.schema))
        .collect();
    print(&format!("{:#}\n", whole_schema(&schemas)));
    Ok(ExitCode::SUCCESS)
}

/// Says that there are no gates, in the form of the Collector's table.
pub(crate) fn feature_gates() -> anyhow::Result<ExitCode> {
    print("ID\tEnabled\tStage\tDescription\n");
    Ok(ExitCode::SUCCESS)
}
