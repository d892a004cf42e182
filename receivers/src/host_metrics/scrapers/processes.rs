//! `processes`: how many there are in each state.

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host};
use crate::host_metrics::process::{List, Stat};
use crate::host_metrics::text;
use crate::scrape::{Chosen, Part, Reader, metrics};

metrics! {
    /// What `processes` makes.
    pub(in crate::host_metrics) enum Metrics {
    Count: on "system.processes.count" ["{processes}"] Kind::UP_DOWN_COUNTER,
        ["status"];
        "Total number of processes in each state."
    Created: on "system.processes.created" ["{processes}"] Kind::COUNTER,
        [];
        "Total number of created processes. Supported on Linux and OpenBSD."
    }
}

/// States by the kernel's letters, in the order in which they are sent.
const STATES: [(&str, &[u8]); 13] = [
    ("blocked", b"DU"),
    ("daemon", b"A"),
    ("detached", b"E"),
    ("idle", b"I"),
    ("locked", b"L"),
    ("orphan", b"O"),
    ("paging", b"W"),
    ("running", b"R"),
    ("sleeping", b"S"),
    ("stopped", b"Tt"),
    ("system", b"Y"),
    ("zombies", b"Z"),
    ("unknown", b""),
];
const BLOCKED: usize = 0;
const RUNNING: usize = 7;
const UNKNOWN: usize = 12;

/// What `/proc/stat` tells of processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Totals {
    created: u64,
    running: u64,
    blocked: u64,
}

impl Totals {
    fn parse(stat: &[u8]) -> Self {
        let mut totals = Self::default();
        for line in text::lines(stat) {
            if let Some(count) = text::labelled(line, b"processes") {
                totals.created = count;
            } else if let Some(count) = text::labelled(line, b"procs_running") {
                totals.running = count;
            } else if let Some(count) = text::labelled(line, b"procs_blocked") {
                totals.blocked = count;
            }
        }
        totals
    }
}

/// Reads the state of each process.
pub(in crate::host_metrics) struct Processes {
    files: Files,
    chosen: Chosen<Metrics>,
    list: List,
}

impl Processes {
    pub(in crate::host_metrics) const NAME: &'static str = "processes";

    pub(in crate::host_metrics) fn new(host: Host, chosen: Chosen<Metrics>) -> Self {
        Self {
            list: List::new(&host),
            files: Files::new(host),
            chosen,
        }
    }

    /// Processes by state, the sum of which is their number.
    fn count(&mut self, totals: &Totals) -> Result<[u64; STATES.len()], String> {
        let mut counts = [0; STATES.len()];
        let pids = self.list.pids()?;
        for pid in &pids {
            // One that cannot be read has ended meanwhile, most likely: it is counted below.
            let stat = self.list.read(*pid, "stat").ok();
            let Some(state) = stat.and_then(Stat::parse).map(|stat| stat.state) else {
                continue;
            };
            let known = STATES
                .iter()
                .position(|(_, letters)| letters.contains(&state));
            counts[known.unwrap_or(UNKNOWN)] += 1;
        }
        // The kernel's own counts are of one moment.
        counts[BLOCKED] = totals.blocked;
        counts[RUNNING] = totals.running;
        let known: u64 = counts.iter().sum();
        let all = pids.len() as u64;
        if all > known {
            counts[UNKNOWN] = all - known;
        }
        self.list.keep(pids);
        Ok(counts)
    }
}

impl Reader for Processes {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        let totals = match self.files.proc("stat") {
            Ok(stat) => Totals::parse(stat),
            Err(error) => {
                part.faults.add("processes cannot be counted", 2, || error);
                return;
            }
        };
        let counts = match self.chosen.has(Metrics::Count) {
            true => self.count(&totals),
            false => Ok([0; STATES.len()]),
        };
        let Part {
            request,
            metrics,
            faults,
            ..
        } = part;
        let mut out = emit(Self::NAME, request, metrics, &self.chosen, start, time);
        match counts {
            Ok(counts) => out.metric(Metrics::Count, |points| {
                for (at, (state, _)) in STATES.iter().enumerate() {
                    if counts[at] > 0 || at == BLOCKED || at == RUNNING {
                        points.int(counts[at], &[state]);
                    }
                }
            }),
            Err(error) => faults.add("processes cannot be listed", 1, || error),
        }
        out.int(Metrics::Created, totals.created);
    }
}
