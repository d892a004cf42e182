//! `tidegate import-storage`: goes on where a Collector stopped.
//!
//! Reads the databases of its `file_storage`, which are not touched, and notes in a directory of ours what
//! it had read of files and what its queues hold. First everything is read and looked at, then everything
//! is written: what cannot be read is told before anything has changed.

mod bolt;
mod names;
mod places;
mod queue;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;

use anyhow::{Context, bail, ensure};
use tidegate_config::{Kind, Settings};
use tidegate_journal::{Draft, Inspector, Journal, Log, Options};
use tidegate_pdata::Signal;
use tidegate_receivers::file_log::place_note;
use tidegate_receivers::journald::CURSOR;

use self::bolt::{Bucket, Database};
use self::names::Owner;
use self::places::Place;
use crate::cli::{Import, Sources};
use crate::configuration::Configuration;
use crate::report::print;

/// The bucket in which the Collector's components keep what they note.
const BUCKET: &[u8] = b"default";
/// Bytes that may be on their way to the disk at a time.
const UNDER_WAY: usize = 16 << 20;
/// The longest place in a journal that is taken; they have some 150 bytes.
const LONGEST_CURSOR: usize = 4096;

/// A database whose owner is known, and what is to be taken over from it.
struct Source {
    owner: Owner,
    path: PathBuf,
    database: Database,
    found: Found,
}

/// What a database holds.
enum Found {
    Places {
        places: Vec<Place>,
        /// Of compressed files, in which the Collector counts other bytes.
        compressed: usize,
    },
    /// The place in the journal of systemd.
    Cursor(String),
    Queue {
        signal: Signal,
        /// The numbers of items.
        items: Vec<u64>,
        missing: u64,
        damaged: u64,
        records: u64,
    },
}

/// What is told at the end.
#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Takes over what a Collector has noted.
pub(crate) fn import(options: &Import, sources: &Sources) -> anyhow::Result<ExitCode> {
    let settings = match sources.config.is_empty() {
        true => None,
        false => Some(Configuration::read(sources)?.settings),
    };
    let mut report = Report::default();
    let found = read(options, settings.as_ref(), &mut report)?;
    let to = options.to.as_ref().unwrap_or(&options.directory);
    check(to, &found)?;
    if options.dry_run {
        report.line("nothing was written, as it was a dry run");
    } else {
        write(to, &found)?;
        report.line(&format!(
            "taken over into {}; the Collector's databases are as they were",
            to.display()
        ));
    }
    print(&report.text);
    Ok(ExitCode::SUCCESS)
}

/// Reads every database of a directory whose owner is known.
fn read(
    options: &Import,
    settings: Option<&Settings>,
    report: &mut Report,
) -> anyhow::Result<Vec<Source>> {
    let directory = &options.directory;
    let unreadable = || format!("cannot read {}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let name = entry.file_name();
        let is_file = entry.file_type().with_context(unreadable)?.is_file();
        if let Some(name) = name
            .to_str()
            .filter(|name| is_file && names::is_database(name))
        {
            files.push(name.to_owned());
        }
    }
    files.sort();
    ensure!(
        !files.is_empty(),
        "there is no database of a Collector in {}: name the directory of its file_storage",
        directory.display()
    );
    let mut sources = Vec::new();
    for file in files {
        let path = directory.join(&file);
        let Some(owner) = names::owner(&file, settings) else {
            let why = match settings {
                Some(_) => "no component of the configuration is called so",
                None => "no component of this build is called so",
            };
            report.line(&format!("{file}: left alone, {why}"));
            continue;
        };
        let database = Database::open(&path);
        let database = database.with_context(|| format!("cannot take over {}", path.display()))?;
        let found = found(&owner, &database, options.skip_damaged)
            .with_context(|| format!("cannot take over {}", path.display()))?;
        match &found {
            None => report.line(&format!("{owner}: left alone, nothing of it is known")),
            Some(found) => report.line(&told(&owner, found)?),
        }
        sources.extend(found.map(|found| Source {
            owner,
            path,
            database,
            found,
        }));
    }
    Ok(sources)
}

/// What a database holds that can be taken over; none of what keeps something else.
fn found(owner: &Owner, database: &Database, skip: bool) -> anyhow::Result<Option<Found>> {
    let Some(bucket) = database.bucket(BUCKET)? else {
        bail!("it has no bucket `default`, where the Collector keeps everything");
    };
    match (owner.kind, owner.canonical(), owner.signal) {
        (Kind::Receiver, "file_log" | "otlp_json_file", _) => {
            let mut places = places::read(&bucket)?;
            let all = places.len();
            places.retain(|place| !place.compressed && !place.first.is_empty());
            Ok(Some(Found::Places {
                compressed: all - places.len(),
                places,
            }))
        }
        (Kind::Receiver, "journald", _) => cursor(&bucket).map(Some),
        (Kind::Exporter, _, Some(signal)) => look_at_queue(signal, &bucket, skip).map(Some),
        _ => Ok(None),
    }
}

/// The place in the journal that `journald` has noted.
fn cursor(bucket: &Bucket<'_>) -> anyhow::Result<Found> {
    let mut found = String::new();
    bucket.each(|key, value| {
        if key == b"lastReadCursor" || key.ends_with(b".lastReadCursor") {
            let cursor =
                std::str::from_utf8(value).context("the place in the journal is no text")?;
            ensure!(
                cursor.len() <= LONGEST_CURSOR,
                "the place in the journal has {} bytes",
                cursor.len()
            );
            found = cursor.trim().to_owned();
        }
        Ok(())
    })?;
    Ok(Found::Cursor(found))
}

/// Looks at every item of a queue, and keeps none.
fn look_at_queue(signal: Signal, bucket: &Bucket<'_>, skip: bool) -> anyhow::Result<Found> {
    let queue = queue::read(bucket)?;
    let (mut items, mut damaged, mut records) = (Vec::new(), 0, 0);
    for number in queue.items {
        let item = bucket.get(number.to_string().as_bytes())?;
        match queue::payload(signal, item.unwrap_or_default()) {
            Ok(payload) => {
                records += payload.items() as u64;
                items.push(number);
            }
            Err(_) if skip => damaged += 1,
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("item {number} is damaged; --skip-damaged leaves it out")
                });
            }
        }
    }
    Ok(Found::Queue {
        signal,
        items,
        missing: queue.missing,
        damaged,
        records,
    })
}

fn told(owner: &Owner, found: &Found) -> anyhow::Result<String> {
    let mut text = format!("{owner}: ");
    match found {
        Found::Places { places, compressed } => {
            text.push_str(&counted(places.len() as u64, "place"));
            text.push_str(" in files");
            if *compressed > 0 {
                let files = counted(*compressed as u64, "place");
                write!(text, "; {files} in compressed or empty files left out")?;
            }
        }
        Found::Cursor(cursor) => text.push_str(match cursor.as_str() {
            "" => "no place in the journal",
            _ => "its place in the journal",
        }),
        Found::Queue {
            items,
            missing,
            damaged,
            records,
            ..
        } => {
            let requests = counted(items.len() as u64, "request");
            write!(text, "{requests} with {}", counted(*records, "item"))?;
            if *missing > 0 {
                let missing = counted(*missing, "request");
                write!(text, "; {missing} that it should have not there")?;
            }
            if *damaged > 0 {
                let damaged = counted(*damaged, "damaged request");
                write!(text, "; {damaged} left out")?;
            }
        }
    }
    Ok(text)
}

fn counted(count: u64, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}

/// The log of a queue, by the name under which the exporter opens it.
fn log_of(owner: &Owner, signal: Signal) -> String {
    format!("{}-{}", owner.id, signal.name())
}

/// Makes sure that nothing is there yet of what would be written.
fn check(to: &Path, sources: &[Source]) -> anyhow::Result<()> {
    if !to.join("LOCK").exists() {
        return Ok(());
    }
    let again = "something was kept or imported there before; take that away, or choose another directory by --to";
    let inspector = Inspector::open(to)?;
    let logs = inspector.logs()?;
    for source in sources {
        let Found::Queue { signal, .. } = source.found else {
            continue;
        };
        let name = log_of(&source.owner, signal);
        if logs.iter().any(|log| log.name == name) {
            let waiting = inspector
                .read(&name, |_| Ok::<_, anyhow::Error>(()))?
                .live_records;
            ensure!(
                waiting == 0,
                "the log {name:?} in {} has {waiting} records: {again}",
                to.display()
            );
        }
    }
    drop(inspector);
    let journal = Journal::open(to, Options::default())?;
    for source in sources {
        if let Found::Places { .. } | Found::Cursor(_) = source.found {
            let notes = journal.notes(source.owner.id.as_str())?;
            let count = notes.iter().count();
            ensure!(
                count == 0,
                "{} has {count} places in {}: {again}",
                source.owner,
                to.display()
            );
        }
    }
    Ok(())
}

fn write(to: &Path, sources: &[Source]) -> anyhow::Result<()> {
    let journal = Journal::open(to, Options::default())?;
    for source in sources {
        let done = match &source.found {
            Found::Places { places, .. } => note(&journal, &source.owner, places),
            Found::Cursor(cursor) => note_cursor(&journal, &source.owner, cursor),
            Found::Queue { signal, items, .. } => {
                let log = journal.log(&log_of(&source.owner, *signal))?;
                copy(&log, source, *signal, items)
            }
        };
        done.with_context(|| {
            format!(
                "{} was taken over in part; take away what is in {} before it is tried again",
                source.path.display(),
                to.display()
            )
        })?;
    }
    journal.close();
    Ok(())
}

/// Notes places as `file_log` does: under numbers, the newest last.
fn note(journal: &Journal, owner: &Owner, places: &[Place]) -> anyhow::Result<()> {
    let mut notes = journal.notes(owner.id.as_str())?;
    let written: Vec<(String, Vec<u8>)> = (1u64..)
        .zip(places)
        .map(|(number, place)| {
            let note = place_note(&place.first, place.offset, place.records, &place.path);
            (number.to_string(), note)
        })
        .collect();
    notes.change(
        written
            .iter()
            .map(|(name, note)| (name.as_str(), Some(note.as_slice()))),
    )?;
    notes.sync()?;
    Ok(())
}

/// Notes a place in the journal as `journald` does.
fn note_cursor(journal: &Journal, owner: &Owner, cursor: &str) -> anyhow::Result<()> {
    let mut notes = journal.notes(owner.id.as_str())?;
    if !cursor.is_empty() {
        notes.change([(CURSOR, Some(cursor.as_bytes()))])?;
        notes.sync()?;
    }
    Ok(())
}

/// Copies requests into a log, a few at a time, and waits until all are on disk.
fn copy(log: &Log, source: &Source, signal: Signal, items: &[u64]) -> anyhow::Result<()> {
    let bucket = source.database.bucket(BUCKET)?;
    let bucket = bucket.context("its bucket is gone")?;
    let (sender, answers) = mpsc::channel();
    let (mut under_way, mut waiting) = (0, 0);
    for number in items {
        let item = bucket.get(number.to_string().as_bytes())?;
        let payload = queue::payload(signal, item.unwrap_or_default())?;
        if payload.is_empty() {
            continue;
        }
        let segments = payload.segments().iter();
        let draft = Draft {
            payload: segments.map(|segment| segment.bytes().clone()).collect(),
            items: payload.items() as u64,
            id: rand::random(),
            ..Draft::default()
        };
        let sender = sender.clone();
        // Whoever waits for the answer lives until the end.
        log.append(draft, move |answer| _ = sender.send(answer));
        under_way += payload.bytes();
        waiting += 1;
        if under_way >= UNDER_WAY {
            settle(&answers, &mut waiting)?;
            under_way = 0;
        }
    }
    settle(&answers, &mut waiting)
}

/// Waits until everything is on disk that is on its way there.
fn settle<T>(
    answers: &mpsc::Receiver<Result<T, tidegate_journal::Refused>>,
    waiting: &mut usize,
) -> anyhow::Result<()> {
    while *waiting > 0 {
        answers.recv().context("the disk has stopped")??;
        *waiting -= 1;
    }
    Ok(())
}
