//! A lake is what was sent: over OTLP into the collector, out as Parquet, read by DuckDB and
//! pyarrow; in a directory, in S3 (moto) and in Azure (azurite).
//!
//! No server of Google Cloud Storage can be had for tests; `exporters/tests/object_storage.rs`
//! has a scripted one. A test says `skipped: …` where its server or reader is missing.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use support::normal::{points, records, same};
use support::objects::{AWS, AZURE, Objects, python, run};
use support::peers::peer;
use support::sink::Received;
use support::{Process, Tidegate, corpus, eventually, free_port, http, repository};

/// The pipelines before an exporter, whose YAML comes last.
fn yaml(address: &str, exporter: &str) -> String {
    let name = exporter.split(':').next().expect("an exporter has a name");
    let pipeline = format!("{{receivers: [otlp], exporters: [{name}]}}");
    format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '{address}'}}}}}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {pipeline}, metrics: {pipeline}, logs: {pipeline}}}
exporters:
  {exporter}
"
    )
}

fn start(exporter: &str, environment: &[(&str, &str)]) -> (Tidegate, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let yaml = yaml(&address, exporter);
    let tidegate = Tidegate::start_with(&yaml, &[&address], environment);
    (tidegate, address)
}

/// The corpus, but for the metric without a data point: it makes no row.
fn sent() -> Received {
    let mut metrics = corpus::metrics();
    let resources = metrics.resource_metrics.iter_mut();
    for scope in resources.flat_map(|resource| &mut resource.scope_metrics) {
        scope.metrics.retain(|metric| points(metric) > 0);
    }
    Received {
        traces: vec![corpus::traces()],
        metrics: vec![metrics],
        logs: vec![corpus::logs()],
        ..Received::default()
    }
}

fn send(address: &str, sent: &Received) {
    let bodies = [
        ("traces", sent.traces[0].encode_to_vec()),
        ("metrics", sent.metrics[0].encode_to_vec()),
        ("logs", sent.logs[0].encode_to_vec()),
    ];
    for (signal, body) in bodies {
        let request = format!("POST /v1/{signal} HTTP/1.1\r\ncontent-type: application/x-protobuf");
        let (head, answer) = http(address, &request, &body).expect("it answers");
        let answer = String::from_utf8_lossy(&answer);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{answer}");
    }
}

/// What a reader of Parquet finds in a lake.
fn read(engine: &str, lake: &Path) -> Received {
    let lake = lake.display().to_string();
    let command = python(&["rows.py", engine, &lake]).expect("its presence was seen");
    let rows = run(command).unwrap_or_else(|error| panic!("{engine}: {error}"));
    let mut found = Received::default();
    for row in rows.lines() {
        let (signal, request) = row.split_once(' ').expect("a signal and a request");
        let request = &*STANDARD.decode(request).expect("base64");
        match signal {
            "traces" => found.traces.push(Message::decode(request).expect("spans")),
            "metrics" => found
                .metrics
                .push(Message::decode(request).expect("points")),
            _ => found.logs.push(Message::decode(request).expect("logs")),
        }
    }
    found
}

/// The records, one line each, without empty messages.
fn lines(received: &Received) -> Vec<String> {
    let mut lines: Vec<_> = records(received).iter().map(|line| same(line)).collect();
    lines.sort();
    lines
}

fn assert_same(found: &Received, sent: &Received) {
    let (found, sent) = (lines(found), lines(sent));
    for (found, sent) in found.iter().zip(&sent) {
        assert_eq!(found, sent);
    }
    assert_eq!(found.len(), sent.len());
}

#[test]
fn duckdb_and_pyarrow_find_in_the_lake_what_was_sent() {
    if peer("venv/bin/python").is_none() {
        return;
    }
    let (tidegate, address) = start("object_storage: {url: ./lake, roll: {max_age: 1h}}", &[]);
    let sent = sent();
    send(&address, &sent);
    let directory = keep(tidegate);
    for engine in ["duckdb", "pyarrow"] {
        assert_same(&read(engine, &directory.path().join("lake")), &sent);
    }
}

/// Ends the collector, which commits what is open, and keeps its directory.
fn keep(mut tidegate: Tidegate) -> tempfile::TempDir {
    let status = tidegate.process.terminate();
    let log = tidegate.process.output();
    assert!(
        status.success() && !log.contains("items ended here"),
        "{log}"
    );
    tidegate.directory
}

#[test]
fn columns_have_the_types_that_the_documentation_says() {
    let Some(python) = peer("venv/bin/python") else {
        return;
    };
    let columns = "columns: {http.response.status_code: int64}";
    let exporter = format!("object_storage: {{url: ./lake, {columns}}}");
    let (tidegate, address) = start(&exporter, &[]);
    send(&address, &sent());
    let directory = keep(tidegate);
    let mut command = Command::new(python);
    let code = "import duckdb, sys\n\
        found = duckdb.sql(f\"DESCRIBE FROM '{sys.argv[1]}/signal=traces/**/*.parquet'\")\n\
        [print(row[0], row[1]) for row in found.fetchall()]";
    command
        .args(["-c", code])
        .arg(directory.path().join("lake"));
    let types = run(command).expect("DuckDB describes it");
    for expected in [
        "trace_id VARCHAR",
        "flags UINTEGER",
        "duration BIGINT",
        "span_attributes MAP(VARCHAR, VARCHAR)",
        "span_attribute_types MAP(VARCHAR, VARCHAR)",
        "http.response.status_code BIGINT",
        "otlp BLOB",
        "date DATE",
    ] {
        assert!(
            types.lines().any(|line| line == expected),
            "{expected}:\n{types}"
        );
    }
    let times = types
        .lines()
        .filter(|line| line.contains("_time TIMESTAMP"));
    assert_eq!(times.count(), 2, "{types}");
}

#[test]
fn queries_of_the_documentation_run() {
    let Some(python) = peer("venv/bin/python") else {
        return;
    };
    let (tidegate, address) = start("object_storage: {url: ./data/lake}", &[]);
    send(&address, &sent());
    let directory = keep(tidegate);
    let page = std::fs::read_to_string(repository("docs/lake.md")).expect("it can be read");
    let queries = page
        .split("```sql")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let queries = queries.expect("there are queries").trim();
    let mut command = Command::new(python);
    let code = "import duckdb, sys\n\
        [duckdb.sql(query).fetchall() for query in sys.argv[1].split(';') if query.strip()]";
    command
        .args(["-c", code, queries])
        .current_dir(directory.path());
    run(command).expect("they run");
}

#[test]
fn parquet_lies_in_s3_as_it_was_sent() {
    let Some(s3) = Objects::s3() else { return };
    let exporter = format!(
        "object_storage: {{url: 's3://lake/a/b', s3: {{endpoint: '{}', force_path_style: true}}}}",
        s3.url
    );
    let (tidegate, address) = start(&exporter, &AWS);
    let sent = sent();
    send(&address, &sent);
    let directory = keep(tidegate);
    s3.fetch(directory.path());
    assert_same(&read("duckdb", &directory.path().join("a/b")), &sent);
}

#[test]
fn parquet_lies_in_azure_as_it_was_sent() {
    let Some(azure) = Objects::azure() else {
        return;
    };
    let (account, key) = AZURE;
    let exporter = format!(
        "object_storage: {{url: 'az://lake/a', azure: {{endpoint: '{}/{account}', \
         account: {account}, access_key: '{key}'}}}}",
        azure.url
    );
    let (tidegate, address) = start(&exporter, &[]);
    let sent = sent();
    send(&address, &sent);
    let directory = keep(tidegate);
    azure.fetch(directory.path());
    assert_same(&read("duckdb", &directory.path().join("a")), &sent);
}

#[test]
fn awss3_keeps_each_batch_as_the_collector_does() {
    let Some(s3) = Objects::s3() else { return };
    let exporter = format!(
        "awss3: {{s3uploader: {{s3_bucket: lake, s3_prefix: in, endpoint: '{}', \
         s3_force_path_style: true, file_prefix: edge_, s3_partition_timezone: UTC}}}}",
        s3.url
    );
    let (tidegate, address) = start(&exporter, &AWS);
    let sent = sent();
    // There is no queue unless told: who is answered has his objects kept.
    send(&address, &sent);
    let directory = tempfile::tempdir().expect("a temporary directory");
    s3.fetch(directory.path());
    drop(tidegate);
    let mut found = Received::default();
    for file in files(&directory.path().join("in")) {
        let text = std::fs::read(&file).expect("it can be read");
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let path = file.display().to_string();
        assert!(
            path.contains("/in/year=2") && path.contains("/minute="),
            "{path}"
        );
        let signal = name
            .strip_prefix("edge_")
            .and_then(|name| name.split('_').next());
        let request = |signal| {
            let read = tidegate_pdata::json::from_json(signal, &text, &mut |_| true);
            read.expect("OTLP/JSON")
        };
        match signal {
            Some("traces") => {
                let request = request(tidegate_pdata::Signal::Traces);
                found
                    .traces
                    .push(Message::decode(&*request).expect("spans"));
            }
            Some("metrics") => {
                let request = request(tidegate_pdata::Signal::Metrics);
                found
                    .metrics
                    .push(Message::decode(&*request).expect("points"));
            }
            Some("logs") => {
                let request = request(tidegate_pdata::Signal::Logs);
                found.logs.push(Message::decode(&*request).expect("logs"));
            }
            _ => panic!("{name}"),
        }
    }
    assert_same(&found, &sent);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn store_that_is_away_is_named_and_gets_everything_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let lake = folder.path().join("lake");
    // A file where the directory is to be.
    std::fs::write(&lake, "in the way").expect("it can be written");
    let retry = "retry_on_failure: {initial_interval: 100ms, max_interval: 100ms}";
    let exporter = format!(
        "object_storage: {{url: '{}', format: otlp_proto, partition_by: [], \
         roll: {{max_age: 100ms}}, {retry}}}",
        lake.display()
    );
    let (tidegate, address) = start(&exporter, &[]);
    send(&address, &sent());
    tidegate.process.wait_output("Not a directory");
    assert!(
        tidegate
            .process
            .output()
            .contains(&lake.display().to_string())
    );
    std::fs::remove_file(&lake).expect("it can be removed");
    eventually("all three signals are kept", || match files(&lake).len() {
        3 => Ok(()),
        count => Err(count),
    });
    let log = tidegate.stop();
    assert!(!log.contains("items ended here"), "{log}");
    assert_eq!(files(&lake).len(), 3);
}

#[test]
fn full_disk_is_named_and_what_waits_is_kept_when_there_is_room_again() {
    let may_mount = Command::new("unshare").args(["-m", "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        println!("skipped: only root may mount a small disk");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(path("lake")).expect("it can be made");
    let address = format!("127.0.0.1:{}", free_port());
    let retry = "retry_on_failure: {initial_interval: 100ms, max_interval: 100ms}";
    let exporter = format!(
        "object_storage: {{url: '{}', partition_by: [], roll: {{max_age: 100ms}}, {retry}}}",
        path("lake")
    );
    std::fs::write(path("config.yaml"), yaml(&address, &exporter)).expect("it can be written");
    let binary = support::tidegate().get_program().to_owned();
    let script = "mount -t tmpfs -o size=1m tmpfs \"$1\" && exec \"$2\" --config \"$3\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh", &path("lake")]);
    command.arg(binary).arg(path("config.yaml"));
    let mut tidegate = Process::start("tidegate", &mut command);
    tidegate.wait_listening(&address);
    // The disk as the process sees it.
    let lake = PathBuf::from(format!("/proc/{}/root{}", tidegate.id(), path("lake")));
    let ballast = lake.join("ballast");
    let full = std::fs::write(&ballast, vec![1; 2 << 20]).expect_err("the disk is small");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    send(&address, &sent());
    tidegate.wait_output("No space left on device");
    std::fs::remove_file(&ballast).expect("it can be removed");
    let parquet = || {
        let found = files(&lake).into_iter();
        found
            .filter(|file| file.extension().is_some_and(|end| end == "parquet"))
            .count()
    };
    // One for spans, one for log records, one for each kind of metric.
    eventually("everything is kept", || match parquet() {
        7 => Ok(()),
        count => Err(count),
    });
    assert!(tidegate.terminate().success());
    let log = tidegate.output();
    assert!(!log.contains("items ended here"), "{log}");
}
