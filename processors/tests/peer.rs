//! What processors make of the cases under `tests/differential/processors` is what the Collector's own made of
//! them; what differs on purpose is in no case.

#![allow(clippy::unwrap_used)] // a test may fail where it stands

use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tidegate_component::{BuildContext, ComponentId, Outbox, Processor};
use tidegate_document::{Diagnostics, yaml};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Batch, Context, Payload, Receipt, Signal};
use tidegate_processors::ALL;
use tokio::time::{Duration, Instant};

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

/// A request as JSON, in the one form that everything is compared in.
fn shown(signal: Signal, bytes: &[u8]) -> Value {
    match signal {
        Signal::Traces => serde_json::to_value(ExportTraceServiceRequest::decode(bytes).unwrap()),
        Signal::Metrics => {
            serde_json::to_value(ExportMetricsServiceRequest::decode(bytes).unwrap())
        }
        Signal::Logs => serde_json::to_value(ExportLogsServiceRequest::decode(bytes).unwrap()),
    }
    .unwrap()
}

/// The records of a request, a line each with all that they lie in, sorted.
fn records(signal: Signal, mut request: Value, lines: &mut Vec<String>) {
    plain(&mut request);
    let [resources, scopes, records] = match signal {
        Signal::Traces => ["resourceSpans", "scopeSpans", "spans"],
        Signal::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
        Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
    };
    for (around, resource) in parts(request, resources) {
        drop(around);
        for (resource, scope) in parts(resource, scopes) {
            for (scope, record) in parts(scope, records) {
                let held = json!({"resource": resource, "scope": scope});
                if signal == Signal::Metrics {
                    points(&held, record, lines);
                } else {
                    let record = without_clock(record);
                    lines.push(json!({"in": held, "record": record}).to_string());
                }
            }
        }
    }
}

/// Takes the time of the day out of a record that stands for others.
fn without_clock(mut record: Value) -> Value {
    let has_one = |entry: &Value| entry["key"] == "first_observed_timestamp";
    let attributes = record["attributes"].as_array();
    if attributes.is_some_and(|entries| entries.iter().any(has_one)) {
        let fields = record.as_object_mut().unwrap();
        for time in ["timeUnixNano", "observedTimeUnixNano"] {
            assert!(fields.remove(time).is_some(), "there is no {time}");
        }
        for entry in fields["attributes"].as_array_mut().unwrap() {
            if entry["key"]
                .as_str()
                .unwrap()
                .ends_with("_observed_timestamp")
            {
                let zone: String = entry["value"]["stringValue"].as_str().unwrap()[19..].to_owned();
                entry["value"] = zone.into();
            }
        }
    }
    record
}

fn points(held: &Value, mut metric: Value, lines: &mut Vec<String>) {
    const KINDS: [&str; 5] = [
        "gauge",
        "sum",
        "histogram",
        "exponentialHistogram",
        "summary",
    ];
    let kind = KINDS.iter().find(|kind| metric.get(kind).is_some());
    let Some(kind) = kind else { return };
    let data = metric.as_object_mut().unwrap().remove(*kind).unwrap();
    for (data, point) in parts(data, "dataPoints") {
        let line =
            json!({"in": held, "metric": metric, "kind": kind, "data": data, "point": point});
        lines.push(line.to_string());
    }
}

/// The elements of a list in a message, each with what is beside the list.
fn parts(mut message: Value, list: &str) -> Vec<(Value, Value)> {
    let taken = message
        .as_object_mut()
        .and_then(|fields| fields.remove(list));
    let Some(Value::Array(items)) = taken else {
        return Vec::new();
    };
    items
        .into_iter()
        .map(|item| (message.clone(), item))
        .collect()
}

/// Takes out what says nothing, and puts attributes in order.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(plain);
            if items.iter().all(|item| item.get("key").is_some()) {
                items.sort_by_key(|item| item["key"].to_string());
            }
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(plain);
            without_empty_buckets(fields);
            let says = |name: &str, value: &Value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(fields) => !fields.is_empty() || name == "value",
                _ if name.ends_with("Value") || name.starts_with("as") => true,
                Value::String(text) => !text.is_empty() && text != "0",
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::Bool(value) => *value,
            };
            fields.retain(|name, value| says(name, value));
        }
        _ => {}
    }
}

/// Takes empty buckets off the ends of those of an exponential histogram.
fn without_empty_buckets(fields: &mut serde_json::Map<String, Value>) {
    if fields.contains_key("explicitBounds") {
        return;
    }
    let Some(Value::Array(counts)) = fields.get_mut("bucketCounts") else {
        return;
    };
    let has_some = |count: &Value| count != "0";
    let last = counts.iter().rposition(has_some);
    counts.truncate(last.map_or(0, |last| last + 1));
    let first = counts.iter().position(has_some).unwrap_or(0);
    counts.drain(..first);
    let offset = fields.get("offset").and_then(Value::as_i64).unwrap_or(0);
    fields.insert("offset".to_owned(), json!(offset + first as i64));
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
            config[key] = json!(true);
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

fn payload(signal: Signal, json: &[u8]) -> Payload {
    let bytes = from_json(signal, json, &mut |_| true).unwrap();
    let admitted = Payload::admit(signal, bytes.into(), None);
    admitted.unwrap().payload
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
