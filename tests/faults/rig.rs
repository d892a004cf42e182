//! The collector between numbered clients and a scripted backend.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::books::{Audit, Books};
use crate::clients::{Client, Load, Pattern};
use crate::ledger::Ledger;
use crate::sink::Sink;
use crate::support::{Process, free_port, get, tidegate};

/// What an acknowledgement is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `sending_queue.storage`.
    Storage,
    /// `sending_queue.wait_for_result`.
    Delivered,
    /// Neither.
    Memory,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Storage, Self::Delivered, Self::Memory];

    pub fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Delivered => "wait_for_result",
            Self::Memory => "memory",
        }
    }
}

/// A configuration, but for the ports.
#[derive(Clone, Debug)]
pub struct Plan {
    pub mode: Mode,
    /// The processors, in order.
    pub processors: &'static str,
    /// Which of them the pipelines have.
    pub chain: &'static str,
    /// Further keys of `sending_queue`.
    pub queue: &'static str,
    /// Keys of `retry_on_failure`.
    pub retry: &'static str,
    /// Further keys of `file_storage`.
    pub storage: &'static str,
    /// Further keys of the exporters.
    pub exporter: &'static str,
    pub shutdown: &'static str,
    /// Where the collector exports to, if not to the sink itself.
    pub through: Option<String>,
    /// What comes between the exporters' types and their names: `/old` makes `otlp_grpc/old`.
    pub suffix: &'static str,
    /// The configuration itself, where the scenario has one of its own: `{grpc}`, `{http}`, `{admin}` and
    /// `{sink}` stand for addresses.
    pub whole: Option<String>,
    /// The keys of `object_storage`, where that is the exporter.
    pub objects: Option<String>,
    /// Whether a process hands its sockets to the next.
    pub handover: bool,
}

impl Plan {
    pub fn new(mode: Mode) -> Self {
        // `batch` answers on entry unless what follows it is durable.
        let batches = mode != Mode::Delivered;
        Self {
            mode,
            processors: "batch: {timeout: 50ms}",
            chain: if batches { "batch" } else { "" },
            queue: "",
            retry: "initial_interval: 20ms, max_interval: 200ms, max_elapsed_time: 0s",
            storage: "segment_size: 1MiB, max_size: 256MiB",
            exporter: "timeout: 5s",
            shutdown: "20s",
            through: None,
            suffix: "",
            whole: None,
            objects: None,
            handover: false,
        }
    }

    /// A configuration of a scenario's own.
    pub fn whole(mode: Mode, yaml: impl Into<String>) -> Self {
        Self {
            whole: Some(yaml.into()),
            ..Self::new(mode)
        }
    }

    fn yaml(&self, ports: &Ports, sink: &str) -> String {
        if let Some(yaml) = &self.whole {
            let places = [("{grpc}", &*ports.grpc), ("{http}", &ports.http)];
            let places = places.into_iter().chain([
                ("{admin}", &*ports.admin),
                ("{sink}", self.through.as_deref().unwrap_or(sink)),
            ]);
            return places.fold(yaml.clone(), |yaml, (name, place)| {
                yaml.replace(name, place)
            });
        }
        let (storage, extensions) = if self.mode == Mode::Storage {
            let keys = self.storage;
            let storage =
                format!("\n  file_storage: {{directory: queue, create_directory: true, {keys}}}");
            (storage, "admin, file_storage")
        } else {
            (String::new(), "admin")
        };
        let Self {
            processors,
            chain,
            shutdown,
            suffix,
            ..
        } = self;
        let (grpc, http, admin) = (&ports.grpc, &ports.http, &ports.admin);
        let ([to_grpc, to_http], exporters) = self.exporters(sink);
        let pipeline = |name: &str| {
            format!("{{receivers: [otlp], processors: [{chain}], exporters: [{name}{suffix}]}}")
        };
        let (to_grpc, to_http) = (pipeline(to_grpc), pipeline(to_http));
        let handover = if self.handover {
            "handover: {socket: handover.sock}"
        } else {
            ""
        };
        format!(
            "
extensions:
  admin: {{endpoint: '{admin}'}}{storage}
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}
processors: {{{processors}}}
exporters: {exporters}
service:
  extensions: [{extensions}]
  shutdown_timeout: {shutdown}
  {handover}
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {to_grpc}
    metrics: {to_grpc}
    logs: {to_http}
"
        )
    }

    /// The exporter of spans and data points, that of log records, and the configuration of both.
    fn exporters(&self, sink: &str) -> ([&'static str; 2], String) {
        let sink = self.through.as_deref().unwrap_or(sink);
        let queue = match self.mode {
            Mode::Storage => "storage: file_storage",
            Mode::Delivered => "wait_for_result: true",
            Mode::Memory => "enabled: true",
        };
        let (more, retry, exporter) = (self.queue, self.retry, self.exporter);
        let delivery = format!(
            "{exporter}, retry_on_failure: {{{retry}}}, sending_queue: {{{queue}, {more}}}"
        );
        let suffix = self.suffix;
        if let Some(keys) = &self.objects {
            let exporters = format!("{{object_storage{suffix}: {{{keys}, {delivery}}}}}");
            return (["object_storage"; 2], exporters);
        }
        let exporters = format!(
            "
  otlp_grpc{suffix}: {{endpoint: '{sink}', tls: {{insecure: true}}, compression: none, {delivery}}}
  otlp_http{suffix}: {{endpoint: 'http://{sink}', compression: none, {delivery}}}"
        );
        (["otlp_grpc", "otlp_http"], exporters)
    }
}

/// Where a collector listens.
#[derive(Clone, Debug)]
pub struct Ports {
    pub grpc: String,
    pub http: String,
    pub admin: String,
}

impl Ports {
    pub fn free() -> Self {
        let [grpc, http, admin] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        Self { grpc, http, admin }
    }
}

/// How a process came to its end.
pub struct Ended {
    /// Everything that it printed.
    pub log: String,
    pub ledger: Ledger,
}

/// Clients' books, the collector and the backend.
pub struct Rig {
    pub books: Arc<Books>,
    pub sink: Sink,
    pub plan: Plan,
    pub ports: Ports,
    /// Its working directory, with the queue's.
    pub directory: tempfile::TempDir,
    /// A command that the collector is started through.
    pub wrapper: Vec<String>,
    pub environment: Vec<(String, String)>,
    process: Option<Process>,
}

impl Rig {
    /// A backend that takes everything, and a collector that does not run yet.
    pub fn new(plan: Plan) -> Self {
        Self::with_books(plan, Arc::new(Books::default()))
    }

    /// The same for a backend that shares its books with others.
    pub fn with_books(plan: Plan, books: Arc<Books>) -> Self {
        Self {
            sink: Sink::start(&books),
            books,
            plan,
            ports: Ports::free(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            wrapper: Vec::new(),
            environment: Vec::new(),
            process: None,
        }
    }

    /// The same, running.
    pub fn running(plan: Plan) -> Self {
        let mut rig = Self::new(plan);
        rig.start();
        rig
    }

    /// Starts the collector and waits until it takes data.
    pub fn start(&mut self) {
        let mut process = self.spawn(&self.ports.clone());
        process.wait_listening(&self.ports.grpc);
        process.wait_listening(&self.ports.http);
        process.wait_listening(&self.ports.admin);
        assert!(self.process.replace(process).is_none(), "it runs already");
    }

    /// Starts a collector of this configuration on given ports, and does not wait.
    pub fn spawn(&self, ports: &Ports) -> Process {
        let path = self.directory.path().join("config.yaml");
        let yaml = self.plan.yaml(ports, &self.sink.address());
        std::fs::write(&path, yaml).expect("the configuration can be written");
        let binary = tidegate();
        let mut command = match self.wrapper.split_first() {
            None => binary,
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary.get_program());
                command
            }
        };
        let environment = self.environment.iter().map(|(key, value)| (key, value));
        command
            .arg("--config")
            .arg(&path)
            .current_dir(self.directory.path())
            .envs(environment);
        Process::start("tidegate", &mut command)
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// Ends the collector without a word: SIGKILL.
    pub fn kill(&mut self) -> String {
        let mut process = self.process.take().expect("it runs");
        process.kill();
        process.output()
    }

    /// Ends it in order: SIGTERM, and the ledger that it leaves.
    pub fn terminate(&mut self) -> Ended {
        let mut process = self.process.take().expect("it runs");
        Self::ended(process.terminate(), &process)
    }

    /// Starts the next process, which takes over from this one, and gives how this one ended.
    pub fn hand_over(&mut self) -> Ended {
        let next = self.spawn(&self.ports.clone());
        next.wait_output("everything is ready");
        let mut process = self.process.replace(next).expect("it runs");
        Self::ended(process.wait_end(), &process)
    }

    fn ended(status: std::process::ExitStatus, process: &Process) -> Ended {
        let log = process.output();
        assert!(status.success(), "it ended with {status}:\n{log}");
        let ledger = Ledger::of_log(&log);
        Ended { log, ledger }
    }

    pub fn load(&self, pattern: &Pattern) -> Load {
        Load::start(&self.books, &self.ports.grpc, &self.ports.http, pattern)
    }

    /// A client of gRPC, for requests one by one.
    pub fn client(&self) -> Client {
        Client::new(&self.ports.grpc, None)
    }

    /// A client of HTTP.
    pub fn http_client(&self) -> Client {
        Client::new(&self.ports.grpc, Some(&self.ports.http))
    }

    /// What `/ledger` says now.
    pub fn ledger(&self) -> Option<Ledger> {
        Ledger::of_page(&get(&self.ports.admin, "/ledger").ok()?)
    }

    /// Waits until all that was acknowledged has arrived, or the collector holds nothing any more that
    /// could, or time is over; then until it holds nothing.
    pub fn drain(&self, limit: Duration) -> Audit {
        let start = Instant::now();
        let mut empty_since = None;
        loop {
            let audit = self.books.audit();
            let empty = self.ledger().is_some_and(|ledger| ledger.held() == 0);
            if !empty {
                empty_since = None;
            }
            let empty_for = empty_since.get_or_insert_with(Instant::now).elapsed();
            let settled = empty && (audit.lost == 0 || empty_for > Duration::from_secs(3));
            if settled || start.elapsed() > limit {
                return self.books.audit();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until all that was acknowledged by now has arrived.
    pub fn catch_up(&self) {
        let now: BTreeSet<u64> = self.books.missing().into_iter().collect();
        let start = Instant::now();
        let missing = || self.books.missing();
        while start.elapsed() < Duration::from_secs(30)
            && missing().iter().any(|number| now.contains(number))
        {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn queue(&self) -> std::path::PathBuf {
        self.directory.path().join("queue")
    }
}
