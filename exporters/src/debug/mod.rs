//! Shows telemetry to people: a summary per batch, a line per record, or everything.
//!
//! The output is the Collector's to the letter, because people read it, and grep in it.

mod detailed;
mod go;
mod normal;
mod sampler;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_component::delivery::SendingQueue;
use tidegate_component::{
    AnyExporter, BuildContext, BuildError, ComponentConfig, ComponentId, Delivered, ExportError,
    ExporterContext, InlineExporter, Stability, StartError, async_trait,
};
use tidegate_pdata::view::MetricData;
use tidegate_pdata::{Batch, Payload, Signal};

use sampler::Sampler;

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// One line per batch, with counts.
    #[default]
    Basic,
    /// About one line per record.
    Normal,
    /// Every field of every record.
    Detailed,
}

/// Shows telemetry on the console, for finding out what passes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How much is shown: basic, normal or detailed.
    pub verbosity: Verbosity,
    /// How many messages of one text are shown each second before sampling begins.
    pub sampling_initial: u64,
    /// After that every so-manieth is shown; 1 shows all, 0 none.
    pub sampling_thereafter: u64,
    /// Shows by way of the process's own log, in its encoding and to its output.
    pub use_internal_logger: bool,
    /// Files to write to without the process's own log; `stdout` and `stderr` name the console.
    pub output_paths: Option<Vec<String>>,
    /// Accepted and without effect: there is nothing to wait for.
    pub sending_queue: Option<SendingQueue>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            verbosity: Verbosity::default(),
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
            output_paths: None,
            sending_queue: None,
        }
    }
}

impl ComponentConfig for Config {
    type Builds = AnyExporter;
    const TYPE: &'static str = "debug";
    const STABILITY: Stability = Stability::Beta;

    fn build(&self, cx: &BuildContext) -> Result<AnyExporter, BuildError> {
        match (&self.output_paths, self.use_internal_logger) {
            (Some(_), true) => {
                return Err(BuildError::at(
                    "output_paths",
                    "the process's own log decides where its lines go",
                )
                .remedy("add `use_internal_logger: false`, or take `output_paths` away"));
            }
            (Some(paths), false) if paths.is_empty() => {
                return Err(BuildError::at("output_paths", "there is no path")
                    .remedy("name a file, `stdout` or `stderr`, or take the key away"));
            }
            _ => {}
        }
        Ok(AnyExporter::Inline(Arc::new(Debug {
            id: cx.id.clone(),
            verbosity: self.verbosity,
            sampler: Sampler::new(self.sampling_initial, self.sampling_thereafter),
            paths: (!self.use_internal_logger).then(|| {
                let console = || vec!["stdout".to_owned()];
                self.output_paths.clone().unwrap_or_else(console)
            }),
            outputs: Mutex::default(),
        })))
    }
}

struct Debug {
    id: ComponentId,
    verbosity: Verbosity,
    sampler: Sampler,
    /// Where to write; the process's own log where there is none.
    paths: Option<Vec<String>>,
    outputs: Mutex<Vec<Output>>,
}

enum Output {
    Stdout,
    Stderr,
    File(File),
}

impl Output {
    fn open(path: &str) -> io::Result<Self> {
        Ok(match path {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            path => Self::File(OpenOptions::new().create(true).append(true).open(path)?),
        })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(text),
            Self::Stderr => io::stderr().lock().write_all(text),
            Self::File(file) => file.write_all(text),
        }
    }
}

#[async_trait]
impl InlineExporter for Debug {
    async fn start(&self, _: ExporterContext) -> Result<(), StartError> {
        let mut outputs = Vec::new();
        for path in self.paths.iter().flatten() {
            let output = Output::open(path)
                .map_err(|error| StartError::new(format!("cannot open \"{path}\""), error))?;
            outputs.push(output);
        }
        *self.outputs.lock().unwrap_or_else(PoisonError::into_inner) = outputs;
        Ok(())
    }

    fn apply(&self, batch: &Batch) -> Result<Delivered, ExportError> {
        let payload = batch.payload();
        self.summary(payload)?;
        let text = match self.verbosity {
            Verbosity::Basic => return Ok(Delivered::default()),
            Verbosity::Normal => normal::text(payload),
            Verbosity::Detailed => detailed::text(payload),
        };
        self.body(payload.signal(), &text)?;
        Ok(Delivered::default())
    }
}

/// The target of lines that are output rather than log: the log does not sample them again.
const OUTPUT: &str = "tidegate::output";

impl Debug {
    /// One line with the counts that the Collector gives.
    fn summary(&self, payload: &Payload) -> Result<(), ExportError> {
        let id = self.id.to_string();
        let counts = counts(payload);
        let title = match payload.signal() {
            Signal::Traces => "Traces",
            Signal::Metrics => "Metrics",
            Signal::Logs => "Logs",
        };
        if !self.sampler.takes(title) {
            return Ok(());
        }
        if self.paths.is_some() {
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, count)| format!("\"{name}\": {count}"))
                .collect();
            return self.write(&format!("{title}\t{{{}}}\n", counts.join(", ")));
        }
        macro_rules! say {
            ($title:literal $(, $name:literal = $value:expr)+) => {
                tracing::info!(
                    target: OUTPUT,
                    {
                        "otelcol.component.id" = id,
                        "otelcol.component.kind" = "exporter",
                        "otelcol.signal" = payload.signal().name(),
                        $($name = $value),+
                    },
                    $title
                )
            };
        }
        let count = |at: usize| counts.get(at).map_or(0, |(_, count)| *count as u64);
        match payload.signal() {
            Signal::Traces => say!("Traces", "resource spans" = count(0), "spans" = count(1)),
            Signal::Metrics => say!(
                "Metrics",
                "resource metrics" = count(0),
                "metrics" = count(1),
                "data points" = count(2)
            ),
            Signal::Logs => say!("Logs", "resource logs" = count(0), "log records" = count(1)),
        }
        Ok(())
    }

    fn body(&self, signal: Signal, text: &str) -> Result<(), ExportError> {
        if !self.sampler.takes(text) {
            return Ok(());
        }
        if self.paths.is_some() {
            return self.write(&format!("{text}\n"));
        }
        let id = self.id.to_string();
        tracing::info!(
            target: OUTPUT,
            {
                "otelcol.component.id" = id,
                "otelcol.component.kind" = "exporter",
                "otelcol.signal" = signal.name()
            },
            "{text}"
        );
        Ok(())
    }

    fn write(&self, text: &str) -> Result<(), ExportError> {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        for output in &mut *outputs {
            output
                .write(text.as_bytes())
                .map_err(|error| ExportError::Retryable {
                    endpoint: Arc::from("the debug output"),
                    source: Box::new(error),
                })?;
        }
        Ok(())
    }
}

fn counts(payload: &Payload) -> Vec<(&'static str, usize)> {
    match payload.signal() {
        Signal::Traces => vec![
            ("resource spans", payload.resource_spans().count()),
            ("spans", payload.items()),
        ],
        Signal::Metrics => {
            let metrics = payload
                .resource_metrics()
                .flat_map(|resource| resource.scopes())
                .map(|scope| scope.metrics().count())
                .sum();
            vec![
                ("resource metrics", payload.resource_metrics().count()),
                ("metrics", metrics),
                ("data points", payload.items()),
            ]
        }
        Signal::Logs => vec![
            ("resource logs", payload.resource_logs().count()),
            ("log records", payload.items()),
        ],
    }
}

/// What the kind of a metric is called.
const fn kind(data: &MetricData<'_>) -> &'static str {
    match data {
        MetricData::Empty => "Empty",
        MetricData::Gauge(_) => "Gauge",
        MetricData::Sum(_) => "Sum",
        MetricData::Histogram(_) => "Histogram",
        MetricData::ExponentialHistogram(_) => "ExponentialHistogram",
        MetricData::Summary(_) => "Summary",
    }
}
