//! A Prometheus endpoint: what taking a data point costs, and what a scrape of all series costs.

use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use http::Method;

use super::figure::Figure;
use super::measure::{Bench, Measured};
use super::process::SinkProcess;
use super::program::Program;
use super::row::Row;
use super::throughput::{Amount, load};
use super::{control, proc};
use crate::sink::Faults;

/// Time for what was accepted to reach the endpoint.
const SETTLE: Duration = Duration::from_secs(2);

pub(super) async fn run(row: &Row, program: &Program, bench: &Bench) -> anyhow::Result<Measured> {
    let sink = SinkProcess::start(&Faults::default(), &bench.folder).await?;
    let started = program.start(row, sink.address, &bench.folder).await?;
    let (pid, addresses) = (started.running.pid, started.addresses);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = proc::cpu_time(pid)?;
    // At least once around, so that every series is there.
    let items = bench.items(row).max(u64::from(row.shape.series));
    let report = load(row, bench, addresses.grpc, &Amount::Items(items)).await?;
    tokio::time::sleep(SETTLE).await;
    let loaded = proc::cpu_time(pid)?;
    ensure!(
        report.given_up.items == 0 && report.rejected_items == 0,
        "not all points were accepted: {:?}",
        report.reasons
    );
    let mut size = 0;
    for _ in 0..row.scrape.scrapes {
        let text =
            control::call(Method::GET, addresses.prometheus, "/metrics", Bytes::new()).await?;
        let series = samples(&text);
        ensure!(
            series == u64::from(row.shape.series),
            "{series} series were scraped, not {}",
            row.shape.series
        );
        size = text.len();
    }
    let scraped = proc::cpu_time(pid)?;
    let peak = proc::peak_memory(pid)?;
    started.running.stop().await?;
    let ingest = loaded.since(before).as_nanos() as f64 / report.accepted.items as f64;
    let scrape = scraped.since(loaded).as_secs_f64() * 1000.0 / f64::from(row.scrape.scrapes);
    ensure!(ingest > 0.0 && scrape > 0.0, "a CPU reading of zero");
    Ok(Measured::from([
        (Figure::ScrapeCpu, scrape),
        (Figure::Cpu, ingest),
        (Figure::PeakMemory, peak as f64 / 1024.0),
        (Figure::ScrapeSize, size as f64 / 1e6),
    ]))
}

/// Counts the samples of the text format that belong to the corpus.
fn samples(text: &[u8]) -> u64 {
    let lines = text.split(|&byte| byte == b'\n');
    lines.filter(|line| line.starts_with(b"shop_")).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_other_families_are_no_samples() {
        let text = b"# HELP shop_a x\n# TYPE shop_a gauge\nshop_a{b=\"c\"} 1\ntarget_info 1\n";
        assert_eq!(samples(text), 1);
    }
}
