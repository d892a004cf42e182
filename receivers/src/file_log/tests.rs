//! The receiver over real files, before a door that answers as it is told.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tidegate_component::testing::{FakeDoor, read};
use tidegate_component::{BuildContext, Receiver, Shut, Storages};
use tidegate_pdata::{Outcome, Refusal};
use tokio::time::{Instant, sleep, timeout};

use super::Config;
use crate::shelf::Shelf;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of logs, and a receiver that reads them.
struct Rig {
    folder: tempfile::TempDir,
    door: Arc<FakeDoor>,
    receiver: Option<Box<dyn Receiver>>,
    records: Vec<(LogRecord, Vec<KeyValue>)>,
}

impl Rig {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            door: Arc::default(),
            receiver: None,
            records: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a receiver of `*.log*` with these keys.
    async fn start(&mut self, keys: &str) {
        self.start_beside(keys, Storages::default()).await;
    }

    /// Starts a receiver beside storages.
    async fn start_beside(&mut self, keys: &str, storages: Storages) {
        let pattern = self.path("*.log*");
        let yaml = format!(
            "include: ['{}']\npoll_interval: 10ms\n{keys}",
            pattern.display()
        );
        let context = BuildContext {
            storages,
            ..BuildContext::detached("receiver", "file_log".parse().unwrap())
        };
        let built = tidegate_component::ComponentConfig::build(&read::<Config>(&yaml), &context);
        let mut receiver = built.unwrap_or_else(|error| panic!("{yaml}: {error}"));
        let context = self.door.receiver("file_log".parse().unwrap());
        receiver.start(context).await.unwrap();
        self.receiver = Some(receiver);
    }

    async fn stop(&mut self) {
        if let Some(mut receiver) = self.receiver.take() {
            timeout(PATIENCE, receiver.stop()).await.expect("it stops");
        }
    }

    fn append(&self, name: &str, text: &str) {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn take(&mut self) {
        for (payload, _) in self.door.take() {
            for segment in payload.segments() {
                let request = ExportLogsServiceRequest::decode(segment.bytes().clone()).unwrap();
                for resource in request.resource_logs {
                    let attributes = resource.resource.unwrap_or_default().attributes;
                    let scopes = resource.scope_logs.into_iter();
                    let records = scopes.flat_map(|scope| scope.log_records);
                    self.records
                        .extend(records.map(|record| (record, attributes.clone())));
                }
            }
        }
    }

    /// Waits for so many records in all.
    async fn wait(&mut self, count: usize) -> &[(LogRecord, Vec<KeyValue>)] {
        let until = Instant::now() + PATIENCE;
        loop {
            self.take();
            if self.records.len() >= count {
                return &self.records;
            }
            assert!(
                Instant::now() < until,
                "{} of {count} records came",
                self.records.len()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for these bodies, in this order, and sees that nothing else comes for some looks.
    async fn expect(&mut self, bodies: &[&str]) {
        self.wait(bodies.len()).await;
        sleep(Duration::from_millis(50)).await;
        self.take();
        assert_eq!(self.bodies(), bodies);
    }

    fn bodies(&self) -> Vec<String> {
        self.records
            .iter()
            .map(|(record, _)| body(record))
            .collect()
    }
}

fn body(record: &LogRecord) -> String {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn attribute(record: &LogRecord, key: &str) -> Option<Value> {
    let found = record.attributes.iter().find(|entry| entry.key == key)?;
    found.value.clone()?.value
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.to_owned()))
}

const BEGINNING: &str = "start_at: beginning";

#[tokio::test]
async fn lines_are_read_as_they_are_written() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n  two \r\n\nthree\n");
    rig.start(BEGINNING).await;
    rig.expect(&["one", "two", "three"]).await;
    rig.append("a.log", "fo");
    rig.append("a.log", "ur\nfive");
    rig.expect(&["one", "two", "three", "four"]).await;
    // What has no end is an entry once nothing more comes.
    rig.expect(&["one", "two", "three", "four", "five"]).await;
    let (record, resource) = &rig.records[0];
    assert_eq!(attribute(record, "log.file.name"), text("a.log"));
    assert!(
        record.observed_time_unix_nano > 0 && record.time_unix_nano == 0 && resource.is_empty()
    );
    rig.stop().await;
}

#[tokio::test]
async fn files_that_are_there_at_the_start_are_read_from_their_end_unless_told() {
    let mut rig = Rig::new();
    rig.append("a.log", "old\n");
    rig.start("").await;
    sleep(Duration::from_millis(100)).await;
    rig.append("a.log", "new\n");
    rig.append("b.log", "of a new file\n");
    rig.wait(2).await;
    let mut bodies = rig.bodies();
    bodies.sort();
    assert_eq!(bodies, ["new", "of a new file"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_renamed_is_read_on() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start(BEGINNING).await;
    rig.wait(1).await;
    fs::rename(rig.path("a.log"), rig.path("a.log.1")).unwrap();
    rig.append("a.log.1", "two\n");
    rig.append("a.log", "three\n");
    rig.wait(3).await;
    rig.append("a.log.1", "four\n");
    rig.wait(4).await;
    sleep(Duration::from_millis(50)).await;
    rig.take();
    let mut bodies = rig.bodies();
    bodies.sort();
    assert_eq!(bodies, ["four", "one", "three", "two"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_moved_out_of_sight_is_read_to_its_end() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.start(BEGINNING).await;
    rig.wait(1).await;
    let mut open = OpenOptions::new()
        .append(true)
        .open(rig.path("a.log"))
        .unwrap();
    fs::rename(rig.path("a.log"), rig.path("elsewhere")).unwrap();
    open.write_all(b"two\n").unwrap();
    rig.append("a.log", "new\n");
    rig.wait(3).await;
    open.write_all(b"three").unwrap();
    rig.wait(4).await;
    fs::remove_file(rig.path("elsewhere")).unwrap();
    rig.wait(4).await;
    let mut bodies = rig.bodies();
    bodies.sort();
    assert_eq!(bodies, ["new", "one", "three", "two"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_copied_and_emptied_is_read_once() {
    let mut rig = Rig::new();
    let line = |n: usize| format!("line {n} of a log that is rotated by copying\n");
    let mut written = 0;
    rig.start(BEGINNING).await;
    for round in 0..5 {
        for _ in 0..30 {
            rig.append("a.log", &line(written));
            written += 1;
        }
        if round % 2 == 0 {
            rig.wait(written).await;
        }
        fs::copy(rig.path("a.log"), rig.path(&format!("a.log.{round}"))).unwrap();
        fs::write(rig.path("a.log"), "").unwrap();
    }
    rig.wait(written).await;
    sleep(Duration::from_millis(100)).await;
    rig.take();
    let mut bodies = rig.bodies();
    bodies.sort();
    let mut expected: Vec<String> = (0..written).map(|n| line(n).trim().to_owned()).collect();
    expected.sort();
    assert_eq!(bodies, expected);
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_written_anew_is_read_anew() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\n");
    rig.start(BEGINNING).await;
    rig.wait(2).await;
    fs::write(
        rig.path("a.log"),
        "three is longer than those before\nfour\n",
    )
    .unwrap();
    rig.expect(&["one", "two", "three is longer than those before", "four"])
        .await;
    rig.stop().await;
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_rotated_file_that_is_compressed_is_read_on_from_where_it_was() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\n");
    rig.start("start_at: beginning\ncompression: auto").await;
    rig.wait(2).await;
    // Renamed, written to once more, and compressed: all between two looks or not.
    fs::rename(rig.path("a.log"), rig.path("hidden")).unwrap();
    fs::write(rig.path("a.log.1.gz"), gzip("one\ntwo\nthree\n")).unwrap();
    fs::remove_file(rig.path("hidden")).unwrap();
    rig.append("a.log", "four\n");
    rig.wait(4).await;
    sleep(Duration::from_millis(50)).await;
    rig.take();
    let mut bodies = rig.bodies();
    bodies.sort();
    assert_eq!(bodies, ["four", "one", "three", "two"]);
    rig.stop().await;
}

#[tokio::test]
async fn compressed_files_are_read() {
    let mut rig = Rig::new();
    let lines: Vec<String> = (0..20_000)
        .map(|n| format!("line {n} of a large file"))
        .collect();
    fs::write(rig.path("a.log.gz"), gzip(&lines.join("\n"))).unwrap();
    rig.start("start_at: beginning\ncompression: gzip").await;
    rig.wait(lines.len()).await;
    assert!(rig.bodies() == lines);
    rig.stop().await;
}

#[tokio::test]
async fn entries_of_several_lines_are_joined() {
    let mut rig = Rig::new();
    rig.append("a.log", "2024 a\n  at x\n2025 b\n");
    rig.start("start_at: beginning\npreserve_leading_whitespaces: true\nmultiline: {line_start_pattern: '^20'}").await;
    rig.expect(&["2024 a\n  at x", "2025 b"]).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_and_garbage_is_text() {
    let mut rig = Rig::new();
    let long = "x".repeat(100_000);
    fs::write(rig.path("a.log"), &long).unwrap();
    let garbage: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    fs::write(rig.path("b.log"), garbage).unwrap();
    rig.start("start_at: beginning\nmax_log_size: 10000").await;
    let until = Instant::now() + PATIENCE;
    loop {
        rig.take();
        let of_long = rig
            .bodies()
            .iter()
            .filter(|body| body.starts_with("xxx"))
            .map(String::len)
            .sum::<usize>();
        if of_long == long.len() {
            break;
        }
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(5)).await;
    }
    assert!(rig.bodies().iter().all(|body| body.len() <= 40_000));
    rig.stop().await;
}

#[tokio::test]
async fn nothing_is_dropped_while_the_door_is_shut_or_refuses() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\n");
    rig.door.shut(Some(Shut::Full));
    rig.start("start_at: beginning\nretry_on_failure: {initial_interval: 1ms, max_interval: 5ms}")
        .await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(rig.door.items(), 0);
    let refusal = Refusal::new("full", Duration::ZERO);
    rig.door.answer(Some(Outcome::Refused(refusal)));
    rig.door.shut(None);
    rig.wait(3).await;
    assert!(rig.bodies().iter().all(|body| body == "one"));
    rig.door.answer(Some(Outcome::Durable));
    rig.append("a.log", "two\n");
    let until = Instant::now() + PATIENCE;
    // Batches are handed over side by side: the first may be tried again after the second was taken.
    while !rig.bodies().iter().any(|body| body == "two") {
        assert!(Instant::now() < until);
        rig.take();
        sleep(Duration::from_millis(5)).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn operators_and_labels_make_records() {
    let mut rig = Rig::new();
    rig.append(
        "a.log",
        "{\"level\": \"error\", \"msg\": \"m\", \"user\": \"u\"}\n",
    );
    let keys = "start_at: beginning
include_file_path: true
include_file_record_number: true
include_file_record_offset: true
include_file_owner_name: true
attributes: {env: prod, n: 7, user_of: 'EXPR(attributes[\"log.file.name\"])'}
resource: {service.name: shop}
operators:
- {type: json_parser, severity: {parse_from: attributes.level}}
- {type: move, from: attributes.msg, to: body}
- {type: move, from: attributes.user, to: 'resource[\"user.id\"]'}
";
    rig.start(keys).await;
    rig.wait(1).await;
    let (record, resource) = &rig.records[0];
    assert_eq!(body(record), "m");
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (17, "error")
    );
    assert_eq!(attribute(record, "env"), text("prod"));
    assert_eq!(attribute(record, "n"), Some(Value::IntValue(7)));
    assert_eq!(attribute(record, "user_of"), text("a.log"));
    assert_eq!(
        attribute(record, "log.file.path"),
        text(&rig.path("a.log").display().to_string())
    );
    assert_eq!(
        attribute(record, "log.file.record_number"),
        Some(Value::IntValue(1))
    );
    assert_eq!(
        attribute(record, "log.file.record_offset"),
        Some(Value::IntValue(0))
    );
    assert!(attribute(record, "log.file.owner.name").is_some());
    let keys: Vec<_> = resource.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["service.name", "user.id"]);
    rig.stop().await;
}

#[tokio::test]
async fn headers_tell_of_what_follows() {
    let mut rig = Rig::new();
    rig.append("a.log", "#env=prod\n#zone=b\nline\n#no header=any more\n");
    let keys = "start_at: beginning
header:
  pattern: '^#'
  metadata_operators:
  - {type: regex_parser, regex: '^#(?P<k>\\w+)=(?P<v>.*)$', parse_to: body}
  - {type: add, field: attributes.seen, value: true}
  - {type: router, routes: [{expr: 'body.k == \"env\"', output: env}], default: zone}
  - {type: move, id: env, from: body.v, to: attributes.env, output: end}
  - {type: move, id: zone, from: body.v, to: attributes.zone}
  - {type: noop, id: end}
";
    rig.start(keys).await;
    rig.expect(&["line", "#no header=any more"]).await;
    let (record, _) = &rig.records[1];
    assert_eq!(
        (attribute(record, "env"), attribute(record, "zone")),
        (text("prod"), text("b"))
    );
    rig.stop().await;
}

#[tokio::test]
async fn files_are_removed_once_they_are_kept() {
    let mut rig = Rig::new();
    rig.append("a.log", "one\ntwo\n");
    rig.start("start_at: beginning\ndelete_after_read: true")
        .await;
    rig.wait(2).await;
    let until = Instant::now() + PATIENCE;
    while rig.path("a.log").exists() {
        assert!(Instant::now() < until, "the file is not removed");
        sleep(Duration::from_millis(5)).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_operators_hold_comes_at_the_stop() {
    let mut rig = Rig::new();
    rig.append("a.log", "first\n more\n");
    rig.start("start_at: beginning\npreserve_leading_whitespaces: true\noperators: [{type: recombine, combine_field: body, is_first_entry: 'body matches \"^[^ ]\"', force_flush_period: 1h}]").await;
    sleep(Duration::from_millis(100)).await;
    rig.stop().await;
    rig.take();
    assert_eq!(rig.bodies(), ["first\n more"]);
}

#[tokio::test]
async fn the_next_process_reads_on_whatever_became_of_the_file() {
    let mut rig = Rig::new();
    let keys = "storage: file_storage\ninclude_file_record_number: true";
    let storages = Shelf::storages(rig.folder.path());
    rig.append("a.log", "one\n");
    rig.start_beside(&format!("start_at: beginning\n{keys}"), storages.clone())
        .await;
    rig.expect(&["one"]).await;
    rig.stop().await;
    // Renamed, written to and begun anew while nobody looked.
    rig.append("a.log", "two\n");
    fs::rename(rig.path("a.log"), rig.path("a.log.1")).unwrap();
    rig.append("a.log", "three\n");
    // Places that are known come before `start_at`.
    rig.start_beside(keys, storages.clone()).await;
    rig.wait(3).await;
    rig.stop().await;
    rig.start_beside(keys, storages).await;
    rig.append("a.log", "four\n");
    rig.wait(4).await;
    rig.stop().await;
    rig.take();
    let mut bodies = rig.bodies();
    bodies.sort();
    assert_eq!(bodies, ["four", "one", "three", "two"]);
    let two = rig
        .records
        .iter()
        .find(|(record, _)| body(record) == "two")
        .unwrap();
    assert_eq!(
        attribute(&two.0, "log.file.record_number"),
        Some(Value::IntValue(2))
    );
}

#[tokio::test]
async fn what_operators_hold_is_read_again_by_the_next_process() {
    let mut rig = Rig::new();
    let keys = "storage: file_storage
start_at: beginning
operators: [{type: recombine, combine_field: body, combine_with: '', is_last_entry: 'body endsWith \";\"', force_flush_period: 1h}]";
    let storages = Shelf::storages(rig.folder.path());
    rig.append("a.log", "a;\nb\nc\n");
    rig.start_beside(keys, storages.clone()).await;
    rig.expect(&["a;"]).await;
    sleep(Duration::from_millis(50)).await;
    rig.stop().await;
    rig.append("a.log", "d;\n");
    rig.start_beside(keys, storages).await;
    rig.expect(&["a;", "bcd;"]).await;
    rig.stop().await;
}

#[tokio::test]
async fn ten_thousand_files_are_read_with_few_of_them_open() {
    let mut rig = Rig::new();
    for folder in 0..100 {
        fs::create_dir(rig.path(&format!("d{folder}"))).unwrap();
        for file in 0..100 {
            fs::write(
                rig.path(&format!("d{folder}/{file}.txt")),
                format!("line of {folder}/{file}\n"),
            )
            .unwrap();
        }
    }
    let pattern = rig.path("d*/*.txt").display().to_string();
    let metrics = start_on(
        &mut rig,
        &pattern,
        "start_at: beginning\nmax_concurrent_files: 50\npoll_interval: 50ms",
    )
    .await;
    rig.wait(10_000).await;
    rig.append("d7/7.txt", "more\n");
    rig.wait(10_001).await;
    sleep(Duration::from_millis(200)).await;
    rig.take();
    assert_eq!(rig.records.len(), 10_001);
    let open = metrics
        .gauge("otelcol_fileconsumer_open_files", "", &[])
        .value();
    assert!(open <= 50, "{open} files are open");
    rig.stop().await;
}

async fn start_on(
    rig: &mut Rig,
    pattern: &str,
    keys: &str,
) -> tidegate_component::metrics::Metrics {
    let yaml = format!("include: ['{pattern}']\n{keys}");
    let context = BuildContext::detached("receiver", "file_log".parse().unwrap());
    let built = tidegate_component::ComponentConfig::build(&read::<Config>(&yaml), &context);
    let mut receiver = built.unwrap_or_else(|error| panic!("{yaml}: {error}"));
    receiver
        .start(rig.door.receiver("file_log".parse().unwrap()))
        .await
        .unwrap();
    rig.receiver = Some(receiver);
    context.metrics
}

#[test]
fn what_is_wrong_with_the_keys_is_told() {
    let context = BuildContext::detached("receiver", "file_log".parse().unwrap());
    for (yaml, path) in [
        ("include: ['[a']", "include::0"),
        ("{include: [a], exclude: ['{b']}", "exclude::0"),
        ("{include: [a], fingerprint_size: 2}", "fingerprint_size"),
        ("{include: [a], max_log_size: 0}", "max_log_size"),
        ("{include: [a], poll_interval: 0s}", "poll_interval"),
        (
            "{include: [a], delete_after_read: true}",
            "delete_after_read",
        ),
        ("{include: [a], encoding: klingon}", "encoding"),
        ("{include: [a], multiline: {}}", "multiline"),
        (
            "{include: [a], multiline: {line_end_pattern: '('}}",
            "multiline::line_end_pattern",
        ),
        (
            "{include: [a], encoding: utf-16le, multiline: {line_end_pattern: a}}",
            "multiline",
        ),
        (
            "{include: [a], ordering_criteria: {regex: '(', sort_by: [{sort_type: mtime}]}}",
            "ordering_criteria::regex",
        ),
        ("{include: [a], storage: file_storage}", "storage"),
        (
            "{include: [a], header: {pattern: a, metadata_operators: [{type: noop}]}}",
            "header",
        ),
        (
            "{include: [a], start_at: beginning, header: {pattern: '(', metadata_operators: [{type: noop}]}}",
            "header::pattern",
        ),
        (
            "{include: [a], operators: [{type: stdout}]}",
            "operators::0",
        ),
        (
            "{include: [a], attributes: {k: 'EXPR(x)'}}",
            "attributes::k",
        ),
    ] {
        let error = tidegate_component::ComponentConfig::build(&read::<Config>(yaml), &context);
        assert_eq!(
            error.err().map(|error| error.path).as_deref(),
            Some(path),
            "{yaml}"
        );
    }
}
