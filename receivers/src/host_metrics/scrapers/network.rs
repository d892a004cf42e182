//! `network`: what interfaces sent and received, and TCP connections by state.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tidegate_pdata::compose::Kind;

use super::{emit, now};
use crate::host_metrics::host::{Files, Host, fault, fault_in};
use crate::host_metrics::matching::Filter;
use crate::host_metrics::text;
use crate::scrape::{Chosen, Faults, Part, Reader, metrics};

metrics! {
    /// What `network` makes.
    pub(in crate::host_metrics) enum Metrics {
    Connections: on "system.network.connections" ["{connections}"] Kind::UP_DOWN_COUNTER,
        ["protocol", "state"];
        "The number of connections."
    ConntrackCount: off "system.network.conntrack.count" ["{entries}"] Kind::UP_DOWN_COUNTER,
        [];
        "The count of entries in conntrack table."
    ConntrackMax: off "system.network.conntrack.max" ["{entries}"] Kind::UP_DOWN_COUNTER,
        [];
        "The limit for entries in the conntrack table."
    Dropped: on "system.network.dropped" ["{packets}"] Kind::COUNTER,
        ["device", "direction"];
        "The number of packets dropped."
    Errors: on "system.network.errors" ["{errors}"] Kind::COUNTER,
        ["device", "direction"];
        "The number of errors encountered."
    Io: on "system.network.io" ["By"] Kind::COUNTER,
        ["device", "direction"];
        "The number of bytes transmitted and received."
    Packets: on "system.network.packets" ["{packets}"] Kind::COUNTER,
        ["device", "direction"];
        "The number of packets transferred."
    }
}

/// The longest line of `/proc/net/tcp` that is looked at; the kernel's have 150 bytes.
const LONGEST: u64 = 4096;

/// The states that are always told, those that no connection can be in too: so does the Collector.
const ALWAYS: [&str; 12] = [
    "CLOSE_WAIT",
    "CLOSE",
    "CLOSING",
    "DELETE",
    "ESTABLISHED",
    "FIN_WAIT_1",
    "FIN_WAIT_2",
    "LAST_ACK",
    "LISTEN",
    "SYN_SENT",
    "SYN_RECV",
    "TIME_WAIT",
];

/// The kernel's numbers of states, from 1 on, by the names that the Collector has for them.
const STATES: [&str; 11] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
];
/// The number of the state in which several sockets may have one address.
const LISTEN: usize = 10;

/// A line of `/proc/net/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    name: String,
    received: [u64; 4],
    sent: [u64; 4],
}

impl Interface {
    fn parse(line: &[u8]) -> Option<Self> {
        let colon = line.iter().rposition(|byte| *byte == b':')?;
        let name = line[..colon].trim_ascii();
        let counts: [u64; 12] = text::numbers(&line[colon + 1..])?;
        let four = |at: usize| [counts[at], counts[at + 1], counts[at + 2], counts[at + 3]];
        (!name.is_empty()).then(|| Self {
            name: text::text(name).into_owned(),
            received: four(0),
            sent: four(8),
        })
    }
}

/// Counts TCP connections by the kernel's numbers of their states.
#[derive(Debug, Default)]
struct Connections {
    counts: [u64; STATES.len() + 1],
    /// The addresses of listening sockets: those that share one are counted once.
    listening: HashSet<Vec<u8>>,
}

impl Connections {
    /// Adds a line: `0: 0100007F:1F90 00000000:0000 0A …`.
    fn add(&mut self, line: &[u8]) {
        let mut words = text::words(line);
        let (Some(local), Some(_), Some(state)) = (words.nth(1), words.next(), words.next()) else {
            return;
        };
        // A line that was cut short has fewer words behind the state.
        if words.count() < 6 {
            return;
        }
        let state = text::hexadecimal(state).and_then(|state| usize::try_from(state).ok());
        let Some(state) = state.filter(|state| (1..=STATES.len()).contains(state)) else {
            return;
        };
        if state != LISTEN || self.listening.insert(local.to_vec()) {
            self.counts[state] += 1;
        }
    }

    fn read(&mut self, path: &Path) -> io::Result<()> {
        let mut lines = BufReader::with_capacity(1 << 16, File::open(path)?);
        let mut line = Vec::with_capacity(256);
        // The first line names the columns.
        let mut first = true;
        loop {
            line.clear();
            if lines.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if !std::mem::take(&mut first) {
                self.add(&line);
            }
        }
    }

    /// Each state that is told, with its count.
    fn states(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let of = |name: &str| STATES.iter().position(|state| *state == name);
        let always = ALWAYS.into_iter();
        let always = always.map(move |name| (name, of(name).map_or(0, |at| self.counts[at + 1])));
        let more = STATES.into_iter().enumerate();
        let more = more.map(|(at, name)| (name, self.counts[at + 1]));
        let more = more.filter(|(name, count)| *count > 0 && !ALWAYS.contains(name));
        always.chain(more)
    }
}

/// Reads `/proc/net`.
pub(in crate::host_metrics) struct Network {
    files: Files,
    chosen: Chosen<Metrics>,
    filter: Filter,
}

impl Network {
    pub(in crate::host_metrics) const NAME: &'static str = "network";

    pub(in crate::host_metrics) fn new(
        host: Host,
        chosen: Chosen<Metrics>,
        filter: Filter,
    ) -> Self {
        Self {
            files: Files::new(host),
            chosen,
            filter,
        }
    }

    fn interfaces(&mut self, faults: &mut Faults) -> Vec<Interface> {
        let path = self.files.host.proc("net/dev");
        let text = match self.files.proc("net/dev") {
            Ok(text) => text,
            Err(error) => {
                faults.add("network interfaces cannot be read", 4, || error);
                return Vec::new();
            }
        };
        let mut interfaces = Vec::new();
        // The first two lines name the columns.
        for line in text::lines(text)
            .skip(2)
            .filter(|line| !line.trim_ascii().is_empty())
        {
            match Interface::parse(line) {
                Some(interface) if self.filter.takes(&interface.name) => interfaces.push(interface),
                Some(_) => {}
                None => faults.add("a line about a network interface makes no sense", 0, || {
                    fault_in(&path, &text::text(line))
                }),
            }
        }
        interfaces
    }

    fn connections(&self) -> Result<Connections, String> {
        let mut connections = Connections::default();
        for file in ["net/tcp", "net/tcp6"] {
            let path = self.files.host.proc(file);
            match connections.read(&path) {
                // A kernel without IPv6 has no list of it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && file == "net/tcp6" => {}
                Err(error) => return Err(fault(&path, &error)),
                Ok(()) => {}
            }
        }
        Ok(connections)
    }

    fn tracked(&mut self, what: &str) -> Result<u64, String> {
        let file = format!("sys/net/netfilter/nf_conntrack_{what}");
        let path = self.files.host.proc(&file);
        let count = text::number(self.files.proc(&file)?.trim_ascii());
        count.ok_or_else(|| fault_in(&path, "no number"))
    }
}

impl Reader for Network {
    fn read(&mut self, part: &mut Part) {
        let (start, time) = (self.files.start(), now());
        let interfaces = self.interfaces(&mut part.faults);
        let chosen = self.chosen.clone();
        let Part {
            request,
            metrics,
            faults,
            ..
        } = part;
        let mut out = emit(Self::NAME, request, metrics, &chosen, start, time);
        if chosen.has(Metrics::Connections) {
            match self.connections() {
                Ok(connections) => out.metric(Metrics::Connections, |points| {
                    for (state, count) in connections.states() {
                        points.int(count, &["tcp", state]);
                    }
                }),
                Err(error) => faults.add("TCP connections cannot be read", 1, || error),
            }
        }
        for (metric, what) in [
            (Metrics::ConntrackCount, "count"),
            (Metrics::ConntrackMax, "max"),
        ] {
            if chosen.has(metric) {
                match self.tracked(what) {
                    Ok(count) => out.int(metric, count),
                    Err(error) => faults.add("tracked connections cannot be read", 1, || error),
                }
            }
        }
        for (metric, at) in [
            (Metrics::Dropped, 3),
            (Metrics::Errors, 2),
            (Metrics::Io, 0),
            (Metrics::Packets, 1),
        ] {
            out.metric(metric, |points| {
                for interface in &interfaces {
                    points.int(interface.sent[at], &[&interface.name, "transmit"]);
                    points.int(interface.received[at], &[&interface.name, "receive"]);
                }
            });
        }
    }
}
