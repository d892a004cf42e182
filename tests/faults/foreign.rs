//! A client that is not ours: an application on the Python SDK, which keeps what it was told by itself.

use std::process::Command;
use std::time::Duration;

use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::rounds;
use crate::some_time;
use crate::support::peers::peer;
use crate::support::{Process, repository};

const SPANS: u64 = 3_000;

#[test]
fn what_the_python_sdk_was_told_is_taken_arrives_whatever_happens_to_the_collector() {
    for mode in [Mode::Storage, Mode::Delivered] {
        match peer("venv/bin/python") {
            Some(python) => application(&python, mode),
            None => Finding::skip("python", mode, "tests/setup python"),
        }
    }
}

fn application(python: &std::path::Path, mode: Mode) {
    let mut rig = Rig::running(Plan::new(mode));
    let few = rounds(1, 6);
    for round in 0..few {
        let (protocol, address) = match round % 2 {
            0 => ("grpc", &rig.ports.grpc),
            _ => ("http", &rig.ports.http),
        };
        let first = rig.books.issue(SPANS);
        let mut command = Command::new(python);
        command.arg(repository("tests/faults/python_app.py")).args([
            protocol,
            address,
            &first.to_string(),
            &SPANS.to_string(),
        ]);
        let mut app = Process::start("the application", &mut command);
        // It runs for three seconds and more.
        std::thread::sleep(some_time(1_000..2_000));
        rig.kill();
        rig.start();
        std::thread::sleep(some_time(300..800));
        rig.terminate();
        rig.start();
        let status = app.wait_end();
        assert!(status.success(), "{}", app.output());
        for line in app.output().lines() {
            // The SDK's own words on what it tried again stand between the numbers.
            if let Ok(number) = line.parse::<u64>() {
                rig.books.acknowledge(number..number + 1);
            }
        }
    }
    let audit = rig.drain(Duration::from_secs(60));
    let ledger = rig.terminate().ledger;
    Finding::new("python", mode, few, &audit)
        .ledger(&ledger)
        .note("the SDK sends again what it was not told about: duplicates may be its own")
        .judge();
}
