//! What a journal costs: CPU per append without syncs, records per second with them, replay from
//! page cache, and the memory that many small records take.
//!
//! `cargo bench -p tidegate-journal [-- DIRECTORY]`; the directory should be on the disk to be
//! measured, has to have 4 GB free, and is emptied of what this leaves.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_journal::{Draft, Fsync, Journal, Options};

/// A request of 100 spans of 439 bytes, in two parts.
const PARTS: [usize; 2] = [22_000, 21_900];

/// Clock ticks of a process's CPU time.
const TICKS: f64 = 100.0;

fn main() {
    // Cargo passes its own flags along.
    let mut arguments = std::env::args().skip(1).filter(|one| !one.starts_with('-'));
    let place = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let place = place.join(format!("journal-bench-{}", std::process::id()));
    append(&place);
    durable(&place);
    replay(&place);
    small(&place);
    let _ = std::fs::remove_dir_all(&place);
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn open(place: &Path, fsync: Fsync) -> Journal {
    let options = Options {
        fsync,
        ..Options::default()
    };
    Journal::open(place, options).expect("the directory can be used")
}

fn batch(parts: &[Bytes]) -> Draft {
    Draft {
        payload: parts.to_vec(),
        items: 100,
        ..Draft::default()
    }
}

fn parts() -> Vec<Bytes> {
    let part = |size| (0..size).map(|byte: usize| (byte * 31) as u8).collect();
    PARTS.into_iter().map(part).collect()
}

/// Appends and marks without syncs: what a record costs the processor.
fn append(place: &Path) {
    const WAVES: u64 = 40;
    const WAVE: u64 = 500;
    let journal = open(place, Fsync::Interval(Duration::from_secs(3_600)));
    let log = journal.log("append").expect("a log");
    let parts = parts();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    for _ in 0..WAVES {
        let (sender, answers) = mpsc::channel();
        for _ in 0..WAVE {
            let sender = sender.clone();
            log.append(batch(&parts), move |answer| _ = sender.send(answer));
        }
        drop(sender);
        for answer in answers {
            let position = answer.expect("there is room");
            drop(log.fly(position));
            log.mark(position);
        }
    }
    journal.flush();
    let records = (WAVES * WAVE) as f64;
    let nanos = |seconds: f64| seconds * 1e9 / records;
    say(&format!(
        "append, fly and mark, 44 KB, no sync: {:.0} ns of CPU, {:.0} ns elapsed a record",
        nanos(cpu_seconds() - cpu),
        nanos(began.elapsed().as_secs_f64()),
    ));
}

/// Appends with syncs, 32 in flight.
fn durable(place: &Path) {
    const RECORDS: usize = 4_000;
    const FLYING: usize = 32;
    let journal = open(place, Fsync::Group);
    let log = journal.log("durable").expect("a log");
    let parts = parts();
    let (sender, answers) = mpsc::channel();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    for number in 0..RECORDS + FLYING {
        if number >= FLYING {
            let answer = answers.recv().expect("an answer");
            log.mark(Result::expect(answer, "there is room"));
        }
        if number < RECORDS {
            let sender = sender.clone();
            log.append(batch(&parts), move |answer| _ = sender.send(answer));
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    let syncs = log.counts().syncs;
    say(&format!(
        "append and mark, 44 KB, group sync, {FLYING} in flight: {:.0} records/s, {:.1} records a sync, {:.2} ms a sync, {:.0} ns of CPU a record",
        RECORDS as f64 / elapsed,
        RECORDS as f64 / syncs as f64,
        elapsed * 1e3 / syncs as f64,
        (cpu_seconds() - cpu) * 1e9 / RECORDS as f64,
    ));
}

fn fill(journal: &Journal, name: &str, records: u64, parts: &[Bytes]) {
    let log = journal.log(name).expect("a log");
    let (sender, answers) = mpsc::channel();
    for number in 0..records {
        let sender = sender.clone();
        log.append(batch(parts), move |answer| _ = sender.send(answer));
        if number % 1_000 == 999 {
            answers
                .iter()
                .take(1_000)
                .for_each(|answer| _ = answer.expect("there is room"));
        }
    }
}

/// Reads back what a former life left, while it is in the page cache.
fn replay(place: &Path) {
    let journal = open(place, Fsync::Interval(Duration::from_secs(3_600)));
    fill(&journal, "replay", 20_000, &parts());
    journal.close();
    read_back(place, "replay", "44 KB");
}

/// The same with records of half a kilobyte: what so many of them take in memory.
fn small(place: &Path) {
    let journal = open(place, Fsync::Interval(Duration::from_secs(3_600)));
    fill(&journal, "small", 2_000_000, &[Bytes::from(vec![7; 439])]);
    journal.close();
    read_back(place, "small", "439 B");
}

fn read_back(place: &Path, name: &str, size: &str) {
    let before = resident_kib();
    let journal = open(place, Fsync::Group);
    let log = journal.log(name).expect("a log");
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let (mut bytes, mut records) = (0, 0);
    for record in log.replay() {
        let record = record.expect("it can be read");
        bytes += record.payload.len();
        records += 1;
        // Every other one is delivered, so that the marks cost what they cost.
        if records % 2 == 0 {
            log.mark(record.position);
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    journal.flush();
    say(&format!(
        "replay, {size}, page cache: {:.0} MB/s, {:.0} ns of CPU a record, {records} records, {} MB on disk, RSS +{} KiB",
        bytes as f64 / 1e6 / elapsed,
        (cpu_seconds() - cpu) * 1e9 / f64::from(records),
        log.extent().bytes / 1_000_000,
        resident_kib().saturating_sub(before),
    ));
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // The name in parentheses may hold spaces.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / TICKS
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
