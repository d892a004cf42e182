//! What is made of the host under `receivers/tests/host`, to the point.

use super::*;

/// What a scraper makes, a line a point, in the order in which it is sent.
async fn lines(scraper: &str) -> String {
    let (points, _) = first(&made_up(), scraper).await;
    let mut lines = Vec::new();
    let mut above = String::new();
    for point in &points {
        let scope = point.scope.rsplit('/').next().unwrap_or_default();
        let head = format!(
            "{scope} {} [{}] {} {} from {} of {{{}}}",
            point.metric,
            point.unit,
            point.kind,
            if point.is_int { "int" } else { "double" },
            point.start,
            point.resource
        );
        if head != above {
            lines.push(head.clone());
            above = head;
        }
        lines.push(format!("  {{{}}} {}", point.attributes, point.value));
    }
    lines.join("\n")
}

/// The metrics of a scraper, all of them enabled.
fn all(metrics: &[&str]) -> String {
    let each = metrics
        .iter()
        .map(|name| format!("{name}: {{enabled: true}}"));
    each.collect::<Vec<_>>().join(", ")
}

#[tokio::test(start_paused = true)]
async fn cpu() {
    let metrics = all(&[
        "system.cpu.frequency",
        "system.cpu.logical.count",
        "system.cpu.physical.count",
    ]);
    insta::assert_snapshot!(lines(&format!("cpu: {{metrics: {{{metrics}}}}}")).await);
}

#[tokio::test(start_paused = true)]
async fn disk() {
    insta::assert_snapshot!(lines("disk: ").await);
}

#[tokio::test(start_paused = true)]
async fn load() {
    insta::assert_snapshot!(lines("load: ").await);
    let (points, _) = first(&made_up(), "load: {cpu_average: true}").await;
    let one = value(&points, "system.cpu.load_average.1m", "");
    assert!((one - 0.25).abs() < 1e-9, "{one}");
}

#[tokio::test(start_paused = true)]
async fn memory() {
    let metrics = all(&[
        "system.linux.memory.available",
        "system.linux.memory.dirty",
        "system.memory.limit",
        "system.memory.linux.hugepages.limit",
        "system.memory.linux.hugepages.page_size",
        "system.memory.linux.hugepages.reserved",
        "system.memory.linux.hugepages.surplus",
        "system.memory.linux.hugepages.usage",
        "system.memory.linux.hugepages.utilization",
        "system.memory.linux.shared",
        "system.memory.utilization",
    ]);
    insta::assert_snapshot!(lines(&format!("memory: {{metrics: {{{metrics}}}}}")).await);
}

#[tokio::test(start_paused = true)]
async fn network() {
    let metrics = all(&[
        "system.network.conntrack.count",
        "system.network.conntrack.max",
    ]);
    insta::assert_snapshot!(lines(&format!("network: {{metrics: {{{metrics}}}}}")).await);
}

#[tokio::test(start_paused = true)]
async fn nfs() {
    // It counts from when it was made.
    let lines = lines("nfs: ").await;
    let lines = lines.lines().map(|line| match line.split_once(" from ") {
        Some((head, _)) => head,
        None => line,
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[tokio::test(start_paused = true)]
async fn paging() {
    let metrics = all(&["system.paging.utilization"]);
    insta::assert_snapshot!(lines(&format!("paging: {{metrics: {{{metrics}}}}}")).await);
}

#[tokio::test(start_paused = true)]
async fn processes() {
    insta::assert_snapshot!(lines("processes: ").await);
}

#[tokio::test(start_paused = true)]
async fn system() {
    insta::assert_snapshot!(lines("system: ").await);
}

#[tokio::test(start_paused = true)]
async fn process() {
    insta::assert_snapshot!(lines("process: ").await);
}

#[tokio::test(start_paused = true)]
async fn process_with_everything() {
    let metrics = all(&[
        "process.context_switches",
        "process.disk.operations",
        "process.memory.utilization",
        "process.open_file_descriptors",
        "process.paging.faults",
        "process.signals_pending",
        "process.threads",
    ]);
    insta::assert_snapshot!(
        lines(&format!(
            "process: {{metrics: {{{metrics}}}, include: {{names: ['a-long.*server', init], \
             match_type: regexp}}, resource_attributes: {{process.cgroup: {{enabled: true}}}}}}"
        ))
        .await
    );
}

#[tokio::test(start_paused = true)]
async fn filesystem() {
    let text = "filesystem: {metrics: {system.filesystem.utilization: {enabled: true}}}";
    let (points, errored) = first(&made_up(), text).await;
    // What the disk at hand is filled with is not known; whose it is, is.
    let mut seen: Vec<_> = points
        .iter()
        .map(|point| format!("{} {} {}", point.metric, point.kind, point.attributes))
        .collect();
    seen.sort();
    insta::assert_snapshot!(seen.join("\n"));
    // One mount point is not there: the others are told of, and that is no metric less.
    assert_eq!(errored, 0);
    let all = "filesystem: {include_virtual_filesystems: true, include_mount_points: \
               {mount_points: [/proc, /sys], match_type: strict}}";
    let (points, _) = first(&made_up(), all).await;
    let used = values(&points, "system.filesystem.inodes.usage");
    let of = |device: &str, mode: &str, point: &str, kind: &str| {
        format!("device={device},mode={mode},mountpoint={point},type={kind},state=used")
    };
    let used: Vec<_> = used.into_iter().map(|(attributes, _)| attributes).collect();
    assert!(
        used.contains(&of("proc", "rw", "/proc", "proc")),
        "{used:?}"
    );
    assert!(
        used.contains(&of("/dev/sda1", "rw", "/sys", "ext4")),
        "{used:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_filtered_is_not_told_of() {
    let (points, _) = first(
        &made_up(),
        "disk: {include: {devices: ['^sd'], match_type: regexp}, \
         exclude: {devices: [sda1], match_type: strict}}",
    )
    .await;
    let all = values(&points, "system.disk.io_time");
    assert_eq!(all, [("device=sda".to_owned(), 3.5)]);
    let (points, _) = first(
        &made_up(),
        "network: {exclude: {interfaces: [lo, 'veth.*'], match_type: regexp}}",
    )
    .await;
    let devices: Vec<_> = values(&points, "system.network.io");
    assert_eq!(
        devices,
        [
            ("device=eth0,direction=transmit".to_owned(), 500_000.0),
            ("device=eth0,direction=receive".to_owned(), 1_000_000.0)
        ]
    );
    let (points, _) = first(
        &made_up(),
        "process: {exclude: {names: [init, kthreadd], match_type: strict}, resource_attributes: \
         {process.owner: {metrics_include: [{strict: www-data}]}, process.pid: {enabled: false}, \
         process.parent_pid: {metrics_exclude: [{regexp: '^15$'}]}}}",
    )
    .await;
    let resources: std::collections::BTreeSet<_> =
        points.iter().map(|point| point.resource.as_str()).collect();
    assert_eq!(resources.len(), 1);
    let only = resources.first().unwrap();
    assert!(
        only.contains("process.owner=www-data") && !only.contains("process.pid"),
        "{only}"
    );
}

#[tokio::test(start_paused = true)]
async fn attributes_that_are_left_out_join_points() {
    let joined = |how: &str| {
        format!(
            "disk: {{metrics: {{system.disk.operations: {{attributes: [direction], \
             aggregation_strategy: {how}}}, system.disk.io_time: {{attributes: []}}}}}}"
        )
    };
    for (how, read) in [
        ("sum", 1905.0),
        ("avg", 635.0),
        ("min", 5.0),
        ("max", 1000.0),
    ] {
        let (points, _) = first(&made_up(), &joined(how)).await;
        let value = value(&points, "system.disk.operations", "direction=read");
        assert!((value - read).abs() < 1e-9, "{how}: {value}");
        assert_eq!(values(&points, "system.disk.operations").len(), 2);
        assert_eq!(values(&points, "system.disk.io_time").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn shares_of_time_come_with_the_second_scrape() {
    let folder = tempfile::tempdir().unwrap();
    let stat = |user: u64, idle: u64| {
        let text =
            format!("cpu 0\ncpu0 {user} 0 0 {idle} 0 0 0 0 0 0\nbtime 1700000000\nprocesses 1\n");
        std::fs::create_dir_all(folder.path().join("proc")).unwrap();
        std::fs::write(folder.path().join("proc/stat"), text).unwrap();
    };
    stat(100, 100);
    let text = "cpu: {metrics: {system.cpu.utilization: {enabled: true}}}";
    let mut rig = Rig::start(folder.path(), text).await;
    let points = rig.round().await;
    assert!(values(&points, "system.cpu.utilization").is_empty());
    stat(175, 125);
    let points = rig.round().await;
    let share = |state| {
        value(
            &points,
            "system.cpu.utilization",
            &format!("cpu=cpu0,state={state}"),
        )
    };
    assert!((share("user") - 0.75).abs() < 1e-9);
    assert!((share("idle") - 0.25).abs() < 1e-9);
    assert_eq!(values(&points, "system.cpu.utilization").len(), 8);
    rig.receiver.stop().await;
}
