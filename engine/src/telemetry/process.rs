//! The process's uptime, processor time and memory, read when they are asked for.

use std::time::Instant;

use tidegate_component::metrics::{Gauge, Registry};

/// Gauges of the process.
pub(super) struct Process {
    start: Instant,
    uptime: Gauge,
    cpu: Gauge,
    rss: Gauge,
}

impl Process {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name, help| registry.gauge(name, help, &[]);
        Self {
            start: Instant::now(),
            uptime: gauge("otelcol_process_uptime", "Seconds since the start."),
            cpu: gauge(
                "otelcol_process_cpu_seconds",
                "Processor time used, user and system, in seconds.",
            ),
            rss: gauge("otelcol_process_memory_rss", "Resident memory in bytes."),
        }
    }

    /// Reads them anew; what the system does not tell stays as it was.
    pub(super) fn update(&self) {
        self.uptime.set(whole(self.start.elapsed().as_secs()));
        if let Some(seconds) = cpu_seconds() {
            self.cpu.set(whole(seconds));
        }
        if let Some(bytes) = resident_bytes() {
            self.rss.set(whole(bytes));
        }
    }
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Fields 14 and 15 of proc_pid_stat(5), in clock ticks.
fn cpu_seconds() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the command's name in parentheses, which may have spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) / rustix::param::clock_ticks_per_second())
}

/// The second field of proc_pid_statm(5), in pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_memory_and_time() {
        let registry = Registry::default();
        let process = Process::new(&registry);
        process.update();
        assert!(process.rss.value() > 0);
        assert!(cpu_seconds().is_some());
    }
}
