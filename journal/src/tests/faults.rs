//! Disks that are full, that fail, that go away; clocks that jump; records that kill.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{DIRECTORY, Process, number_of, small_segments};
use crate::disk::memory::{Faults, MemoryDisk};
use crate::{Journal, Options, Position, ReadError, Refused};

fn full() -> Faults {
    Faults {
        capacity: Some(0),
        ..Faults::default()
    }
}

/// Takes the pause away after which a full disk is looked at again.
fn look_again(process: &Process) {
    process.log.state.set_full(false);
}

#[test]
fn a_full_disk_refuses_appends_while_deliveries_go_on_and_recovers() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let positions: Vec<_> = (0..3)
        .map(|number| process.put(number, &[20_000]))
        .collect();
    process.disk.set_faults(full());
    process.append(3, &[20_000]);
    process.work();
    let answers = process.answers();
    assert!(
        matches!(answers[..], [(3, Err(Refused::Full(_)))]),
        "{answers:?}"
    );
    assert!(!process.log.has_room());
    // What is in the segment's room already is not in the way of smaller records.
    process.put(4, &[10]);
    for position in &positions {
        assert!(process.log.read(*position).is_ok());
        process.log.mark(*position);
    }
    process.work();
    process.disk.set_faults(Faults::default());
    look_again(&process);
    process.put(5, &[20_000]);
    assert!(process.log.has_room());
    assert_eq!(process.all(), [4, 5]);
}

#[test]
fn one_log_without_room_does_not_hold_up_another() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let other = process.journal.log("otlp/edge-logs").unwrap();
    process.append_to(&other, 1, &[100]);
    process.work();
    process.disk.set_faults(full());
    process.append(2, &[100]);
    process.append_to(&other, 3, &[100]);
    process.work();
    let answers = process.answers();
    assert!(
        matches!(
            answers[..],
            [(1, Ok(_)), (2, Err(Refused::Full(_))), (3, Ok(_))]
        ),
        "{answers:?}"
    );
}

#[test]
fn a_disk_that_is_full_at_the_start_still_gives_out_what_it_has() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process.put(1, &[100]);
    let disk = process.disk.after_kill();
    disk.set_faults(full());
    let mut next = Process::start(&disk, small_segments()).unwrap();
    let record = next.log.replay().next().unwrap().unwrap();
    assert_eq!(number_of(&record), 1);
    next.append(2, &[100]);
    next.work();
    assert!(matches!(next.answers()[..], [(2, Err(Refused::Full(_)))]));
}

#[test]
fn max_size_refuses_until_something_is_delivered() {
    let options = Options {
        max_size: Some(512 << 10),
        ..small_segments()
    };
    let mut process = Process::start(&MemoryDisk::default(), options).unwrap();
    let mut positions = Vec::new();
    for number in 0.. {
        process.append(number, &[20_000]);
        process.work();
        match process.answers().pop().unwrap().1 {
            Ok(position) => positions.push(position),
            Err(why) => {
                assert!(matches!(why, Refused::Full(_)), "{why}");
                break;
            }
        }
    }
    assert!(positions.len() >= 20, "{}", positions.len());
    assert!(process.journal.used() <= 512 << 10);
    for position in &positions[..6] {
        process.log.mark(*position);
    }
    process.work();
    look_again(&process);
    process.put(100, &[20_000]);
}

#[test]
fn a_failed_sync_refuses_what_it_stood_for_and_ends_the_segment() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let first = process.put(1, &[100]);
    process.disk.set_faults(Faults {
        syncs_fail: true,
        ..Faults::default()
    });
    process.append(2, &[100]);
    process.append(3, &[100]);
    process.work();
    let answers = process.answers();
    assert!(
        matches!(
            answers[..],
            [(2, Err(Refused::Failed(_))), (3, Err(Refused::Failed(_)))]
        ),
        "{answers:?}"
    );
    assert_eq!(process.log.counts().failed_syncs, 1);
    process.disk.set_faults(Faults::default());
    let later = process.put(4, &[100]);
    assert!(
        later.number() >> 32 > first.number() >> 32,
        "the same segment"
    );
    assert_eq!(process.all(), [1, 4]);
    // The segment was not synced again: what was refused is lost with the power.
    let lost = process.disk.after_power_loss(&mut || false);
    assert_eq!(
        Process::start(&lost, small_segments()).unwrap().all(),
        [1, 4]
    );
    // What was refused does not come back after a kill either.
    assert_eq!(process.after_kill(small_segments()).all(), [1, 4]);
}

#[test]
fn a_directory_that_is_removed_is_told_and_not_written_into_the_void() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("queue");
    let (journal, mut committer) =
        Journal::unattended(Arc::new(crate::disk::OsDisk), &path, small_segments()).unwrap();
    let log = journal.log("otlp-traces").unwrap();
    let (sender, answers) = std::sync::mpsc::channel();
    let mut put = |number| {
        let sender = sender.clone();
        log.append(super::draft(number, &[100]), move |one| {
            sender.send(one).unwrap()
        });
        committer.turn(false);
        answers.recv().unwrap()
    };
    assert!(put(1).is_ok());
    std::fs::remove_dir_all(&path).unwrap();
    assert!(matches!(put(2), Err(Refused::Gone)));
    assert!(matches!(put(3), Err(Refused::Gone)));
    // One that somebody made anew is not ours: nobody keeps others out of it.
    std::fs::create_dir_all(path.join("otlp-traces")).unwrap();
    assert!(matches!(put(4), Err(Refused::Gone)));
}

#[test]
fn records_that_are_too_old_are_dropped_and_counted() {
    let mut process = Process::start(&MemoryDisk::default(), at(1_000_000)).unwrap();
    process.put(1, &[100]);
    let options = Options {
        max_age: Some(Duration::from_secs(60)),
        ..at(1_030_000)
    };
    let mut next = process.after_kill(options.clone());
    assert_eq!(next.all(), [1]);
    next.put(2, &[100]);
    let late = next.after_kill(Options {
        wall: || 1_080_000,
        ..options
    });
    assert_eq!(late.all(), [2]);
    let counts = late.log.counts();
    assert_eq!((counts.expired_records, counts.expired_items), (1, 2));
}

fn at(now: u64) -> Options {
    let wall = match now {
        1_000_000 => || 1_000_000,
        _ => || 1_030_000,
    };
    Options {
        wall,
        ..small_segments()
    }
}

#[test]
fn a_clock_that_jumps_backwards_ages_nothing() {
    let options = Options {
        max_age: Some(Duration::from_secs(60)),
        ..at(1_000_000)
    };
    let mut process = Process::start(&MemoryDisk::default(), options.clone()).unwrap();
    process.put(1, &[100]);
    let mut next = process.after_kill(Options {
        wall: || 5,
        ..options.clone()
    });
    let record = next.log.replay().next().unwrap().unwrap();
    assert_eq!(record.age, Duration::ZERO);
    next.put(2, &[100]);
    assert_eq!(next.all(), [1, 2]);
}

#[test]
fn a_record_that_is_in_flight_at_three_deaths_is_quarantined() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process.put(1, &[100]);
    let deadly = process.put(2, &[100]);
    for deaths in 0..3 {
        let records: Vec<_> = process.log.scan(0, u64::MAX).map(Result::unwrap).collect();
        assert_eq!(records[1].deaths, deaths);
        // What ended before the death is not suspected.
        drop(process.log.fly(records[0].position));
        let flight = process.log.fly(deadly);
        let next = process.after_kill(small_segments());
        drop(flight);
        process = next;
    }
    assert_eq!(process.all(), [1]);
    process.work();
    let counts = process.log.counts();
    assert_eq!((counts.deadly_records, counts.deadly_items), (1, 3));
    assert!(matches!(process.log.read(deadly), Err(ReadError::Gone)));
    let next = process.after_kill(small_segments());
    assert_eq!(next.all(), [1]);
    assert_eq!(next.log.counts().deadly_records, 0, "counted once");
    assert!(next.file(".bytes").starts_with(Path::new(DIRECTORY)));
}

/// A life that ends in a death with these records in flight, and the one behind it.
fn die_with(process: Process, flying: &[Position]) -> Process {
    let flights: Vec<_> = flying.iter().map(|at| process.log.fly(*at)).collect();
    let next = process.after_kill(small_segments());
    drop(flights);
    next
}

fn deaths(process: &Process) -> Vec<u32> {
    let records = process.log.scan(0, u64::MAX).map(Result::unwrap);
    records.map(|record| record.deaths).collect()
}

#[test]
fn deaths_in_company_make_suspects_and_condemn_nobody() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let flying = [1, 2, 3].map(|record| process.put(record, &[100]));
    for _ in 0..10 {
        process = die_with(process, &flying);
        assert_eq!(deaths(&process), [1, 1, 1]);
    }
    // Alone, each further death counts for the one that was in flight.
    process = die_with(process, &flying[1..2]);
    assert_eq!(deaths(&process), [1, 2, 1]);
    process = die_with(process, &flying);
    assert_eq!(deaths(&process), [1, 2, 1]);
    process = die_with(process, &flying[1..2]);
    assert_eq!(process.all(), [1, 3]);
}

#[test]
fn record_whose_attempt_the_process_outlived_begins_anew() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let record = process.put(1, &[100]);
    for _ in 0..5 {
        for deaths in 1..3 {
            process = die_with(process, &[record]);
            assert_eq!(self::deaths(&process), [deaths]);
        }
        drop(process.log.fly(record));
        process.log.outlived(record);
        assert_eq!(deaths(&process), [0]);
        process = die_with(process, &[]);
        assert_eq!(deaths(&process), [0], "it is written down");
    }
}

#[test]
fn an_orderly_end_suspects_nothing() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let position = process.put(1, &[100]);
    for _ in 0..4 {
        let flight = process.log.fly(position);
        process = process.after_close(small_segments());
        drop(flight);
    }
    let record = process.log.replay().next().unwrap().unwrap();
    assert_eq!(record.deaths, 0);
}

#[test]
fn the_one_who_is_told_may_panic() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process
        .log
        .append(super::draft(1, &[100]), |_| panic!("on purpose"));
    process.append(2, &[100]);
    process.work();
    assert!(matches!(process.answers()[..], [(2, Ok(_))]));
    assert_eq!(process.all(), [1, 2]);
}

#[test]
fn appends_that_nobody_writes_any_more_are_refused() {
    let process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process.append(1, &[100]);
    drop(process.committer);
    let answers = std::mem::take(&mut *process.answers.lock().unwrap());
    assert!(matches!(answers[..], [(1, Err(Refused::Closed))]));
    assert_eq!(process.log.unresolved(), 0);
}
