//! The commands that look into the directory of a disk queue: inspect, verify, export.

use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use tidegate_journal::{Inspector, LogReport, Met, Stored};

use crate::cli::Queue;
use crate::report::print;

/// Does what is asked with a disk queue.
pub(crate) fn queue(action: &Queue) -> anyhow::Result<ExitCode> {
    match action {
        Queue::Inspect { directory } => inspect(directory),
        Queue::Verify { directory } => verify(directory),
        Queue::Export { directory, to, log } => export(directory, to, log.as_deref()),
    }
}

fn inspect(directory: &Path) -> anyhow::Result<ExitCode> {
    let inspector = Inspector::open(directory)?;
    let mut text = String::new();
    for log in inspector.logs()? {
        let report = read(&inspector, &log, |_| Ok(()))?;
        describe(&mut text, &log, &report)?;
    }
    if text.is_empty() {
        text.push_str("no logs\n");
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn describe(text: &mut String, log: &Stored, report: &LogReport) -> std::fmt::Result {
    let id = report.id.iter().fold(String::new(), |mut id, byte| {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    });
    writeln!(text, "{}", log.name)?;
    writeln!(text, "  id:          {id}")?;
    writeln!(
        text,
        "  on disk:     {} bytes in {} segments",
        log.bytes, log.segments
    )?;
    writeln!(
        text,
        "  waiting:     {} records, {} items, {} bytes",
        report.live_records, report.live_items, report.live_bytes
    )?;
    if let Some(oldest) = report.oldest {
        writeln!(text, "  oldest:      {}", age(oldest))?;
    }
    writeln!(
        text,
        "  delivered:   {} records not cleared away yet",
        report.marked_records
    )?;
    writeln!(text, "  damaged:     {}", report.damaged)?;
    writeln!(text, "  half written by a crash: {}", report.torn)?;
    writeln!(text, "  quarantine:  {} files", report.quarantined.len())?;
    for file in &report.quarantined {
        writeln!(text, "    {} ({} bytes)", file.path.display(), file.bytes)?;
    }
    Ok(())
}

/// How long ago a time in milliseconds since 1970 was.
fn age(then: u64) -> String {
    let then = SystemTime::UNIX_EPOCH + Duration::from_millis(then);
    match SystemTime::now().duration_since(then) {
        Ok(age) => format!("{} s ago", age.as_secs()),
        Err(_) => "in the future: the clock was set back".to_owned(),
    }
}

fn verify(directory: &Path) -> anyhow::Result<ExitCode> {
    let inspector = Inspector::open(directory)?;
    let mut text = String::new();
    let mut sound = true;
    for log in inspector.logs()? {
        let report = read(&inspector, &log, |_| Ok(()))?;
        let fault = report.damaged > 0 || report.unreadable > 0;
        sound &= !fault;
        writeln!(
            text,
            "{}: {}: {} records are sound, {} places are damaged, {} files cannot be read",
            log.name,
            if fault { "DAMAGED" } else { "ok" },
            report.live_records + report.marked_records,
            report.damaged,
            report.unreadable
        )?;
        for file in &report.unreadable_files {
            writeln!(text, "  {}", file.display())?;
        }
    }
    print(&text);
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn export(directory: &Path, to: &Path, only: Option<&str>) -> anyhow::Result<ExitCode> {
    let inspector = Inspector::open(directory)?;
    let mut logs = inspector.logs()?;
    if let Some(only) = only {
        logs.retain(|log| log.name == only);
        if logs.is_empty() {
            bail!(
                "{} has no log {only:?}; inspect lists them",
                directory.display()
            );
        }
    } else {
        // Seals are no telemetry.
        logs.retain(|log| !log.name.ends_with("-seals"));
    }
    let mut text = String::new();
    for log in logs {
        // The name of the directory is one path element, whatever the log is called.
        let place = to.join(log.directory.file_name().unwrap_or_default());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&place)
            .with_context(|| format!("cannot make {}", place.display()))?;
        let report = read(&inspector, &log, |record| write_record(&place, &record))?;
        writeln!(
            text,
            "{}: {} records, {} items, in {}",
            log.name,
            report.live_records,
            report.live_items,
            place.display()
        )?;
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn write_record(place: &Path, record: &Met) -> anyhow::Result<()> {
    let path = place.join(format!("{:016x}.pb", record.number));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(&record.payload))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn read(
    inspector: &Inspector,
    log: &Stored,
    each: impl FnMut(Met) -> anyhow::Result<()>,
) -> anyhow::Result<LogReport> {
    inspector
        .read(&log.name, each)
        .with_context(|| format!("cannot read the log {:?}", log.name))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bytes::Bytes;
    use tidegate_journal::{Draft, Journal, Options};

    use super::*;

    fn directory_with(payloads: &[&'static str]) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let journal = Journal::open(place.path(), Options::default()).unwrap();
        let log = journal.log("otlp/edge-traces").unwrap();
        let (sender, answers) = mpsc::channel();
        for payload in payloads {
            let draft = Draft {
                payload: vec![Bytes::from_static(payload.as_bytes())],
                ..Draft::default()
            };
            let sender = sender.clone();
            log.append(draft, move |answer| sender.send(answer).unwrap());
            answers.recv().unwrap().unwrap();
        }
        journal.close();
        place
    }

    #[test]
    fn export_writes_each_record_as_it_was() {
        let queue = directory_with(&["one", "two"]);
        let to = tempfile::tempdir().unwrap();
        export(queue.path(), to.path(), None).unwrap();
        let log = to.path().join("otlp%2Fedge-traces");
        let mut files: Vec<_> = std::fs::read_dir(log)
            .unwrap()
            .map(|one| one.unwrap().path())
            .collect();
        files.sort();
        let texts: Vec<_> = files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();
        assert_eq!(texts, [b"one", b"two"]);
        let wrong = export(queue.path(), to.path(), Some("other"));
        assert!(
            wrong
                .unwrap_err()
                .to_string()
                .contains("has no log \"other\"")
        );
    }

    #[test]
    fn verify_fails_on_a_damaged_record_and_changes_nothing() {
        let queue = directory_with(&["one", "two"]);
        assert_eq!(verify(queue.path()).unwrap(), ExitCode::SUCCESS);
        let segment = queue.path().join("otlp%2Fedge-traces/0000000001.seg");
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[64 + 64] ^= 1;
        std::fs::write(&segment, &bytes).unwrap();
        assert_eq!(verify(queue.path()).unwrap(), ExitCode::FAILURE);
        assert_eq!(std::fs::read(&segment).unwrap(), bytes);
        inspect(queue.path()).unwrap();
    }

    #[test]
    fn a_queue_at_work_is_left_alone() {
        let queue = directory_with(&["one"]);
        let _journal = Journal::open(queue.path(), Options::default()).unwrap();
        let held = inspect(queue.path()).unwrap_err().to_string();
        assert!(
            held.contains(&format!("process {}", std::process::id())),
            "{held}"
        );
        let none = tempfile::tempdir().unwrap();
        assert!(inspect(none.path()).is_err());
        assert_eq!(std::fs::read_dir(none.path()).unwrap().count(), 0);
    }
}
