//! The rounds of a row: every program in turn, then again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::figure::{Figure, Spread};
use super::program::{Make, Program};
use super::row::{Kind, Row};
use super::storage::Storage;
use super::{backlog, idle, latency, note, overload, scrape, throughput};

/// The figures of one run.
pub(super) type Measured = BTreeMap<Figure, f64>;

/// No run takes longer, whatever hangs in it.
const RUN_LIMIT: Duration = Duration::from_secs(600);
/// How many more gigabytes of a queue on disk make all limits as long again.
const GIGABYTES: f64 = 4.0;

/// What holds for every run.
pub(crate) struct Bench {
    /// Where programs run and their logs lie.
    pub(super) folder: PathBuf,
    pub(super) rounds: u32,
    /// Items to send in place of what the rows say.
    pub(super) items: Option<u64>,
    /// A tenth of the items, and shorter waits.
    pub(super) quick: bool,
}

impl Bench {
    /// A limit of time, longer for a long queue on disk.
    pub(super) fn limit(row: &Row, usual: Duration) -> Duration {
        let times = match row.kind {
            Kind::Backlog => 1.0 + f64::from(row.backlog.gigabytes) / GIGABYTES,
            _ => 1.0,
        };
        usual.mul_f64(times)
    }

    pub(super) fn items(&self, row: &Row) -> u64 {
        let items = self.items.unwrap_or(row.items);
        if self.quick {
            items.div_ceil(10)
        } else {
            items
        }
    }
}

/// What a program showed in a row.
#[derive(Debug, Serialize)]
pub(crate) enum Finding {
    /// A run's figures for each round, in order.
    Rounds(Vec<Measured>),
    /// The program is not part of the row.
    LeftOut(String),
    /// The program does not have what the row needs.
    NotBuilt(String),
    /// A run failed: there are no figures.
    Failed(String),
}

/// A row with what every program showed in it.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) row: Row,
    pub(crate) findings: BTreeMap<Make, Finding>,
    /// Our own figures by the baseline's configuration, for each round.
    pub(crate) beside: Vec<Measured>,
}

impl Measurement {
    /// The spread of a program's figure.
    pub(crate) fn spread(&self, make: Make, figure: Figure) -> Option<Spread> {
        Spread::of(self.values(make, figure))
    }

    /// How many times the peer's figure is of ours: of the medians, and within each round.
    pub(crate) fn ratio(&self, peer: Make, figure: Figure) -> Option<(f64, Spread)> {
        let (theirs, ours) = (
            self.spread(peer, figure)?,
            self.spread(Make::Tidegate, figure)?,
        );
        let by_round = self
            .values(peer, figure)
            .zip(self.values(Make::Tidegate, figure))
            .map(|(theirs, ours)| theirs / ours);
        Some((theirs.median / ours.median, Spread::of(by_round)?))
    }

    /// The baseline's figure, and how many times ours is of it: of the medians, and within each round.
    pub(crate) fn cost(&self, figure: Figure) -> Option<(Spread, f64, Spread)> {
        let beside = || {
            self.beside
                .iter()
                .filter_map(|run| run.get(&figure).copied())
        };
        let (ours, base) = (self.spread(Make::Tidegate, figure)?, Spread::of(beside())?);
        let by_round = self
            .values(Make::Tidegate, figure)
            .zip(beside())
            .map(|(ours, base)| ours / base);
        Some((base, ours.median / base.median, Spread::of(by_round)?))
    }

    fn values(&self, make: Make, figure: Figure) -> impl Iterator<Item = f64> {
        let rounds = match self.findings.get(&make) {
            Some(Finding::Rounds(rounds)) => rounds.as_slice(),
            _ => &[],
        };
        rounds
            .iter()
            .filter_map(move |run| run.get(&figure).copied())
    }
}

/// Runs a row: A B A B, so that what else happens on the machine falls on all alike.
pub(super) async fn measure(row: Row, programs: &[Program], bench: &Bench) -> Measurement {
    let mut findings = BTreeMap::new();
    let mut beside = Vec::new();
    for program in programs {
        let finding = match program.left_out_of(&row) {
            Some(why) => Finding::LeftOut(why),
            None => Finding::Rounds(Vec::new()),
        };
        findings.insert(program.make, finding);
    }
    for round in 1..=bench.rounds {
        for program in programs {
            let Some(finding) = findings.get_mut(&program.make) else {
                continue;
            };
            let Finding::Rounds(rounds) = finding else {
                continue;
            };
            let (baseline, found) = run_beside(&row, program, bench).await;
            match found {
                Ok(measured) => {
                    beside.extend(baseline);
                    note(&format!(
                        "{} · {} · {round}: {measured:?}",
                        row.name,
                        program.make.slug()
                    ));
                    rounds.push(measured);
                }
                Err(error) => {
                    let why = format!("{error:#}");
                    note(&format!(
                        "{} · {} · {round}: {why}",
                        row.name,
                        program.make.slug()
                    ));
                    *finding = judge(program.make, why);
                }
            }
        }
    }
    Measurement {
        row,
        findings,
        beside,
    }
}

/// Runs a row, and where it has costs to hold, its baseline just before it.
async fn run_beside(
    row: &Row,
    program: &Program,
    bench: &Bench,
) -> (Option<Measured>, anyhow::Result<Measured>) {
    let beside = row.beside.as_deref();
    let Some(beside) = beside.filter(|_| program.make == Make::Tidegate) else {
        return (None, run(row, program, bench).await);
    };
    match run(beside, program, bench).await {
        Ok(measured) => {
            note(&format!("{} · baseline: {measured:?}", row.name));
            (Some(measured), run(row, program, bench).await)
        }
        Err(error) => (None, Err(error.context("the baseline"))),
    }
}

/// Tells a program that lacks a component from one that failed.
fn judge(make: Make, why: String) -> Finding {
    let lacks = ["unknown component", "not built", "unknown type"];
    if make == Make::Tidegate && lacks.iter().any(|sign| why.contains(sign)) {
        return Finding::NotBuilt(why);
    }
    Finding::Failed(why)
}

async fn run(row: &Row, program: &Program, bench: &Bench) -> anyhow::Result<Measured> {
    let _storage = Storage::fresh(&bench.folder)?;
    let run = async {
        match row.kind {
            Kind::Throughput => throughput::run(row, program, bench).await,
            Kind::Scrape => scrape::run(row, program, bench).await,
            Kind::Idle => idle::run(row, program, bench).await,
            Kind::Overload => overload::run(row, program, bench).await,
            Kind::Latency => latency::run(row, program, bench).await,
            Kind::Replay => backlog::replay(row, program, bench).await,
            Kind::Backlog => backlog::run(row, program, bench).await,
        }
    };
    tokio::time::timeout(Bench::limit(row, RUN_LIMIT), run)
        .await
        .context("the run did not end in time")?
}
