//! The made-up host as the Collector's receiver tells of it: `tests/differential/host_metrics`.

use std::collections::BTreeMap;

use super::*;

/// Metrics that the Collector reads of the host at hand, whatever `root_path` says: their values
/// were those of another host, and some were not there.
const OF_ANOTHER_HOST: [&str; 12] = [
    "process.uptime",
    "system.cpu.frequency",
    "system.cpu.logical.count",
    "system.cpu.physical.count",
    "system.filesystem.inodes.usage",
    "system.filesystem.usage",
    "system.filesystem.utilization",
    "system.memory.page_size",
    "system.paging.usage",
    "system.paging.utilization",
    "system.processes.count",
    "system.uptime",
];
/// Those whose points differ from host to host, too.
const OTHER_POINTS: [&str; 3] = [
    "system.paging.usage",
    "system.paging.utilization",
    "system.processes.count",
];

/// A value by everything that says of what it is.
type Lines = BTreeMap<String, f64>;

fn golden(case: &str) -> Lines {
    let text = std::fs::read_to_string(file(case, "txt")).unwrap();
    let lines = text.lines().map(|line| {
        let (head, value) = line.rsplit_once(" | ").unwrap();
        (head.to_owned(), value.parse().unwrap())
    });
    lines.collect()
}

fn file(case: &str, extension: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential/host_metrics");
    folder.join(format!("{case}.{extension}"))
}

async fn ours(case: &str) -> Lines {
    let yaml = std::fs::read_to_string(file(case, "yaml")).unwrap();
    let text = format!("{yaml}root_path: {}\n", made_up().display());
    let (config, _) = tidegate_component::testing::findings::<Config>(&text);
    let build = BuildContext::detached("receiver", "host_metrics".parse().unwrap());
    let receiver = config.unwrap().receiver(&build).unwrap();
    let mut rig = Rig::run(receiver, build).await;
    let _ = rig.round().await;
    let points = rig.round().await;
    rig.receiver.stop().await;
    let lines = points.into_iter().map(|point| {
        let scope = point
            .scope
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let number = if point.is_int { "int" } else { "double" };
        let head = [
            scope.as_str(),
            &point.metric,
            &point.unit,
            point.kind,
            number,
            &point.description,
            &point.resource,
            &point.attributes,
        ];
        (head.join(" | "), point.value)
    });
    lines.collect()
}

fn metric(line: &str) -> &str {
    line.split(" | ").nth(1).unwrap()
}

/// What ours must be where the Collector has this value.
fn expected(metric: &str, theirs: f64) -> f64 {
    match metric {
        // It multiplies counts by the size of a page.
        "system.paging.faults" | "system.paging.operations" => theirs / 4096.0,
        // It gives the set of signals for their number.
        "process.signals_pending" => f64::from((theirs as u64).count_ones()),
        _ => theirs,
    }
}

async fn compare(case: &str) {
    let (theirs, ours) = (golden(case), ours(case).await);
    let mut differences = Vec::new();
    let names = |lines: &Lines| -> std::collections::BTreeSet<String> {
        lines.keys().map(|line| metric(line).to_owned()).collect()
    };
    for name in names(&theirs).difference(&names(&ours)) {
        differences.push(format!("there is no {name}"));
    }
    for (line, value) in &theirs {
        let name = metric(line);
        if OTHER_POINTS.contains(&name) {
            continue;
        }
        let value = expected(name, *value);
        match ours.get(line) {
            None => differences.push(format!("there is no {line}")),
            Some(_) if OF_ANOTHER_HOST.contains(&name) => {}
            Some(our) if (our - value).abs() <= value.abs() * 1e-12 => {}
            Some(our) => differences.push(format!("{line} is {our}, not {value}")),
        }
    }
    for line in ours.keys().filter(|line| !theirs.contains_key(*line)) {
        // It looks for the threads of a process among processes, where a made-up host has none.
        let of_threads = metric(line) == "process.context_switches" && line.contains("=15,");
        if !of_threads && !OTHER_POINTS.contains(&metric(line)) {
            differences.push(format!("there is {line}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn defaults_equal_those_of_the_collector() {
    compare("default").await;
}

#[tokio::test(start_paused = true)]
async fn everything_equals_what_the_collector_makes() {
    compare("all").await;
}
