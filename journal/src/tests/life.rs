//! What a log does when nothing goes wrong.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{DIRECTORY, Process, draft, number_of, small_segments};
use crate::disk::memory::MemoryDisk;
use crate::{Draft, Fsync, Inspector, Journal, OpenError, Options, ReadError, Refused};

#[test]
fn many_threads_append_and_the_next_process_reads_all() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("queue");
    let journal = Journal::open(&path, small_segments()).unwrap();
    let log = journal.log("otlp-traces").unwrap();
    let (sender, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (log, sender) = (log.clone(), sender.clone());
            scope.spawn(move || {
                for number in 0..50 {
                    let sender = sender.clone();
                    let batch = draft(thread * 50 + number, &[100, 3_000]);
                    log.append(batch, move |answer| sender.send(answer).unwrap());
                }
            });
        }
    });
    drop(sender);
    let positions: BTreeSet<u64> = answers.iter().map(|one| one.unwrap().number()).collect();
    assert_eq!(positions.len(), 200);
    assert_eq!(log.unresolved(), 0);
    assert_eq!(log.counts().appended_records, 200);
    journal.close();
    let journal = Journal::open(&path, small_segments()).unwrap();
    let log = journal.log("otlp-traces").unwrap();
    let records: Vec<_> = log.replay().map(Result::unwrap).collect();
    let numbers: BTreeSet<u64> = records.iter().map(number_of).collect();
    assert_eq!(numbers, (0..200).collect());
    for record in records {
        let draft = draft(number_of(&record), &[100, 3_000]);
        assert_eq!(record.payload, draft.payload.concat());
        log.mark(record.position);
    }
    journal.flush();
    assert_eq!(log.extent().live_bytes, 0);
    assert_eq!(log.extent().segments, 1);
    assert_eq!(log.replay().count(), 0);
}

#[test]
fn records_that_come_close_together_share_a_sync_and_the_first_waits_for_nobody() {
    let place = tempfile::tempdir().unwrap();
    let options = Options {
        group_commit: Duration::from_secs(3),
        ..small_segments()
    };
    let journal = Journal::open(&place.path().join("queue"), options).unwrap();
    let log = journal.log("otlp-traces").unwrap();
    let (sender, answers) = mpsc::channel();
    let append = |number| {
        let sender = sender.clone();
        log.append(draft(number, &[100]), move |answer| {
            sender
                .send(answer.map(|position| position.number()))
                .unwrap();
        });
    };
    let since = std::time::Instant::now();
    append(0);
    answers.recv().unwrap().unwrap();
    assert!(since.elapsed() < Duration::from_secs(3));
    let before = log.counts().syncs;
    for number in 1..20 {
        append(number);
        std::thread::sleep(Duration::from_millis(5));
    }
    for _ in 1..20 {
        answers.recv().unwrap().unwrap();
    }
    assert_eq!(log.counts().syncs, before + 1);
}

/// A segment that a killed process left has no footer: only reading on tells what else is in it.
#[test]
fn what_is_marked_while_the_rest_is_unread_takes_nothing_with_it() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    for number in 0..15 {
        process.put(number, &[3_000]);
    }
    let mut next = process.after_kill(small_segments());
    let cursor = next.log.replay();
    let mut read = Vec::new();
    for record in cursor {
        let record = record.unwrap();
        read.push(number_of(&record));
        next.log.mark(record.position);
        // Everything that was found so far is dead.
        next.work();
    }
    assert_eq!(read, (0..15).collect::<Vec<_>>());
}

#[test]
fn files_are_for_their_owner_alone() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("queue");
    let journal = Journal::open(&path, Options::default()).unwrap();
    let log = journal.log("otlp-logs").unwrap();
    let (sender, answer) = mpsc::channel();
    log.append(draft(1, &[10]), move |one| sender.send(one).unwrap());
    log.mark(answer.recv().unwrap().unwrap());
    journal.flush();
    let mut seen = 0;
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        let about = std::fs::metadata(&path).unwrap();
        let mode = about.permissions().mode() & 0o777;
        assert_eq!(mode, if about.is_dir() { 0o700 } else { 0o600 }, "{path:?}");
        if about.is_dir() {
            left.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        seen += 1;
    }
    // The directory, its lock, the log, its identity, flights, a segment and its marks.
    assert_eq!(seen, 7);
}

#[test]
fn two_processes_never_share_a_directory() {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::open(place.path(), Options::default()).unwrap();
    let log = journal.log("otlp-logs").unwrap();
    let held = Journal::open(place.path(), Options::default()).unwrap_err();
    let holder = std::process::id().to_string();
    assert!(
        matches!(&held, OpenError::Held { holder: by, .. } if *by == holder),
        "{held}"
    );
    assert!(Inspector::open(place.path()).is_err());
    journal.close();
    // A handle that outlives its journal holds nothing.
    let again = Journal::open(place.path(), Options::default()).unwrap();
    log.append(draft(1, &[1]), |answer| {
        assert!(matches!(answer, Err(Refused::Closed)))
    });
    drop(again);
}

#[test]
fn a_log_is_open_once() {
    let process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let again = process.journal.log(process.log.name());
    assert!(matches!(again, Err(OpenError::Claimed { .. })));
    assert!(matches!(
        process.journal.log(""),
        Err(OpenError::Name { .. })
    ));
}

#[test]
fn a_log_that_was_let_go_is_opened_again_as_it_was() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process.put(1, &[100]);
    let name = process.log.name().to_owned();
    let Process { journal, log, .. } = process;
    drop(log);
    assert_eq!(journal.unclaimed().unwrap().len(), 1);
    let again = journal.log(&name).unwrap();
    let found: Vec<u64> = again
        .scan(0, u64::MAX)
        .map(|one| number_of(&one.unwrap()))
        .collect();
    assert_eq!(found, [1]);
    assert_eq!(journal.unclaimed().unwrap(), []);
}

#[test]
fn the_log_of_a_removed_exporter_is_kept_and_reported() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process.put(1, &[100]);
    let disk = process.disk.after_kill();
    let (journal, _committer) =
        Journal::unattended(Arc::new(disk), Path::new(DIRECTORY), small_segments()).unwrap();
    let unclaimed = journal.unclaimed().unwrap();
    assert_eq!(unclaimed.len(), 1);
    assert_eq!(unclaimed[0].name, "otlp/edge-traces");
    assert!(unclaimed[0].bytes > 0);
    assert_eq!(journal.used(), unclaimed[0].bytes);
    let _log = journal.log("otlp/edge-traces").unwrap();
    assert_eq!(journal.unclaimed().unwrap(), []);
}

#[test]
fn marks_survive_a_kill_and_spent_segments_go() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let positions: Vec<_> = (0..20)
        .map(|number| process.put(number, &[10_000]))
        .collect();
    assert!(process.log.extent().segments > 2);
    for position in &positions[..19] {
        assert!(process.log.mark(*position));
        assert!(!process.log.mark(*position), "marked twice");
    }
    process.work();
    assert_eq!(process.log.extent().segments, 1);
    let next = process.after_kill(small_segments());
    assert_eq!(next.all(), [19]);
    assert!(matches!(next.log.read(positions[0]), Err(ReadError::Gone)));
}

#[test]
fn numbers_are_never_used_again() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let mut last = 0;
    for number in 0..5 {
        let position = process.put(number, &[10]);
        assert!(position.number() > last);
        last = position.number();
        process.log.mark(position);
        process.work();
        process = process.after_close(small_segments());
        process.work();
        assert_eq!(process.all(), []);
    }
    // Room of what is spent is given back, but for the name of the last segment.
    assert_eq!(process.log.extent().segments, 1);
    assert_eq!(process.log.extent().bytes, 64);
}

#[test]
fn one_stuck_record_does_not_pin_its_segment() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let positions: Vec<_> = (0..200)
        .map(|number| process.put(number, &[1_000]))
        .collect();
    let full = process.journal.used();
    for (number, position) in positions.iter().enumerate() {
        if number % 50 != 7 {
            process.log.mark(*position);
        }
    }
    for _ in 0..10 {
        process.work();
    }
    assert!(process.log.counts().rewritten_segments > 1);
    assert!(process.journal.used() < full / 2);
    // Positions from before the rewrite still lead to their records, also when killed now.
    let record = process.log.read(positions[57]).unwrap();
    assert_eq!(number_of(&record), 57);
    assert_eq!(process.all(), [7, 57, 107, 157]);
    process.log.mark(positions[57]);
    process.work();
    let next = process.after_kill(small_segments());
    assert_eq!(next.all(), [7, 107, 157]);
}

#[test]
fn a_cursor_goes_on_where_more_was_appended() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let first = process.put(1, &[100]);
    let mut cursor = process.log.scan(first.number(), u64::MAX);
    assert_eq!(number_of(&cursor.next().unwrap().unwrap()), 1);
    assert!(cursor.next().is_none());
    for number in 2..12 {
        process.put(number, &[20_000]);
    }
    let rest: Vec<u64> = cursor
        .by_ref()
        .map(|one| number_of(&one.unwrap()))
        .collect();
    assert_eq!(rest, (2..12).collect::<Vec<_>>());
    assert!(cursor.next().is_none());
    assert_eq!(process.log.replay().count(), 0, "not of a former life");
}

#[test]
fn a_scan_gives_its_range() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let positions: Vec<_> = (0..12)
        .map(|number| process.put(number, &[20_000]))
        .collect();
    let range = process
        .log
        .scan(positions[3].number(), positions[9].number());
    let found: Vec<u64> = range.map(|one| number_of(&one.unwrap())).collect();
    assert_eq!(found, [3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_record_may_be_larger_than_a_segment_and_empty_ones_are_records() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process.put(1, &[]);
    let position = process.put(2, &[300_000, 0, 300_000]);
    process.put(3, &[0]);
    assert_eq!(process.log.read(position).unwrap().payload.len(), 600_000);
    let next = process.after_kill(small_segments());
    assert_eq!(next.all(), [1, 2, 3]);
}

#[test]
fn what_no_record_can_be_is_refused() {
    let process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let batch = Draft {
        context: vec![0; 70_000].into(),
        ..Draft::default()
    };
    let answers = process.answers.clone();
    process
        .log
        .append(batch, move |one| answers.lock().unwrap().push((0, one)));
    assert!(matches!(
        process.answers()[..],
        [(0, Err(Refused::TooLarge(70_000)))]
    ));
}

#[test]
fn every_record_has_its_own_sync_under_always() {
    let options = Options {
        fsync: Fsync::Always,
        ..small_segments()
    };
    let mut process = Process::start(&MemoryDisk::default(), options).unwrap();
    for number in 0..3 {
        process.append(number, &[100]);
    }
    process.work();
    assert_eq!(process.answers().len(), 3);
    assert_eq!(process.log.counts().syncs, 3);
}

#[test]
fn a_group_has_one_sync() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    for number in 0..30 {
        process.append(number, &[100]);
    }
    process.work();
    assert_eq!(process.answers().len(), 30);
    assert_eq!(process.log.counts().syncs, 1);
}

#[test]
fn interval_answers_when_written_and_survives_a_kill() {
    let options = Options {
        fsync: Fsync::Interval(Duration::from_secs(3_600)),
        ..small_segments()
    };
    let mut process = Process::start(&MemoryDisk::default(), options.clone()).unwrap();
    process.put(1, &[100]);
    assert_eq!(process.log.counts().syncs, 0);
    assert_eq!(process.all(), [1]);
    assert_eq!(process.after_kill(options).all(), [1]);
}

#[test]
fn two_logs_keep_apart() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let other = process.journal.log("otlp/edge-logs").unwrap();
    assert_ne!(process.log.id(), other.id());
    process.append(1, &[100]);
    process.append_to(&other, 2, &[100]);
    process.work();
    assert_eq!(process.all(), [1]);
    let found: Vec<u64> = other
        .scan(0, u64::MAX)
        .map(|one| number_of(&one.unwrap()))
        .collect();
    assert_eq!(found, [2]);
}

#[test]
fn an_inspection_counts_what_is_there_and_changes_nothing() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let positions: Vec<_> = (0..10)
        .map(|number| process.put(number, &[20_000]))
        .collect();
    process.log.mark(positions[9]);
    process.work();
    let disk = process.disk.after_kill();
    let before = disk.files();
    let inspector = Inspector::open_on(Arc::new(disk.clone()), Path::new(DIRECTORY)).unwrap();
    assert_eq!(inspector.logs().unwrap().len(), 1);
    let mut met = Vec::new();
    let report = inspector.read("otlp/edge-traces", |record| {
        met.push((record.number, record.items, record.payload.len()));
        Ok::<(), OpenError>(())
    });
    let report = report.unwrap();
    assert_eq!((report.live_records, report.marked_records), (9, 1));
    assert_eq!((report.damaged, report.torn, report.unreadable), (0, 0, 0));
    assert_eq!(report.live_bytes, 180_000);
    assert_eq!(met[3], (positions[3].number(), 4, 20_000));
    drop(inspector);
    assert_eq!(disk.files(), before);
    assert!(Inspector::open_on(Arc::new(MemoryDisk::default()), Path::new("/none")).is_err());
}
