//! A fixed count of items through a program, from the generator to the sink.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;
use tokio::time::Instant;

use super::figure::Figure;
use super::measure::{Bench, Measured};
use super::process::SinkProcess;
use super::program::Program;
use super::row::{Expect, Row};
use super::{control, proc};
use crate::count::Tally;
use crate::load::{Protocol, Report};
use crate::signal::Signal;
use crate::tls::Certificate;

/// CPU that a program uses for this long after the load still counts.
const AFTERMATH: Duration = Duration::from_secs(2);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(30);
const LOAD_LIMIT: Duration = Duration::from_secs(300);

pub(super) async fn run(row: &Row, program: &Program, bench: &Bench) -> anyhow::Result<Measured> {
    let sink = SinkProcess::start(&row.sink, &bench.folder).await?;
    let started = program.start(row, sink.address, &bench.folder).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = started.running.pid;
    let before = proc::cpu_time(pid)?;
    let endpoint = match row.way.protocol {
        Protocol::Grpc => started.addresses.grpc,
        Protocol::Http => started.addresses.http,
    };
    let report = load(row, bench, endpoint, &Amount::Items(bench.items(row))).await?;
    let rest = Instant::now() + AFTERMATH;
    let expected = report.accepted.items as f64 * row.expect.share;
    arrived(sink.address, row.shape.signal, expected as u64).await?;
    tokio::time::sleep_until(rest).await;
    let cpu = proc::cpu_time(pid)?.since(before);
    let peak = proc::peak_memory(pid)?;
    started.running.stop().await?;
    let counts = control::counts(sink.address).await?;
    ensure!(
        counts.malformed == 0,
        "the sink got {} malformed requests",
        counts.malformed
    );
    check(&report, counts.of(row.shape.signal), row.expect)?;
    ensure!(!cpu.is_zero(), "a CPU reading of zero");
    Ok(figures(&report, cpu, peak))
}

/// How much a load run sends.
pub(super) enum Amount {
    Items(u64),
    Seconds(f64),
}

/// Runs the generator as a process of its own.
pub(super) async fn load(
    row: &Row,
    bench: &Bench,
    endpoint: SocketAddr,
    amount: &Amount,
) -> anyhow::Result<Report> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("load")
        .args(["--endpoint", &endpoint.to_string()])
        .args(flags(&row.shape)?)
        .args(flags(&row.way)?);
    if row.tls {
        let authority = Certificate::within(&bench.folder).certificate;
        command.arg("--tls-ca").arg(authority);
    }
    match amount {
        Amount::Items(items) => command.args(["--items", &items.to_string()]),
        Amount::Seconds(seconds) => command.args(["--seconds", &seconds.to_string()]),
    };
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Bench::limit(row, LOAD_LIMIT), command.output())
        .await
        .context("the load did not end in time")??;
    if !output.status.success() {
        bail!("load: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Turns settings back into the flags of the command line that they came from.
fn flags(settings: &impl serde::Serialize) -> anyhow::Result<Vec<String>> {
    let serde_json::Value::Object(settings) = serde_json::to_value(settings)? else {
        bail!("settings are not an object");
    };
    let mut flags = Vec::new();
    for (key, value) in settings {
        let flag = format!("--{}", key.replace('_', "-"));
        match value {
            serde_json::Value::Null | serde_json::Value::Bool(false) => {}
            serde_json::Value::Bool(true) => flags.push(flag),
            serde_json::Value::String(text) => flags.extend([flag, text]),
            other => flags.extend([flag, other.to_string()]),
        }
    }
    Ok(flags)
}

/// Waits until the sink has so many items, or long enough.
pub(super) async fn arrived(sink: SocketAddr, signal: Signal, items: u64) -> anyhow::Result<()> {
    let limit = Instant::now() + ARRIVAL_LIMIT;
    while control::counts(sink).await?.of(signal).items < items && Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Fails unless what arrived is what was accepted, or the stated share of it.
fn check(report: &Report, arrived: Tally, expect: Expect) -> anyhow::Result<()> {
    let accepted = report.accepted;
    ensure!(
        accepted.items > 0,
        "nothing was accepted: {:?}",
        report.reasons
    );
    ensure!(
        report.given_up.items == 0 && report.rejected_items == 0,
        "{} items were given up and {} rejected: {:?}",
        report.given_up.items,
        report.rejected_items,
        report.reasons
    );
    if expect.share == 1.0 {
        ensure!(
            arrived.items == accepted.items,
            "{} items accepted, {} arrived",
            accepted.items,
            arrived.items
        );
        ensure!(
            arrived.fingerprint == accepted.fingerprint,
            "as many items arrived as were accepted, but not the same ones"
        );
        return Ok(());
    }
    let share = arrived.items as f64 / accepted.items as f64;
    ensure!(
        (share - expect.share).abs() <= expect.tolerance,
        "{share:.4} of the items arrived, not {} ± {}",
        expect.share,
        expect.tolerance
    );
    Ok(())
}

fn figures(report: &Report, cpu: Duration, peak_kib: u64) -> Measured {
    let per_item = cpu.as_nanos() as f64 / report.accepted.items as f64;
    let mut measured = Measured::from([
        (Figure::Cpu, per_item),
        (Figure::PeakMemory, peak_kib as f64 / 1024.0),
        (Figure::Throughput, report.items_per_second),
        (Figure::P50, report.p50_us as f64 / 1000.0),
        (Figure::P99, report.p99_us as f64 / 1000.0),
    ]);
    if report.refused_requests > 0 {
        measured.insert(Figure::Refused, report.refused_requests as f64);
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Shape;
    use crate::load::Way;

    #[test]
    fn settings_become_the_flags_that_they_came_from() {
        let shape = flags(&Shape::default()).unwrap();
        assert!(shape.windows(2).any(|pair| pair == ["--signal", "traces"]));
        assert!(
            shape
                .windows(2)
                .any(|pair| pair == ["--items-per-request", "100"])
        );
        let way = Way {
            no_retry: true,
            ..Way::default()
        };
        assert!(flags(&way).unwrap().contains(&"--no-retry".to_owned()));
    }
}
