//! More than a program can pass on, for a time: it must refuse in so many words and keep what it took.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::figure::Figure;
use super::measure::{Bench, Measured};
use super::process::SinkProcess;
use super::program::Program;
use super::row::Row;
use super::throughput::{Amount, load};
use super::{control, proc};
use crate::sink::Faults;

pub(super) async fn run(row: &Row, program: &Program, bench: &Bench) -> anyhow::Result<Measured> {
    let sink = SinkProcess::start(&row.overload.faults, &bench.folder).await?;
    let started = program.start(row, sink.address, &bench.folder).await?;
    let pid = started.running.pid;
    let seconds = if bench.quick {
        row.overload.seconds / 6.0
    } else {
        row.overload.seconds
    };
    let report = load(
        row,
        bench,
        started.addresses.grpc,
        &Amount::Seconds(seconds),
    )
    .await?;
    ensure!(
        report.accepted.items > 0,
        "nothing was accepted: {:?}",
        report.reasons
    );
    control::set_faults(sink.address, &Faults::default()).await?;
    let limit = Instant::now() + Duration::from_secs_f64(row.overload.drain_seconds);
    let signal = row.shape.signal;
    while Instant::now() < limit
        && control::counts(sink.address).await?.of(signal).items < report.accepted.items
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let peak = proc::peak_memory(pid)?;
    started.running.stop().await?;
    let arrived = control::counts(sink.address).await?.of(signal).items;
    let accepted = report.accepted.items;
    Ok(Measured::from([
        (Figure::PeakMemory, peak as f64 / 1024.0),
        (Figure::Refused, report.refused_requests as f64),
        (Figure::Lost, accepted.saturating_sub(arrived) as f64),
        (Figure::Doubled, arrived.saturating_sub(accepted) as f64),
        (Figure::Throughput, report.items_per_second),
    ]))
}
