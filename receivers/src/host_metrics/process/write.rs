//! What is told of a process.

use std::sync::Arc;

use super::attributes::{Attribute, Values};
use super::parse::{Io, Status, pages};
use super::{Before, Metrics, One, Process, Texts, cause};
use crate::host_metrics::host::{now, ticks};
use crate::host_metrics::scrapers::begin;
use crate::host_metrics::text;
use crate::scrape::{Emit, Faults, Part};

impl Process {
    /// Writes a process: its attributes, and its metrics.
    pub(super) fn tell(&mut self, one: &One, texts: &Texts, part: &mut Part) {
        let mut values = Values::default();
        values.number(Attribute::Pid, one.pid);
        values.number(Attribute::ParentPid, one.parent);
        values.text(Attribute::ExecutableName, one.name(texts));
        values.text(Attribute::ExecutablePath, &texts.exe);
        values.text(Attribute::Cgroup, &texts.cgroup);
        if let Some(first) = one.command {
            values.text(Attribute::Command, &texts.command[..first]);
            values.text(Attribute::CommandLine, &texts.command);
        }
        let settings = Arc::clone(&self.settings);
        if let Some(name) = one.user.and_then(|user| self.users.name(user)) {
            values.text(Attribute::Owner, name.as_bytes());
        }
        if !settings.attributes.take(&values) {
            return;
        }
        begin(&self.scope, &mut part.request, |resource| {
            settings.attributes.write(&values, resource);
        });
        let (time, start) = (now(), one.created.saturating_mul(1_000_000));
        let mut out = Emit::new(
            &mut part.request,
            &mut part.metrics,
            &settings.chosen,
            start,
            time,
        );
        self.write(one, time, &mut out, &mut part.faults);
    }

    /// Writes the metrics of a process, in the order of the table.
    fn write(&mut self, one: &One, time: u64, out: &mut Emit<'_, Metrics>, faults: &mut Faults) {
        let (pid, mutes) = (one.pid, self.settings.mutes);
        let chosen = self.settings.chosen.clone();
        let status = match chosen.any(&[Metrics::ContextSwitches, Metrics::SignalsPending]) {
            true => self.list.read(pid, "status").map(Status::parse),
            false => Ok(Status::default()),
        };
        let status = status.map_err(|error| {
            let missing = [Metrics::ContextSwitches, Metrics::SignalsPending];
            let missing = missing.iter().filter(|metric| chosen.has(**metric)).count();
            faults.add("the status of a process cannot be read", missing, || {
                cause(pid, Some(error))
            });
        });
        if let (true, Ok(status)) = (chosen.has(Metrics::ContextSwitches), &status) {
            let [involuntary, voluntary] = self.switches(one, status);
            out.metric(Metrics::ContextSwitches, |points| {
                points.int(involuntary, &["involuntary"]);
                points.int(voluntary, &["voluntary"]);
            });
        }
        self.write_times(one, time, out);
        if chosen.any(&[Metrics::DiskIo, Metrics::DiskOperations]) {
            match self.parsed(pid, "io", Io::parse) {
                Ok(io) => write_io(&io, out),
                Err(error) if !mutes.io => {
                    faults.add("the I/O of a process cannot be read", 1, || error)
                }
                Err(_) => {}
            }
        }
        let memory = [
            Metrics::MemoryUsage,
            Metrics::MemoryUtilization,
            Metrics::MemoryVirtual,
        ];
        if chosen.any(&memory) {
            match self.parsed(pid, "statm", pages) {
                Ok([virtual_pages, pages]) => {
                    let page = rustix::param::page_size() as u64;
                    let bytes = pages.saturating_mul(page);
                    out.int(Metrics::MemoryUsage, bytes);
                    // Of a hundred, and in single precision, as the Collector has it.
                    let share = 100.0 * bytes as f32 / self.round.memory as f32;
                    out.double(Metrics::MemoryUtilization, f64::from(share));
                    out.int(Metrics::MemoryVirtual, virtual_pages.saturating_mul(page));
                }
                Err(error) => faults.add("the memory of a process cannot be read", 2, || error),
            }
        }
        if chosen.has(Metrics::OpenFileDescriptors) {
            let mut open = 0;
            match self.list.names(pid, "fd", |_| open += 1) {
                Ok(()) => out.int(Metrics::OpenFileDescriptors, open),
                Err(error) => {
                    faults.add("the open files of a process cannot be counted", 1, || {
                        cause(pid, Some(error))
                    });
                }
            }
        }
        out.metric(Metrics::PagingFaults, |points| {
            for (kind, count) in ["major", "minor"].into_iter().zip(one.faults) {
                points.int(count, &[kind]);
            }
        });
        if let Ok(Status {
            pending: Some(pending),
            ..
        }) = status
        {
            out.int(Metrics::SignalsPending, u64::from(pending.count_ones()));
        }
        out.int(Metrics::Threads, one.threads);
        let age = time as f64 / 1e9 - one.created as f64 / 1e3;
        out.double(Metrics::Uptime, age);
    }

    /// Writes the time that a process took, and its share of all there was since the last scrape.
    fn write_times(&mut self, one: &One, time: u64, out: &mut Emit<'_, Metrics>) {
        const STATES: [&str; 3] = ["user", "system", "wait"];
        let seconds = one.ticks.map(|count| count as f64 / ticks());
        out.metric(Metrics::CpuTime, |points| {
            for (state, seconds) in STATES.into_iter().zip(seconds) {
                points.double(seconds, &[state]);
            }
        });
        if !self.settings.chosen.has(Metrics::CpuUtilization) {
            return;
        }
        let now = Before {
            started: one.started,
            seconds,
            at: time,
            round: self.round.number,
        };
        let before = self.before.insert(one.pid, now);
        // Another process may have the number of one that has ended.
        let Some(before) = before.filter(|before| before.started == one.started) else {
            return;
        };
        let passed = time.saturating_sub(before.at) as f64 / 1e9;
        out.metric(Metrics::CpuUtilization, |points| {
            for (at, state) in STATES.into_iter().enumerate() {
                let share = match passed > 0.0 {
                    true => (seconds[at] - before.seconds[at]) / passed / self.round.cpus as f64,
                    false => 0.0,
                };
                points.double(share, &[state]);
            }
        });
    }

    /// Context switches, those of all threads together: involuntary and voluntary ones.
    fn switches(&mut self, one: &One, own: &Status) -> [u64; 2] {
        if one.threads <= 1 {
            return [own.involuntary, own.voluntary];
        }
        let mut threads = Vec::new();
        let listed = self
            .list
            .names(one.pid, "task", |name| threads.extend(text::number(name)));
        let mut sum = [0, 0];
        for thread in threads {
            let file = format!("task/{thread}/status");
            // A thread that ended meanwhile has none.
            if let Ok(status) = self.list.read(one.pid, &file).map(Status::parse) {
                sum[0] += status.involuntary;
                sum[1] += status.voluntary;
            }
        }
        match listed {
            Ok(()) => sum,
            Err(_) => [own.involuntary, own.voluntary],
        }
    }

    /// Reads and parses a small file of a process.
    fn parsed<T>(
        &mut self,
        pid: u64,
        file: &str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, String> {
        match self.list.read(pid, file) {
            Ok(text) => parse(text).ok_or_else(|| cause(pid, None)),
            Err(error) => Err(cause(pid, Some(error))),
        }
    }
}

fn write_io(io: &Io, out: &mut Emit<'_, Metrics>) {
    for (metric, counts) in [
        (Metrics::DiskIo, io.bytes),
        (Metrics::DiskOperations, io.calls),
    ] {
        out.metric(metric, |points| {
            for (direction, count) in ["read", "write"].into_iter().zip(counts) {
                points.int(count, &[direction]);
            }
        });
    }
}
