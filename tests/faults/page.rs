//! `docs/reliability.md`, written from what the last whole run found.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::finding::Finding;
use crate::promises::{FAULTS, Fault, Promise};
use crate::rig::Mode;
use crate::support::repository;

const PAGE: &str = "docs/reliability.md";
const RESULTS: &str = "tests/faults/results.jsonl";

const HEAD: &str = "\
# Reliability

What is promised in which mode, and what was found when it was tried. The tables are written by the tests of
`tests/faults`, from the findings that their runs leave in `tests/faults/results.jsonl`; nothing in them was typed.

## What is promised

| Mode | Configured by | An acknowledgement says | Lost at worst |
|---|---|---|---|
| storage | `sending_queue.storage` | it is on disk, synced | what the disk itself loses |
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

## What was found
";

const FOOT: &str = "
## Run it

```sh
tests/setup toxiproxy strace nftables   # what some faults need; without it, their rows say so
tests/faults/run                        # all rounds, then this page
cargo test --test faults                # a few rounds of each, as in CI
```

`TIDEGATE_BINARY` names another binary to try, a release build for instance.

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

fn render(lines: &str) -> String {
    let rows = gathered(lines);
    let mut page = HEAD.to_owned();
    page.push_str(
        "\n| Fault | Mode | Promise | Rounds | Acknowledged | Lost | Duplicated | Ledger | |\n\
         |---|---|---|--:|--:|--:|--:|---|---|\n",
    );
    for fault in FAULTS {
        for (mode, promise) in fault.promises {
            let key = (fault.id.to_owned(), mode.name().to_owned());
            let found = rows.get(&key);
            let found = found.unwrap_or_else(|| panic!("{} {} was not run", fault.id, key.1));
            line(&mut page, fault, *mode, *promise, found);
        }
    }
    page.push_str(FOOT);
    page
}

fn line(page: &mut String, fault: &Fault, mode: Mode, promise: Promise, found: &Finding) {
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

/// The findings are written by `tests/faults/run`, which also asks for the page.
#[test]
fn the_page_says_what_the_last_whole_run_found() {
    let lines = std::fs::read_to_string(repository(RESULTS)).unwrap_or_default();
    if lines.is_empty() {
        return;
    }
    let page = render(&lines);
    if std::env::var_os("TIDEGATE_FAULTS_PAGE").is_some() {
        std::fs::write(repository(PAGE), page).expect("the page can be written");
        return;
    }
    let written = std::fs::read_to_string(repository(PAGE)).expect("the page is there");
    assert!(
        written == page,
        "{PAGE} is not what {RESULTS} makes; run tests/faults/run, or with TIDEGATE_FAULTS_PAGE=1 this test"
    );
}
