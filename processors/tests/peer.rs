//! What processors make of the cases under `tests/differential/processors` is what the Collector's own made of
//! them; what differs on purpose is in no case.

#![allow(clippy::unwrap_used)] // a test may fail where it stands

use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate_component::{BuildContext, ComponentId, Outbox, Processor};
use tidegate_document::{Diagnostics, yaml};
use tidegate_pdata::{Batch, Context, Receipt, Signal};
use tidegate_processors::ALL;
use tokio::time::{Duration, Instant};

#[path = "../../tests/support/lines.rs"]
#[allow(unreachable_pub, reason = "shared with other tests")]
mod lines;
use lines::{payload, records, shown};

fn folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential/processors");
    root.join(name)
}

fn build(name: &str, config: &Value, signal: Signal) -> Box<dyn Processor> {
    let plain = |name: &str| name.replace('_', "");
    let entry = ALL.iter().find(|entry| plain(entry.name) == plain(name));
    let entry = entry.unwrap_or_else(|| panic!("there is no {name}"));
    let node = yaml::parse_str(&config.to_string()).unwrap();
    let mut found = Diagnostics::default();
    let factory = (entry.read)(&node, &[], &mut found);
    assert!(!found.has_errors(), "{config}: {found:?}");
    let id: ComponentId = entry.name.parse().unwrap();
    let mut cx = BuildContext::detached("processor", id);
    cx.signal = Some(signal);
    let built = factory.unwrap().build(&cx);
    built.unwrap_or_else(|error| panic!("{config}: {error}"))
}

/// What came out of each batch, and last what came out at the end.
type Rounds = Vec<Vec<String>>;

/// Feature gates of the Collector, with what stands for them here and the setting that it stands for.
const GATES: &[(&str, &str, bool)] = &[
    (
        "processor.tailsamplingprocessor.disableinvertdecisions",
        "inverted_decisions",
        false,
    ),
    (
        "processor.tailsamplingprocessor.recordpolicy",
        "record_policy",
        true,
    ),
];

/// The batches of a case, which several may share.
fn batches(case: &Value) -> Value {
    match case["traffic"].as_str() {
        Some(name) => {
            let text = std::fs::read(folder("traffic").join(name)).unwrap();
            serde_json::from_slice(&text).unwrap()
        }
        None => case["batches"].clone(),
    }
}

fn ours(case: &Value, signal: Signal) -> Rounds {
    let name = case["processor"].as_str().unwrap();
    let mut config = case["config"].clone();
    for (gate, key, value) in GATES {
        if case["gates"][gate] == *value {
            config[key] = Value::Bool(true);
        }
    }
    let mut processor = build(name, &config, signal);
    let mut rounds = Rounds::new();
    let mut take = |out: &mut Outbox| {
        let mut lines = Vec::new();
        for batch in out.take() {
            for segment in batch.payload().segments() {
                records(signal, shown(signal, segment.bytes()), &mut lines);
            }
        }
        lines.sort();
        rounds.push(lines);
    };
    let mut out = Outbox::default();
    for batch in batches(case).as_array().unwrap() {
        let payload = payload(signal, batch.to_string().as_bytes());
        let batch = Batch::new(payload, Context::default(), Receipt::none());
        processor.process(batch, &mut out);
        take(&mut out);
    }
    processor.flush(Instant::now() + Duration::from_secs(1 << 30), &mut out);
    take(&mut out);
    rounds
}

fn collectors(golden: &str, signal: Signal) -> Rounds {
    let mut rounds = vec![Vec::new()];
    for line in golden.lines() {
        match line {
            "-" => rounds.push(Vec::new()),
            line => {
                for segment in payload(signal, line.as_bytes()).segments() {
                    let lines = rounds.last_mut().unwrap();
                    records(signal, shown(signal, segment.bytes()), lines);
                }
            }
        }
    }
    for round in &mut rounds {
        round.sort();
    }
    rounds
}

/// Compares all cases whose names begin like this.
fn check(prefix: &str) {
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
        let signal = Signal::ALL
            .into_iter()
            .find(|signal| case["signal"] == signal.name());
        let signal = signal.unwrap();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let golden = std::fs::read_to_string(folder(&format!("golden/{stem}.txt"))).unwrap();
        let (ours, theirs) = (ours(&case, signal), collectors(&golden, signal));
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

#[test]
fn cumulative_to_delta_equals_the_collectors() {
    check("cumulative_to_delta-");
}

#[test]
fn metrics_transform_equals_the_collectors() {
    check("metrics_transform-");
}

#[test]
fn redaction_equals_the_collectors() {
    check("redaction-");
}

#[test]
fn metricsgeneration_equals_the_collectors() {
    check("metricsgeneration-");
}

#[test]
fn delta_to_cumulative_equals_the_collectors() {
    check("delta_to_cumulative-");
}

#[test]
fn span_equals_the_collectors() {
    check("span-");
}

#[test]
fn interval_equals_the_collectors() {
    check("interval-");
}

#[test]
fn log_dedup_equals_the_collectors() {
    check("log_dedup-");
}

#[test]
fn tail_sampling_equals_the_collectors() {
    check("tail_sampling-");
}

/// Which traces a rate lets through depends on the order in which they are asked for, which is random in the
/// Collector; how many does not.
#[test]
fn rates_of_tail_sampling_let_as_much_through_as_the_collectors() {
    for name in ["spans", "budget"] {
        let case = std::fs::read(folder(&format!("cases/rate_of_tail_sampling-{name}.json")));
        let case: Value = serde_json::from_slice(&case.unwrap()).unwrap();
        let golden = folder(&format!("golden/rate_of_tail_sampling-{name}.txt"));
        let golden = std::fs::read_to_string(golden).unwrap();
        let records = |rounds: Rounds| rounds.iter().map(Vec::len).sum::<usize>();
        let ours = records(ours(&case, Signal::Traces));
        let theirs = records(collectors(&golden, Signal::Traces));
        // A new second may begin on the way.
        assert!(
            (theirs..=2 * theirs).contains(&ours),
            "{name}: {ours}, {theirs}"
        );
    }
}
