//! A configuration as it is run by a test: the addresses are the test's own, the ends lead to a recording backend.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;
use tidegate_config::{Kind, canonical};

use super::ENVIRONMENT;
use crate::support::sink::Sink;
use crate::support::{Process, Tidegate, eventually, free_port, get, repository, tidegate};

/// An address of loopback that only this test of this process uses, so that ports are as they are written.
pub fn own_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(64);
    let [.., high, low] = std::process::id().to_be_bytes();
    let test = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{test}.{high}.{}", low.max(1))
}

pub fn text_of(path: &Path) -> String {
    path.display().to_string()
}

/// What a command prints, which must not fail.
fn printed(command: &mut Command) -> String {
    command.envs(ENVIRONMENT.iter().copied());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The configuration as JSON, merged and expanded.
fn document(path: &str) -> Value {
    let mut command = tidegate();
    command.args(["print-config", "--format", "json", "--config", path]);
    command.current_dir(repository("."));
    serde_json::from_str(&printed(&mut command)).expect("JSON")
}

/// The types of components that a configuration names and this build does not have.
pub fn missing(path: &str) -> BTreeSet<(Kind, String)> {
    let listed = printed(tidegate().arg("components"));
    let mut built = BTreeSet::new();
    let mut section = None;
    for line in listed.lines() {
        if let Some(name) = line.strip_prefix("    - name: ") {
            built.extend(section.map(|kind| (kind, name.to_owned())));
        } else if let Some(name) = line.strip_suffix(':') {
            section = Kind::ALL.into_iter().find(|kind| kind.section() == name);
        }
    }
    let document = document(path);
    let mut wanted = BTreeSet::new();
    for kind in Kind::ALL {
        let components = document[kind.section()].as_object();
        for id in components.into_iter().flat_map(|map| map.keys()) {
            let name = id.split('/').next().unwrap_or_default();
            wanted.insert((kind, canonical(kind, name).to_owned()));
        }
    }
    wanted.difference(&built).cloned().collect()
}

/// A pattern that is about to run, or runs.
pub struct Rig {
    path: PathBuf,
    directory: tempfile::TempDir,
    sets: Vec<String>,
    variables: Vec<(String, String)>,
    admin: String,
    process: Option<Process>,
}

impl Rig {
    /// A pattern, unless something of it is not built.
    pub fn of(name: &str) -> Option<Self> {
        let path = repository("examples").join(name);
        let missing = missing(path.to_str().expect("a path in UTF-8"));
        if !missing.is_empty() {
            println!("skipped: {name}, as {missing:?} are not built");
            return None;
        }
        let document = document(path.to_str().expect("a path in UTF-8"));
        let admin = format!("127.0.0.1:{}", free_port());
        let extensions = document["service"]["extensions"].as_array();
        let extensions = extensions.into_iter().flatten().filter_map(Value::as_str);
        let extensions: Vec<&str> = extensions.chain(["admin"]).collect();
        let mut sets = vec![
            format!("extensions.admin.endpoint={admin}"),
            format!("service.extensions=[{}]", extensions.join(", ")),
        ];
        if document["service"]["telemetry"]["metrics"]["readers"].is_null() {
            sets.push("service.telemetry.metrics.level=none".to_owned());
        }
        Some(Self {
            path,
            directory: tempfile::tempdir().expect("a temporary directory"),
            sets,
            variables: Vec::new(),
            admin,
            process: None,
        })
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.sets.push(format!("{key}={value}"));
    }

    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A `journalctl` that tells these entries and then waits for more, as with `-f`.
    pub fn journalctl(&mut self, entries: &[&str]) {
        let folder = self.path("bin");
        std::fs::create_dir_all(&folder).expect("a folder of programs");
        let mut script = "#!/bin/sh\n".to_owned();
        for entry in entries {
            writeln!(script, "echo '{entry}'").expect("a string takes it");
        }
        script.push_str("exec sleep 600\n");
        let program = folder.join("journalctl");
        std::fs::write(&program, script).expect("a script");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
            .expect("a program");
        let path = std::env::var("PATH").unwrap_or_default();
        self.variable("PATH", &format!("{}:{path}", folder.display()));
    }

    /// Starts it, and waits until it listens.
    pub fn start(&mut self, listens: &[&str]) {
        let mut command = tidegate();
        command.arg("--config").arg(&self.path);
        for set in &self.sets {
            command.arg("--set").arg(set);
        }
        command.envs(ENVIRONMENT.iter().copied());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.directory());
        let mut process = Process::start("tidegate", &mut command);
        for address in listens.iter().copied().chain([self.admin.as_str()]) {
            process.wait_listening(address);
        }
        self.process = Some(process);
    }

    pub fn generate(&self, signal: &str, count: u32, endpoint: &str) {
        let mut command = tidegate();
        command.args(["generate", signal, "--rate", "0", "--endpoint", endpoint]);
        command.args(["--count", &count.to_string()]);
        printed(&mut command);
    }

    fn rows(&self) -> Vec<Value> {
        let rows = get(&self.admin, "/ledger").expect("the ledger");
        serde_json::from_str(&rows).expect("JSON")
    }

    /// What an exporter has delivered, by the ledger.
    pub fn consumed(&self, exporter: &str) -> i64 {
        let rows = self.rows();
        let rows = rows
            .iter()
            .filter(|row| row["kind"] == "exporter" && row["component"] == exporter);
        rows.map(|row| row["consumed"].as_i64().expect("a number"))
            .sum()
    }

    /// Every row of the ledger balances.
    pub fn ledger_is_kept(&self) {
        eventually("the ledger balances", || {
            let endpoint = format!("http://{}/ledger", self.admin);
            let mut command = tidegate();
            command.args(["ledger", "--endpoint", &endpoint]);
            let output = command.output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() {
                Ok(())
            } else {
                Err(said)
            }
        });
    }

    /// The backend has what the exporter delivered, to the item, and the ledger balances.
    pub fn balances(&self, exporter: &str, sink: &Sink) {
        eventually("the backend has what was delivered", || {
            let (sent, arrived) = (self.consumed(exporter), sink.received().items());
            let same = i64::try_from(arrived).is_ok_and(|arrived| arrived == sent) && sent > 0;
            if same {
                Ok(())
            } else {
                Err(format!(
                    "{sent} were sent, {arrived} arrived: {:?}",
                    self.rows()
                ))
            }
        });
        self.ledger_is_kept();
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        let mut process = self.process.take().expect("it was started");
        let status = process.terminate();
        assert!(status.success(), "{}", process.output());
    }
}

/// A collector that takes OTLP over gRPC and passes it on to a recording backend.
pub struct Relay {
    pub address: String,
    _collector: Tidegate,
}

impl Relay {
    /// One that writes these headers into the resources, so that it can be seen what they were.
    pub fn start(sink: &Sink, headers: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut actions = String::new();
        for header in headers {
            writeln!(
                actions,
                "      - {{key: {header}, from_context: metadata.{header}, action: insert}}"
            )
            .expect("a string takes it");
        }
        let (processors, names) = match headers {
            [] => (String::new(), String::new()),
            _ => (
                format!("processors:\n  resource:\n    attributes:\n{actions}"),
                "processors: [resource], ".to_owned(),
            ),
        };
        let sink = sink.address();
        let yaml = format!(
            "
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{address}', include_metadata: true}}}}}}}}
{processors}
exporters: {{otlp_http: {{endpoint: 'http://{sink}', compression: none}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], {names}exporters: [otlp_http]}}
    metrics: {{receivers: [otlp], {names}exporters: [otlp_http]}}
    logs: {{receivers: [otlp], {names}exporters: [otlp_http]}}
"
        );
        let collector = Tidegate::start(&yaml, &[&address]);
        Self {
            address,
            _collector: collector,
        }
    }
}
