//! The parts of the packages fit each other, as far as can be seen without building them.

// What the tests share is public for all of them, and some of it tells what was left out.
#![allow(unreachable_pub, clippy::print_stdout)]

mod support;

use std::process::Command;

use serde_json::Value;
use support::{Tidegate, free_port, repository, tidegate};

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The values of a key of a unit.
fn values<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(its, _)| *its == key)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn the_socket_listens_where_the_configuration_does() {
    let path = repository("packaging/config.yaml");
    let mut command = tidegate();
    command.args(["print-config", "--format", "json", "--config"]);
    let output = command.arg(path).output().expect("it runs");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let protocols = document["receivers"]["otlp"]["protocols"].as_object();
    let mut endpoints: Vec<&str> = protocols
        .expect("protocols")
        .values()
        .filter_map(|protocol| protocol["endpoint"].as_str())
        .collect();
    endpoints.sort_unstable();
    let socket = text("packaging/systemd/tidegate.socket");
    assert_eq!(values(&socket, "ListenStream"), endpoints);
}

#[test]
fn the_configuration_of_the_package_is_valid() {
    let mut command = tidegate();
    command.args(["validate", "--config"]);
    command.arg(repository("packaging/config.yaml"));
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("warning["), "{said}");
}

#[test]
fn the_units_are_what_systemd_takes() {
    let service = text("packaging/systemd/tidegate.service");
    assert_eq!(values(&service, "Type"), ["notify"]);
    assert_eq!(values(&service, "NoNewPrivileges"), ["yes"]);
    assert_eq!(values(&service, "ProtectSystem"), ["strict"]);
    let start = values(&service, "ExecStart");
    assert_eq!(
        start,
        ["/usr/bin/tidegate --config /etc/tidegate/config.yaml"]
    );
    let folder = tempfile::tempdir().expect("a temporary directory");
    // The program is not installed where the test runs.
    let program = tidegate().get_program().to_string_lossy().into_owned();
    let service = service.replace("/usr/bin/tidegate", &program);
    let files = [
        ("tidegate.service", service),
        ("tidegate.socket", text("packaging/systemd/tidegate.socket")),
    ];
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]);
    for (name, unit) in &files {
        let path = folder.path().join(name);
        std::fs::write(&path, unit).expect("a unit");
        command.arg(path);
    }
    let drop_in = folder.path().join("tidegate.service.d");
    std::fs::create_dir(&drop_in).expect("a folder");
    let agent = text("packaging/systemd/agent.conf");
    std::fs::write(drop_in.join("agent.conf"), agent).expect("a drop-in");
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return println!("skipped: systemd-analyze does not run: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let about = said.lines().filter(|line| line.contains("tidegate"));
    assert_eq!(about.collect::<Vec<_>>(), [""; 0], "{said}");
}

#[test]
fn everything_that_the_deb_is_made_of_is_there() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(repository("."))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let own = packages
        .iter()
        .find(|package| package["name"] == "tidegate");
    let deb = &own.expect("the package")["metadata"]["deb"];
    let assets = deb["assets"].as_array().expect("assets");
    let mut targets = Vec::new();
    for asset in assets {
        let source = asset[0].as_str().expect("a path");
        targets.push(asset[1].as_str().expect("a path"));
        if source == "target/release/tidegate" {
            continue;
        }
        let folder = source.trim_end_matches("*.yaml");
        assert!(repository(folder).exists(), "{source} is not there");
    }
    // What the unit starts, with the configuration that it names.
    let service = text("packaging/systemd/tidegate.service");
    let start = values(&service, "ExecStart")[0];
    assert!(targets.contains(&"usr/bin/") && start.starts_with("/usr/bin/tidegate "));
    let configuration = start.rsplit(' ').next().expect("a path");
    let installed = configuration.trim_start_matches('/');
    assert!(targets.contains(&installed), "{configuration}");
    assert_eq!(deb["conf-files"][0], configuration);
    let documentation = values(&service, "Documentation")[0].trim_start_matches("file:///");
    assert!(targets.contains(&documentation), "{documentation}");
    for key in ["maintainer-scripts", "license-file"] {
        let path = deb[key].as_str().or_else(|| deb[key][0].as_str());
        assert!(repository(path.expect("a path")).exists(), "{key}");
    }
    let units = deb["systemd-units"]["unit-scripts"]
        .as_str()
        .expect("a folder");
    assert!(repository(units).join("tidegate.service").exists());
}

#[test]
fn the_image_runs_as_nobody_and_copies_what_is_there() {
    let file = text("packaging/container/Containerfile");
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    assert!(lines.contains(&"USER 10001:10001"));
    assert!(lines.contains(&"ENTRYPOINT [\"/usr/bin/tidegate\"]"));
    assert!(lines.contains(&"CMD [\"--config=/conf/relay.yaml\"]"));
    for line in lines {
        let mut words = line.split_whitespace();
        if words.next() == Some("COPY") && !line.contains("--from") {
            let source = words.next().expect("what is copied");
            assert!(repository(source).exists(), "{source} is not there");
        }
    }
    // The build reads one page of the documentation.
    let ignored = text(".containerignore");
    assert!(ignored.lines().any(|line| line == "!docs/differences.md"));
}

/// As the Collector's chart runs it: these arguments, and nothing that it may write to.
#[test]
fn it_runs_with_the_arguments_of_the_chart_and_writes_nothing_beside() {
    let listens = format!("127.0.0.1:{}", free_port());
    let yaml = format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{listens}'}}}}}}}}
exporters: {{debug: }}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], exporters: [debug]}}}}
"
    );
    let collector = Tidegate::start(&yaml, &[&listens]);
    let files = std::fs::read_dir(collector.directory.path()).expect("its directory");
    assert_eq!(files.count(), 1, "its configuration alone");
    collector.stop();
    let mut command = tidegate();
    command.arg("--config=/conf/relay.yaml").arg("validate");
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/conf/relay.yaml"), "{said}");
}
