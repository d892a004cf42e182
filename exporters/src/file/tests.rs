//! Requests in, files out.

use std::fs;
use std::path::Path;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tidegate_component::ExportError;
use tidegate_component::testing::realistic;
use tidegate_pdata::{Batch, Context, Payload, Receipt, Segment, Signal, json};
use tidegate_transport::compression::{Codec, decompress};

use super::*;
use crate::otlp::testing::{context, remote};

fn batch(payload: &Payload) -> Batch {
    Batch::new(payload.clone(), Context::default(), Receipt::none())
}

fn as_json(payload: &Payload) -> String {
    let mut text = Vec::new();
    let segments = payload.segments().iter().map(|segment| &**segment.bytes());
    json::to_json(payload.signal(), segments, &mut text);
    String::from_utf8(text).unwrap()
}

fn as_proto(payload: &Payload) -> Vec<u8> {
    let segments = payload.segments().iter();
    segments
        .flat_map(|segment| segment.bytes().to_vec())
        .collect()
}

/// Runs an exporter with these keys beside `path`.
async fn run(path: &Path, keys: &str, payloads: &[Payload]) {
    let exporter = remote::<Config>(&yaml(path, keys)).await;
    for payload in payloads {
        let delivered = exporter.export(&batch(payload)).await.unwrap();
        assert_eq!(delivered, Delivered::default());
    }
    exporter.stop().await;
}

fn yaml(path: &Path, keys: &str) -> String {
    format!("{{path: '{}'{keys}}}", path.display())
}

fn payloads() -> Vec<Payload> {
    Signal::ALL
        .into_iter()
        .flat_map(|signal| [realistic(signal, 3), realistic(signal, 1)])
        .collect()
}

/// The messages of a file, each of them after its length.
fn messages(file: &Path) -> Vec<Vec<u8>> {
    let (bytes, mut rest) = (fs::read(file).unwrap(), Vec::new());
    let mut left = &bytes[..];
    while let Some((length, after)) = left.split_first_chunk() {
        let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        rest.push(message.to_vec());
        left = after;
    }
    rest
}

fn inflate(message: &[u8]) -> Vec<u8> {
    decompress(Codec::Zstd, message, 1 << 30, &mut |_| true).unwrap()
}

/// A log record of a resource with this attribute.
fn resource(attribute: Option<&str>, body: &str) -> ResourceLogs {
    let text = |text: &str| {
        let value = Some(any_value::Value::StringValue(text.to_owned()));
        Some(AnyValue { value })
    };
    let attributes = attribute.map(|value| KeyValue {
        key: "file".to_owned(),
        value: text(value),
        ..KeyValue::default()
    });
    ResourceLogs {
        resource: Some(Resource {
            attributes: attributes.into_iter().collect(),
            ..Resource::default()
        }),
        scope_logs: vec![ScopeLogs {
            log_records: vec![LogRecord {
                body: text(body),
                ..LogRecord::default()
            }],
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    }
}

fn logs(resource_logs: Vec<ResourceLogs>) -> Payload {
    let items = resource_logs.len();
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    Payload::from_segment(Signal::Logs, Segment::new(bytes.into(), items, None))
}

#[tokio::test]
async fn json_is_a_request_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    run(&path, "", &payloads()).await;
    let expected: Vec<_> = payloads().iter().map(as_json).collect();
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn payload_of_several_segments_is_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let mut payload = realistic(Signal::Traces, 2);
    payload.append(realistic(Signal::Traces, 3));
    run(&path, "", &[payload]).await;
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 1);
    let spans = text.matches("\"spanId\"").count();
    assert_eq!(spans, 5);
}

#[tokio::test]
async fn protobuf_stands_after_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    run(&path, ", format: proto", &payloads()).await;
    let expected: Vec<_> = payloads().iter().map(as_proto).collect();
    assert_eq!(messages(&path), expected);
}

#[tokio::test]
async fn compressed_messages_stand_after_their_length_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let read = || {
        messages(&path)
            .iter()
            .map(|one| inflate(one))
            .collect::<Vec<_>>()
    };
    run(&path, ", format: proto, compression: zstd", &payloads()).await;
    assert_eq!(read(), payloads().iter().map(as_proto).collect::<Vec<_>>());
    run(&path, ", compression: zstd", &payloads()).await;
    let expected: Vec<_> = payloads()
        .iter()
        .map(|one| as_json(one).into_bytes())
        .collect();
    assert_eq!(read(), expected);
}

#[tokio::test]
async fn file_is_emptied_at_the_start_unless_it_is_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let one = [realistic(Signal::Logs, 1)];
    for (keys, lines) in [("", 1), (", append: true", 2), (", rotation: ", 3), ("", 1)] {
        run(&path, keys, &one).await;
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), lines, "{keys}");
    }
}

#[tokio::test]
async fn folder_is_made_with_its_permissions_where_that_is_asked() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/a.json");
    let built = |keys: &str| {
        let config = crate::otlp::testing::config::<Config>(&yaml(&path, keys));
        let cx = BuildContext::detached("exporter", "file".parse().unwrap());
        match config.build(&cx) {
            Ok(AnyExporter::Remote(exporter)) => exporter,
            other => panic!("{other:?}"),
        }
    };
    let error = built("").start(context("file")).await.unwrap_err();
    assert!(error.message.contains("deep/er/a.json"), "{error}");
    let keys = ", create_directory: true, directory_permissions: '0700'";
    built(keys).start(context("file")).await.unwrap();
    let found = fs::metadata(path.parent().unwrap()).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn full_disk_is_a_fault_that_passes() {
    let exporter = remote::<Config>("path: /dev/full").await;
    let answer = exporter.export(&batch(&realistic(Signal::Logs, 1))).await;
    assert!(
        matches!(answer, Err(ExportError::Retryable { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn batches_handed_in_at_once_come_out_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let exporter = remote::<Config>(&yaml(&path, "")).await;
    let batches = (0..50).map(|number| batch(&logs(vec![resource(None, &number.to_string())])));
    let mut exports = tokio::task::JoinSet::new();
    for batch in batches {
        let exporter = Arc::clone(&exporter);
        exports.spawn(async move { exporter.export(&batch).await });
    }
    for answer in exports.join_all().await {
        answer.unwrap();
    }
    let text = fs::read_to_string(path).unwrap();
    for (number, line) in text.lines().enumerate() {
        let body = format!("\"stringValue\":\"{number}\"");
        assert!(line.contains(&body), "{line}");
    }
    assert_eq!(text.lines().count(), 50);
}

const GROUPED: &str = ", group_by: {enabled: true, resource_attribute: file, max_open_files: 1}";

#[tokio::test]
async fn resources_go_to_the_files_that_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = remote::<Config>(&yaml(&folder.path().join("out/*.json"), GROUPED)).await;
    let payload = logs(vec![
        resource(Some("one"), "1"),
        resource(Some("../two"), "2"),
        resource(None, "3"),
        resource(Some("one"), "4"),
        resource(Some("one.json/below"), "5"),
        resource(Some("a\0b"), "6"),
    ]);
    for _ in 0..2 {
        let delivered = exporter.export(&batch(&payload)).await.unwrap();
        assert_eq!(delivered.rejected, 3);
        assert!(delivered.message.unwrap().contains("file"));
    }
    exporter.stop().await;
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    // Each file was closed for the other in between, and emptied only at first.
    let both = as_json(&logs(vec![
        resource(Some("one"), "1"),
        resource(Some("one"), "4"),
    ]));
    assert_eq!(read("out/one.json"), format!("{both}\n{both}\n"));
    let second = as_json(&logs(vec![resource(Some("../two"), "2")]));
    assert_eq!(read("out/two.json"), format!("{second}\n{second}\n"));
}
