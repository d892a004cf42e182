//! `file_log` as a process: what dies, and what is there after it.

// What the tests share is public for all of them, and some of it tells what was left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use support::sink::Sink;
use support::{Tidegate, eventually, free_port, repository, tidegate};

/// Reads `*.log*` in a folder and sends what it reads to a sink, durably or not.
fn configuration(folder: &Path, sink: &str, health: &str, queue: &str) -> String {
    let folder = folder.display();
    format!(
        "
extensions:
  health_check: {{endpoint: '{health}'}}
  file_storage: {{directory: '{folder}/storage', create_directory: true}}
receivers:
  file_log:
    include: ['{folder}/*.log*']
    start_at: beginning
    poll_interval: 20ms
    storage: file_storage
exporters:
  otlp_http:
    endpoint: 'http://{sink}'
    compression: none
    {queue}
service:
  extensions: [health_check, file_storage]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [file_log], exporters: [otlp_http]}}}}
"
    )
}

/// How often each line arrived.
fn arrived(sink: &Sink) -> BTreeMap<String, usize> {
    let received = sink.received();
    let resources = received
        .logs
        .iter()
        .flat_map(|request| &request.resource_logs);
    let records = resources
        .flat_map(|resource| &resource.scope_logs)
        .flat_map(|scope| &scope.log_records);
    let mut lines = BTreeMap::new();
    for record in records {
        let body = record.body.as_ref().and_then(|body| body.value.as_ref());
        let Some(Value::StringValue(line)) = body else {
            panic!("{record:?}");
        };
        *lines.entry(line.clone()).or_default() += 1;
    }
    lines
}

/// Waits until every line of a number has arrived, and gives how many came more than once.
fn wait_for(sink: &Sink, count: usize) -> usize {
    let lines = eventually("every line arrives", || {
        let lines = arrived(sink);
        if lines.len() >= count {
            Ok(lines)
        } else {
            Err(format!("{} of {count}", lines.len()))
        }
    });
    assert_eq!(lines.len(), count);
    lines.values().filter(|times| **times > 1).count()
}

fn append(path: &Path, from: usize, to: usize) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("the log can be opened");
    let lines: Vec<String> = (from..to)
        .map(|number| format!("line {number} of a log that many processes read\n"))
        .collect();
    file.write_all(lines.concat().as_bytes())
        .expect("the log can be written");
}

/// Kills the collector again and again while a log grows and is rotated.
fn killed(queue: &str) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let folder = folder.path();
    let sink = Sink::start();
    let mut written = 0;
    let mut repeated = 0;
    for round in 0..4 {
        let health = format!("127.0.0.1:{}", free_port());
        let yaml = configuration(folder, sink.address(), &health, queue);
        let mut collector = Tidegate::start(&yaml, &[&health]);
        for _ in 0..10 {
            append(&folder.join("a.log"), written, written + 500);
            written += 500;
            std::thread::sleep(std::time::Duration::from_millis(15));
        }
        if round % 2 == 0 {
            fs::rename(folder.join("a.log"), folder.join(format!("a.log.{round}")))
                .expect("a rename");
            append(&folder.join("a.log"), written, written + 100);
            written += 100;
        }
        if round == 3 {
            repeated = wait_for(&sink, written);
            assert!(collector.process.terminate().success());
        } else {
            // Something of it has arrived, and something has not.
            eventually("a line arrives", || {
                if arrived(&sink).is_empty() {
                    Err(())
                } else {
                    Ok(())
                }
            });
            collector.process.kill();
        }
    }
    assert!(
        repeated < written,
        "{repeated} of {written} lines came more than once"
    );
    // After an end in good order nothing is read again.
    let before: usize = arrived(&sink).values().sum();
    let health = format!("127.0.0.1:{}", free_port());
    let yaml = configuration(folder, sink.address(), &health, queue);
    let collector = Tidegate::start(&yaml, &[&health]);
    append(&folder.join("a.log"), written, written + 1);
    wait_for(&sink, written + 1);
    let after: usize = arrived(&sink).values().sum();
    assert_eq!(after, before + 1);
    collector.stop();
}

#[test]
fn nothing_is_lost_by_kills_where_answers_mean_delivered() {
    killed("sending_queue: {wait_for_result: true}");
}

#[test]
fn nothing_is_lost_by_kills_where_answers_mean_durable() {
    killed("sending_queue: {storage: file_storage}");
}

#[test]
fn a_peer_that_is_away_holds_up_the_file_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let folder = folder.path();
    let port = free_port();
    let health = format!("127.0.0.1:{}", free_port());
    let queue = "sending_queue: {wait_for_result: true}\n    retry_on_failure: {initial_interval: 100ms, max_interval: 200ms}";
    append(&folder.join("a.log"), 0, 100);
    // Nobody listens there, and nobody ever will: the next process finds somebody elsewhere.
    let yaml = configuration(folder, &format!("127.0.0.1:{port}"), &health, queue);
    let mut collector = Tidegate::start(&yaml, &[&health]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    collector.process.kill();
    let sink = Sink::start();
    let health = format!("127.0.0.1:{}", free_port());
    let yaml = configuration(folder, sink.address(), &health, queue);
    let collector = Tidegate::start(&yaml, &[&health]);
    assert_eq!(wait_for(&sink, 100), 0);
    collector.stop();
}

/// The receivers and extensions of patterns that read files are known and right.
#[test]
fn configurations_of_agents_and_vms_are_valid() {
    for name in ["file_log", "file_log_kubernetes", "file_log_vm"] {
        let path = match name {
            "file_log" => repository("docs/examples/file_log.yaml"),
            name => repository(&format!("tests/fixtures/{name}.yaml")),
        };
        let output = tidegate()
            .arg("validate")
            .arg("--config")
            .arg(&path)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
    }
}
