//! Files that came to harm: flipped bits, cuts, zeros, garbage, at every class of offset.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Process, small_segments};
use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use crate::format::{LogId, RECORD_HEADER, SEGMENT_HEADER};
use crate::segment::{Scanner, Step};

/// A log of five records in a segment that was ended in good order, and its file.
fn five() -> (MemoryDisk, PathBuf, Vec<u64>) {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let positions: Vec<_> = (0..5).map(|number| process.put(number, &[1_000])).collect();
    let offsets = positions
        .iter()
        .map(|position| u64::from(position.offset))
        .collect();
    let next = process.after_close(small_segments());
    let file = next.file("1.seg");
    (next.disk.after_kill(), file, offsets)
}

fn survivors(disk: &MemoryDisk) -> (Vec<u64>, crate::Counts) {
    let process = Process::start(disk, small_segments()).unwrap();
    let found = process.all();
    (found, process.log.counts())
}

#[test]
fn a_flipped_bit_costs_one_record_which_is_quarantined_and_counted() {
    let (whole, file, offsets) = five();
    let third = offsets[2] as usize;
    // Magic, length, context length, number, checksums; first, middle and last byte of the data.
    for at in [0, 5, 9, 13, 17, 25, 57, 61, 64, 500, 1_064] {
        let disk = whole.after_kill();
        disk.tamper(&file, |bytes| bytes[third + at] ^= 4).unwrap();
        let (found, counts) = survivors(&disk);
        assert_eq!(found, [0, 1, 3, 4], "at {at}");
        assert_eq!(
            counts.damaged_records + counts.damaged_regions,
            1,
            "at {at}"
        );
        assert_eq!(counts.torn_regions, 0);
        let names = disk.files();
        assert!(
            names
                .iter()
                .any(|(name, _)| name.to_string_lossy().contains("quarantine/"))
        );
    }
}

#[test]
fn damage_to_padding_costs_nothing() {
    let (disk, file, offsets) = five();
    // 64 + 1,000 + 12 bytes are padded to 1,080.
    disk.tamper(&file, |bytes| bytes[offsets[3] as usize - 1] ^= 4)
        .unwrap();
    assert_eq!(survivors(&disk).0, [0, 1, 2, 3, 4]);
}

#[test]
fn a_damaged_head_or_foot_of_a_segment_costs_no_record() {
    let (whole, file, _) = five();
    for at in [3, SEGMENT_HEADER - 1] {
        let disk = whole.after_kill();
        disk.tamper(&file, |bytes| bytes[at] ^= 1).unwrap();
        assert_eq!(survivors(&disk).0, [0, 1, 2, 3, 4], "at {at}");
    }
    let disk = whole.after_kill();
    disk.tamper(&file, |bytes| *bytes.last_mut().unwrap() ^= 1)
        .unwrap();
    assert_eq!(survivors(&disk).0, [0, 1, 2, 3, 4]);
}

#[test]
fn a_lost_identity_is_found_in_a_segment() {
    let (disk, file, _) = five();
    let identity = file.with_file_name("identity");
    disk.tamper(&identity, Vec::clear).unwrap();
    assert_eq!(survivors(&disk).0, [0, 1, 2, 3, 4]);
    disk.tamper(&file, |bytes| bytes[1] ^= 1).unwrap();
    let unrecognized = Process::start(&disk.after_kill(), small_segments());
    assert!(matches!(
        unrecognized.err(),
        Some(crate::OpenError::Unrecognized { .. })
    ));
}

#[test]
fn a_later_version_is_left_alone() {
    let (disk, file, _) = five();
    let bump = |bytes: &mut Vec<u8>| {
        bytes[8] = 3;
        let sum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..64].copy_from_slice(&sum);
    };
    disk.tamper(&file, bump).unwrap();
    let later = Process::start(&disk, small_segments()).err();
    assert!(matches!(
        later,
        Some(crate::OpenError::Version { version: 3, .. })
    ));
}

#[test]
fn a_page_of_zeros_costs_what_was_in_it() {
    let (disk, file, offsets) = five();
    let (start, end) = (offsets[1] as usize, offsets[3] as usize);
    disk.tamper(&file, |bytes| bytes[start..end].fill(0))
        .unwrap();
    let (found, counts) = survivors(&disk);
    assert_eq!(found, [0, 3, 4]);
    assert_eq!(counts.damaged_regions, 1);
}

#[test]
fn damage_of_what_is_marked_is_no_loss() {
    let (disk, file, offsets) = five();
    let process = Process::start(&disk, small_segments()).unwrap();
    let mut process = process;
    let second = process.log.replay().nth(1).unwrap().unwrap();
    process.log.mark(second.position);
    process.work();
    let disk = process.disk.after_kill();
    disk.tamper(&file, |bytes| bytes[offsets[1] as usize + 100] ^= 1)
        .unwrap();
    let (found, counts) = survivors(&disk);
    assert_eq!(found, [0, 2, 3, 4]);
    assert_eq!(counts.damaged_records, 0);
}

proptest! {
    #[test]
    fn a_cut_costs_no_record_before_it(cut in 0_usize..5_600) {
        let (disk, file, offsets) = five();
        let mut kept = 0;
        disk.tamper(&file, |bytes| {
            bytes.truncate(cut);
            kept = bytes.len();
        }).unwrap();
        let (found, _) = survivors(&disk);
        // A record is whole where its data is; the padding behind it may be cut.
        let whole = offsets.iter().filter(|offset| **offset as usize + 64 + 1_012 <= kept);
        prop_assert_eq!(found, (0..whole.count() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn harm_to_one_record_harms_no_other(
        record in 0_usize..5,
        at in 0_usize..1_080,
        garbage in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let (disk, file, offsets) = five();
        let start = offsets[record] as usize;
        let end = start + 1_080;
        disk.tamper(&file, |bytes| {
            let at = start + at;
            let some = garbage.len().min(end - at);
            bytes[at..at + some].copy_from_slice(&garbage[..some]);
        }).unwrap();
        let (found, _) = survivors(&disk);
        for other in (0..5).filter(|other| *other != record as u64) {
            prop_assert!(found.contains(&other));
        }
    }

    /// The law that the fuzz target holds the reader to.
    #[test]
    fn any_bytes_are_read_to_their_end(
        mut bytes in prop::collection::vec(any::<u8>(), 0..4_000),
        sound in prop::collection::vec((0_usize..500, any::<u32>()), 0..4),
        settled in any::<bool>(),
    ) {
        for (at, length) in sound {
            // Headers with sound checksums that lie about what follows.
            let header = crate::format::Header {
                kind: crate::format::Kind::Record,
                payload: length,
                context: 3,
                ordinal: length % 100,
                segment: 1,
                synced: length / 2,
                appended: 0,
                items: 1,
                id: [0; 16],
                data_sum: 0,
            };
            let at = SEGMENT_HEADER + at * 8;
            if at + RECORD_HEADER <= bytes.len() {
                bytes[at..at + RECORD_HEADER].copy_from_slice(&header.encode(LogId::new([0; 16])));
            }
        }
        crate::hostile::read_to_the_end(&bytes, settled);
    }

    #[test]
    fn a_log_opens_whatever_its_small_files_hold(
        marks in prop::collection::vec(any::<u8>(), 0..200),
        flights in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (disk, file, _) = five();
        for (name, bytes) in [("0000000001.marks", &marks), ("flights", &flights), ("deaths", &flights)] {
            let path = file.with_file_name(name);
            disk.create(&path).unwrap();
            disk.tamper(&path, |held| held.clone_from(bytes)).unwrap();
        }
        prop_assert_eq!(survivors(&disk).0, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn a_torn_end_is_cut_off_and_is_no_damage() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    process.put(1, &[3_000]);
    let torn = process.put(2, &[3_000]);
    let disk = process.disk.after_kill();
    let file = process.file("1.seg");
    let offset = torn.offset as usize;
    disk.tamper(&file, |bytes| bytes[offset + 1_500..offset + 2_000].fill(0))
        .unwrap();
    let (found, counts) = survivors(&disk);
    assert_eq!(found, [1]);
    assert_eq!((counts.torn_regions, counts.damaged_records), (1, 0));
}

#[test]
fn a_record_that_was_synced_is_damaged_and_not_torn() {
    let mut process = Process::start(&MemoryDisk::default(), small_segments()).unwrap();
    let first = process.put(1, &[3_000]);
    process.put(2, &[3_000]);
    let disk = process.disk.after_kill();
    let file = process.file("1.seg");
    let offset = first.offset as usize;
    disk.tamper(&file, |bytes| bytes[offset + 1_500] ^= 1)
        .unwrap();
    let (found, counts) = survivors(&disk);
    assert_eq!(found, [2]);
    assert_eq!((counts.torn_regions, counts.damaged_records), (0, 1));
}

#[test]
fn a_scan_of_zeros_ends() {
    let disk = MemoryDisk::default();
    disk.create_directory("/".as_ref()).unwrap();
    let file = disk.create("/file".as_ref()).unwrap();
    file.set_size(1 << 20).unwrap();
    let log = LogId::new([0; 16]);
    let mut scanner = Scanner::new(Arc::clone(&file), log, 1, None, false).unwrap();
    assert_eq!(scanner.step().unwrap(), Step::End);
}
