//! `docs/reliability.md`, written from what the last whole run found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::finding::Finding;
use crate::promises::{FAULTS, Fault, Promise};
use crate::rig::Mode;
use crate::support::repository;

const PAGE: &str = "docs/reliability.md";
const RESULTS: &str = "tests/faults/results.jsonl";
/// Names the file of what a run found, and asks for the page.
const FRESH: &str = "TIDEGATE_FAULTS_FRESH";

const HEAD: &str = "\
# Reliability

What is promised in which mode, and what was found when it was tried. The tables are written by the tests of
`tests/faults`, from the findings that their runs leave in `tests/faults/results.jsonl`; nothing in them was typed.

## What is promised

| Mode | Configured by | An acknowledgement says | Lost at worst |
|---|---|---|---|
| storage | `sending_queue.storage` | it is on disk, synced, or the backend has it | what the disk itself loses |
| wait_for_result | `sending_queue.wait_for_result: true` | the backend has it | nothing |
| memory | neither | it is in memory | what is held when the process is killed; all else that is not delivered is in the ledger |

Delivery is *at least once*: when an answer of the backend is lost, or a process dies between a delivery and its mark, the
items are sent again. An item that the backend rejects for good is in the ledger, in every mode.

## How it is tried

Clients on the generated OTLP services, over gRPC and HTTP, send spans, log records and data points that carry numbers,
none of them twice, and keep the numbers that were acknowledged. A scripted backend keeps the numbers that arrive. After
the fault the backend is well again, the collector drains, and the sets are compared: *lost* was acknowledged and did not
arrive, nor was it rejected by the backend; *duplicated* arrived again; what was invented would fail the run. *Ledger* says
whether the two sides of every edge are equal in every life of the process that could state its ledger, and whether what
came in arrived or is in it with a reason. Everything runs in real processes on loopback.

Where objects are the end, they are read back in place of the backend: *lost* is in no object, *duplicated* in a second
one. What a put left that was begun and not completed is no object.

## What was found
";

const FOOT: &str = "
## Run it

```sh
tests/setup                   # programs that some faults need; without them, their rows say so
tests/faults/run              # all rounds of a release build, then this page
tests/faults/run objects::    # only these tests: their rows take the place of older ones
cargo test --test faults      # a few rounds of each, as in CI
```

`TIDEGATE_BINARY` names another binary to try.

What needs a file system that forgets unsynced writes, and so cannot be tried with a process, is tried in `journal`: a
model on a file system in memory that crashes at every write (`docs/disk-queue.md`).
";

/// Findings of one row together: a scenario may add several.
fn gathered(lines: &str) -> BTreeMap<(String, String), Finding> {
    let mut rows: BTreeMap<_, Finding> = BTreeMap::new();
    for line in lines.lines() {
        let found: Finding = serde_json::from_str(line).expect("a finding");
        let key = (found.fault.clone(), found.mode.clone());
        match rows.get_mut(&key) {
            None => {
                rows.insert(key, found);
            }
            Some(row) => merge(row, found),
        }
    }
    rows
}

fn merge(row: &mut Finding, found: Finding) {
    row.rounds += found.rounds;
    row.acknowledged += found.acknowledged;
    row.lost += found.lost;
    row.duplicated += found.duplicated;
    row.rejected += found.rejected;
    for (reason, items) in found.ended {
        *row.ended.entry(reason).or_default() += items;
    }
    row.balanced = match (row.balanced, found.balanced) {
        (Some(one), Some(other)) => Some(one && other),
        (one, other) => one.or(other),
    };
    for (into, text) in [
        (&mut row.note, found.note),
        (&mut row.skipped, found.skipped),
    ] {
        if into.is_empty() {
            *into = text;
        }
    }
}

/// The findings of a run in place of those that were there for the same rows, in order.
fn replaced(old: &str, new: &str) -> String {
    let row = |line: &str| {
        let found: Finding = serde_json::from_str(line).expect("a finding");
        (found.fault, found.mode)
    };
    let fresh: BTreeSet<_> = new.lines().map(row).collect();
    let is_known = |key: &(String, String)| FAULTS.iter().any(|fault| fault.id == key.0);
    let kept = old.lines().filter(|line| {
        let key = row(line);
        is_known(&key) && !fresh.contains(&key)
    });
    let mut lines: Vec<_> = kept.chain(new.lines()).collect();
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The build that most findings are of.
fn usual_build(rows: &BTreeMap<(String, String), Finding>) -> &str {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for found in rows.values() {
        *counts.entry(&found.build).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map_or("", |(build, _)| build)
}

fn render(lines: &str) -> String {
    let rows = gathered(lines);
    let build = usual_build(&rows);
    let mut page = HEAD.to_owned();
    if rows.values().all(|found| found.build == build) {
        writeln!(page, "\nIn one run of one build: {build}.").expect("a string");
    } else {
        writeln!(
            page,
            "\nOf this build, but where another is named: {build}."
        )
        .expect("a string");
    }
    page.push_str(
        "\n| Fault | Mode | Promise | Rounds | Acknowledged | Lost | Duplicated | Ledger | |\n\
         |---|---|---|--:|--:|--:|--:|---|---|\n",
    );
    for fault in FAULTS {
        for (mode, promise) in fault.promises {
            let key = (fault.id.to_owned(), mode.name().to_owned());
            let found = rows.get(&key);
            let found = found.unwrap_or_else(|| panic!("{} {} was not run", fault.id, key.1));
            let other = Some(&*found.build).filter(|of| *of != build);
            line(&mut page, fault, *mode, *promise, found, other);
        }
    }
    page.push_str(FOOT);
    page
}

fn line(
    page: &mut String,
    fault: &Fault,
    mode: Mode,
    promise: Promise,
    found: &Finding,
    build: Option<&str>,
) {
    let (text, mode, promise) = (fault.text, mode.name(), promise.text());
    let start = format!("| {text} | {mode} | {promise} |");
    if !found.skipped.is_empty() {
        writeln!(page, "{start} | | | | | not run: {} |", found.skipped).expect("a string");
        return;
    }
    let ledger = match found.balanced {
        Some(true) => "balanced",
        Some(false) => "**not balanced**",
        None => "",
    };
    let mut notes = Vec::new();
    if found.rejected > 0 {
        notes.push(format!("the backend rejected {}", found.rejected));
    }
    if !found.ended.is_empty() {
        let reasons = found.ended.iter();
        let reasons = reasons.filter(|(_, items)| **items > 0);
        let reasons: Vec<_> = reasons
            .map(|(reason, items)| format!("{reason} {items}"))
            .collect();
        notes.push(format!("in the ledger: {}", reasons.join(", ")));
    }
    if !found.note.is_empty() {
        notes.push(found.note.clone());
    }
    if let Some(build) = build {
        notes.push(format!(
            "found with {}",
            if build.is_empty() {
                "an earlier build"
            } else {
                build
            }
        ));
    }
    let Finding {
        rounds,
        acknowledged,
        lost,
        duplicated,
        ..
    } = found;
    writeln!(
        page,
        "{start} {rounds} | {acknowledged} | {lost} | {duplicated} | {ledger} | {} |",
        notes.join("; ")
    )
    .expect("a string");
}

/// The findings are written by `tests/faults/run`, which also asks for the page, naming the file of what it
/// found.
#[test]
fn the_page_says_what_the_last_run_found() {
    let mut lines = std::fs::read_to_string(repository(RESULTS)).expect("there are findings");
    if let Some(fresh) = std::env::var_os(FRESH) {
        let fresh = std::fs::read_to_string(fresh).expect("the run's findings");
        lines = replaced(&lines, &fresh);
        std::fs::write(repository(RESULTS), &lines).expect("they can be kept");
        std::fs::write(repository(PAGE), render(&lines)).expect("the page can be written");
        return;
    }
    let page = render(&lines);
    let written = std::fs::read_to_string(repository(PAGE)).expect("the page is there");
    assert!(
        written == page,
        "{PAGE} is not what {RESULTS} makes; run tests/faults/run, or with {FRESH}=/dev/null this test"
    );
}

#[test]
fn a_run_replaces_the_rows_that_it_has_and_others_name_their_build() {
    let finding = |fault: &str, rounds, build: &str| {
        let found = Finding {
            fault: fault.to_owned(),
            mode: Mode::Storage.name().to_owned(),
            rounds,
            build: build.to_owned(),
            ..Finding::default()
        };
        serde_json::to_string(&found).expect("words and numbers") + "\n"
    };
    let old = [
        finding("kill", 5, "old"),
        finding("kill", 5, "old"),
        finding("restart", 2, "old"),
        finding("no-longer-there", 1, "old"),
    ];
    let new = finding("kill", 100, "new");
    let all = replaced(&old.concat(), &new);
    assert_eq!(all.lines().count(), 2, "{all}");
    let rows = gathered(&all);
    let rounds: Vec<_> = rows.values().map(|row| (row.rounds, &*row.build)).collect();
    assert_eq!(rounds, [(100, "new"), (2, "old")]);
}
