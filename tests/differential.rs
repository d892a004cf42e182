//! The same YAML and the same requests as the OpenTelemetry Collector got, and the same outcome.
//!
//! A case is a configuration under `tests/differential/cases/`. What the Collector made of it lies under
//! `tests/differential/golden/`, written by `tests/differential/capture`; what Tidegate makes of it never
//! becomes a golden file. Records are compared as a multiset of resource, scope and record.

// What the tests share is public for all of them, and says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message;
use support::sink::Sink;
use support::{Process, corpus, free_port, normal, repository, tidegate};

/// Set by `tests/differential/capture` to the Collector's binary.
const CAPTURE: &str = "TIDEGATE_CAPTURE_FROM";

#[test]
fn records_equal_those_of_the_collector() {
    let mut differences = Vec::new();
    for case in cases() {
        let golden = golden(&case, "txt");
        let yaml = std::fs::read_to_string(&case).expect("a case can be read");
        if let Some(collector) = std::env::var_os(CAPTURE) {
            let lines = run(Command::new(collector), &case, &yaml);
            std::fs::write(&golden, lines.join("\n") + "\n").expect("a golden file can be written");
            continue;
        }
        let expected = std::fs::read_to_string(&golden)
            .unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        let lines = run(tidegate(), &case, &yaml);
        let difference = compare(&expected, &lines);
        if !difference.is_empty() {
            differences.push(format!("{}:\n{difference}", case.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn responses_equal_those_of_the_collector() {
    let golden = repository("tests/differential/golden/responses.txt");
    let yaml = "receivers: {otlp: {protocols: {http: {endpoint: '${env:OTLP_IN}'}}}}\n\
                exporters: {nop: }\n\
                service: {telemetry: {metrics: {level: none}}, \
                pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}\n";
    let mut command = match std::env::var_os(CAPTURE) {
        Some(collector) => Command::new(collector),
        None => tidegate(),
    };
    let input = format!("127.0.0.1:{}", free_port());
    let _process = start(&mut command, yaml, &[("OTLP_IN", &input)], &input);
    let answers: Vec<String> = requests()
        .into_iter()
        .map(|(name, head, body)| {
            let (head, body) = support::http(&input, &head, &body)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            format!("{name}: {}", answer(&head, &body))
        })
        .collect();
    if std::env::var_os(CAPTURE).is_some() {
        std::fs::write(&golden, answers.join("\n") + "\n").expect("a golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&golden)
        .unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    let difference = compare(&expected, &answers);
    assert!(difference.is_empty(), "{difference}");
}

fn cases() -> Vec<PathBuf> {
    let folder = repository("tests/differential/cases");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the cases can be listed")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn golden(case: &Path, extension: &str) -> PathBuf {
    let name = case.file_stem().expect("a case has a name");
    repository("tests/differential/golden")
        .join(name)
        .with_extension(extension)
}

/// Starts the binary on a case, sends it the corpus and returns the lines that it makes of it.
fn run(mut command: Command, case: &Path, yaml: &str) -> Vec<String> {
    let sink = Sink::start();
    let input = format!("127.0.0.1:{}", free_port());
    let scrape = format!("127.0.0.1:{}", free_port());
    let out = format!("http://{}", sink.address());
    let environment = [
        ("OTLP_IN", input.as_str()),
        ("SINK", out.as_str()),
        ("SCRAPE", scrape.as_str()),
    ];
    let mut process = start(&mut command, yaml, &environment, &input);
    post(&input, "/v1/traces", &corpus::traces().encode_to_vec());
    post(&input, "/v1/metrics", &corpus::metrics().encode_to_vec());
    post(&input, "/v1/logs", &corpus::logs().encode_to_vec());
    if yaml.contains("${env:SCRAPE}") {
        return exposition(&scrape, yaml);
    }
    let status = process.terminate();
    assert!(
        status.success(),
        "{}: it ended with {status}",
        case.display()
    );
    normal::records(&sink.received())
}

fn start(
    command: &mut Command,
    yaml: &str,
    environment: &[(&str, &str)],
    listens: &str,
) -> Process {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, yaml).expect("the configuration can be written");
    command
        .arg("--config")
        .arg(&path)
        .envs(environment.iter().copied());
    let mut process = Process::start("collector", command);
    process.wait_listening(listens);
    process
}

/// Sends one request. A signal without a pipeline answers 404, or is cut off before its body
/// was read, which is as good.
fn post(address: &str, path: &str, body: &[u8]) {
    let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/x-protobuf");
    let (head, body) = match support::http(address, &head, body) {
        Ok(answer) => answer,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
        Err(error) => panic!("{path}: {error}"),
    };
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    assert!(
        matches!(status, "200" | "404"),
        "{path}: {head}\n{}",
        String::from_utf8_lossy(&body)
    );
}

/// The scraped text as sorted lines; a case's first line may name what it accepts.
fn exposition(address: &str, yaml: &str) -> Vec<String> {
    let accept = yaml
        .lines()
        .find_map(|line| line.strip_prefix("# accept: "))
        .unwrap_or("text/plain");
    let head = format!("GET /metrics HTTP/1.1\r\naccept: {accept}");
    let (head, body) = support::http(address, &head, b"").expect("the endpoint answers");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let content_type = field(&head, "content-type").unwrap_or_default();
    let mut lines = vec![format!("content-type: {content_type}")];
    let text = String::from_utf8_lossy(&body).into_owned();
    let mut samples: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    samples.sort();
    lines.extend(samples);
    lines
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What matters of an answer: status, content type, body.
fn answer(head: &str, body: &[u8]) -> String {
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    let content_type = field(head, "content-type").unwrap_or("-");
    let body = if content_type == "application/x-protobuf" {
        body.iter().map(|byte| format!("{byte:02x}")).collect()
    } else {
        String::from_utf8_lossy(body).trim().to_owned()
    };
    format!("{status} {content_type} {body:?}")
}

/// Named requests: head and body.
fn requests() -> Vec<(&'static str, String, Vec<u8>)> {
    let protobuf = "POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf";
    let json = "POST /v1/traces HTTP/1.1\r\ncontent-type: application/json";
    let spans = corpus::traces().encode_to_vec();
    let text = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a","kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000}]}]}]}"#;
    vec![
        ("protobuf", protobuf.to_owned(), spans.clone()),
        ("empty protobuf", protobuf.to_owned(), Vec::new()),
        ("json", json.to_owned(), text.to_vec()),
        (
            "json with a charset",
            format!("{json}; charset=utf-8"),
            text.to_vec(),
        ),
        ("empty json object", json.to_owned(), b"{}".to_vec()),
        ("get", "GET /v1/traces HTTP/1.1".to_owned(), Vec::new()),
        ("put", protobuf.replace("POST", "PUT"), spans.clone()),
        (
            "other path",
            protobuf.replace("/v1/traces", "/v1/nothing"),
            spans.clone(),
        ),
        (
            "signal without a pipeline",
            protobuf.replace("traces", "logs"),
            Vec::new(),
        ),
        (
            "other type",
            protobuf.replace("x-protobuf", "xml"),
            spans.clone(),
        ),
        (
            "no type",
            "POST /v1/traces HTTP/1.1".to_owned(),
            spans.clone(),
        ),
        (
            "unknown encoding",
            format!("{protobuf}\r\ncontent-encoding: br"),
            spans.clone(),
        ),
        (
            "not gzip",
            format!("{protobuf}\r\ncontent-encoding: gzip"),
            spans,
        ),
    ]
}

/// The lines that only one side has, each with how many times more it has it.
fn compare(expected: &str, lines: &[String]) -> String {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for line in expected.lines() {
        *counts.entry(normal::same(line)).or_default() += 1;
    }
    for line in lines.iter().flat_map(|line| line.lines()) {
        *counts.entry(normal::same(line)).or_default() -= 1;
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count != 0)
        .map(|(line, count)| {
            let side = if count > 0 { "collector" } else { "tidegate " };
            format!("{side} x{}: {line}\n", count.abs())
        })
        .collect()
}
