//! A program without load: how fast it is there and what it holds on to.

use std::time::Duration;

use super::figure::{Figure, Spread};
use super::measure::{Bench, Measured};
use super::proc;
use super::process::SinkProcess;
use super::program::Program;
use super::row::Row;
use crate::sink::Faults;

/// Starts to take the median of: one alone says more about the machine's other work.
const STARTS: u32 = 9;
const REST: Duration = Duration::from_secs(5);

pub(super) async fn run(row: &Row, program: &Program, bench: &Bench) -> anyhow::Result<Measured> {
    let sink = SinkProcess::start(&Faults::default(), &bench.folder).await?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let started = program.start(row, sink.address, &bench.folder).await?;
        starts.push(started.start.as_secs_f64() * 1000.0);
        started.running.stop().await?;
    }
    let started = program.start(row, sink.address, &bench.folder).await?;
    tokio::time::sleep(REST).await;
    let idle = proc::memory_now(started.running.pid)?;
    started.running.stop().await?;
    let binary = std::fs::metadata(&program.path)?.len();
    let mut measured = Measured::from([
        (Figure::IdleMemory, idle as f64 / 1024.0),
        (Figure::Binary, binary as f64 / 1e6),
    ]);
    if let Some(start) = Spread::of(starts) {
        measured.insert(Figure::Start, start.median);
    }
    Ok(measured)
}
