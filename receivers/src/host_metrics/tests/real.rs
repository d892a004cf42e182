//! The host at hand, beside what other tools say of it.

use std::process::Command;

use super::*;

async fn of_this(scraper: &str) -> Vec<Point> {
    first(Path::new("/"), scraper).await.0
}

#[tokio::test(start_paused = true)]
async fn file_systems_are_as_full_as_df_says() {
    let points = of_this("filesystem: ").await;
    let usage = values(&points, "system.filesystem.usage");
    let Some((of, _)) = usage.iter().find(|(of, _)| of.contains("mountpoint=/,")) else {
        // A host whose root is on no device.
        assert!(
            !std::fs::read_to_string("/proc/1/mounts")
                .unwrap_or_default()
                .contains("/dev/")
        );
        return;
    };
    let of = of.rsplit_once(',').unwrap().0.to_owned();
    let df = Command::new("df")
        .args(["-B1", "--output=size,used,avail,source", "/"])
        .output()
        .unwrap();
    let df = String::from_utf8(df.stdout).unwrap();
    let columns: Vec<&str> = df.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(of.contains(&format!("device={}", columns[3])), "{of}: {df}");
    for (at, state) in [(1, "used"), (2, "free")] {
        let said: f64 = columns[at].parse().unwrap();
        let ours = value(
            &points,
            "system.filesystem.usage",
            &format!("{of},state={state}"),
        );
        // Others write to it meanwhile.
        assert!(
            (ours - said).abs() < said * 0.05 + 4e9,
            "{state}: {ours}, {said}"
        );
    }
    let whole: f64 = ["used", "free", "reserved"]
        .map(|state| {
            value(
                &points,
                "system.filesystem.usage",
                &format!("{of},state={state}"),
            )
        })
        .iter()
        .sum();
    let said: f64 = columns[0].parse().unwrap();
    assert!((whole - said).abs() < said * 0.01, "{whole}, {said}");
}

#[tokio::test(start_paused = true)]
async fn memory_and_load_are_what_the_kernel_says() {
    let points = of_this("memory: {metrics: {system.memory.limit: {enabled: true}}}").await;
    let total = tidegate_component::memory::total_memory().unwrap() as f64;
    let limit = value(&points, "system.memory.limit", "");
    assert!(limit >= total, "{limit}, {total}");
    let used = value(&points, "system.memory.usage", "state=used");
    assert!(used > 0.0 && used < limit, "{used}");
    let points = of_this("load: ").await;
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    let said: f64 = text.split_whitespace().nth(2).unwrap().parse().unwrap();
    let ours = value(&points, "system.cpu.load_average.15m", "");
    assert!((ours - said).abs() < 1.0, "{ours}, {said}");
}

#[tokio::test(start_paused = true)]
async fn every_cpu_and_interface_is_told_of() {
    let points = of_this("cpu: ").await;
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let cpus = stat.lines().filter(|line| line.starts_with("cpu")).count() - 1;
    assert_eq!(values(&points, "system.cpu.time").len(), cpus * 8);
    let points = of_this("network: ").await;
    let dev = std::fs::read_to_string("/proc/net/dev").unwrap();
    let interfaces = dev.lines().skip(2).count();
    assert_eq!(values(&points, "system.network.io").len(), interfaces * 2);
}

#[tokio::test(start_paused = true)]
async fn this_process_is_among_those_told_of() {
    let points = of_this("process: {mute_process_exe_error: true}").await;
    let pid = format!("process.pid={},", std::process::id());
    let ours: Vec<_> = points
        .iter()
        .filter(|point| point.resource.starts_with(&pid))
        .collect();
    let path = std::env::current_exe().unwrap();
    let path = format!("process.executable.path={}", path.display());
    assert!(ours[0].resource.contains(&path), "{}", ours[0].resource);
    let of = |metric: &str| {
        let found = ours.iter().filter(|point| point.metric == metric);
        found.map(|point| point.value).sum::<f64>()
    };
    let resident = tidegate_component::memory::resident_memory().unwrap() as f64;
    let told = of("process.memory.usage");
    assert!(
        told > resident / 4.0 && told < resident * 4.0,
        "{told}, {resident}"
    );
    assert!(of("process.memory.virtual") >= told);
    assert!(of("process.disk.io") > 0.0);
    // It was started before it was scraped, and after the host.
    assert!(
        ours.iter()
            .all(|point| point.start > 0 && point.start <= point.time + 1_000_000_000)
    );
}
