//! The debug exporter's output against the OpenTelemetry Collector's.
//!
//! What the Collector printed for the requests under `corpus/` lies under `golden/`. To make it
//! anew, name the Collector's binary (v0.150.0, with the debug exporter) in
//! `TIDEGATE_CAPTURE_FROM` and run this test; what Tidegate prints never becomes a golden file.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_component::{AnyExporter, BuildContext, ComponentConfig};
use tidegate_exporters::debug::Config;
use tidegate_pdata::{Batch, Context, Payload, Receipt, Segment, Signal, json};

const CAPTURE: &str = "TIDEGATE_CAPTURE_FROM";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path)
}

#[tokio::test]
async fn output_equals_that_of_the_collector() {
    for verbosity in ["basic", "normal", "detailed"] {
        for signal in Signal::ALL {
            let corpus = std::fs::read(here(&format!("corpus/{signal}.json"))).unwrap();
            let golden = here(&format!("golden/debug-{verbosity}-{signal}.txt"));
            if let Some(collector) = std::env::var_os(CAPTURE) {
                let printed = capture(Path::new(&collector), verbosity, signal, &corpus);
                std::fs::write(&golden, printed).unwrap();
                continue;
            }
            let expected = std::fs::read_to_string(&golden).unwrap();
            let printed = print(verbosity, signal, &corpus).await;
            let (ours, theirs) = (lines(verbosity, &printed), lines(verbosity, &expected));
            for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert_eq!(ours, theirs, "{verbosity} {signal}, line {}", at + 1);
            }
            assert_eq!(ours.len(), theirs.len(), "{verbosity} {signal}");
        }
    }
}

/// The lines, those of scopes without their number: at normal verbosity v0.150.0 gives each the
/// number of its resource, which later versions have mended.
fn lines(verbosity: &str, text: &str) -> Vec<String> {
    let numbered = |line: &&str| verbosity == "normal" && line.starts_with("Scope");
    let line = |line: &str| match Some(line).filter(numbered) {
        Some(line) => line
            .split(' ')
            .filter(|word| !word.starts_with('#'))
            .collect(),
        None => line.to_owned(),
    };
    text.split('\n').map(line).collect()
}

/// What we print.
async fn print(verbosity: &str, signal: Signal, corpus: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let yaml = format!(
        "{{verbosity: {verbosity}, use_internal_logger: false, output_paths: ['{}']}}",
        path.display()
    );
    let node = tidegate_document::yaml::parse_str(&yaml).unwrap();
    let config: Config = tidegate_document::read(&node).unwrap();
    let cx = BuildContext::detached("exporter", "debug".parse().unwrap());
    let AnyExporter::Inline(exporter) = config.build(&cx).unwrap() else {
        panic!("debug takes batches on the spot")
    };
    exporter.start(support::context("debug")).await.unwrap();
    let request = json::from_json(signal, corpus, &mut |_| true).unwrap();
    let request = Bytes::from(request);
    let items = tidegate_pdata::canonical_items(signal, &request).unwrap();
    let segment = Segment::new(request, items, None);
    let payload = Payload::from_segment(signal, segment);
    exporter
        .apply(&Batch::new(payload, Context::default(), Receipt::default()))
        .unwrap();
    std::fs::read_to_string(path).unwrap()
}

/// What the Collector prints.
fn capture(collector: &Path, verbosity: &str, signal: Signal, corpus: &[u8]) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let yaml = format!(
        "yaml:{{receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}, \
         exporters: {{debug: {{verbosity: {verbosity}, use_internal_logger: false}}}}, \
         service: {{telemetry: {{metrics: {{level: none}}}}, \
         pipelines: {{{signal}: {{receivers: [otlp], exporters: [debug]}}}}}}}}"
    );
    let mut process = Command::new(collector)
        .args(["--config", &yaml])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let head = format!(
        "POST /v1/{signal} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        corpus.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(corpus).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

mod support;
