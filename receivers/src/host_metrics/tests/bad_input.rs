//! Hosts whose files are garbage, gone, or far too many.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const ALL: [&str; 11] = [
    "cpu",
    "disk",
    "filesystem",
    "load",
    "memory",
    "network",
    "nfs",
    "paging",
    "process",
    "processes",
    "system",
];

/// A copy of the made-up host whose files are what `change` makes of them.
fn changed(change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&made_up(), folder.path(), &change);
    folder
}

fn copy(from: &Path, to: &Path, change: &impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&path, &to.join(&name), change);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&path).unwrap(), to.join(&name)).unwrap();
        } else if let Some(text) = change(&path.to_string_lossy(), fs::read(&path).unwrap()) {
            fs::write(to.join(&name), text).unwrap();
        }
    }
}

/// Some bytes without a pattern.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    });
    bytes.take(length).collect()
}

/// Scrapes twice with everything and gives the points of the second round, and what is missing.
async fn twice(root: &Path) -> (Vec<Point>, u64) {
    let scrapers = ALL.map(|name| format!("{name}: ")).join(", ");
    let mut rig = Rig::start(root, &scrapers).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let _ = rig.taken();
    tokio::time::sleep(Duration::from_secs(10)).await;
    rig.receiver.stop().await;
    let missing = ALL.map(|name| rig.errored(name)).iter().sum();
    (rig.taken(), missing)
}

#[tokio::test(start_paused = true)]
async fn garbage_costs_what_it_stands_for_and_no_more() {
    for seed in 0..24 {
        // Garbage at the beginning, in the middle, at the end, or nothing else.
        let root = changed(|path, text| {
            let at = (seed as usize * 37 + path.len()) % (text.len() + 1);
            let noise = noise(seed * 1009 + path.len() as u64, 64);
            Some(match seed % 4 {
                0 => noise,
                1 => [&text[..at], &noise].concat(),
                2 => [&text[..at], &noise, &text[at..]].concat(),
                _ => text[..at].to_vec(),
            })
        });
        let (points, _) = twice(root.path()).await;
        assert!(points.iter().all(|point| point.value.is_finite()), "{seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_file_that_is_gone_takes_its_own_metrics_alone() {
    let (whole, whole_missing) = twice(&made_up()).await;
    let names = |points: &[Point]| -> std::collections::BTreeSet<String> {
        points.iter().map(|point| point.metric.clone()).collect()
    };
    for (file, gone) in [
        ("proc/diskstats", &["system.disk.operations"][..]),
        ("proc/net/tcp", &["system.network.connections"]),
        (
            "proc/net/dev",
            &["system.network.io", "system.network.errors"],
        ),
        ("proc/meminfo", &["system.memory.usage"]),
        (
            "proc/vmstat",
            &["system.paging.faults", "system.paging.operations"],
        ),
        ("proc/swaps", &["system.paging.usage"]),
        ("proc/loadavg", &["system.cpu.load_average.1m"]),
        ("proc/net/rpc/nfs", &["nfs.client.rpc.count"]),
        (
            "proc/net/rpc/nfsd",
            &["nfs.server.io", "nfs.server.thread.count"],
        ),
        ("proc/uptime", &["system.uptime"]),
        ("proc/1/mountinfo", &["system.filesystem.usage"]),
    ] {
        let root = changed(|path, text| (!path.ends_with(file)).then_some(text));
        let (points, missing) = twice(root.path()).await;
        let left: std::collections::BTreeSet<_> =
            names(&whole).difference(&names(&points)).cloned().collect();
        for name in gone {
            assert!(left.contains(*name), "{file}: {left:?}");
        }
        let ends = gone[0].match_indices('.').nth(1).map(|(at, _)| at);
        let group = &gone[0][..ends.unwrap_or(gone[0].len())];
        assert!(
            left.iter().all(|name| name.starts_with(group)),
            "{file}: {left:?}"
        );
        assert!(
            missing > whole_missing,
            "{file} is missing and nobody counts it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_proc_is_told_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (points, missing) = twice(folder.path()).await;
    assert!(points.is_empty(), "{points:?}");
    assert!(missing > 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_beyond_measure_is_not_read() {
    let root = changed(|path, text| {
        Some(match path.ends_with("meminfo") {
            true => vec![b'M'; 17 << 20],
            false => text,
        })
    });
    let (points, missing) = first(root.path(), "memory: ").await;
    assert!(points.is_empty());
    assert_eq!(missing, 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_of_a_process_is_counted_unless_it_is_muted() {
    // The kernel thread and the stray have no executable, the stray neither I/O nor a known user.
    let (points, missing) = first(&made_up(), "process: ").await;
    assert_eq!(missing, 3);
    let stray = points
        .iter()
        .filter(|point| point.resource.contains("=stray"));
    assert!(stray.clone().count() > 0);
    assert!(stray.clone().all(|point| !point.resource.contains("owner")));
    let muted = "process: {mute_process_exe_error: true}";
    assert_eq!(first(&made_up(), muted).await.1, 1);
    let muted = "process: {mute_process_io_error: true}";
    assert_eq!(first(&made_up(), muted).await.1, 2);
    let muted = "process: {mute_process_all_errors: true}";
    assert_eq!(first(&made_up(), muted).await.1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_while_it_is_looked_at_leaves_the_others() {
    let root = changed(|path, text| (!path.contains("/proc/15/s")).then_some(text));
    let (points, missing) = first(root.path(), "process: {mute_process_exe_error: true}").await;
    assert_eq!(missing, 2, "its name, and the I/O of the stray");
    let pids: std::collections::BTreeSet<_> = points
        .iter()
        .filter_map(|point| point.resource.split(',').next())
        .collect();
    assert_eq!(
        Vec::from_iter(pids),
        ["process.pid=1", "process.pid=16", "process.pid=2"]
    );
}

#[tokio::test(start_paused = true)]
async fn young_processes_wait_for_their_turn() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let booted = now.unwrap().as_secs() - 4000;
    let root = changed(|path, text| {
        Some(match path.ends_with("proc/stat") {
            true => format!("btime {booted}\n").into_bytes(),
            false => text,
        })
    });
    // Number 15 was started an hour after the boot, 16 later.
    let (points, _) = first(root.path(), "process: {scrape_process_delay: 10m}").await;
    let has = |pid: &str| points.iter().any(|point| point.resource.starts_with(pid));
    assert!(has("process.pid=1,") && has("process.pid=2,"));
    assert!(!has("process.pid=15,") && !has("process.pid=16,"));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_processes_come_in_requests_of_bounded_size() {
    let folder = tempfile::tempdir().unwrap();
    copy(&made_up(), folder.path(), &|_, text| Some(text));
    let proc = folder.path().join("proc");
    for pid in 10_000..20_000 {
        symlink("15", proc.join(pid.to_string())).unwrap();
    }
    let mut rig = Rig::start(folder.path(), "process: , processes: ").await;
    let (mut processes, mut largest) = (0, 0);
    while rig.scraped("processes") == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for (payload, _) in rig.door.take() {
            largest = largest.max(payload.bytes());
            for segment in payload.segments() {
                let request = ExportMetricsServiceRequest::decode(segment.bytes().clone());
                processes += request.unwrap().resource_metrics.len();
            }
        }
    }
    rig.receiver.stop().await;
    for (payload, _) in rig.door.take() {
        for segment in payload.segments() {
            let request = ExportMetricsServiceRequest::decode(segment.bytes().clone());
            processes += request.unwrap().resource_metrics.len();
        }
    }
    // Those, the four of the made-up host, and the host itself for their number.
    assert_eq!(processes, 10_000 + 4 + 1);
    assert!(largest < 2 << 20, "{largest}");
    assert_eq!(rig.door.failed(), 0);
}
