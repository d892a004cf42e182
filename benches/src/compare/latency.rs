//! The time to an answer at half of what a program can take, beside that of a sync of the same disk
//! and the window for which requests wait to share one, and of a queue in memory under that load.

use std::time::Duration;

use anyhow::ensure;

use super::control;
use super::figure::Figure;
use super::measure::{Bench, Measured};
use super::process::SinkProcess;
use super::program::Program;
use super::row::Row;
use super::storage::{Storage, quantile, sync_times};
use super::throughput::{Amount, arrived, load};
use crate::sink::Faults;

/// Seconds at half load.
const SECONDS: f64 = 10.0;
/// The pause between the loads, so that each finds an idle disk.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(row: &Row, program: &Program, bench: &Bench) -> anyhow::Result<Measured> {
    let folder = Storage::within(&bench.folder);
    let mut syncs = sync_times(&folder)?;
    let sink = SinkProcess::start(&Faults::default(), &bench.folder).await?;
    let started = program.start(row, sink.address, &bench.folder).await?;
    let endpoint = started.addresses.grpc;
    let full = load(row, bench, endpoint, &Amount::Items(bench.items(row))).await?;
    arrived(sink.address, row.shape.signal, full.accepted.items).await?;
    tokio::time::sleep(PAUSE).await;
    let mut half = row.clone();
    half.way.rate = Some(full.items_per_second / 2.0);
    let seconds = if bench.quick { 2.0 } else { SECONDS };
    let report = load(&half, bench, endpoint, &Amount::Seconds(seconds)).await?;
    let expected = full.accepted.items + report.accepted.items;
    arrived(sink.address, row.shape.signal, expected).await?;
    let counts = control::counts(sink.address).await?;
    ensure!(
        counts.of(row.shape.signal).items == expected,
        "{expected} items accepted, {} arrived",
        counts.of(row.shape.signal).items
    );
    started.running.stop().await?;
    syncs.extend(sync_times(&folder)?);
    let p99 = report.p99_us as f64 / 1000.0;
    let sync = quantile(&mut syncs, 0.99);
    let mut measured = Measured::from([
        (Figure::SyncRatio, p99 / (sync + row.latency.window_ms)),
        (Figure::Throughput, report.items_per_second),
        (Figure::P50, report.p50_us as f64 / 1000.0),
        (Figure::P99, p99),
        (Figure::SyncP50, quantile(&mut syncs, 0.5)),
        (Figure::SyncP99, sync),
    ]);
    if let Some(config) = row.latency.beside.clone() {
        half.config = config;
        let p99 = in_memory(&half, program, bench, seconds).await?;
        measured.insert(Figure::MemoryP99, p99);
    }
    Ok(measured)
}

/// The 99th percentile of the time to an answer without a disk, in milliseconds.
async fn in_memory(
    row: &Row,
    program: &Program,
    bench: &Bench,
    seconds: f64,
) -> anyhow::Result<f64> {
    let sink = SinkProcess::start(&Faults::default(), &bench.folder).await?;
    let started = program.start(row, sink.address, &bench.folder).await?;
    tokio::time::sleep(PAUSE).await;
    let endpoint = started.addresses.grpc;
    let report = load(row, bench, endpoint, &Amount::Seconds(seconds)).await?;
    arrived(sink.address, row.shape.signal, report.accepted.items).await?;
    started.running.stop().await?;
    Ok(report.p99_us as f64 / 1000.0)
}
