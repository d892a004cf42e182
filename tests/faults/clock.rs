//! The wall clock jumps, under way and between two lives.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::clients::Pattern;
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::{rounds, system};

const HOUR: i64 = 3_600;

/// Jumps in seconds, one after the other: back, far back, to before 1970, and home again.
const JUMPS: [i64; 5] = [
    -HOUR,
    -10 * 365 * 24 * HOUR,
    -60 * 365 * 24 * HOUR,
    -2 * HOUR,
    0,
];

fn set(file: &Path, shift: i64) {
    let options = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(file);
    let file = options.expect("the file can be opened");
    file.write_all_at(&shift.to_ne_bytes(), 0)
        .expect("it can be written");
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    for mode in Mode::ALL {
        jumping(mode);
    }
}

fn jumping(mode: Mode) {
    let mut plan = Plan::new(mode);
    plan.shutdown = "300ms";
    let mut rig = Rig::new(plan);
    let file = rig.directory.path().join("shift");
    let shim = system::library("tests/faults/clock.c", rig.directory.path());
    set(&file, 0);
    rig.environment = [("SHIFT_FILE", &file), ("LD_PRELOAD", &shim)]
        .map(|(key, path)| (key.to_owned(), path.display().to_string()))
        .into();
    rig.start();
    let load = rig.load(&Pattern::default());
    let few = rounds(1, 6);
    let mut ledgers = Vec::new();
    for _ in 0..few {
        for jump in JUMPS {
            rig.sink.down();
            std::thread::sleep(Duration::from_millis(100));
            set(&file, jump);
            std::thread::sleep(Duration::from_millis(300));
            if mode == Mode::Storage {
                ledgers.push(rig.terminate().ledger);
                rig.start();
            }
            rig.sink.up();
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    load.stop();
    let audit = rig.drain(Duration::from_secs(60));
    let ended = rig.terminate();
    ledgers.push(ended.ledger);
    let finding = Finding::new("clock", mode, few * JUMPS.len() as u64, &audit);
    ledgers.iter().fold(finding, Finding::ledger).judge();
}
