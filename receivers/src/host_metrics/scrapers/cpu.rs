//! `cpu`: the time that each CPU spent in each mode.

use std::path::Path;

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault_in, ticks};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Emit, Part, Points, Reader, metrics};

metrics! {
    /// What `cpu` makes.
    pub(in crate::host_metrics) enum Metrics {
    Frequency: off "system.cpu.frequency" ["Hz"] Kind::Gauge,
        ["cpu"];
        "Current frequency of the CPU core in Hz."
    LogicalCount: off "system.cpu.logical.count" ["{cpu}"] Kind::UP_DOWN_COUNTER,
        [];
        "Number of available logical CPUs."
    PhysicalCount: off "system.cpu.physical.count" ["{cpu}"] Kind::UP_DOWN_COUNTER,
        [];
        "Number of available physical CPUs."
    Time: on "system.cpu.time" ["s"] Kind::COUNTER,
        ["cpu", "state"];
        "Total seconds each logical CPU spent on each mode."
    Utilization: off "system.cpu.utilization" ["1"] Kind::Gauge,
        ["cpu", "state"];
        "Difference in system.cpu.time since the last measurement per logical CPU, divided by the elapsed time (value in interval [0,1])."
    }
}

/// The modes, each with its place in a line of `/proc/stat`.
const STATES: [(&str, usize); 8] = [
    ("user", 0),
    ("system", 2),
    ("idle", 3),
    ("interrupt", 5),
    ("nice", 1),
    ("softirq", 6),
    ("steal", 7),
    ("wait", 4),
];

/// The times of one CPU, in seconds, in the kernel's order.
#[derive(Clone, Debug, PartialEq)]
struct Times {
    cpu: String,
    spent: [f64; 10],
}

impl Times {
    /// The share of each mode since earlier times; nothing where no time has passed.
    fn since(&self, before: &Self) -> [f64; 10] {
        let passed = self.spent.iter().sum::<f64>() - before.spent.iter().sum::<f64>();
        let mut shares = [0.0; 10];
        if passed > 0.0 {
            for (at, share) in shares.iter_mut().enumerate() {
                *share = (self.spent[at] - before.spent[at]) / passed;
            }
        }
        shares
    }
}

/// Reads `/proc/stat`, and what else is asked for.
pub(in crate::host_metrics) struct Cpu {
    files: Files,
    chosen: Chosen<Metrics>,
    before: Vec<Times>,
}

impl Cpu {
    pub(in crate::host_metrics) const NAME: &'static str = "cpu";

    pub(in crate::host_metrics) fn new(host: Host, chosen: Chosen<Metrics>) -> Self {
        Self {
            files: Files::new(host),
            chosen,
            before: Vec::new(),
        }
    }

    fn frequencies(&mut self, out: &mut Emit<'_, Metrics>) -> Result<(), String> {
        let info = self.files.proc("cpuinfo")?;
        out.metric(Metrics::Frequency, |points| frequencies(info, points));
        Ok(())
    }

    fn physical(&mut self) -> Result<u64, String> {
        let folder = self.files.host.sys("devices/system/cpu");
        for list in ["core_cpus_list", "thread_siblings_list"] {
            let cores = self.cores(&folder, list);
            if cores > 0 {
                return Ok(cores);
            }
        }
        Ok(cores_of(self.files.proc("cpuinfo")?))
    }

    /// How many different lists of threads the CPUs name.
    fn cores(&mut self, folder: &Path, list: &str) -> u64 {
        let mut known = std::collections::BTreeSet::new();
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let number = name.as_encoded_bytes().strip_prefix(b"cpu");
            if number.and_then(text::number).is_none() {
                continue;
            }
            let path = entry.path().join("topology").join(list);
            if let Ok(threads) = self.files.read(&path) {
                known.insert(threads.trim_ascii().to_vec());
            }
        }
        known.len() as u64
    }
}

/// The CPUs that there are, threads of a core counted each.
pub(in crate::host_metrics) fn logical_cpus(files: &mut Files) -> Result<u64, String> {
    if let Ok(info) = files.proc("cpuinfo") {
        let named = |line: &&[u8]| line.to_ascii_lowercase().starts_with(b"processor");
        let count = text::lines(info).filter(named).count();
        if count > 0 {
            return Ok(count as u64);
        }
    }
    Ok(times(files.proc("stat")?).count() as u64)
}

/// Writes the clock rate of each CPU that the kernel names one for.
fn frequencies(info: &[u8], points: &mut Points<'_>) {
    let mut processor = None;
    for line in text::lines(info) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        match name {
            b"processor" => processor = text::number(value),
            b"cpu MHz" => {
                if let (Some(processor), Some(rate)) = (processor, text::decimal(value)) {
                    points.double(rate * 1e6, &[&format!("cpu{processor}")]);
                }
            }
            _ => {}
        }
    }
}

/// The cores of all sockets, as the sections of `/proc/cpuinfo` tell them.
fn cores_of(info: &[u8]) -> u64 {
    let mut sockets = std::collections::BTreeMap::new();
    let (mut socket, mut cores) = (None, None);
    for line in text::lines(info).chain([&b""[..]]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            if let (Some(socket), Some(cores)) = (socket.take(), cores.take()) {
                sockets.insert(socket, cores);
            }
            continue;
        };
        let value = || text::number(line[colon + 1..].trim_ascii());
        match line[..colon].trim_ascii() {
            b"physical id" => socket = value(),
            b"cpu cores" => cores = value(),
            _ => {}
        }
    }
    sockets
        .values()
        .fold(0, |sum: u64, cores| sum.saturating_add(*cores))
}

/// The lines of single CPUs in `/proc/stat`.
fn times(stat: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    text::lines(stat).filter_map(|line| {
        let end = line.iter().position(u8::is_ascii_whitespace)?;
        let cpu = text::number(line[..end].strip_prefix(b"cpu")?)?;
        Some((cpu, &line[end..]))
    })
}

/// The times of a line; those that old kernels do not have are 0.
fn spent(line: &[u8], ticks: f64) -> Option<[f64; 10]> {
    let mut spent = [0.0; 10];
    let mut words = text::words(line);
    for (at, time) in spent.iter_mut().enumerate() {
        match words.next() {
            Some(word) => *time = text::number(word)? as f64 / ticks,
            None if at >= 7 => break,
            None => return None,
        }
    }
    Some(spent)
}

impl Reader for Cpu {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        let mut current = Vec::with_capacity(self.before.len());
        let path = self.files.host.proc("stat");
        match self.files.proc("stat") {
            Ok(stat) => {
                for (cpu, line) in times(stat) {
                    match spent(line, ticks()) {
                        Some(spent) => current.push(Times {
                            cpu: format!("cpu{cpu}"),
                            spent,
                        }),
                        None => part.faults.add("the times of a CPU cannot be read", 0, || {
                            fault_in(&path, &format!("no times behind cpu{cpu}"))
                        }),
                    }
                }
            }
            Err(error) => part
                .faults
                .add("the times of CPUs cannot be read", 2, || error),
        }
        let chosen = self.chosen.clone();
        let Part {
            request,
            metrics,
            faults,
            ..
        } = part;
        let mut out = emit(Self::NAME, request, metrics, &chosen, start, time);
        if chosen.has(Metrics::Frequency)
            && let Err(error) = self.frequencies(&mut out)
        {
            faults.add("the clock rates of CPUs cannot be read", 1, || error);
        }
        for (metric, count) in [
            (
                Metrics::LogicalCount,
                (|cpu: &mut Self| logical_cpus(&mut cpu.files)) as fn(&mut Self) -> _,
            ),
            (Metrics::PhysicalCount, Self::physical),
        ] {
            if chosen.has(metric) {
                match count(self) {
                    Ok(count) => out.int(metric, count),
                    Err(error) => faults.add("CPUs cannot be counted", 1, || error),
                }
            }
        }
        out.metric(Metrics::Time, |points| {
            for times in &current {
                for (state, at) in STATES {
                    points.double(times.spent[at], &[&times.cpu, state]);
                }
            }
        });
        out.metric(Metrics::Utilization, |points| {
            for before in &self.before {
                // A CPU that was taken offline has no share.
                let same = |times: &&Times| times.cpu == before.cpu;
                if let Some(times) = current.iter().find(same) {
                    let shares = times.since(before);
                    for (state, at) in STATES {
                        points.double(shares[at], &[&times.cpu, state]);
                    }
                }
            }
        });
        if !current.is_empty() {
            self.before = current;
        }
    }
}
