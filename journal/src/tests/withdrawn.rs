//! Records that are delivered before they are written.

use std::sync::mpsc;
use std::time::Duration;

use super::{Process, small_segments};
use crate::committer::Command;
use crate::disk::memory::MemoryDisk;
use crate::{Fsync, Options};

/// The longest for which anything is held, and more.
const HELD: Duration = Duration::from_millis(60);

fn patient() -> Options {
    Options {
        group_commit: Duration::from_millis(50),
        ..small_segments()
    }
}

#[test]
fn what_was_delivered_in_time_is_never_written() {
    let mut process = Process::start(&MemoryDisk::default(), patient()).unwrap();
    let withdrawal = process.append_underway(1, &[500]);
    process.work();
    assert!(withdrawal.withdraw());
    std::thread::sleep(HELD);
    process.work();
    assert!(process.answers().is_empty());
    assert_eq!(process.log.unresolved(), 0);
    let counts = process.log.counts();
    let (appended, withdrawn) = (counts.appended_records, counts.withdrawn_records);
    assert_eq!((appended, withdrawn, counts.syncs), (0, 1, 0));
    assert!(process.after_close(patient()).all().is_empty());
}

#[test]
fn what_is_not_delivered_in_time_is_written() {
    let mut process = Process::start(&MemoryDisk::default(), patient()).unwrap();
    let withdrawal = process.append_underway(1, &[500]);
    process.work();
    assert!(process.answers().is_empty());
    std::thread::sleep(HELD);
    process.work();
    assert!(matches!(process.answers()[..], [(1, Ok(_))]));
    assert!(!withdrawal.withdraw());
    assert_eq!(process.after_kill(patient()).all(), [1]);
}

#[test]
fn nothing_is_held_that_is_usually_delivered_late_or_wants_a_sync_of_its_own() {
    let mut process = Process::start(&MemoryDisk::default(), patient()).unwrap();
    let _late = process.append_delivered_in(Duration::from_secs(1), 1, &[500]);
    process.work();
    assert!(matches!(process.answers()[..], [(1, Ok(_))]));
    let always = Options {
        fsync: Fsync::Always,
        ..patient()
    };
    let mut process = Process::start(&MemoryDisk::default(), always).unwrap();
    let _alone = process.append_underway(1, &[500]);
    process.work();
    assert!(matches!(process.answers()[..], [(1, Ok(_))]));
}

#[test]
fn flush_writes_what_is_held() {
    let mut process = Process::start(&MemoryDisk::default(), patient()).unwrap();
    let _held = process.append_underway(1, &[500]);
    let (sender, receiver) = mpsc::channel();
    let to = &process.journal.directory().sender;
    to.send(Command::Flush(sender)).unwrap();
    process.work();
    receiver.try_recv().unwrap();
    assert!(matches!(process.answers()[..], [(1, Ok(_))]));
}
