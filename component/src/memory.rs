//! How much memory the process may use and does use, as the kernel tells it.

use std::path::Path;

/// The share of the memory that the budget takes where nobody sets one.
const SHARE_PERCENT: u64 = 80;

/// The bytes of the budget where nobody sets one: 80 % of what the cgroup or the host has.
#[must_use]
pub fn default_budget() -> usize {
    let bytes = total_memory().unwrap_or(1 << 30) / 100 * SHARE_PERCENT;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The memory that this process may use: the lowest limit of its cgroup, those above it and the host.
#[must_use]
pub fn total_memory() -> Option<u64> {
    let host = std::fs::read_to_string("/proc/meminfo").ok();
    let host = host.as_deref().and_then(host_total);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = group_files(&groups);
    let limits = limits.iter().filter_map(|file| limit(Path::new(file)));
    limits.chain(host).min()
}

/// The memory that this process holds now: its resident set.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kib_line(&status, "VmRSS:")
}

fn host_total(meminfo: &str) -> Option<u64> {
    kib_line(meminfo, "MemTotal:")
}

/// The bytes on a line such as `MemTotal: 16 kB`.
fn kib_line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The files that may hold a limit, for both versions of cgroups, from the process's own group up.
fn group_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            files.push(format!("{root}{path}/{name}"));
            let Some(slash) = path.rfind('/') else { break };
            path = &path[..slash];
        }
    }
    files
}

// Where there is no limit, version 2 writes `max` and version 1 a number near 2^63, which loses
// against the host's memory.
fn limit(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_memory_is_read_in_bytes() {
        let text = "MemTotal:       24040000 kB\nMemFree:  1 kB\n";
        assert_eq!(host_total(text), Some(24_040_000 * 1024));
        assert_eq!(host_total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn the_process_holds_less_than_there_is() {
        let resident = resident_memory().unwrap();
        assert!(resident > 0 && resident < total_memory().unwrap());
    }

    #[test]
    fn limits_of_the_group_and_of_those_above_it_are_looked_up() {
        let files = group_files("0::/kube/pod\n");
        let expected = [
            "/sys/fs/cgroup/kube/pod/memory.max",
            "/sys/fs/cgroup/kube/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected);
        let files = group_files("7:cpu,cpuacct:/a\n5:memory:/a\n");
        let expected = [
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ];
        assert_eq!(files, expected);
    }

    #[test]
    fn budget_leaves_a_fifth_of_the_memory() {
        let budget = default_budget() as u64;
        let total = total_memory().unwrap();
        assert!(budget <= total / 5 * 4 && budget > total / 5 * 3);
    }
}
