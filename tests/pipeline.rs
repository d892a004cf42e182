//! What a newcomer does first: `tidegate` with no arguments runs `pipeline.yaml`, `tidegate generate` sends
//! something, and two of the three ends have it, for there is no Jaeger; that is said once.

// What the tests share is public for all of them, and this one says what it left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Process, eventually, free_port, get, repository, tidegate};

/// The collector as `tidegate` starts it, but for ports that may be taken.
struct Rig {
    process: Process,
    directory: tempfile::TempDir,
    otlp: String,
    prometheus: String,
    health: String,
    admin: String,
}

impl Rig {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let here = directory.path();
        std::fs::copy(repository("pipeline.yaml"), here.join("pipeline.yaml")).expect("a copy");
        let [otlp, http, prometheus, health, admin, jaeger] =
            [(); 6].map(|()| format!("127.0.0.1:{}", free_port()));
        let mut command = tidegate();
        command.current_dir(here).env("JAEGER_ENDPOINT", jaeger);
        for setting in [
            format!("receivers.otlp.protocols.grpc.endpoint={otlp}"),
            format!("receivers.otlp.protocols.http.endpoint={http}"),
            format!("exporters.prometheus.endpoint={prometheus}"),
            format!("extensions.health_check.endpoint={health}"),
            format!("extensions.admin.endpoint={admin}"),
            "exporters.object_storage.roll.max_age=500ms".to_owned(),
            "service.telemetry.metrics.level=none".to_owned(),
            // What no Jaeger takes is given up soon.
            "service.shutdown_timeout=1s".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        let mut process = Process::start("tidegate", &mut command);
        for address in [&otlp, &http, &prometheus, &health, &admin] {
            process.wait_listening(address);
        }
        Self {
            process,
            directory,
            otlp,
            prometheus,
            health,
            admin,
        }
    }

    fn generate(&self, signal: &str, count: u32) {
        let mut command = tidegate();
        command.args(["generate", signal, "--rate", "0", "--endpoint", &self.otlp]);
        command.args(["--count", &count.to_string()]);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// The rows of the ledger about a component.
    fn ledger(&self, component: &str) -> Vec<Value> {
        let rows = get(&self.admin, "/ledger").expect("it answers");
        let rows: Vec<Value> = serde_json::from_str(&rows).expect("it answers in JSON");
        let about = |row: &Value| row["component"] == component;
        rows.into_iter().filter(about).collect()
    }
}

fn number(row: &Value, key: &str) -> i64 {
    row[key].as_i64().expect("a number")
}

fn parquet(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(parquet(&path));
        } else if path.extension().is_some_and(|kind| kind == "parquet") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_default_pipeline_serves_its_ends_while_there_is_no_jaeger() {
    let mut rig = Rig::start();
    rig.generate("traces", 300);
    rig.generate("metrics", 200);
    rig.generate("logs", 100);

    let page = eventually("Prometheus's page has the counters", || {
        let page = get(&rig.prometheus, "/metrics")?;
        match page.contains("\nshop_requests_total{") {
            true => Ok(page),
            false => Err(page),
        }
    });
    assert!(
        page.contains("\n# TYPE http_server_request_duration_seconds histogram\n"),
        "{page}"
    );
    get(&rig.health, "/ready").expect("a dead end does not take it out of service");
    let came: i64 = rig.ledger("otlp").iter().map(|row| number(row, "in")).sum();
    assert_eq!(came, 600);
    rig.process.wait_output("the exporter does not deliver");
    eventually("the lake has everything", || {
        let rows = rig.ledger("object_storage");
        match rows.iter().map(|row| number(row, "consumed")).sum::<i64>() {
            600 => Ok(()),
            _ => Err(rows),
        }
    });

    let status = rig.process.terminate();
    let log = rig.process.output();
    assert!(status.success(), "{log}");
    let away = log
        .lines()
        .filter(|line| line.contains("the exporter does not deliver"));
    assert_eq!(away.count(), 1, "{log}");
    let lost = log.lines().find(|line| line.contains("items ended here"));
    let lost = lost.unwrap_or_else(|| panic!("what no Jaeger took is not told: {log}"));
    assert!(
        lost.contains("\"component\":\"jaeger\"") && lost.contains("\"items\":300"),
        "{lost}"
    );
    let lake = rig.directory.path().join("data/lake");
    for signal in ["traces", "metrics", "logs"] {
        let files = parquet(&lake.join(format!("signal={signal}")));
        assert!(!files.is_empty(), "no {signal} in the lake: {log}");
    }
}
