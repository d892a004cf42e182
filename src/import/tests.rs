//! Databases that the Collector wrote, taken over and damaged.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::FileExt;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::*;
use crate::cli::UnknownKeys;

fn fixtures(folder: &str) -> PathBuf {
    let fixtures = "tests/fixtures/collector_storage";
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(fixtures)
        .join(folder)
}

/// A directory with these databases.
fn unpacked(folder: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixtures(folder)).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = Vec::new();
        let packed = std::fs::File::open(&path).unwrap();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        let name = path.file_stem().unwrap();
        std::fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(directory).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    files
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

fn options(directory: &Path, to: &Path) -> Import {
    Import {
        directory: directory.to_owned(),
        to: Some(to.to_owned()),
        skip_damaged: false,
        dry_run: false,
    }
}

fn no_configuration() -> Sources {
    Sources {
        config: Vec::new(),
        set: Vec::new(),
        unknown_keys: UnknownKeys::Error,
        feature_gates: Vec::new(),
    }
}

fn run(options: &Import) -> Result<(), String> {
    import(options, &no_configuration())
        .map(|_| ())
        .map_err(|error| format!("{error:#}"))
}

/// The records and the items of each log.
fn logs(directory: &Path) -> BTreeMap<String, (u64, u64)> {
    let inspector = Inspector::open(directory).unwrap();
    let logs = inspector.logs().unwrap().into_iter();
    logs.map(|log| {
        let read = inspector.read(&log.name, |_| Ok::<_, anyhow::Error>(()));
        let read = read.unwrap();
        (log.name, (read.live_records, read.live_items))
    })
    .collect()
}

/// The offset and the path of each note.
fn notes(directory: &Path, name: &str) -> Vec<(u64, String)> {
    let journal = Journal::open(directory, Options::default()).unwrap();
    let notes = journal.notes(name).unwrap();
    let mut notes: Vec<(u64, u64, String)> = notes
        .iter()
        .map(|(name, note)| {
            let note: serde_json::Value = serde_json::from_slice(note).unwrap();
            (
                name.parse().unwrap(),
                note["offset"].as_u64().unwrap(),
                note["path"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    notes.sort();
    notes
        .into_iter()
        .map(|(_, offset, path)| (offset, path))
        .collect()
}

/// The names of the spans in a log, in order.
fn spans(directory: &Path, log: &str) -> Vec<String> {
    let mut names = Vec::new();
    let inspector = Inspector::open(directory).unwrap();
    let each = |record: tidegate_journal::Met| {
        let request = ExportTraceServiceRequest::decode(record.payload)?;
        let resources = request.resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        names.extend(scopes.flat_map(|scope| scope.spans).map(|span| span.name));
        Ok::<_, anyhow::Error>(())
    };
    inspector.read(log, each).unwrap();
    names
}

#[test]
fn what_a_collector_that_was_killed_left_is_taken_over() {
    let (from, to) = (unpacked("newer"), tempfile::tempdir().unwrap());
    let before = contents(from.path());
    run(&options(from.path(), to.path())).unwrap();
    assert_eq!(contents(from.path()), before, "the source is as it was");
    let length = |name: &str| {
        std::fs::metadata(fixtures("logs").join(name))
            .unwrap()
            .len()
    };
    let mut offsets: Vec<u64> = notes(to.path(), "filelog")
        .into_iter()
        .map(|(offset, _)| offset)
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [length("a.log"), length("b.log")]);
    let polls = notes(to.path(), "filelog/polls");
    assert!(polls.len() >= 2, "{polls:?}");
    assert!(
        polls.iter().all(|(_, path)| path.ends_with(".log")),
        "{polls:?}"
    );
    let logs = logs(to.path());
    assert_eq!(logs["otlp_http/edge_1-traces"], (3, 6));
    assert_eq!(logs["otlp_http/edge_1-metrics"], (1, 1));
    // One large record, and the lines of two files that two receivers read.
    assert_eq!(logs["otlp_http/edge_1-logs"].1, 1 + 2 * 9);
    let names = spans(to.path(), "otlp_http/edge_1-traces");
    assert_eq!(
        names,
        ["span 1", "span 1", "span 2", "span 2", "span 3", "span 3"]
    );
}

#[test]
fn older_forms_are_known_and_what_was_being_sent_comes_first() {
    let (from, to) = (unpacked("older"), tempfile::tempdir().unwrap());
    run(&options(from.path(), to.path())).unwrap();
    let names = spans(to.path(), "otlp/older-traces");
    assert_eq!(names, ["item 1", "item 3", "item 4", "item 5"]);
    let journal = Journal::open(to.path(), Options::default()).unwrap();
    let notes_of_journal = journal.notes("journald").unwrap();
    let cursor = notes_of_journal.iter().next();
    assert_eq!(
        cursor,
        Some((CURSOR, &b"s=00000000000000000000000000000001;i=7"[..]))
    );
    drop(notes_of_journal);
    journal.close();
    let mut offsets: Vec<u64> = notes(to.path(), "filelog/json")
        .into_iter()
        .map(|(offset, _)| offset)
        .collect();
    offsets.sort_unstable();
    let length = |name: &str| {
        std::fs::metadata(fixtures("logs").join(name))
            .unwrap()
            .len()
    };
    assert_eq!(offsets, [length("a.log"), length("b.log")]);
}

#[test]
fn the_directory_may_be_the_same_and_a_second_time_is_refused() {
    let from = unpacked("newer");
    let before = contents(from.path());
    let once = Import {
        to: None,
        ..options(from.path(), from.path())
    };
    run(&Import {
        dry_run: true,
        ..options(from.path(), from.path())
    })
    .unwrap();
    assert!(
        !from.path().join("LOCK").exists(),
        "a dry run writes nothing"
    );
    run(&once).unwrap();
    let after = contents(from.path());
    assert!(
        before
            .iter()
            .all(|(path, bytes)| after.get(path) == Some(bytes))
    );
    let again = run(&once).unwrap_err();
    assert!(again.contains("imported there before"), "{again}");
}

#[test]
fn a_configuration_says_what_components_are_called() {
    let (from, to) = (unpacked("newer"), tempfile::tempdir().unwrap());
    let yaml = "
receivers: {file_log: {include: [/a]}}
exporters: {otlphttp/edge_1: {endpoint: 'http://localhost:9'}}
service: {pipelines: {logs: {receivers: [file_log], exporters: [otlphttp/edge_1]}}}
";
    let sources = Sources {
        config: vec![format!("yaml:{yaml}")],
        ..no_configuration()
    };
    import(&options(from.path(), to.path()), &sources).unwrap();
    assert_eq!(notes(to.path(), "file_log").len(), 2);
    assert!(notes(to.path(), "filelog/polls").is_empty());
    assert_eq!(logs(to.path())["otlphttp/edge_1-traces"], (3, 6));
}

#[test]
fn a_collector_at_work_and_a_directory_of_nothing_are_told() {
    let (from, to) = (unpacked("newer"), tempfile::tempdir().unwrap());
    let path = from.path().join("receiver_filelog_");
    let held = std::fs::File::open(&path).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let told = run(&options(from.path(), to.path())).unwrap_err();
    assert!(
        told.contains("receiver_filelog_") && told.contains("stop the Collector"),
        "{told}"
    );
    drop(held);
    let empty = tempfile::tempdir().unwrap();
    let told = run(&options(empty.path(), to.path())).unwrap_err();
    assert!(told.contains("no database of a Collector"), "{told}");
    let told = run(&options(&empty.path().join("none"), to.path())).unwrap_err();
    assert!(told.contains("cannot read"), "{told}");
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
}

#[test]
fn a_database_that_is_cut_off_is_refused_and_nothing_is_written() {
    let whole = unpacked("newer");
    let to = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(whole.path().join("exporter_otlp_http_edge_1_traces")).unwrap();
    // The pages in use, by the newer meta page.
    for length in [0, 1, 79, 4096, 8192, 12_288, 16_384] {
        let from = unpacked("newer");
        let path = from.path().join("exporter_otlp_http_edge_1_traces");
        std::fs::write(&path, &bytes[..length]).unwrap();
        let told = run(&options(from.path(), to.path())).unwrap_err();
        assert!(told.contains("exporter_otlp_http_edge_1_traces"), "{told}");
        let known = ["cut off", "no database of bbolt"];
        assert!(
            known.iter().any(|part| told.contains(part)),
            "{length}: {told}"
        );
    }
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_request_is_refused_or_left_out_and_counted() {
    let (from, to) = (unpacked("older"), tempfile::tempdir().unwrap());
    let path = from.path().join("exporter_otlp_older_traces");
    let mut bytes = std::fs::read(&path).unwrap();
    // A page that was freed may have it too.
    let places: Vec<usize> = (0..bytes.len() - 6)
        .filter(|at| bytes[*at..].starts_with(b"item 4"))
        .collect();
    for at in places {
        bytes[at - 1] = 0x7f;
    }
    std::fs::write(&path, &bytes).unwrap();
    let once = options(from.path(), to.path());
    let told = run(&once).unwrap_err();
    assert!(
        told.contains("item 4 is damaged; --skip-damaged leaves it out"),
        "{told}"
    );
    run(&Import {
        skip_damaged: true,
        ..once
    })
    .unwrap();
    let names = spans(to.path(), "otlp/older-traces");
    assert_eq!(names, ["item 1", "item 3", "item 5"]);
}

#[test]
fn a_database_of_any_shape_is_read_as_it_was_written() {
    let from = unpacked("older");
    let database = Database::open(&from.path().join("shapes")).unwrap();
    let bucket = database.bucket(BUCKET).unwrap().unwrap();
    let mut found = BTreeMap::new();
    bucket
        .each(|key, value| {
            found.insert(key.to_vec(), value.to_vec());
            Ok(())
        })
        .unwrap();
    let mut expected: BTreeMap<Vec<u8>, Vec<u8>> = (1..5000)
        .step_by(2)
        .map(|n| {
            (
                format!("key {n:05}").into_bytes(),
                format!("value {}", n * 7).into_bytes(),
            )
        })
        .collect();
    expected.insert(b"large".to_vec(), vec![0; 30_000]);
    assert_eq!(found, expected);
    for (key, value) in &expected {
        assert_eq!(bucket.get(key).unwrap().as_ref(), Some(value));
    }
    for absent in ["", "key 00000", "key 00002", "inner", "zzz"] {
        assert_eq!(bucket.get(absent.as_bytes()).unwrap(), None, "{absent}");
    }
    // A bucket so small that it has no page of its own.
    let other = database.bucket(b"other").unwrap().unwrap();
    assert_eq!(other.get(b"alone").unwrap().as_deref(), Some(&b"here"[..]));
    assert!(database.bucket(b"another").unwrap().is_none());
}

/// Every byte of every page, changed: what is read is an error, or is read to an end.
#[test]
fn a_database_with_any_byte_changed_is_read_to_an_end() {
    let from = unpacked("older");
    for (name, owner) in [
        ("exporter_otlp_older_traces", "exporter_otlp_older_traces"),
        ("receiver_filelog_json", "receiver_filelog_json"),
    ] {
        let path = from.path().join(name);
        let owner = names::owner(owner, None).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let mut refused = 0;
        for (at, byte) in (0u64..).zip(&bytes) {
            for change in [0x01, 0x80, 0xff] {
                file.write_all_at(&[byte ^ change], at).unwrap();
                let read =
                    Database::open(&path).and_then(|database| found(&owner, &database, false));
                refused += usize::from(read.is_err());
            }
            file.write_all_at(&[*byte], at).unwrap();
        }
        assert!(refused > 100, "{refused}");
        assert!(Database::open(&path).is_ok());
    }
}
