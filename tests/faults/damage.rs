//! Bits flip and files are cut while the process is down: at every kind of place that the files have.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clients::{Answer, Client};
use crate::finding::Finding;
use crate::rig::{Mode, Plan, Rig};
use crate::rounds;
use crate::wire::{self, Items, Signal};

const HEADER: usize = 64;

/// A record of a segment, as `docs/disk-queue.md` describes it.
struct Record {
    /// Its header, payload, context and padding.
    bytes: Range<usize>,
    payload: Range<usize>,
    numbers: Vec<u64>,
    footer: bool,
}

/// Reads the records of a segment in order, its footer last.
///
/// What follows the last record, but for the footer at the end, may be of a segment that the file was before.
fn records(segment: &[u8]) -> Vec<Record> {
    let (mut found, mut at) = (Vec::new(), HEADER);
    while let Some(record) = record_at(segment, at) {
        at = record.bytes.end;
        let is_last = record.footer;
        found.push(record);
        if is_last {
            return found;
        }
    }
    let end = segment.len().checked_sub(HEADER);
    let footer = end.and_then(|end| record_at(segment, end));
    found.extend(footer.filter(|record| record.footer));
    found
}

fn record_at(segment: &[u8], at: usize) -> Option<Record> {
    let header = segment.get(at..at + HEADER)?;
    let word = |at: usize| {
        let bytes = header[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes)
    };
    // Of this segment, by its number.
    if header[..4] != *b"TdR\x01" || header[16..20] != segment[12..16] {
        return None;
    }
    let length = usize::try_from(word(4)).ok()?;
    let context = usize::from(header[8]) | usize::from(header[9]) << 8;
    let payload = at + HEADER..at + HEADER + length;
    let end = (payload.end + context).next_multiple_of(8);
    let numbers = wire::numbers(Signal::Traces, segment.get(payload.clone())?);
    Some(Record {
        bytes: at..end,
        numbers: numbers.unwrap_or_default(),
        footer: header[10] == 2,
        payload,
    })
}

/// The payloads of a segment's records in order, but for its footer.
pub fn payloads(segment: &[u8]) -> Vec<Vec<u8>> {
    let records = records(segment).into_iter().filter(|record| !record.footer);
    let payloads = records.filter_map(|record| segment.get(record.payload));
    payloads.map(<[u8]>::to_vec).collect()
}

/// Where the damage is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    SegmentHeader,
    /// One of the fields of a record's header: its offset and length.
    Field(usize, usize),
    Payload,
    Padding,
    Footer,
    /// A file beside the segments.
    File(&'static str),
}

const PLACES: &[Place] = &[
    Place::SegmentHeader,
    Place::Field(0, 4),   // magic
    Place::Field(4, 4),   // length of the payload
    Place::Field(8, 2),   // length of the context
    Place::Field(10, 2),  // kind
    Place::Field(12, 4),  // ordinal
    Place::Field(16, 4),  // segment
    Place::Field(20, 4),  // synced bytes
    Place::Field(24, 8),  // time
    Place::Field(32, 8),  // items
    Place::Field(40, 16), // ID
    Place::Field(56, 4),  // checksum of the payload
    Place::Field(60, 4),  // checksum of the header
    Place::Payload,
    Place::Padding,
    Place::Footer,
    Place::File("identity"),
    Place::File("marks"),
    Place::File("flights"),
    Place::File("deaths"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// One bit is another.
    Flip,
    /// The file ends there.
    Cut,
    /// A block of the disk reads as zeros.
    Zeros,
}

const DAMAGES: [Damage; 3] = [Damage::Flip, Damage::Cut, Damage::Zeros];

/// The files of the queue whose name ends so, in order.
pub fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Damages one place and gives the numbers that may be lost by it; none where there is no such place.
fn harm(queue: &Path, place: Place, damage: Damage) -> Option<BTreeSet<u64>> {
    let (path, at) = match place {
        Place::File(end) => {
            let path = pick(&files(queue, end))?.clone();
            let length = std::fs::metadata(&path).ok()?.len();
            (
                path,
                pick(&(0..usize::try_from(length).ok()?).collect::<Vec<_>>()).copied()?,
            )
        }
        _ => within_segment(queue, place)?,
    };
    let file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
    let bytes = std::fs::read(&path).ok()?;
    let touched = match damage {
        Damage::Flip => {
            let byte = bytes[at] ^ 1 << rand::random_range(0..8);
            file.write_all_at(&[byte], at as u64).ok()?;
            at..at + 1
        }
        Damage::Cut => {
            file.set_len(at as u64).ok()?;
            at..bytes.len()
        }
        Damage::Zeros => {
            let end = bytes.len().min(at + 512);
            file.write_all_at(&vec![0; end - at], at as u64).ok()?;
            at..end
        }
    };
    if !path.to_string_lossy().ends_with(".seg") {
        return Some(BTreeSet::new());
    }
    let records = records(&bytes).into_iter();
    let harmed = records.filter(|r| r.bytes.start < touched.end && touched.start < r.bytes.end);
    Some(harmed.flat_map(|record| record.numbers).collect())
}

/// A random offset of a kind of place in one of the segments.
fn within_segment(queue: &Path, place: Place) -> Option<(PathBuf, usize)> {
    let mut candidates = Vec::new();
    for path in files(queue, ".seg") {
        let bytes = std::fs::read(&path).ok()?;
        if place == Place::SegmentHeader {
            candidates.push((path, 0..HEADER.min(bytes.len())));
            continue;
        }
        for record in records(&bytes) {
            let range = match place {
                Place::Field(offset, length) if !record.footer => {
                    let start = record.bytes.start + offset;
                    start..start + length
                }
                Place::Payload if !record.footer => record.payload,
                Place::Padding if !record.footer => record.payload.end..record.bytes.end,
                Place::Footer if record.footer => record.bytes,
                _ => continue,
            };
            if !range.is_empty() {
                candidates.push((path.clone(), range));
            }
        }
    }
    let (path, range) = pick(&candidates)?;
    Some((path.clone(), rand::random_range(range.clone())))
}

fn pick<T>(from: &[T]) -> Option<&T> {
    (!from.is_empty()).then(|| &from[rand::random_range(0..from.len())])
}

fn fill(rig: &Rig, client: &mut Client) {
    for number in 0..rand::random_range(8..25) {
        let items = Items {
            first: rig.books.issue(3),
            count: 3,
            // Of every length, so that there is padding to hit.
            padding: 1_000 + number,
        };
        let answer = client.call(Signal::Traces, items);
        assert_eq!(answer, Answer::Taken { rejected: 0 });
        rig.books.acknowledge(items.numbers());
    }
}

/// Fills a queue while nobody takes the data, ends the process one way or the other, does the damage, and
/// starts again with a backend. Gives what was lost, or none where there is no such place.
fn damaged(place: Place, damage: Damage) -> Option<()> {
    let mut plan = Plan::new(Mode::Storage);
    // A record for each request, and several segments.
    plan.chain = "";
    plan.storage = "segment_size: 64KiB";
    plan.shutdown = "100ms";
    let mut rig = Rig::running(plan);
    let mut client = rig.client();
    fill(&rig, &mut client);
    // So there are marks.
    rig.catch_up();
    rig.sink.down();
    fill(&rig, &mut client);
    // A death in the midst of deliveries leaves its note.
    rig.kill();
    rig.start();
    // A footer is written where a process ends in order.
    if rand::random() || place == Place::Footer {
        rig.terminate();
    } else {
        rig.kill();
    }
    let may_be_lost = harm(&rig.queue().join("otlp_grpc-traces"), place, damage)?;
    rig.sink.up();
    rig.start();
    let audit = rig.drain(Duration::from_secs(30));
    let missing: BTreeSet<u64> = rig.books.missing().into_iter().collect();
    let ended = rig.terminate();
    println!(
        "{place:?} {damage:?}: {} of {} may be lost, {} are",
        may_be_lost.len(),
        audit.sent,
        missing.len()
    );
    assert!(
        missing.is_subset(&may_be_lost),
        "{place:?} {damage:?} took others with it: {missing:?}, where {may_be_lost:?} were hit\n{}",
        ended.log
    );
    let told = ["quarantine", "half written"]
        .iter()
        .any(|word| ended.log.contains(word))
        || ended.ledger.dropped().contains_key("damaged");
    assert!(
        missing.is_empty() || told || damage == Damage::Cut,
        "{place:?} {damage:?}: nobody is told\n{}",
        ended.log
    );
    Finding::new("damage", Mode::Storage, 1, &audit)
        .ledger(&ended.ledger)
        .judge();
    Some(())
}

#[test]
fn damage_costs_the_records_that_it_hit_and_no_others() {
    let mut hit = 0;
    for round in 0..rounds(1, 2) {
        for (number, place) in PLACES.iter().enumerate() {
            for (other, damage) in DAMAGES.into_iter().enumerate() {
                // In a short run each place is harmed in one way.
                if !crate::whole() && (number + other) % DAMAGES.len() != 0 {
                    continue;
                }
                if damaged(*place, damage).is_some() {
                    hit += 1;
                } else {
                    println!("round {round}: there is no {place:?}");
                }
            }
        }
    }
    assert!(hit > 10, "{hit} places were hit");
}
