//! What becomes of the file of a segment that is delivered.

use super::{Process, number_of, small_segments};
use crate::disk::memory::MemoryDisk;

/// A batch of which a segment holds some twenty.
const BATCH: &[usize] = &[3_000];

/// A log whose first segment is full and delivered, and which goes on in the second.
fn one_delivered() -> Process {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let mut positions = Vec::new();
    for number in 0.. {
        positions.push(process.put(number, BATCH));
        if process.log.extent().segments == 2 {
            break;
        }
    }
    let last = positions.pop().unwrap();
    for position in positions {
        process.log.mark(position);
    }
    process.work();
    process.log.mark(last);
    process
}

fn has_spare(process: &Process) -> bool {
    let files = process.disk.files();
    files.iter().any(|(path, _)| path.ends_with("spare.tmp"))
}

/// Appends until the next segment is begun, and tells the numbers.
fn fill(process: &mut Process, from: u64) -> Vec<u64> {
    let segment = process.put(from, BATCH).segment;
    let mut numbers = vec![from];
    for number in from + 1.. {
        numbers.push(number);
        if process.put(number, BATCH).segment != segment {
            return numbers;
        }
    }
    numbers
}

#[test]
fn it_is_the_next_segments_file_and_room_is_counted_once() {
    let mut process = one_delivered();
    assert!(has_spare(&process));
    let before = process.journal.used();
    fill(&mut process, 100);
    assert!(!has_spare(&process));
    assert_eq!(process.journal.used(), before);
    assert_eq!(process.log.extent().segments, 2);
}

#[test]
fn nothing_of_what_it_held_comes_back_whatever_crashes() {
    for seed in 0..200_u64 {
        let mut process = one_delivered();
        let mut numbers = fill(&mut process, 100);
        // Some more, which lie over what was there before.
        for number in 0..seed % 12 {
            process.put(200 + number, &[(seed as usize * 37) % 5_000]);
            numbers.push(200 + number);
        }
        process.append(900, BATCH);
        let mut state = seed;
        let disk = process.disk.after_power_loss(&mut || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 63 == 1
        });
        let next = Process::start(&disk, small_segments()).unwrap();
        let found: Vec<u64> = next
            .log
            .replay()
            .map(|one| number_of(&one.unwrap()))
            .collect();
        let told: Vec<u64> = found
            .iter()
            .copied()
            .filter(|one| *one >= 100 && *one < 900)
            .collect();
        assert_eq!(told, numbers, "seed {seed}");
        assert_eq!(next.log.counts().damaged_regions, 0, "seed {seed}");
        assert_eq!(next.log.counts().damaged_records, 0, "seed {seed}");
        assert!(!has_spare(&next));
    }
}

#[test]
fn it_is_no_other_segments_file_while_somebody_reads_it() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let numbers = fill(&mut process, 0);
    let mut cursor = process.log.scan(0, u64::MAX);
    let first = cursor.next().unwrap().unwrap();
    let rest: Vec<_> = process.log.scan(0, u64::MAX).map(Result::unwrap).collect();
    for record in &rest {
        process.log.mark(record.position);
    }
    process.work();
    assert!(!has_spare(&process));
    fill(&mut process, 100);
    assert_eq!(number_of(&first), numbers[0]);
    let after: Vec<u64> = cursor.map(|one| number_of(&one.unwrap())).collect();
    assert!(after.iter().all(|number| *number >= 100), "{after:?}");
    assert_eq!(process.log.counts().damaged_regions, 0);
}

#[test]
fn a_spare_goes_when_the_journal_is_closed() {
    let process = one_delivered();
    let next = process.after_close(small_segments());
    assert!(!has_spare(&next));
    assert_eq!(next.all(), Vec::<u64>::new());
}
