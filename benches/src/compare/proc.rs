//! CPU time and memory of a process and its descendants, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// What `/proc/PID/stat` tells of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of the process and the children it has waited for, in clock ticks.
    ticks: u64,
}

/// User and system time of a process tree at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime {
    /// By the processes' own counts, which keep what ended threads and children used, to a clock tick or two.
    coarse: Duration,
    /// By the scheduler's counts of the living threads, to the nanosecond.
    fine: Duration,
    /// How far `coarse` may be off.
    resolution: Duration,
}

impl CpuTime {
    /// The time used since the start of the process.
    pub(crate) const fn total(self) -> Duration {
        self.coarse
    }

    /// The time used since an earlier moment: the fine count, unless a thread has ended and took its own along.
    pub(crate) fn since(self, before: CpuTime) -> Duration {
        let coarse = self.coarse.saturating_sub(before.coarse);
        let fine = self.fine.saturating_sub(before.fine);
        if coarse.abs_diff(fine) <= self.resolution {
            fine
        } else {
            coarse
        }
    }
}

/// Reads the CPU time of the process, its living descendants and their ended children.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<CpuTime> {
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let pids = tree(pid)?;
    // User and system time are cut to ticks each.
    let resolution = Duration::from_secs_f64(2.0 * pids.len() as f64 / per_second);
    let (mut ticks, mut nanos) = (0, 0);
    for pid in pids {
        // A descendant that has just ended is in its parent's count from now on.
        ticks += stat(pid).map_or(0, |stat| stat.ticks);
        nanos += scheduled(pid).unwrap_or(0);
    }
    Ok(CpuTime {
        coarse: Duration::from_secs_f64(ticks as f64 / per_second),
        fine: Duration::from_nanos(nanos),
        resolution,
    })
}

/// Nanoseconds that the living threads of a process have run.
fn scheduled(pid: u32) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let nanos = tasks.flatten().filter_map(|task| {
        let line = fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(nanos.sum())
}

/// The highest resident size of the process and its descendants, in KiB.
pub(crate) fn peak_memory(pid: u32) -> anyhow::Result<u64> {
    memory(pid, "VmHWM:")
}

/// The present resident size of the process and its descendants, in KiB.
pub(crate) fn memory_now(pid: u32) -> anyhow::Result<u64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, key: &str) -> anyhow::Result<u64> {
    let mut total = 0;
    for pid in tree(pid)? {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        total += status_kib(&status, key).unwrap_or(0);
    }
    Ok(total)
}

fn status_kib(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The process and all its living descendants.
fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    stat(root).with_context(|| format!("process {root} has ended"))?;
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if let Some(stat) = stat(pid) {
            parents.push((pid, stat.parent));
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(line: &str) -> Option<Stat> {
    // The command name in parentheses may hold anything, spaces and parentheses too.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>());
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks.sum::<Result<u64, _>>().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_yields_parent_and_ticks_whatever_the_name() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 3 4 20 0 1 0 5 6 7";
        let expected = Stat {
            parent: 7,
            ticks: 40,
        };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat("42 (x"), None);
    }

    #[test]
    fn the_fine_count_holds_unless_a_thread_took_its_own_along() {
        let at = |coarse, fine| CpuTime {
            coarse: Duration::from_millis(coarse),
            fine: Duration::from_millis(fine),
            resolution: Duration::from_millis(20),
        };
        let before = at(100, 101);
        assert_eq!(at(1110, 1104).since(before), Duration::from_millis(1003));
        assert_eq!(at(1110, 804).since(before), Duration::from_millis(1010));
    }

    #[test]
    fn this_process_has_used_memory_and_a_dead_one_is_an_error() {
        assert!(peak_memory(std::process::id()).unwrap() > 0);
        assert!(cpu_time(u32::MAX).is_err());
    }

    #[test]
    fn sizes_are_read_from_the_status() {
        let status = "Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 99 kB\n";
        assert_eq!(status_kib(status, "VmHWM:"), Some(1234));
        assert_eq!(status_kib(status, "VmSwap:"), None);
    }
}
