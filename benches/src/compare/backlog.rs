//! A queue on disk that an earlier process filled while the peer was away: how fast it is delivered, and what
//! memory it takes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use super::figure::Figure;
use super::measure::{Bench, Measured};
use super::process::{SinkProcess, free_addresses};
use super::program::Program;
use super::row::Row;
use super::storage::{Storage, bytes_in};
use super::throughput::{Amount, load};
use super::{control, proc};
use crate::count::Tally;
use crate::sink::{Counts, Faults};

/// How often it is looked for what has arrived.
const GLANCE: Duration = Duration::from_millis(10);
/// Time after a restart, until memory is what a process without a peer takes.
const REST: Duration = Duration::from_secs(3);
/// Room on disk that a long queue needs, times what it takes.
const ROOM: f64 = 1.5;
/// The longest that a queue may take to be delivered.
const LIMIT: Duration = Duration::from_secs(240);

/// What was put into a queue.
struct Filled {
    accepted: Tally,
    /// Bytes of its files.
    on_disk: u64,
    /// The most memory that was ever resident, in KiB.
    peak: u64,
}

/// What was resident in each phase, in MiB.
#[derive(Debug, Clone, Copy)]
struct Memory {
    filling: f64,
    restarted: f64,
    replaying: f64,
    on_disk: f64,
}

/// Fills a queue and has a new process deliver it.
pub(super) async fn replay(
    row: &Row,
    program: &Program,
    bench: &Bench,
) -> anyhow::Result<Measured> {
    let [address] = free_addresses()?;
    let filled = fill(row, program, bench, address, bench.items(row)).await?;
    let sink = SinkProcess::start_at(address, &Faults::default(), &bench.folder).await?;
    let started = program.start(row, address, &bench.folder).await?;
    let (ready, before) = (Instant::now(), control::counts(address).await?);
    let counts = delivered(row, sink.address, filled.accepted).await?;
    let took = ready.elapsed();
    let pid = started.running.pid;
    let cpu = proc::cpu_time(pid)?.total();
    let peak = proc::peak_memory(pid)?;
    started.running.stop().await?;
    let bytes = (counts.wire_bytes - before.wire_bytes) as f64;
    Ok(Measured::from([
        (Figure::Replay, bytes / took.as_secs_f64() / 1e6),
        (
            Figure::Cpu,
            cpu.as_nanos() as f64 / filled.accepted.items as f64,
        ),
        (Figure::PeakMemory, peak as f64 / 1024.0),
        (Figure::OnDisk, filled.on_disk as f64 / 1e6),
    ]))
}

/// Sets the memory that a long queue takes against that of a short one.
pub(super) async fn run(row: &Row, program: &Program, bench: &Bench) -> anyhow::Result<Measured> {
    let short = phases(row, program, bench, row.backlog.short).await?;
    // Removed by the end of the first.
    let storage = Storage::fresh(&bench.folder)?;
    let items = long_items(row, bench, &short)?;
    let long = phases(row, program, bench, items).await?;
    drop(storage);
    let growth = [
        long.filling - short.filling,
        long.restarted - short.restarted,
        long.replaying - short.replaying,
    ];
    Ok(Measured::from([
        (
            Figure::Growth,
            growth.into_iter().fold(f64::MIN, f64::max).max(0.0),
        ),
        (Figure::Filling, long.filling),
        (Figure::Restarted, long.restarted),
        (Figure::Replaying, long.replaying),
        (Figure::OnDisk, long.on_disk),
    ]))
}

/// How many items make a queue as long as it is to be, by what those of the short one took.
fn long_items(row: &Row, bench: &Bench, short: &Memory) -> anyhow::Result<u64> {
    if bench.items.is_some() {
        return Ok(bench.items(row));
    }
    let share = if bench.quick { 0.1 } else { 1.0 };
    let bytes = f64::from(row.backlog.gigabytes) * 1e9 * share;
    ensure_room(&bench.folder, bytes)?;
    let each = short.on_disk * 1e6 / row.backlog.short as f64;
    // A little more: larger queues have fewer half-filled files.
    Ok((bytes * 1.01 / each) as u64)
}

/// Makes sure that a queue finds room, and that some is left beside it.
fn ensure_room(folder: &Path, bytes: f64) -> anyhow::Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail as f64 * disk.f_frsize as f64;
    let needed = bytes * ROOM;
    ensure!(
        free >= needed,
        "{:.0} GB are free and {:.0} GB needed; `--out` chooses another disk, `--backlog-gb` a shorter queue",
        free / 1e9,
        needed / 1e9
    );
    Ok(())
}

async fn phases(row: &Row, program: &Program, bench: &Bench, items: u64) -> anyhow::Result<Memory> {
    let [address] = free_addresses()?;
    let filled = fill(row, program, bench, address, items).await?;
    let started = program.start(row, address, &bench.folder).await?;
    let pid = started.running.pid;
    tokio::time::sleep(REST).await;
    let restarted = proc::peak_memory(pid)?;
    let sink = SinkProcess::start_at(address, &Faults::default(), &bench.folder).await?;
    delivered(row, sink.address, filled.accepted).await?;
    let replaying = proc::peak_memory(pid)?;
    started.running.stop().await?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    let memory = Memory {
        filling: mib(filled.peak),
        restarted: mib(restarted),
        replaying: mib(replaying),
        on_disk: filled.on_disk as f64 / 1e6,
    };
    super::note(&format!("{} · {items} items: {memory:?}", row.name));
    Ok(memory)
}

/// Has a program take items while nothing listens at its far end, and ends it.
async fn fill(
    row: &Row,
    program: &Program,
    bench: &Bench,
    far_end: SocketAddr,
    items: u64,
) -> anyhow::Result<Filled> {
    let started = program.start(row, far_end, &bench.folder).await?;
    let endpoint = started.addresses.grpc;
    let report = load(row, bench, endpoint, &Amount::Items(items)).await?;
    let peak = proc::peak_memory(started.running.pid)?;
    started.running.stop().await?;
    ensure!(
        report.given_up.items == 0 && report.unanswered.items == 0,
        "not all items were accepted: {:?}",
        report.reasons
    );
    Ok(Filled {
        accepted: report.accepted,
        on_disk: bytes_in(&Storage::within(&bench.folder)),
        peak,
    })
}

/// Waits until all items have arrived, each once.
async fn delivered(row: &Row, sink: SocketAddr, expected: Tally) -> anyhow::Result<Counts> {
    let signal = row.shape.signal;
    let all = async {
        loop {
            let counts = control::counts(sink).await?;
            if counts.of(signal).items >= expected.items {
                return anyhow::Ok(counts);
            }
            tokio::time::sleep(GLANCE).await;
        }
    };
    let counts = tokio::time::timeout(Bench::limit(row, LIMIT), all)
        .await
        .context("the queue was not delivered in time")??;
    ensure!(
        counts.of(signal) == expected,
        "{} items accepted, {} arrived, or not the same ones",
        expected.items,
        counts.of(signal).items
    );
    Ok(counts)
}
