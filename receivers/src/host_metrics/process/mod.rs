//! `process`: what each process uses.
//!
//! It goes through ten thousand processes by a few buffers that it keeps, reads of each only what
//! somebody wants, and ends a part before its request grows large.

mod attributes;
mod list;
mod parse;
mod users;
mod write;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use tidegate_pdata::compose::Kind;

pub(super) use attributes::{Attributes, AttributesKeys};
pub(super) use list::List;
pub(super) use parse::Stat;

use super::host::{Files, Host, now};
use super::matching::Filter;
use super::scrapers::cpu::logical_cpus;
use super::scrapers::memory::Memory;
use super::scrapers::scope;
use super::text;
use crate::scrape::{Chosen, Faults, Part, Reader, metrics};
use attributes::Attribute;
use parse::{Status, join_words, whole_name};
use users::Users;

metrics! {
    /// What `process` makes.
    pub(super) enum Metrics {
    ContextSwitches: off "process.context_switches" ["{count}"] Kind::COUNTER,
        ["type"];
        "Number of times the process has been context switched."
    CpuTime: on "process.cpu.time" ["s"] Kind::COUNTER,
        ["state"];
        "Total CPU seconds broken down by different states."
    CpuUtilization: off "process.cpu.utilization" ["1"] Kind::Gauge,
        ["state"];
        "Percentage of total CPU time used by the process since last scrape, expressed as a value between 0 and 1. On the first scrape, no data point is emitted for this metric."
    DiskIo: on "process.disk.io" ["By"] Kind::COUNTER,
        ["direction"];
        "Disk bytes transferred."
    DiskOperations: off "process.disk.operations" ["{operations}"] Kind::COUNTER,
        ["direction"];
        "Number of disk operations performed by the process."
    Handles: off "process.handles" ["{count}"] Kind::UP_DOWN_COUNTER,
        [], without_effect: "there are none but on Windows; remove it";
        "Number of open handles held by the process."
    MemoryUsage: on "process.memory.usage" ["By"] Kind::UP_DOWN_COUNTER,
        [];
        "The amount of physical memory in use."
    MemoryUtilization: off "process.memory.utilization" ["1"] Kind::Gauge,
        [];
        "Percentage of total physical memory that is used by the process."
    MemoryVirtual: on "process.memory.virtual" ["By"] Kind::UP_DOWN_COUNTER,
        [];
        "Virtual memory size."
    OpenFileDescriptors: off "process.open_file_descriptors" ["{count}"] Kind::UP_DOWN_COUNTER,
        [];
        "Number of file descriptors in use by the process."
    PagingFaults: off "process.paging.faults" ["{faults}"] Kind::COUNTER,
        ["type"];
        "Number of page faults the process has made."
    SignalsPending: off "process.signals_pending" ["{signals}"] Kind::UP_DOWN_COUNTER,
        [];
        "Number of pending signals for the process."
    Threads: off "process.threads" ["{threads}"] Kind::UP_DOWN_COUNTER,
        [];
        "Process threads count."
    Uptime: off "process.uptime" ["s"] Kind::Gauge,
        [];
        "The time the process has been running."
    }
}

/// Names of this length may be longer ones that the kernel cut.
const KEPT: usize = 15;

/// Which faults are neither counted nor told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mutes {
    pub(super) all: bool,
    pub(super) name: bool,
    pub(super) exe: bool,
    pub(super) io: bool,
    pub(super) user: bool,
    pub(super) cgroup: bool,
}

/// What is chosen of `process`.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) chosen: Chosen<Metrics>,
    pub(super) attributes: Attributes,
    pub(super) filter: Filter,
    pub(super) mutes: Mutes,
    /// The age, in milliseconds, below which a process is left out.
    pub(super) delay: u64,
}

/// The times of a process at the last scrape.
#[derive(Clone, Copy, Debug)]
struct Before {
    started: u64,
    seconds: [f64; 3],
    at: u64,
    round: u64,
}

/// What is the same for all processes of a round.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    number: u64,
    /// When the host booted, in milliseconds.
    boot: u64,
    cpus: u64,
    memory: u64,
}

/// The buffers of one process's texts.
#[derive(Debug, Default)]
struct Texts {
    stat: Vec<u8>,
    command: Vec<u8>,
    exe: Vec<u8>,
    cgroup: Vec<u8>,
}

/// Reads the processes one after the other.
pub(super) struct Process {
    files: Files,
    list: List,
    settings: Arc<Settings>,
    scope: String,
    users: Users,
    before: HashMap<u64, Before>,
    round: Round,
    texts: Texts,
    /// The processes of the round that is under way, and how many of them have been read.
    pids: Vec<u64>,
    next: usize,
}

impl Process {
    pub(super) const NAME: &'static str = "process";

    pub(super) fn new(host: Host, settings: Settings) -> Self {
        Self {
            list: List::new(&host),
            files: Files::new(host),
            settings: Arc::new(settings),
            scope: scope(Self::NAME),
            users: Users::default(),
            before: HashMap::new(),
            round: Round::default(),
            texts: Texts::default(),
            pids: Vec::new(),
            next: 0,
        }
    }

    /// Begins a round: lists the processes and reads what they have in common.
    fn begin(&mut self, faults: &mut Faults) -> Result<(), String> {
        self.pids = self.list.pids()?;
        self.next = 0;
        let settings = Arc::clone(&self.settings);
        self.round = Round {
            number: self.round.number + 1,
            boot: self.files.boot()?.saturating_mul(1000),
            ..Round::default()
        };
        if settings.chosen.has(Metrics::CpuUtilization) {
            self.round.cpus = logical_cpus(&mut self.files)?;
        }
        if settings.chosen.has(Metrics::MemoryUtilization) {
            self.round.memory = Memory::parse(self.files.proc("meminfo")?).total;
        }
        if settings.attributes.has(Attribute::Owner)
            && let Err(error) = self.users.refresh(&mut self.files)
            && !settings.mutes.user
        {
            faults.add("the names of users cannot be read", 0, || error);
        }
        Ok(())
    }

    fn end(&mut self) {
        let round = self.round.number;
        self.before.retain(|_, before| before.round == round);
        self.list.keep(std::mem::take(&mut self.pids));
        self.next = 0;
    }

    /// Reads a process and writes what it uses.
    fn process(&mut self, pid: u64, part: &mut Part) {
        let mut texts = std::mem::take(&mut self.texts);
        if let Some(one) = self.look(pid, &mut texts, &mut part.faults) {
            self.tell(&one, &texts, part);
        }
        self.texts = texts;
    }

    /// Reads what a process is; none where nobody wants to know, or it cannot be read.
    fn look(&mut self, pid: u64, texts: &mut Texts, faults: &mut Faults) -> Option<One> {
        let mutes = self.settings.mutes;
        let read = self.list.read_into(pid, "stat", &mut texts.stat);
        let stat = match read.map(|()| Stat::parse(&texts.stat)) {
            Ok(Some(stat)) => stat,
            failed => {
                if !mutes.name {
                    let why = failed.err();
                    faults.add("the name of a process cannot be read", 1, || {
                        cause(pid, why)
                    });
                }
                return None;
            }
        };
        let created = self.round.boot + milliseconds(stat.started);
        let mut one = One {
            pid,
            parent: stat.parent,
            created,
            started: stat.started,
            ticks: stat.ticks,
            faults: [stat.major_faults, stat.minor_faults],
            threads: stat.threads,
            name_is_cut: stat.name.len() >= KEPT,
            command: None,
            user: None,
        };
        let wants = |attribute| self.settings.attributes.has(attribute);
        let wants_command = wants(Attribute::Command) || wants(Attribute::CommandLine);
        if wants_command || one.name_is_cut {
            match self.list.read_into(pid, "cmdline", &mut texts.command) {
                Ok(()) => one.command = Some(join_words(&mut texts.command)),
                Err(error) => faults.add("the command of a process cannot be read", 0, || {
                    cause(pid, Some(error))
                }),
            }
        }
        if !self.settings.filter.takes(&text::text(one.name(texts))) {
            return None;
        }
        if self.settings.delay > (now() / 1_000_000).saturating_sub(created) {
            return None;
        }
        self.look_closer(&mut one, texts, faults);
        Some(one)
    }

    /// Reads the other attributes.
    fn look_closer(&mut self, one: &mut One, texts: &mut Texts, faults: &mut Faults) {
        let (pid, mutes) = (one.pid, self.settings.mutes);
        texts.exe.clear();
        texts.cgroup.clear();
        if self.settings.attributes.has(Attribute::ExecutablePath) {
            match self.list.link(pid, "exe", &mut texts.exe) {
                Ok(()) => {}
                Err(error) if !mutes.exe => {
                    faults.add("the executable of a process cannot be read", 1, || {
                        cause(pid, Some(error))
                    });
                }
                Err(_) => {}
            }
        }
        if self.settings.attributes.has(Attribute::Cgroup) {
            match self.list.read_into(pid, "cgroup", &mut texts.cgroup) {
                Ok(()) => {
                    let _ = texts.cgroup.pop_if(|byte| *byte == b'\n');
                }
                Err(error) if !mutes.cgroup => {
                    faults.add("the control group of a process cannot be read", 0, || {
                        cause(pid, Some(error))
                    });
                }
                Err(_) => {}
            }
        }
        if self.settings.attributes.has(Attribute::Owner) {
            match self.list.read(pid, "status").map(Status::parse) {
                Ok(Status {
                    user: Some(user), ..
                }) if self.users.name(user).is_some() => {
                    one.user = Some(user);
                }
                other if !mutes.user => {
                    faults.add("the user of a process cannot be named", 0, || match other {
                        Ok(status) => format!("{pid}: no name for {:?}", status.user),
                        Err(error) => cause(pid, Some(error)),
                    });
                }
                _ => {}
            }
        }
    }
}

/// What is known of a process, but for its texts.
#[derive(Clone, Copy, Debug)]
struct One {
    pid: u64,
    parent: u64,
    /// When it was started, in milliseconds.
    created: u64,
    /// The same in ticks since the boot: with the number it tells processes apart.
    started: u64,
    ticks: [u64; 3],
    /// Major and minor.
    faults: [u64; 2],
    threads: u64,
    name_is_cut: bool,
    /// The length of the first word, where the command could be read.
    command: Option<usize>,
    user: Option<u64>,
}

impl One {
    /// The name of the executable.
    fn name<'t>(&self, texts: &'t Texts) -> &'t [u8] {
        let kept = Stat::parse(&texts.stat).map_or(&b""[..], |stat| stat.name);
        let command = self.command.map(|first| &texts.command[..first]);
        match command.filter(|_| self.name_is_cut) {
            Some(command) => whole_name(kept, command),
            None => kept,
        }
    }
}

/// Ticks in milliseconds.
fn milliseconds(count: u64) -> u64 {
    count.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1)
}

/// What is said of a file of a process: why it cannot be read, or that it makes no sense.
fn cause(pid: u64, error: Option<io::Error>) -> String {
    match error {
        Some(error) => format!("{pid}: {error}"),
        None => format!("{pid}: the text makes no sense"),
    }
}

impl Reader for Process {
    fn read(&mut self, part: &mut Part) {
        if self.next == 0
            && let Err(error) = self.begin(&mut part.faults)
        {
            part.faults.add("processes cannot be read", 1, || error);
            self.end();
            return;
        }
        while self.next < self.pids.len() && part.request.size() < Part::FULL {
            let pid = self.pids[self.next];
            self.next += 1;
            self.process(pid, part);
        }
        part.more = self.next < self.pids.len();
        if !part.more {
            self.end();
        }
        if self.settings.mutes.all {
            part.faults = Faults::default();
        }
    }
}
