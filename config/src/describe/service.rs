//! `service`: pipelines, extensions, telemetry.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_document::{
    ComponentId, Diagnostic, Duration, Entry, Kind as Fault, Node, Spanned, did_you_mean, examine,
};
use tidegate_pdata::Signal;

use super::{Description, UnknownKeys};
use crate::settings::{Handover, Pipeline, PipelineId, Reference, Service};
use crate::telemetry::Telemetry;

/// What runs: extensions, pipelines, and the collector's own telemetry.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The extensions to start, in order.
    #[serde(default)]
    extensions: Vec<Spanned<ComponentId>>,
    /// The pipelines: `traces`, `metrics`, `logs`, each with `/name` behind it as one likes.
    #[serde(default, rename = "pipelines")]
    _pipelines: Option<Pipelines>,
    /// The collector's own telemetry.
    #[serde(default)]
    telemetry: Telemetry,
    /// How long a shutdown may take to drain.
    #[serde(default = "shutdown_timeout")]
    shutdown_timeout: Duration,
    /// How a process hands its listening sockets over to the one that follows, so that a restart
    /// refuses no connection.
    #[serde(default)]
    handover: Option<Handover>,
}

fn shutdown_timeout() -> Duration {
    Service::SHUTDOWN_TIMEOUT
}

/// Pipelines, read one by one so that each names its own faults.
#[derive(Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
struct Pipelines;

impl From<serde::de::IgnoredAny> for Pipelines {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

impl JsonSchema for Pipelines {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pipelines".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// The way of one signal through components.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct WrittenPipeline {
    /// Receivers and connectors that feed it.
    receivers: Vec<Spanned<ComponentId>>,
    /// Processors in the order in which batches pass them.
    processors: Vec<Spanned<ComponentId>>,
    /// Exporters and connectors that it feeds.
    exporters: Vec<Spanned<ComponentId>>,
}

pub(crate) fn service_schema() -> schemars::Schema {
    tidegate_document::schema::of::<Written>()
}

pub(crate) fn pipeline_schema() -> schemars::Schema {
    tidegate_document::schema::of::<WrittenPipeline>()
}

impl Description<'_> {
    pub(super) fn service(&mut self, node: &Node) -> Service {
        let mut own = tidegate_document::Diagnostics::default();
        let written: Option<Written> = examine(node, &mut own);
        self.found.extend(own.under("service"));
        // Pipelines are looked at even where something else in the section is wrong.
        let pipelines = self.pipelines(node);
        let Some(written) = written else {
            return Service {
                pipelines,
                ..Service::default()
            };
        };
        self.telemetry(&written.telemetry);
        Service {
            extensions: references(written.extensions),
            pipelines,
            telemetry: written.telemetry,
            shutdown_timeout: written.shutdown_timeout,
            handover: written.handover,
        }
    }

    fn pipelines(&mut self, service: &Node) -> IndexMap<PipelineId, Pipeline> {
        let mut pipelines = IndexMap::new();
        let node = service.get("pipelines").filter(|node| !node.is_null());
        let Some(node) = node else {
            let fault = Diagnostic::error(Fault::Missing, "there is no pipeline").path("service");
            let help =
                "write for example `pipelines: {traces: {receivers: [otlp], exporters: [debug]}}`";
            self.found.push(fault.at(super::start(service)).help(help));
            return pipelines;
        };
        let Some(map) = node.as_map() else {
            let message = format!("expected a mapping, found {}", node.value.kind());
            self.found.push(
                Diagnostic::error(Fault::WrongType, message)
                    .path("service::pipelines")
                    .at(node.span),
            );
            return pipelines;
        };
        for (key, entry) in map {
            if let Some((id, pipeline)) = self.pipeline(key, entry) {
                pipelines.insert(id, pipeline);
            }
        }
        if map.is_empty() {
            let fault = Diagnostic::error(Fault::Missing, "there is no pipeline");
            let help = "write for example `traces: {receivers: [otlp], exporters: [debug]}`";
            self.found
                .push(fault.path("service::pipelines").at(node.span).help(help));
        }
        pipelines
    }

    fn pipeline(&mut self, key: &str, entry: &Entry) -> Option<(PipelineId, Pipeline)> {
        let (signal, name) = key.split_once('/').unwrap_or((key, ""));
        let (signal, name) = (signal.trim(), name.trim());
        let known = Signal::ALL.into_iter().find(|s| s.name() == signal);
        let Some(signal) = known else {
            self.no_signal(signal, key, entry);
            return None;
        };
        let path = format!("service::pipelines::{key}");
        let mut own = tidegate_document::Diagnostics::default();
        let before = self.found.len();
        let written: Option<WrittenPipeline> = examine(&entry.node, &mut own);
        self.found.extend(own.under(&path));
        let written = written?;
        let faulty = self.found.len() > before;
        for (list, word) in [
            (&written.receivers, "receiver"),
            (&written.exporters, "exporter"),
        ] {
            // An unknown key is most likely the one that is missing.
            if list.is_empty() && !faulty {
                let message = format!("the pipeline has no {word}");
                self.found.push(
                    Diagnostic::error(Fault::Missing, message)
                        .path(&path)
                        .at(entry.key_span())
                        .help(format!("add `{word}s: […]`")),
                );
            }
        }
        let pipeline = Pipeline {
            receivers: references(written.receivers),
            processors: references(written.processors),
            exporters: references(written.exporters),
            span: Some(entry.key_span()),
        };
        let name = name.to_owned();
        Some((PipelineId { signal, name }, pipeline))
    }

    fn no_signal(&mut self, signal: &str, key: &str, entry: &Entry) {
        let diagnostic = if signal == "profiles" {
            let message = format!("the pipeline `{key}`: profiles are not built");
            let help = "remove the pipeline, or pass `--unknown-keys=warn` to leave it out";
            let fault = Diagnostic::error(Fault::NotBuilt, message).help(help);
            match self.options.unknown_keys {
                UnknownKeys::Refuse => fault,
                UnknownKeys::Warn => Diagnostic {
                    severity: tidegate_document::Severity::Warning,
                    help: Some("the pipeline is left out".to_owned()),
                    ..fault
                },
            }
        } else {
            let signals = Signal::ALL.map(Signal::name);
            Diagnostic::error(Fault::UnknownKey, format!("there is no signal `{signal}`"))
                .maybe_help(did_you_mean(signal, signals))
        };
        self.found
            .push(diagnostic.path("service::pipelines").at(entry.key_span()));
    }

    fn telemetry(&mut self, telemetry: &Telemetry) {
        for path in &telemetry.logs.output_paths {
            if !matches!(path.as_str(), "stdout" | "stderr") {
                let message = format!("own logs are not written to `{}`", path.as_str());
                self.found.push(
                    Diagnostic::warning(Fault::NoEffect, message)
                        .path("service::telemetry::logs::output_paths")
                        .at(path.span)
                        .help("write `stdout` or `stderr`, and let the supervisor keep the log"),
                );
            }
        }
        if let Err(fault) = telemetry.metrics.readers() {
            let span = telemetry.metrics.address.as_ref().map(|a| a.span);
            let (fault, help) = fault.split_once("; ").unwrap_or((&fault, ""));
            self.found.push(
                Diagnostic::error(Fault::InvalidValue, fault)
                    .path("service::telemetry::metrics::address")
                    .at(span.unwrap_or(tidegate_document::Span::NONE))
                    .help(help),
            );
        }
        if let Some(traces) = &telemetry.traces {
            let level = traces.0.get("level").and_then(Node::as_str);
            if level.is_none_or(|level| !level.eq_ignore_ascii_case("none")) {
                self.found.push(
                    Diagnostic::warning(Fault::NoEffect, "own spans are not recorded")
                        .path("service::telemetry::traces")
                        .at(traces.0.span)
                        .help("remove the section, or write `level: none`"),
                );
            }
        }
    }
}

fn references(written: Vec<Spanned<ComponentId>>) -> Vec<Reference> {
    written
        .into_iter()
        .map(|id| Reference {
            span: id.span,
            id: id.value,
        })
        .collect()
}
