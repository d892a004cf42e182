//! The command line: the Collector's flags and commands, and ours.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Receives, processes and exports telemetry.
///
/// With no arguments it runs ./pipeline.yaml.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
#[command(
    args_conflicts_with_subcommands = false,
    subcommand_negates_reqs = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sources {
    /// A configuration: a path, or file:PATH, env:NAME, yaml:TEXT, http://…, https://…
    ///
    /// Repeat it to merge several, later ones over earlier ones. [default: pipeline.yaml]
    #[arg(long, value_name = "URI", global = true)]
    pub(crate) config: Vec<String>,
    /// Sets one key after every --config, as service.telemetry.logs.level=debug.
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    pub(crate) set: Vec<String>,
    /// Whether a key that no component knows is an error, or a warning and ignored.
    #[arg(long, value_enum, default_value_t = UnknownKeys::Error, global = true)]
    pub(crate) unknown_keys: UnknownKeys,
    /// Accepted for the Collector's sake, and without effect.
    #[arg(long, value_name = "GATES", global = true)]
    pub(crate) feature_gates: Vec<String>,
}

/// What is done with keys that no component knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownKeys {
    /// They are errors.
    Error,
    /// They are named and ignored.
    Warn,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Builds everything that the configuration names, opens nothing, and says what is wrong.
    Validate,
    /// Says for each component of a Collector configuration how it fares here.
    Compat {
        /// The Collector's configuration.
        file: String,
    },
    /// Lists the components of this build as YAML.
    Components,
    /// Prints the keys of a component, what they take and what holds without them.
    Explain {
        /// A type such as `batch`, or `exporter otlp_http` as `exporters.otlp_http`; all of them where it is left out.
        component: Option<String>,
    },
    /// Says what the policies of `tail_sampling` decide of the traces in a file, and why.
    ExplainSampling {
        /// The traces, as a request in OTLP/JSON.
        #[arg(long, value_name = "FILE")]
        trace: PathBuf,
        /// The processor, as `tail_sampling/edge`, where the configuration has several.
        #[arg(long, value_name = "ID")]
        processor: Option<String>,
    },
    /// Prints the configuration after merging and expansion.
    PrintConfig {
        /// Whether secrets are printed.
        #[arg(long, value_enum, default_value_t = Mode::Redacted)]
        mode: Mode,
        /// The format.
        #[arg(long, value_enum, default_value_t = Format::Yaml)]
        format: Format,
    },
    /// Prints a JSON Schema of the whole configuration, for editors.
    Schema,
    /// Sends realistic telemetry over OTLP/gRPC, so that there is something to see.
    Generate(Box<Generate>),
    /// Asks a running collector's `admin` extension what became of every item.
    ///
    /// Fails if a row at rest does not balance: in + created = out + consumed + dropped + held.
    Ledger {
        /// Where the extension shows its ledger.
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://localhost:13134/ledger"
        )]
        endpoint: String,
        /// The format.
        #[arg(long, value_enum, default_value_t = LedgerFormat::Table)]
        format: LedgerFormat,
    },
    /// Looks into the directory of a disk queue while no collector works on it.
    Queue {
        #[command(subcommand)]
        action: Queue,
    },
    /// Tries statements and conditions, those of `transform` and `filter`.
    Ottl {
        #[command(subcommand)]
        action: Ottl,
    },
    /// Takes over what a Collector's `file_storage` holds: places in files, and queues.
    ///
    /// Its databases are read and left as they are. Stop the Collector first, and run it as the user that
    /// Tidegate runs as.
    ImportStorage(Import),
    /// Accepted for the Collector's sake: there are no feature gates.
    Featuregate {
        /// A gate.
        id: Option<String>,
    },
}

/// What is taken over from a Collector, and where to.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The directory of the Collector's `file_storage`.
    pub(crate) directory: PathBuf,
    /// The directory of Tidegate's `file_storage`. [default: the same]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Leaves out requests that are damaged, and says how many.
    #[arg(long)]
    pub(crate) skip_damaged: bool,
    /// Says what would be taken over, and writes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How a ledger is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LedgerFormat {
    /// For people.
    Table,
    /// As the extension gives it.
    Json,
}

/// What is done with a disk queue. Nothing of it changes the queue.
#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Says for each log what is in it.
    Inspect {
        /// The directory of the storage.
        directory: PathBuf,
    },
    /// Checks every byte, and fails if a record is damaged or a file cannot be read.
    Verify {
        /// The directory of the storage.
        directory: PathBuf,
    },
    /// Writes each record that is not delivered to a file: the OTLP request as protobuf.
    Export {
        /// The directory of the storage.
        directory: PathBuf,
        /// Where the files go, in a directory for each log; it is made if need be.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Only this log, as `inspect` names it.
        #[arg(long, value_name = "NAME")]
        log: Option<String>,
    },
}

/// What is done with statements and conditions.
#[derive(Debug, Subcommand)]
pub(crate) enum Ottl {
    /// Compiles them and says what is wrong, and where.
    Check {
        #[command(flatten)]
        texts: Texts,
        /// The signal; without it the one that has what they name.
        #[arg(long, value_enum)]
        signal: Option<Kind>,
    },
    /// Prints what they are compiled to: what is known beforehand, and what is read and changed.
    Explain {
        #[command(flatten)]
        texts: Texts,
        /// The signal; without it the one that has what they name.
        #[arg(long, value_enum)]
        signal: Option<Kind>,
    },
    /// Carries them out on OTLP/JSON, as `transform` does, and shows what became of it.
    Run {
        #[command(flatten)]
        texts: Texts,
        /// A file with OTLP/JSON: one request, or several one after the other. `-` is the standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        input: PathBuf,
        /// What happens when one of them fails for a record.
        #[arg(long, value_enum, default_value_t = ErrorMode::Propagate)]
        error_mode: ErrorMode,
        /// What is printed.
        #[arg(long, value_enum, default_value_t = RunFormat::Diff)]
        format: RunFormat,
    },
}

/// Statements or conditions.
#[derive(Args, Clone, Debug)]
pub(crate) struct Texts {
    /// Statements, carried out one after the other.
    #[arg(required = true, value_name = "TEXT")]
    pub(crate) texts: Vec<String>,
    /// They are conditions: `run` drops what any of them holds for, as `filter` does.
    #[arg(long)]
    pub(crate) conditions: bool,
    /// What they are about: resource, scope, span, spanevent, metric, datapoint or log; without it
    /// what their paths name.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// What happens when a statement fails for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorMode {
    /// It is said, and nothing more is done.
    Propagate,
    /// The next one is carried out.
    Ignore,
}

/// What `ottl run` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunFormat {
    /// What changed, with its surroundings.
    Diff,
    /// The requests that come out, a line each.
    Json,
}

/// Whether secrets are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// They are replaced by [REDACTED].
    Redacted,
    /// They are printed.
    Unredacted,
}

/// How a document is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// What `generate` sends.
#[derive(Args, Debug)]
pub(crate) struct Generate {
    /// The kind of telemetry.
    #[arg(value_enum)]
    pub(crate) signal: Kind,
    /// Where it is sent, as host:port or http://host:port.
    #[arg(long, default_value = "127.0.0.1:4317")]
    pub(crate) endpoint: String,
    /// Items per second; 0 is as fast as it goes.
    #[arg(long, default_value_t = 100)]
    pub(crate) rate: u64,
    /// Items in all; 0 is until it is stopped.
    #[arg(long, default_value_t = 1000)]
    pub(crate) count: u64,
    /// Services that the telemetry comes from.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) services: u32,
    /// Distinct values of the high-cardinality attributes: users, hosts, series.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) cardinality: u32,
    /// Share of traces and requests that fail, in percent.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) errors: u8,
    /// The seed of the random numbers; the same seed gives the same telemetry.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// The kind of telemetry that `generate` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}
