//! What `filter` and `transform` make of the corpus is what the Collector made of it.
//!
//! A case is a line under `tests/differential/ottl`: a statement or a condition for the context above it, or a
//! whole configuration. What the Collector made of it lies beside, as what became different; `capture` there
//! writes it anew.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may fail where it stands

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tidegate_component::{BuildContext, ComponentConfig, Outbox, Processor};
use tidegate_pdata::{Batch, Context, Payload, Receipt, Signal};
use tidegate_processors::{filter, transform};

#[path = "../../tests/support/corpus.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the black-box tests")]
mod corpus;

/// Set by `capture` to the program that runs the Collector's processors.
const CAPTURE: &str = "TIDEGATE_CAPTURE_FROM";

struct Case {
    /// As it stands in the file.
    text: String,
    processor: &'static str,
    signal: Signal,
    config: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential/ottl")
}

fn signal_of(name: &str) -> Signal {
    match name {
        "traces" => Signal::Traces,
        "metrics" => Signal::Metrics,
        "logs" => Signal::Logs,
        other => panic!("{other} is no signal"),
    }
}

/// The cases of a file of statements or conditions.
fn lines(file: &str, processor: &'static str) -> Vec<Case> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let mut cases = Vec::new();
    let (mut signal, mut context) = (Signal::Logs, "log".to_owned());
    for line in text.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix("@ ") {
            let (name, rest) = heading.split_once(' ').unwrap();
            (signal, context) = (signal_of(name), rest.to_owned());
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let one = match signal {
            Signal::Traces => "trace",
            Signal::Metrics => "metric",
            Signal::Logs => "log",
        };
        let (key, inner) = match processor {
            "filter" => (format!("{one}_conditions"), "conditions"),
            _ => (format!("{one}_statements"), "statements"),
        };
        cases.push(Case {
            text: format!("{} {context}: {line}", signal.name()),
            processor,
            signal,
            config: json!({"error_mode": "ignore", key: [{"context": context, inner: [line]}]}),
        });
    }
    cases
}

/// The cases of a file of whole configurations.
fn configurations(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let case: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            Case {
                text: line.to_owned(),
                processor: if case["processor"] == "filter" {
                    "filter"
                } else {
                    "transform"
                },
                signal: signal_of(case["signal"].as_str().unwrap()),
                config: case["config"].clone(),
            }
        })
        .collect()
}

fn corpus_of(signal: Signal) -> Vec<u8> {
    match signal {
        Signal::Traces => corpus::traces().encode_to_vec(),
        Signal::Metrics => corpus::metrics().encode_to_vec(),
        Signal::Logs => corpus::logs().encode_to_vec(),
    }
}

/// What Tidegate makes of the corpus; a fault where it refuses the configuration or the batch.
fn tidegate(case: &Case) -> Result<Vec<u8>, String> {
    let mut cx = BuildContext::detached("processor", case.processor.parse().unwrap());
    cx.signal = Some(case.signal);
    let config = case.config.clone();
    let built = if case.processor == "filter" {
        let config: filter::Config = serde_json::from_value(config).map_err(|e| e.to_string())?;
        config.build(&cx)
    } else {
        let config: transform::Config =
            serde_json::from_value(config).map_err(|e| e.to_string())?;
        config.build(&cx)
    };
    let mut processor: Box<dyn Processor> =
        built.map_err(|e| format!("{}: {}", e.path, e.message))?;
    let admitted = Payload::admit(case.signal, corpus_of(case.signal).into(), None).unwrap();
    let before = admitted.payload.items();
    let mut out = Outbox::default();
    processor.process(
        Batch::new(admitted.payload, Context::default(), Receipt::none()),
        &mut out,
    );
    let batches = out.take();
    let (created, dropped) = out.take_counts();
    let after: usize = batches.iter().map(Batch::items).sum();
    assert_eq!(
        before + created,
        after + dropped,
        "the ledger of {}",
        case.text
    );
    let Some(batch) = batches.first() else {
        return match dropped {
            dropped if dropped == before && case.config["error_mode"] == "propagate" => {
                Err("propagated".to_owned())
            }
            _ => Ok(Vec::new()),
        };
    };
    let bytes: Vec<u8> = batch
        .payload()
        .segments()
        .iter()
        .flat_map(|segment| segment.bytes().to_vec())
        .collect();
    Payload::admit(case.signal, bytes.clone().into(), None)
        .map(|admitted| {
            assert!(
                !admitted.rewritten,
                "what came of {} is canonical",
                case.text
            )
        })
        .unwrap();
    Ok(bytes)
}

/// What the Collector makes of the corpus in each case.
fn collector(program: &std::ffi::OsStr, cases: &[Case]) -> Vec<Result<Vec<u8>, String>> {
    let directory = tempfile::tempdir().unwrap();
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
        let path = directory.path().join(format!("{}.pb", signal.name()));
        std::fs::write(path, corpus_of(signal)).unwrap();
    }
    let mut child = Command::new(program)
        .arg(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input: String = cases
        .iter()
        .map(|case| {
            let line = json!({"processor": case.processor, "signal": case.signal.name(), "config": case.config});
            format!("{line}\n")
        })
        .collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let outcomes: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix("! ") {
            Some(fault) => Err(fault.to_owned()),
            None => Ok(STANDARD.decode(line).unwrap()),
        })
        .collect();
    assert_eq!(outcomes.len(), cases.len());
    outcomes
}

fn to_json(signal: Signal, bytes: &[u8]) -> Value {
    let json = match signal {
        Signal::Traces => serde_json::to_value(ExportTraceServiceRequest::decode(bytes).unwrap()),
        Signal::Metrics => {
            serde_json::to_value(ExportMetricsServiceRequest::decode(bytes).unwrap())
        }
        Signal::Logs => serde_json::to_value(ExportLogsServiceRequest::decode(bytes).unwrap()),
    };
    json.unwrap()
}

/// An `AnyValue` with the entries of its maps in order.
fn any_value(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key("kvlistValue") => {
            let mut entries: Vec<(String, Value)> = list(&fields["kvlistValue"]["values"])
                .iter()
                .map(|entry| {
                    (
                        entry["key"].as_str().unwrap().to_owned(),
                        any_value(&entry["value"]),
                    )
                })
                .collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            json!({"map": entries})
        }
        Value::Object(fields) if fields.contains_key("arrayValue") => {
            let values = list(&fields["arrayValue"]["values"]);
            json!({"list": values.iter().map(any_value).collect::<Vec<_>>()})
        }
        Value::Null => json!({}),
        other => other.clone(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The leaves of a message by their paths; what proto3 leaves out is left out.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Array(values) => {
            let is_attributes = values.iter().all(|value| value.get("key").is_some());
            for (index, value) in values.iter().enumerate() {
                if is_attributes {
                    let key = value["key"].as_str().unwrap();
                    let mut path = format!("{path}[{key}]");
                    while found.contains_key(&path) {
                        path.push('\'');
                    }
                    found.insert(path, any_value(&value["value"]).to_string());
                } else {
                    leaves(&format!("{path}.{index}"), value, found);
                }
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "body" {
                    // The Collector writes a body without a value where there is none.
                    let body = any_value(value).to_string();
                    if body != "{}" {
                        found.insert(format!("{path}.body"), body);
                    }
                } else {
                    leaves(&format!("{path}.{name}"), value, found);
                }
            }
        }
        Value::String(text) if text.is_empty() || text == "0" => {}
        Value::Bool(false) => {}
        Value::Number(number) if number.as_f64() == Some(0.0) && !path.ends_with("sum") => {}
        other => {
            found.insert(path.to_owned(), other.to_string());
        }
    }
}

/// What became different, line by line.
fn difference(signal: Signal, outcome: &Result<Vec<u8>, String>) -> String {
    let bytes = match outcome {
        Err(fault) if fault.starts_with("propagated") => return "propagated\n".to_owned(),
        Err(_) => return "refused\n".to_owned(),
        Ok(bytes) => bytes,
    };
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves("", &to_json(signal, &corpus_of(signal)), &mut old);
    leaves("", &to_json(signal, bytes), &mut new);
    let mut lines = String::new();
    for (path, value) in &new {
        match old.get(path) {
            Some(before) if before == value => {}
            _ => lines.push_str(&format!("{} = {value}\n", short(path))),
        }
    }
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        lines.push_str(&format!("{} is gone\n", short(path)));
    }
    lines
}

fn short(path: &str) -> String {
    let mut path = path.to_owned();
    for (long, short) in [
        ("resourceSpans", "r"),
        ("resourceMetrics", "r"),
        ("resourceLogs", "r"),
        ("scopeSpans", "s"),
        ("scopeMetrics", "s"),
        ("scopeLogs", "s"),
        ("logRecords.", ""),
        ("dataPoints", "p"),
        ("attributes", "a"),
    ] {
        path = path.replace(long, short);
    }
    path.trim_start_matches('.').to_owned()
}

/// For `filter`: which records, events and points are left, by position.
fn left(signal: Signal, outcome: &Result<Vec<u8>, String>) -> String {
    let bytes = match outcome {
        Err(fault) if fault.starts_with("propagated") => return "propagated\n".to_owned(),
        Err(_) => return "refused\n".to_owned(),
        Ok(bytes) => bytes,
    };
    let all = pieces(&to_json(signal, &corpus_of(signal)));
    let some = pieces(&to_json(signal, bytes));
    let mut rest = some.iter().peekable();
    let mut gone = Vec::new();
    for (index, piece) in all.iter().enumerate() {
        if rest.next_if(|left| *left == piece).is_none() {
            gone.push(index.to_string());
        }
    }
    assert!(rest.peek().is_none(), "nothing is left but what was there");
    format!("gone: {}\n", gone.join(" "))
}

/// Spans and events, data points and log records, each with where it lies.
fn pieces(request: &Value) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut add = |parts: &[&Value]| {
        let mut found = BTreeMap::new();
        for (index, part) in parts.iter().enumerate() {
            leaves(&index.to_string(), part, &mut found);
        }
        pieces.push(format!("{found:?}"));
    };
    for resources in ["resourceSpans", "resourceMetrics", "resourceLogs"] {
        for resource in list(&request[resources]) {
            for scopes in ["scopeSpans", "scopeMetrics", "scopeLogs"] {
                for scope in list(&resource[scopes]) {
                    for span in list(&scope["spans"]) {
                        let mut alone = span.clone();
                        alone["events"] = Value::Null;
                        add(&[&resource["resource"], &scope["scope"], &alone]);
                        list(&span["events"])
                            .iter()
                            .for_each(|event| add(&[&alone, event]));
                    }
                    for log in list(&scope["logRecords"]) {
                        add(&[&resource["resource"], &scope["scope"], log]);
                    }
                    for metric in list(&scope["metrics"]) {
                        for kind in [
                            "gauge",
                            "sum",
                            "histogram",
                            "exponentialHistogram",
                            "summary",
                        ] {
                            let points = list(&metric[kind]["dataPoints"]);
                            points
                                .iter()
                                .for_each(|point| add(&[&metric["name"], point]));
                        }
                    }
                }
            }
        }
    }
    pieces
}

fn check(file: &str, cases: &[Case]) {
    let golden = folder().join("golden").join(file);
    let describe = |case: &Case, outcome: &Result<Vec<u8>, String>| {
        if case.processor == "filter" {
            left(case.signal, outcome)
        } else {
            difference(case.signal, outcome)
        }
    };
    if let Some(program) = std::env::var_os(CAPTURE) {
        let mut text = String::new();
        for (case, outcome) in cases.iter().zip(collector(&program, cases)) {
            if let Err(fault) = &outcome {
                println!("{}\n    {fault}", case.text);
            }
            text.push_str(&format!("> {}\n{}", case.text, describe(case, &outcome)));
        }
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, text).unwrap();
        return;
    }
    let text = std::fs::read_to_string(&golden).unwrap();
    let mut expected: BTreeMap<&str, String> = BTreeMap::new();
    for block in text
        .split("\n> ")
        .map(|block| block.trim_start_matches("> "))
    {
        let (name, lines) = block.split_once('\n').unwrap_or((block, ""));
        let lines = if lines.is_empty() || lines.ends_with('\n') {
            lines.to_owned()
        } else {
            format!("{lines}\n")
        };
        expected.insert(name, lines);
    }
    let mut faults = Vec::new();
    for case in cases {
        let found = tidegate(case);
        let lines = describe(case, &found);
        match expected.get(case.text.as_str()) {
            Some(golden) if *golden == lines => {}
            Some(golden) => {
                let fault = found.err().unwrap_or_default();
                faults.push(format!(
                    "{}\n  collector:\n{golden}  tidegate:\n{lines}{fault}",
                    case.text
                ));
            }
            None => faults.push(format!("{} has no golden", case.text)),
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} differ:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[test]
fn statements_do_what_they_do_in_the_collector() {
    check("statements.txt", &lines("statements.txt", "transform"));
}

#[test]
fn conditions_drop_what_they_drop_in_the_collector() {
    check("conditions.txt", &lines("conditions.txt", "filter"));
}

#[test]
fn configurations_do_what_they_do_in_the_collector() {
    check(
        "configurations.txt",
        &configurations("configurations.jsonl"),
    );
}
