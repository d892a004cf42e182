//! What connectors make of the cases under `tests/differential/connectors` is what the Collector's own made of them;
//! what differs on purpose is in no case.

#![allow(clippy::unwrap_used)] // a test may fail where it stands

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate_component::{BuildContext, ComponentId, Connector, Route, Routes};
use tidegate_connectors::ALL;
use tidegate_document::{Diagnostics, yaml};
use tidegate_pdata::{Batch, Context, Outcome, Receipt, Signal};
use tokio::time::{Duration, Instant};

#[path = "../../tests/support/lines.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod lines;
use lines::{payload, records, shown};

fn folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential/connectors");
    root.join(name)
}

fn signal_of(name: &str) -> Signal {
    let name = name.split('/').next().unwrap_or_default();
    let mut all = Signal::ALL.into_iter();
    all.find(|signal| signal.name() == name).unwrap()
}

/// The pipelines that a case's connector feeds.
fn routes(case: &Value) -> Vec<Route> {
    let named = case["pipelines"].as_array();
    let names = named.map_or(vec!["metrics"], |names| {
        names.iter().map(|name| name.as_str().unwrap()).collect()
    });
    let route = |name: &str| Route {
        pipeline: name.to_owned(),
        signal: signal_of(name),
    };
    names.into_iter().map(route).collect()
}

fn build(case: &Value, routes: &[Route]) -> Box<dyn Connector> {
    let (name, config) = (case["connector"].as_str().unwrap(), &case["config"]);
    let entry = ALL.iter().find(|entry| entry.name == name);
    let entry = entry.unwrap_or_else(|| panic!("there is no {name}"));
    let node = yaml::parse_str(&config.to_string()).unwrap();
    let mut found = Diagnostics::default();
    let factory = (entry.read)(&node, &[], &mut found);
    assert!(!found.has_errors(), "{config}: {found:?}");
    let id: ComponentId = entry.name.parse().unwrap();
    let mut cx = BuildContext::detached("connector", id);
    cx.signal = Some(signal_of(case["signal"].as_str().unwrap()));
    cx.routes = routes.to_vec();
    let built = factory.unwrap().build(&cx);
    built.unwrap_or_else(|error| panic!("{config}: {error}"))
}

/// What came out after each batch and the flush that followed, a line for each record with its pipeline.
type Rounds = Vec<Vec<String>>;

fn metadata(case: &Value) -> Context {
    let mut context = Context::builder();
    for (name, values) in case["metadata"].as_object().into_iter().flatten() {
        for value in values.as_array().unwrap() {
            context = context.metadata(&name.to_lowercase(), value.as_str().unwrap());
        }
    }
    context.build()
}

async fn ours(case: &Value) -> Rounds {
    let routes = routes(case);
    let mut connector = build(case, &routes);
    let mut rounds = Rounds::new();
    for batch in case["batches"].as_array().unwrap() {
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut out = Routes::new(&routes);
        let mut lines = Vec::new();
        if !batch.is_null() {
            let payload = payload(
                signal_of(case["signal"].as_str().unwrap()),
                batch.to_string().as_bytes(),
            );
            let (receipt, pending) = Receipt::new();
            connector.process(Batch::new(payload, metadata(case), receipt), &mut out);
            if let Some(Outcome::Rejected(_)) = pending.now() {
                lines.push("!".to_owned());
            }
        }
        if connector.deadline().is_some() {
            tokio::time::advance(Duration::from_secs(60)).await;
            connector.flush(Instant::now(), &mut out);
        }
        for (route, batch) in out.take() {
            let Route { pipeline, signal } = &routes[route];
            for segment in batch.payload().segments() {
                write(
                    pipeline,
                    *signal,
                    shown(*signal, segment.bytes()),
                    &mut lines,
                );
            }
        }
        lines.sort();
        rounds.push(lines);
    }
    rounds
}

fn write(pipeline: &str, signal: Signal, request: Value, lines: &mut Vec<String>) {
    let mut of_it = Vec::new();
    records(signal, request, &mut of_it);
    lines.extend(of_it.into_iter().map(|line| format!("{pipeline} {line}")));
}

fn collectors(golden: &str) -> Rounds {
    let mut rounds = vec![Vec::new()];
    for line in golden.lines() {
        let lines = rounds.last_mut().unwrap();
        match line {
            "-" => rounds.push(Vec::new()),
            "!" => lines.push("!".to_owned()),
            line => {
                let (pipeline, json) = line.split_once(' ').unwrap();
                let signal = signal_of(pipeline);
                for segment in payload(signal, json.as_bytes()).segments() {
                    write(pipeline, signal, shown(signal, segment.bytes()), lines);
                }
            }
        }
    }
    rounds.pop();
    for round in &mut rounds {
        round.sort();
    }
    rounds
}

/// The times of flushes and batches in all rounds, of which only the order matters.
const TIMES: [&str; 2] = ["\"startTimeUnixNano\":\"", "\"timeUnixNano\":\""];

/// Writes each time as its place among all of the rounds.
fn without_clock(rounds: &mut Rounds) {
    let mut times = BTreeSet::new();
    for line in rounds.iter().flatten() {
        for key in TIMES {
            times.extend(
                line.match_indices(key)
                    .map(|(at, _)| time(&line[at + key.len()..]).to_owned()),
            );
        }
    }
    for (place, time) in times.iter().enumerate() {
        for line in rounds.iter_mut().flatten() {
            for key in TIMES {
                *line = line.replace(&format!("{key}{time}\""), &format!("{key}T{place}\""));
            }
        }
    }
    rounds.iter_mut().for_each(|round| round.sort());
}

fn time(rest: &str) -> &str {
    rest.split('"').next().unwrap_or_default()
}

/// Compares all cases whose names begin like this.
async fn check(prefix: &str, clock: bool) {
    let mut cases: Vec<_> = std::fs::read_dir(folder("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(prefix)
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "there is no case of {prefix}");
    let mut different = String::new();
    for path in cases {
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let golden = std::fs::read_to_string(folder(&format!("golden/{stem}.txt"))).unwrap();
        let (mut ours, mut theirs) = (ours(&case).await, collectors(&golden));
        if !clock {
            without_clock(&mut ours);
            without_clock(&mut theirs);
        }
        assert_eq!(ours.len(), theirs.len(), "batches of {stem}");
        for (round, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let only = |these: &[String], others: &[String], sign| {
                let lines = these.iter().filter(|line| !others.contains(line));
                lines
                    .map(|line| format!("{sign} {line}\n"))
                    .collect::<String>()
            };
            let found = only(theirs, ours, '-') + &only(ours, theirs, '+');
            if !found.is_empty() || ours.len() != theirs.len() {
                different += &format!("{stem}, batch {round}:\n{found}");
            }
        }
    }
    assert!(
        different.is_empty(),
        "- the Collector, + Tidegate\n{different}"
    );
}

#[tokio::test(start_paused = true)]
async fn span_metrics_equals_the_collectors() {
    check("span_metrics-", false).await;
}

#[tokio::test(start_paused = true)]
async fn routing_equals_the_collectors() {
    check("routing-", true).await;
}
