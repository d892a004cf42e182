//! The programs that are compared and how each is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use tokio::process::Command;
use tokio::time::Instant;

use super::process::{Running, free_addresses};
use super::row::Row;
use super::storage::Storage;
use crate::tls::Certificate;

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Make {
    Otelcol,
    Rotel,
    Tidegate,
}

impl Make {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Make::Otelcol => "Go collector",
            Make::Rotel => "Rotel",
            Make::Tidegate => "Tidegate",
        }
    }

    /// The name of its logs.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Make::Otelcol => "otelcol",
            Make::Rotel => "rotel",
            Make::Tidegate => "tidegate",
        }
    }
}

/// A program on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) make: Make,
    pub(crate) path: PathBuf,
    /// CPUs that it may use, in the syntax of taskset.
    pub(crate) pinned: Option<String>,
}

/// The addresses of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) prometheus: SocketAddr,
    telemetry: SocketAddr,
    sink: SocketAddr,
}

/// A program that listens, and where.
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) addresses: Addresses,
    /// From the start of the process to open ports.
    pub(super) start: std::time::Duration,
}

impl Program {
    /// Says why the program is not part of a row, if it is not.
    pub(super) fn left_out_of(&self, row: &Row) -> Option<String> {
        match self.make {
            Make::Otelcol => row.no_otelcol.clone(),
            Make::Rotel if row.rotel.is_none() => Some("not measured".to_owned()),
            Make::Rotel | Make::Tidegate => None,
        }
    }

    /// Starts the program for a row, in `folder`, with `sink` as its far end.
    pub(super) async fn start(
        &self,
        row: &Row,
        sink: SocketAddr,
        folder: &Path,
    ) -> anyhow::Result<Started> {
        let [grpc, http, prometheus, telemetry] = free_addresses()?;
        let addresses = Addresses {
            grpc,
            http,
            prometheus,
            telemetry,
            sink,
        };
        let command = self.command(row, &addresses, folder)?;
        let log = folder.join(format!("{}-{}.log", row.name, self.make.slug()));
        let since = Instant::now();
        let mut running = Running::start(command, &log)
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        let start = running.listening(&[grpc, http], since).await?;
        Ok(Started {
            running,
            addresses,
            start,
        })
    }

    fn command(&self, row: &Row, addresses: &Addresses, folder: &Path) -> anyhow::Result<Command> {
        let path = std::path::absolute(&self.path)?;
        let mut command = match &self.pinned {
            // It becomes the program: the process ID is the program's.
            Some(cpus) => {
                let mut taskset = Command::new("taskset");
                taskset.args(["--cpu-list", cpus]).arg(path);
                taskset
            }
            None => Command::new(path),
        };
        command.current_dir(folder);
        match self.make {
            Make::Otelcol | Make::Tidegate => {
                command.arg("--config").arg(&row.config);
                command.envs(addresses.variables(row.tls)).envs(&row.env);
                let files = Certificate::within(folder);
                command.env("BENCH_TLS_CERTIFICATE", files.certificate);
                command.env("BENCH_TLS_KEY", files.key);
                command.env("BENCH_STORAGE", Storage::within(folder));
            }
            Make::Rotel => {
                command.args(rotel_flags(addresses, folder));
                command.args(row.rotel.iter().flatten());
            }
        }
        Ok(command)
    }
}

impl Addresses {
    /// What the rows' configurations read as `${env:…}`.
    fn variables(&self, tls: bool) -> [(&'static str, String); 6] {
        let scheme = if tls { "https" } else { "http" };
        [
            ("BENCH_GRPC", self.grpc.to_string()),
            ("BENCH_HTTP", self.http.to_string()),
            ("BENCH_PROMETHEUS", self.prometheus.to_string()),
            ("BENCH_TELEMETRY_PORT", self.telemetry.port().to_string()),
            ("BENCH_SINK", self.sink.to_string()),
            ("BENCH_SINK_URL", format!("{scheme}://{}", self.sink)),
        ]
    }
}

fn rotel_flags(addresses: &Addresses, folder: &Path) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    [
        "start",
        "--pid-file",
        &file("rotel.pid"),
        "--log-file",
        &file("rotel-own.log"),
        "--otlp-grpc-endpoint",
        &addresses.grpc.to_string(),
        "--otlp-http-endpoint",
        &addresses.http.to_string(),
        "--exporter",
        "otlp",
        "--otlp-exporter-endpoint",
        &format!("http://{}", addresses.sink),
    ]
    .map(str::to_owned)
    .to_vec()
}
