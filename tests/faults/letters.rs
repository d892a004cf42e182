//! Dead letters: what the backend rejects for good is kept in files, item by item, whatever becomes of the
//! process.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clients::Pattern;
use crate::ledger::Ledger;
use crate::rig::{Mode, Plan, Rig};
use crate::sink::Answer;
use crate::{rounds, some_time};

/// One item in so many is rejected by the backend.
const POISON: u64 = 97;

const PATIENCE: Duration = Duration::from_secs(120);

fn plan(mode: Mode) -> Plan {
    let (queue, storage, extensions) = match mode {
        Mode::Storage => (
            "storage: file_storage",
            "file_storage: {directory: queue, create_directory: true}",
            "admin, file_storage",
        ),
        _ => ("queue_size: 100000", "", "admin"),
    };
    let delivery = format!(
        "compression: none, tls: {{insecure: true}}, sending_queue: {{{queue}}}, on_permanent_error: file/letters, \
         retry_on_failure: {{initial_interval: 20ms, max_interval: 100ms, max_elapsed_time: 0s}}"
    );
    let pipeline = "{receivers: [otlp], processors: [batch], exporters: [otlp_grpc]}";
    Plan::whole(
        mode,
        format!(
            "
extensions:
  admin: {{endpoint: '{{admin}}'}}
  {storage}
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{{grpc}}'}}, http: {{endpoint: '{{http}}'}}}}}}}}
processors: {{batch: {{timeout: 50ms, send_batch_size: 100, send_batch_max_size: 100}}}}
exporters:
  otlp_grpc: {{endpoint: '{{sink}}', {delivery}}}
  file/letters: {{path: letters.jsonl, append: true}}
service:
  extensions: [{extensions}]
  shutdown_timeout: 20s
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {pipeline}, metrics: {pipeline}, logs: {pipeline}}}
"
        ),
    )
}

/// A backend that rejects some items for good, and every request that has one of them.
fn picky(rig: &Rig) {
    rig.sink.script(|call| {
        let poisoned = call.numbers.iter().any(|number| number % POISON == 0);
        match poisoned {
            true => Answer::Invalid,
            false => Answer::Take,
        }
    });
}

/// The numbers in a file of OTLP/JSON lines; half a line that a death left is none.
fn numbers(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut numbers = Vec::new();
    lines.for_each(|line: Value| collect(&line, &mut numbers));
    numbers
}

fn collect(value: &Value, numbers: &mut Vec<u64>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| collect(value, numbers)),
        Value::Object(map) => {
            for (key, value) in map {
                match (&**key, value) {
                    ("spanId", Value::String(id)) => {
                        numbers.push(u64::from_str_radix(id, 16).expect("an ID in hex"));
                    }
                    ("asInt", Value::String(point)) => {
                        numbers.push(point.parse().expect("a whole number"));
                    }
                    _ => collect(value, numbers),
                }
            }
        }
        _ => {}
    }
}

/// Waits until the collector holds nothing.
fn settle(rig: &Rig) -> Ledger {
    let start = Instant::now();
    loop {
        if let Some(ledger) = rig
            .ledger()
            .filter(|ledger| ledger.held() == 0 && ledger.balanced())
        {
            return ledger;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "it holds data: {:?}",
            rig.ledger()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every item that was acknowledged is at the backend or in the file, and none that the backend takes alone
/// is in the file.
fn audit(rig: &Rig) -> Vec<u64> {
    let start = Instant::now();
    let (letters, kept) = loop {
        let letters = numbers(&rig.directory.path().join("letters.jsonl"));
        let kept: BTreeSet<u64> = letters.iter().copied().collect();
        let rejected: BTreeSet<u64> = rig.books.rejected().into_iter().collect();
        let missing = rig.books.missing();
        // A process that dies over what it has not acknowledged owes nothing of it, though it may have
        // tried to deliver it: that does not wait for the disk.
        let owed: BTreeSet<u64> = rig.books.rejected_and_acknowledged().into_iter().collect();
        let is_whole = owed.is_subset(&kept) && kept.is_subset(&rejected);
        if missing.is_empty() && !rejected.is_empty() && is_whole {
            break (letters, kept);
        }
        // What a life left is in no ledger before it is read.
        let late = start.elapsed() > PATIENCE;
        assert!(
            !late,
            "acknowledged and nowhere: {missing:?}; {kept:?} kept of {rejected:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(kept.iter().all(|number| number % POISON == 0), "{kept:?}");
    letters
}

#[test]
fn every_item_is_at_the_backend_or_in_the_file_of_dead_letters() {
    for mode in [Mode::Memory, Mode::Storage] {
        let mut rig = Rig::running(plan(mode));
        picky(&rig);
        let load = rig.load(&Pattern::default());
        std::thread::sleep(Duration::from_millis(1500));
        load.stop();
        settle(&rig);
        let letters = audit(&rig);
        let ended = rig.terminate();
        let ledger = &ended.ledger;
        assert!(ledger.balanced(), "{ledger:?}");
        assert_eq!(ledger.dropped_items(), 0, "{ledger:?}");
        let (mut gave, mut kept) = (0, 0);
        for signal in ["traces", "metrics", "logs"] {
            gave += ledger.row("otlp_grpc", signal).out;
            kept += ledger.row("file/letters", signal).consumed;
        }
        assert_eq!((gave, kept), (letters.len() as u64, letters.len() as u64));
        assert_eq!(
            ledger.taken(),
            ledger.delivered(),
            "to the item: {ledger:?}"
        );
        let told = format!("{kept} became dead letters, 0 were dropped by decision, 0 were lost");
        assert!(ended.log.contains(&told), "{}", ended.log);
    }
}

#[test]
fn dead_letters_of_a_queue_on_disk_outlive_kills() {
    let mut rig = Rig::running(plan(Mode::Storage));
    picky(&rig);
    let load = rig.load(&Pattern::default());
    for _ in 0..rounds(4, 30) {
        std::thread::sleep(some_time(100..500));
        rig.kill();
        rig.start();
    }
    load.stop();
    settle(&rig);
    audit(&rig);
    let ledger = rig.terminate().ledger;
    assert!(ledger.balanced(), "{ledger:?}");
    assert_eq!(ledger.dropped_items(), 0, "{ledger:?}");
}
