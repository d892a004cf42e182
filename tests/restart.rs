//! Restarts under clients that never stop: by handing over, by systemd's socket activation.

// What the tests share is public for all of them, and some of it prints.
#![allow(unreachable_pub, clippy::print_stdout)]

#[path = "restart/clients.rs"]
mod clients;
mod support;

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use clients::{Clients, Seen, records};
use support::sink::Sink;
use support::{Process, corpus, eventually, free_port, http, repository, tidegate};

/// Restarts that the clients live through.
const RESTARTS: usize = 5;

/// So that a backend that comes back is found at once.
const RETRY: &str = "retry_on_failure: {initial_interval: 50ms, max_interval: 500ms}";

struct Place {
    folder: tempfile::TempDir,
    http: String,
    grpc: String,
    /// Whether what was taken is on disk before it is answered for.
    on_disk: bool,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary directory"),
            http: format!("127.0.0.1:{}", free_port()),
            grpc: format!("127.0.0.1:{}", free_port()),
            on_disk: false,
        }
    }

    fn on_disk() -> Self {
        Self {
            on_disk: true,
            ..Self::new()
        }
    }

    /// A process that listens on both addresses and sends to the sink, handing over.
    fn start(&self, name: &str, sink: &str, more: &str) -> Process {
        let Self {
            folder, http, grpc, ..
        } = self;
        let socket = folder.path().join("handover.sock");
        let (more, extensions, queue) = if self.on_disk {
            let storage = "extensions: {file_storage: {directory: queue, create_directory: true}}";
            (storage, "file_storage", "storage: file_storage")
        } else if more.is_empty() {
            ("", "", "")
        } else {
            (more, "health_check", "")
        };
        let yaml = format!(
            "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{http}'}}, grpc: {{endpoint: '{grpc}'}}}}}}}}
processors: {{batch: {{timeout: 50ms}}}}
exporters: {{otlp_http: {{endpoint: 'http://{sink}', compression: none, sending_queue: {{{queue}}}, {RETRY}}}}}
{more}
service:
  handover: {{socket: '{}'}}
  telemetry: {{metrics: {{level: none}}}}
  extensions: [{extensions}]
  pipelines: {{logs: {{receivers: [otlp], processors: [batch], exporters: [otlp_http]}}}}
",
            socket.display(),
        );
        let path = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, yaml).expect("the configuration can be written");
        let mut command = tidegate();
        command.arg("--config").arg(&path).current_dir(folder);
        Process::start(name, &mut command)
    }
}

fn ended(process: &mut Process) -> ExitStatus {
    eventually("the process ends", || process.try_wait().ok_or("it runs"))
}

/// Waits until clients have got on by some requests.
fn go_on(clients: &Clients) {
    let before = clients.seen().accepted.len();
    eventually("clients go on", || match clients.seen() {
        seen if seen.accepted.len() > before + 30 => Ok(()),
        seen => Err(seen.failures),
    });
}

/// Restarts under clients that never stop, and gives what they have seen and the last process.
fn restarted(place: &Place, sink: &str) -> (Seen, Process) {
    let mut running = place.start("process 0", sink, "");
    running.wait_listening(&place.http);
    running.wait_listening(&place.grpc);
    let clients = Clients::start(&place.http, &place.grpc);
    go_on(&clients);
    for restart in 1..=RESTARTS {
        let next = place.start(&format!("process {restart}"), sink, "");
        next.wait_output("everything is ready");
        assert!(ended(&mut running).success(), "{}", running.output());
        let said = running.output();
        assert!(said.contains("another process follows"), "{said}");
        assert!(said.contains("0 were lost"), "{said}");
        go_on(&clients);
        running = next;
    }
    let seen = clients.stop();
    assert_eq!(seen.failures, [""; 0], "{} were retried", seen.retried);
    (seen, running)
}

/// Which of the records that were accepted have not arrived.
fn missing(seen: &Seen, sink: &Sink) -> Vec<String> {
    let arrived: BTreeSet<String> = sink.received().logs.iter().flat_map(records).collect();
    seen.accepted.difference(&arrived).cloned().collect()
}

#[test]
fn restarts_under_load_refuse_no_connection_and_lose_nothing_that_was_accepted() {
    for place in [Place::new(), Place::on_disk()] {
        let sink = Sink::start();
        let (seen, mut last) = restarted(&place, sink.address());
        assert!(last.terminate().success());
        assert!(!place.folder.path().join("handover.sock").exists());
        assert_eq!(missing(&seen, &sink), [""; 0]);
    }
}

#[test]
fn what_is_on_disk_goes_from_process_to_process_until_the_backend_is_there() {
    let (place, address) = (Place::on_disk(), format!("127.0.0.1:{}", free_port()));
    let (seen, mut last) = restarted(&place, &address);
    let sink = Sink::at(&address, Duration::ZERO);
    eventually("all of it arrives", || match missing(&seen, &sink) {
        none if none.is_empty() => Ok(()),
        some => Err(some),
    });
    assert!(last.terminate().success());
}

#[test]
fn process_that_cannot_start_leaves_the_running_one_as_it_is() {
    let (place, sink) = (Place::new(), Sink::start());
    let mut running = place.start("running", sink.address(), "");
    running.wait_listening(&place.http);
    let clients = Clients::start(&place.http, &place.grpc);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound");
    let more = format!("extensions: {{health_check: {{endpoint: '{address}'}}}}");
    let mut next = place.start("next", sink.address(), &more);
    assert!(!ended(&mut next).success());
    let said = next.output();
    assert!(said.contains("the running one goes on"), "{said}");
    assert!(said.contains(&address.to_string()), "{said}");
    go_on(&clients);
    let seen = clients.stop();
    assert_eq!((seen.failures, seen.retried), (vec![], 0));
    assert!(!running.output().contains("another process follows"));
    assert!(running.terminate().success());
}

#[test]
fn sigterm_in_a_handover_ends_the_old_process_in_order_and_the_new_one_runs() {
    let (place, sink) = (Place::new(), Sink::start());
    let mut old = place.start("old", sink.address(), "");
    old.wait_listening(&place.http);
    let clients = Clients::start(&place.http, &place.grpc);
    go_on(&clients);
    let mut new = place.start("new", sink.address(), "");
    old.wait_output("another process follows");
    // It may have ended by itself before the signal comes.
    let kill = Command::new("kill")
        .args(["-TERM", &old.id().to_string()])
        .status();
    assert!(kill.is_ok());
    assert!(ended(&mut old).success(), "{}", old.output());
    new.wait_output("everything is ready");
    go_on(&clients);
    assert_eq!(clients.stop().failures, [""; 0]);
    assert!(new.terminate().success());
}

/// Binds two ports, passes their sockets to a program as systemd does, and becomes that program.
const ACTIVATE: &str = "
import os, socket, sys
for at, port in enumerate(sys.argv[1:3]):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('127.0.0.1', int(port)))
    listener.listen(100)
    os.dup2(listener.detach(), 10 + at)
for at in range(2):
    os.dup2(10 + at, 3 + at)
    os.close(10 + at)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='otlp:spare')
sys.stderr.write('passing\\n')
sys.stderr.flush()
os.execv(sys.argv[3], sys.argv[3:])
";

fn has_python() -> bool {
    Command::new("python3").arg("--version").output().is_ok()
}

#[test]
fn sockets_that_systemd_passes_are_used_and_it_is_told_how_the_process_is() {
    if !has_python() {
        println!("skipped: there is no python3");
        return;
    }
    let place = Place::new();
    let (port, spare) = (free_port(), free_port());
    let notified = UnixDatagram::bind(place.folder.path().join("notify")).expect("a socket");
    notified
        .set_read_timeout(Some(support::PATIENCE))
        .expect("a timeout");
    let yaml = format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: 'localhost:{port}'}}}}}}}}
exporters: {{nop: }}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], exporters: [nop]}}}}
"
    );
    let path = place.folder.path().join("config.yaml");
    std::fs::write(&path, yaml).expect("the configuration can be written");
    let mut command = Command::new("python3");
    command
        .args(["-c", ACTIVATE, &port.to_string(), &spare.to_string()])
        .arg(env!("CARGO_BIN_EXE_tidegate"))
        .arg("--config")
        .arg(&path)
        .env("NOTIFY_SOCKET", place.folder.path().join("notify"))
        .env("WATCHDOG_USEC", "100000");
    let mut process = Process::start("tidegate", &mut command);
    process.wait_output("passing");
    // The socket listens before the program does anything.
    let body = prost::Message::encode_to_vec(&corpus::logs());
    let request = "POST /v1/logs HTTP/1.1\r\ncontent-type: application/x-protobuf";
    let (head, _) = http(&format!("127.0.0.1:{port}"), request, &body).expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");

    let told = told_until(&notified, "WATCHDOG=1");
    assert!(
        told.contains("READY=1\nSTATUS=running 1 pipelines"),
        "{told}"
    );
    let said = process.output();
    assert!(said.contains("systemd, otlp"), "{said}");
    assert!(said.contains("systemd, spare"), "{said}");
    assert!(std::net::TcpStream::connect(("127.0.0.1", spare)).is_err());
    assert!(process.terminate().success());
    let told = told_until(&notified, "STOPPING=1");
    assert!(!told.contains("MAINPID"), "{told}");
}

/// What the service manager is told until this is among it.
fn told_until(notified: &UnixDatagram, wanted: &str) -> String {
    let (mut told, mut buffer) = (String::new(), [0; 500]);
    while !told.contains(wanted) {
        let length = notified.recv(&mut buffer).expect("it is told in time");
        told.push_str(&String::from_utf8_lossy(&buffer[..length]));
        told.push('\n');
    }
    told
}

#[test]
fn unit_files_are_sound() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: there is no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    for name in ["tidegate.service", "tidegate.socket"] {
        let text = std::fs::read_to_string(repository("packaging/systemd").join(name));
        let text = text.expect("a unit file");
        // The program that it names is where a package installs it.
        let text = text.replace("/usr/bin/tidegate", env!("CARGO_BIN_EXE_tidegate"));
        std::fs::write(folder.path().join(name), text).expect("a copy");
    }
    verify(folder.path());
}

fn verify(folder: &Path) {
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(["tidegate.service", "tidegate.socket"].map(|name| folder.join(name)))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("tidegate"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}
