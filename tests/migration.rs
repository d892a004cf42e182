//! Replacing a Collector, in the five steps of `docs/migration.md`, on databases that it wrote.

// What the tests share is public for all of them.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use support::sink::{Received, Sink};
use support::{Process, eventually, free_port, get, repository, tidegate};

/// What a Collector left: its configuration, its databases, and the files that it read.
struct Left {
    directory: tempfile::TempDir,
}

impl Left {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let fixtures = repository("tests/fixtures/collector_storage");
        let here = directory.path();
        fs::create_dir(here.join("storage")).expect("a folder");
        fs::create_dir(here.join("logs")).expect("a folder");
        for entry in fs::read_dir(fixtures.join("newer")).expect("the databases") {
            let path = entry.expect("an entry").path();
            let mut bytes = Vec::new();
            let packed = fs::File::open(&path).expect("a database");
            let mut plain = GzDecoder::new(packed);
            plain
                .read_to_end(&mut bytes)
                .expect("it was packed by gzip");
            let name = path.file_stem().expect("a name");
            fs::write(here.join("storage").join(name), bytes).expect("a copy");
        }
        for name in ["a.log", "b.log"] {
            let from = fixtures.join("logs").join(name);
            fs::copy(from, here.join("logs").join(name)).expect("a copy");
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The configuration that the Collector ran with, but for where it sends to.
    fn configuration(&self, sink: &str, health: &str) -> PathBuf {
        let text = fs::read_to_string(repository(
            "tests/fixtures/collector_storage/collector.yaml",
        ));
        let text = text.expect("the configuration of the Collector");
        let text = text
            .replace(
                "http://127.0.0.1:9",
                &format!("http://{sink}\n    compression: none"),
            )
            .replace("127.0.0.1:34318", &format!("127.0.0.1:{}", free_port()))
            .replace(
                "extensions:\n",
                &format!("extensions:\n  health_check: {{endpoint: '{health}'}}\n"),
            )
            .replace("[file_storage]", "[health_check, file_storage]");
        let path = self.path("config.yaml");
        fs::write(&path, text).expect("a configuration");
        path
    }
}

fn run(left: &Left, arguments: &[&str]) -> (bool, String) {
    let mut command = tidegate();
    command.args(arguments).env("OUT", left.directory.path());
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// How often each body of a log record arrived.
fn bodies(received: &Received) -> BTreeMap<String, usize> {
    let resources = received
        .logs
        .iter()
        .flat_map(|request| &request.resource_logs);
    let records = resources.flat_map(|resource| &resource.scope_logs);
    let records = records.flat_map(|scope| &scope.log_records);
    let mut bodies = BTreeMap::new();
    for record in records {
        if let Some(Value::StringValue(text)) =
            record.body.as_ref().and_then(|body| body.value.as_ref())
        {
            *bodies.entry(text.clone()).or_default() += 1;
        }
    }
    bodies
}

fn append(path: &Path, text: &str) {
    let mut whole = fs::read_to_string(path).expect("a log");
    whole.push_str(text);
    fs::write(path, whole).expect("it grows");
}

#[test]
fn a_collector_is_replaced_and_nothing_is_sent_twice_or_passed_over() {
    let left = Left::new();
    let sink = Sink::start();
    let health = format!("127.0.0.1:{}", free_port());
    let path = left.configuration(sink.address(), &health);
    let path = path.to_str().expect("a path in UTF-8");
    // 1 and 2: everything is known, and is right.
    let (fine, said) = run(&left, &["compat", path]);
    assert!(fine, "{said}");
    let (fine, said) = run(&left, &["validate", "--config", path]);
    assert!(fine, "{said}");
    // 4: a look first, then in earnest.
    let storage = left.path("storage");
    let storage = storage.to_str().expect("a path in UTF-8");
    let import = ["import-storage", storage, "--config", path];
    let (fine, said) = run(&left, &[&import[..], &["--dry-run"]].concat());
    assert!(fine && said.contains("nothing was written"), "{said}");
    let (fine, said) = run(&left, &import);
    assert!(fine, "{said}");
    for part in [
        "receiver filelog: 2 places in files",
        "exporter otlp_http/edge_1, traces: 3 requests with 6 items",
        "exporter otlp_http/edge_1, metrics: 1 request with 1 item",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // 5: meanwhile the files have grown.
    append(&left.path("logs/a.log"), "line 6 of a\n");
    append(&left.path("logs/b.log"), "line 4 of b\n");
    let mut command = tidegate();
    command
        .args(["--config", path])
        .env("OUT", left.directory.path());
    let mut process = Process::start("tidegate", &mut command);
    process.wait_listening(&health);
    eventually("it is healthy", || get(&health, "/"));
    let received = eventually("everything arrives", || {
        let received = sink.received();
        let bodies = bodies(&received);
        let new = ["line 6 of a", "line 4 of b"];
        let new = new.iter().all(|line| bodies.get(*line) == Some(&2));
        match new && received.items() >= 6 + 1 + 1 + 18 + 4 {
            true => Ok(received),
            false => Err((received.items(), bodies)),
        }
    });
    // Two receivers read each line, once each: before the switch or after it.
    for (body, times) in bodies(&received) {
        let expected = if body.starts_with('x') { 1 } else { 2 };
        assert_eq!(times, expected, "{}", &body[..body.len().min(20)]);
    }
    assert_eq!(received.items(), 6 + 1 + 1 + 18 + 4);
    let status = process.terminate();
    assert!(status.success(), "{}", process.output());
    // The way back stays open.
    assert!(left.path("storage/receiver_filelog_").exists());
}

#[test]
fn without_an_import_everything_would_be_read_again() {
    let left = Left::new();
    let sink = Sink::start();
    let health = format!("127.0.0.1:{}", free_port());
    let path = left.configuration(sink.address(), &health);
    let mut command = tidegate();
    command
        .arg("--config")
        .arg(&path)
        .env("OUT", left.directory.path());
    let mut process = Process::start("tidegate", &mut command);
    process.wait_listening(&health);
    eventually("old lines arrive", || {
        let bodies = bodies(&sink.received());
        match bodies.get("line 1 of a") {
            Some(2) => Ok(()),
            _ => Err(bodies.len()),
        }
    });
    assert!(process.terminate().success());
}
