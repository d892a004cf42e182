//! Runs collectors side by side through the same load and the same sink, and sets their costs against each other.
//!
//! What a row sends and how the programs are configured stands in `rows/`; how a figure comes about, in
//! `README.md`. Programs run one at a time and in turn, each run in a fresh process; a run whose items do not all
//! arrive is a failure, not a figure.

mod backlog;
mod chart;
pub(crate) mod control;
mod figure;
mod idle;
mod latency;
mod measure;
mod overload;
mod proc;
mod process;
mod program;
mod report;
mod row;
mod scrape;
mod storage;
mod throughput;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use measure::{Bench, Measurement};
pub(crate) use proc::memory_now;
#[cfg(test)]
pub(crate) use process::free_addresses;
use program::{Make, Program};

use crate::tls::Certificate;

/// Which programs to run through which rows.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Rows to run, by name, `*` for any text; all of them without it
    #[arg(long = "row")]
    rows: Vec<String>,
    /// Print the rows and end
    #[arg(long)]
    list: bool,
    /// Times that each program runs each row
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Items to send in each run, in place of what the rows say
    #[arg(long)]
    items: Option<u64>,
    /// Thousands of millions of bytes that the long queue of `backlog` rows takes on disk, in place of what the
    /// rows say
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    backlog_gb: Option<u32>,
    /// One round with a tenth of the items: shows that it works, not what it costs
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// The Go collector; peers/otelcol-peer in the target folder without it, where `setup` builds it
    #[arg(long, env = "TIDEGATE_BENCH_OTELCOL")]
    otelcol: Option<PathBuf>,
    /// Rotel's agent; peers/rotel-agent in the target folder without it, where `setup` puts it
    #[arg(long, env = "TIDEGATE_BENCH_ROTEL")]
    rotel: Option<PathBuf>,
    /// Our own binary; release/tidegate in the target folder without it
    #[arg(long, env = "TIDEGATE_BENCH_TIDEGATE")]
    tidegate: Option<PathBuf>,
    /// Programs to leave out: otelcol, rotel, tidegate
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// CPUs that the programs may use, in the syntax of taskset, such as 0 or 0-1
    #[arg(long)]
    pin: Option<String>,
    /// Folder of the rows
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/rows"))]
    rows_folder: PathBuf,
    /// Folder for the table, the chart, the figures and the programs' logs; compare in the target folder without it
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs the comparison; fails if a run of it failed.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut rows = row::select(row::read_all(&settings.rows_folder)?, &settings.rows)?;
    for row in &mut rows {
        row.size(settings.backlog_gb);
    }
    if settings.list {
        for row in rows {
            say(&format!("{:<24} {}", row.name, row.title))?;
        }
        return Ok(());
    }
    let mut terminate = signal(SignalKind::terminate())?;
    // Whoever ends first: dropping the comparison kills what it started.
    tokio::select! {
        result = compare(&settings, rows) => result,
        _ = terminate.recv() => bail!("told to end"),
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn compare(settings: &Settings, rows: Vec<row::Row>) -> anyhow::Result<()> {
    let programs = programs(settings);
    ensure!(
        !programs.is_empty(),
        "no program was found; `benches/setup` fetches the peers"
    );
    let out = settings
        .out
        .clone()
        .unwrap_or(target_folder().join("compare"));
    let folder = std::path::absolute(out.join("runs"))?;
    std::fs::create_dir_all(&folder)?;
    Certificate::make(&folder)?;
    let bench = Bench {
        folder,
        rounds: if settings.quick { 1 } else { settings.rounds },
        items: settings.items,
        quick: settings.quick,
    };
    let mut measurements: Vec<Measurement> = Vec::new();
    for row in rows {
        measurements.push(measure::measure(row, &programs, &bench).await);
        // After each row: a comparison that is cut short leaves what it has.
        write(&out, &programs, &measurements)?;
    }
    say(&report::markdown(&programs, &measurements))?;
    let failed = report::failures(&measurements);
    ensure!(failed.is_empty(), "failed: {}", failed.join("; "));
    Ok(())
}

fn programs(settings: &Settings) -> Vec<Program> {
    let candidates = [
        (Make::Otelcol, &settings.otelcol, "peers/otelcol-peer"),
        (Make::Rotel, &settings.rotel, "peers/rotel-agent"),
        (Make::Tidegate, &settings.tidegate, "release/tidegate"),
    ];
    let mut programs = Vec::new();
    for (make, path, usual) in candidates {
        let path = path.clone().unwrap_or_else(|| target_folder().join(usual));
        if settings.without.iter().any(|name| name == make.slug()) {
            continue;
        }
        if !path.is_file() {
            note(&format!(
                "{} is left out: {} is missing",
                make.title(),
                path.display()
            ));
            continue;
        }
        programs.push(Program {
            make,
            path,
            pinned: settings.pin.clone(),
        });
    }
    programs
}

/// Where cargo puts what it builds.
fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}

fn write(out: &Path, programs: &[Program], measurements: &[Measurement]) -> anyhow::Result<()> {
    std::fs::write(
        out.join("table.md"),
        report::markdown(programs, measurements),
    )?;
    let json = report::json(programs, measurements);
    std::fs::write(out.join("figures.json"), serde_json::to_vec_pretty(&json)?)?;
    std::fs::write(out.join("chart.svg"), chart::svg(measurements))?;
    Ok(())
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Tells of progress; nobody waits for it, so a closed terminal is no reason to end.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
