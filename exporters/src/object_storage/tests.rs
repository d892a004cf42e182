//! The lake in a local directory, and how it rolls, holds back and recovers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tidegate_component::testing::{read, realistic};
use tidegate_component::{
    AnyExporter, BuildContext, BulkExporter, ComponentConfig, Delivered, ExportError, Portion,
    Position, Sealed,
};
use tidegate_pdata::testing::{Request, realistic_traces};
use tidegate_pdata::{Batch, Context, Payload, Receipt, Signal};
use tokio::time::{Instant, advance};

use super::Config;

/// A lake in a directory of its own.
struct Rig {
    directory: TempDir,
    exporter: std::sync::Arc<dyn BulkExporter>,
    added: u64,
}

fn build<C: ComponentConfig<Builds = AnyExporter>>(yaml: &str) -> std::sync::Arc<dyn BulkExporter> {
    let id = C::TYPE.parse().unwrap();
    let context = BuildContext::detached("exporter", id);
    match read::<C>(yaml).build(&context) {
        Ok(AnyExporter::Bulk(exporter)) => exporter,
        Ok(other) => panic!("{other:?} collects nothing"),
        Err(error) => panic!("{error}"),
    }
}

impl Rig {
    fn new(keys: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lake = directory.path().join("lake");
        let exporter = build::<Config>(&format!("url: {}\n{keys}", lake.display()));
        Self {
            directory,
            exporter,
            added: 0,
        }
    }

    fn lake(&self) -> PathBuf {
        self.directory.path().join("lake")
    }

    fn add(&mut self, payload: Payload) -> Result<Delivered, ExportError> {
        self.added += 1;
        let batch = Batch::new(payload, Context::default(), Receipt::none());
        self.exporter
            .add(&Portion::whole(Position(self.added), &batch))
    }

    /// Adds spans and expects that all are taken.
    fn spans(&mut self, count: usize) {
        let delivered = self.add(realistic(Signal::Traces, count)).unwrap();
        assert_eq!(delivered, Delivered::default());
    }

    fn seal(&self) -> Vec<Sealed> {
        self.exporter.seal(Instant::now())
    }

    fn seal_all(&self) -> Vec<Sealed> {
        self.exporter
            .seal(Instant::now() + Duration::from_secs(1 << 30))
    }

    async fn commit(&self, sealed: &[Sealed]) {
        for object in sealed {
            self.exporter.commit(object).await.unwrap();
        }
    }

    /// The files of the lake below its root.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.lake(), &mut files);
        let root = self.lake();
        let below = |file: &PathBuf| file.strip_prefix(&root).unwrap().display().to_string();
        let mut files: Vec<_> = files.iter().map(below).collect();
        files.sort();
        files
    }

    fn is_due(&self) -> bool {
        self.exporter.due().is_some_and(|due| due <= Instant::now())
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Rows of Parquet in all of these files.
fn rows(rig: &Rig) -> usize {
    use parquet::file::reader::FileReader;
    let count = |file: &String| {
        let bytes = std::fs::read(rig.lake().join(file)).unwrap();
        let reader = parquet::file::reader::SerializedFileReader::new(Bytes::from(bytes)).unwrap();
        usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap()
    };
    rig.files().iter().map(count).sum()
}

/// Spans of one service that begin at these times.
fn spans_at(service: &str, starts: &[u64]) -> Payload {
    let mut request = realistic_traces(starts.len() * 5);
    request.resource_spans.truncate(1);
    let resource = &mut request.resource_spans[0];
    let attributes = &mut resource.resource.as_mut().unwrap().attributes;
    attributes[0].value = Some(opentelemetry_proto::tonic::common::v1::AnyValue {
        value: Some(
            opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(service.into()),
        ),
    });
    let spans = &mut resource.scope_spans[0].spans;
    spans.truncate(starts.len());
    for (span, start) in spans.iter_mut().zip(starts) {
        span.start_time_unix_nano = *start;
    }
    let bytes = Bytes::from(Request::Traces(request).encode());
    Payload::admit(Signal::Traces, bytes, None).unwrap().payload
}

const HOUR: u64 = 3_600_000_000_000;

#[tokio::test(start_paused = true)]
async fn object_is_due_when_its_first_record_is_old() {
    let mut rig = Rig::new("roll: {max_age: 10s}\npartition_by: []");
    rig.spans(10);
    advance(Duration::from_secs(6)).await;
    rig.spans(10);
    assert!(!rig.is_due());
    assert!(rig.seal().is_empty());
    advance(Duration::from_secs(4)).await;
    assert!(rig.is_due());
    let sealed = rig.seal();
    assert_eq!(sealed.len(), 1);
    assert_eq!(sealed[0].items(), 20);
    let positions: Vec<_> = sealed[0].parts.iter().map(|part| part.position.0).collect();
    assert_eq!(positions, [1, 2]);
    assert!(rig.exporter.due().is_none());
    rig.commit(&sealed).await;
    assert_eq!(rows(&rig), 20);
}

#[tokio::test(start_paused = true)]
async fn object_is_due_when_it_has_its_rows_or_its_size() {
    for roll in ["{max_rows: 25}", "{max_size: 4KiB}"] {
        let mut rig = Rig::new(&format!("roll: {roll}\npartition_by: []"));
        rig.spans(20);
        assert!(!rig.is_due(), "{roll}");
        rig.spans(20);
        assert!(rig.is_due(), "{roll}");
        // What comes before it is sealed begins another.
        rig.spans(1);
        let sealed = rig.seal();
        assert_eq!(sealed.len(), 1, "{roll}");
        assert_eq!(sealed[0].items(), 40, "{roll}");
        assert_eq!(rig.seal_all()[0].items(), 1, "{roll}");
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_go_by_the_records_own_hour_and_service() {
    let mut rig = Rig::new("partition_by: [date, hour, service]");
    let day = 1_795_291_200_000_000_000;
    rig.add(spans_at("checkout", &[day, day + 1, day + HOUR]))
        .unwrap();
    rig.add(spans_at("a/b", &[day])).unwrap();
    let sealed = rig.seal_all();
    let items: Vec<_> = sealed.iter().map(Sealed::items).collect();
    assert_eq!(items, [2, 1, 1]);
    rig.commit(&sealed).await;
    let files = rig.files();
    let partitions: Vec<_> = files
        .iter()
        .map(|file| file.rsplit_once('/').unwrap().0)
        .collect();
    assert_eq!(
        partitions,
        [
            "signal=traces/date=2026-11-21/hour=20/service=a%2Fb",
            "signal=traces/date=2026-11-21/hour=20/service=checkout",
            "signal=traces/date=2026-11-21/hour=21/service=checkout",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn record_without_a_time_lies_where_it_arrived() {
    let mut rig = Rig::new("partition_by: [date]");
    rig.add(spans_at("checkout", &[0])).unwrap();
    rig.commit(&rig.seal_all()).await;
    assert!(!rig.files()[0].contains("1970"), "{:?}", rig.files());
}

#[tokio::test(start_paused = true)]
async fn metrics_of_each_kind_have_objects_of_their_own() {
    let mut rig = Rig::new("partition_by: []");
    rig.add(realistic(Signal::Metrics, 300)).unwrap();
    rig.commit(&rig.seal_all()).await;
    let files = rig.files();
    let kinds: Vec<_> = files
        .iter()
        .map(|file| file.split('/').nth(1).unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "kind=exponential_histogram",
            "kind=gauge",
            "kind=histogram",
            "kind=sum",
            "kind=summary"
        ]
    );
    assert_eq!(rows(&rig), 300);
}

#[tokio::test(start_paused = true)]
async fn fault_of_the_directory_is_named_and_a_repetition_after_it_doubles_nothing() {
    let mut rig = Rig::new("partition_by: []");
    // A file where the directory is to be: no directory can be made there.
    std::fs::write(rig.lake(), "in the way").unwrap();
    rig.spans(10);
    let sealed = rig.seal_all();
    let error = rig.exporter.commit(&sealed[0]).await.unwrap_err();
    let ExportError::Retryable { endpoint, source } = &error else {
        panic!("{error}");
    };
    assert_eq!(**endpoint, *rig.lake().display().to_string());
    assert!(source.to_string().contains("Not a directory"), "{source}");
    std::fs::remove_file(rig.lake()).unwrap();
    rig.commit(&sealed).await;
    rig.commit(&sealed).await;
    assert_eq!(rig.files().len(), 1);
    assert_eq!(rows(&rig), 10);
}

#[tokio::test(start_paused = true)]
async fn object_whose_answer_was_lost_is_not_put_again() {
    let mut rig = Rig::new("partition_by: []");
    rig.spans(10);
    let sealed = rig.seal_all();
    let path = PathBuf::from(format!("/{}", sealed[0].name));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "an earlier attempt").unwrap();
    rig.commit(&sealed).await;
    assert_eq!(std::fs::read(&path).unwrap(), b"an earlier attempt");
}

#[tokio::test(start_paused = true)]
async fn abandoned_object_is_let_go() {
    let mut rig = Rig::new("partition_by: []");
    rig.spans(10);
    let sealed = rig.seal_all();
    rig.exporter.abandon(&sealed[0]);
    rig.commit(&sealed).await;
    assert!(rig.files().is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_too_much_is_held_objects_are_closed_early() {
    let mut rig = Rig::new("max_buffer: 64KiB\npartition_by: []");
    rig.spans(1000);
    assert!(!rig.is_due());
    let error = rig.add(realistic(Signal::Traces, 1)).unwrap_err();
    assert!(matches!(error, ExportError::Refused { .. }), "{error}");
    assert!(rig.is_due());
    assert_eq!(rig.seal()[0].items(), 1000);
    rig.spans(1);
}

#[tokio::test(start_paused = true)]
async fn of_too_many_objects_the_oldest_are_closed_early() {
    let mut rig = Rig::new("max_open: 3\npartition_by: [hour]");
    let hours: Vec<u64> = (1..=5).map(|hour| hour * HOUR).collect();
    rig.add(spans_at("checkout", &hours)).unwrap();
    assert!(rig.is_due());
    let names: Vec<_> = rig.seal().into_iter().map(|object| object.name).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].contains("hour=01") && names[1].contains("hour=02"));
    assert!(!rig.is_due());
}

#[tokio::test(start_paused = true)]
async fn huge_resource_is_not_repeated_without_end() {
    let mut rig = Rig::new("partition_by: []");
    let mut request = realistic_traces(5000);
    request.resource_spans.truncate(1);
    let attributes = &mut request.resource_spans[0]
        .resource
        .as_mut()
        .unwrap()
        .attributes;
    attributes[1].value = Some(opentelemetry_proto::tonic::common::v1::AnyValue {
        value: Some(
            opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(
                "x".repeat(2 << 20),
            ),
        ),
    });
    let bytes = Bytes::from(Request::Traces(request).encode());
    let payload = Payload::admit(Signal::Traces, bytes, None).unwrap().payload;
    let delivered = rig.add(payload).unwrap();
    assert_eq!(delivered.rejected, 1000 - 127);
    assert!(delivered.message.unwrap().contains("too large"));
    assert_eq!(rig.seal_all()[0].items(), 127);
}

#[tokio::test(start_paused = true)]
async fn lines_hold_a_request_each_and_protobuf_is_one_request() {
    for (format, name) in [
        ("format: otlp_json", ".jsonl"),
        ("format: otlp_json\ncompression: gzip", ".jsonl.gz"),
        ("format: otlp_proto\ncompression: zstd", ".binpb.zst"),
        ("format: otlp_proto", ".binpb"),
    ] {
        let mut rig = Rig::new(&format!("{format}\npartition_by: []"));
        let sent = Request::Logs(tidegate_pdata::testing::realistic_logs(10));
        for _ in 0..2 {
            let bytes = Bytes::from(sent.encode());
            rig.add(Payload::admit(Signal::Logs, bytes, None).unwrap().payload)
                .unwrap();
        }
        rig.commit(&rig.seal_all()).await;
        let file = rig.files().remove(0);
        assert!(file.ends_with(name), "{file}");
        let bytes = decompressed(std::fs::read(rig.lake().join(&file)).unwrap(), name);
        let requests: Vec<_> = if format.contains("json") {
            let lines = bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            let read = |line| {
                let request = tidegate_pdata::json::from_json(Signal::Logs, line, &mut |_| true);
                Request::decode(Signal::Logs, &request.unwrap()).unwrap()
            };
            lines.map(read).collect()
        } else {
            let whole = Request::decode(Signal::Logs, &bytes).unwrap();
            assert_eq!(whole.items(), 20);
            vec![sent.clone(); 2]
        };
        assert_eq!(requests, [sent.clone(), sent.clone()], "{format}");
    }
}

fn decompressed(bytes: Vec<u8>, name: &str) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    match name.rsplit_once('.').unwrap().1 {
        "gz" => {
            flate2::read::GzDecoder::new(&bytes[..])
                .read_to_end(&mut out)
                .unwrap();
        }
        "zst" => out = zstd::decode_all(&bytes[..]).unwrap(),
        _ => out = bytes,
    }
    out
}

#[tokio::test(start_paused = true)]
async fn lines_are_parted_by_the_records_own_hour_too() {
    let mut rig = Rig::new("format: otlp_proto\npartition_by: [hour]");
    rig.add(spans_at("checkout", &[HOUR, 2 * HOUR, HOUR]))
        .unwrap();
    let sealed = rig.seal_all();
    let items: Vec<_> = sealed.iter().map(Sealed::items).collect();
    assert_eq!(items, [2, 1]);
    rig.commit(&sealed).await;
    let bytes = std::fs::read(rig.lake().join(&rig.files()[0])).unwrap();
    assert_eq!(Request::decode(Signal::Traces, &bytes).unwrap().items(), 2);
}

#[test]
fn keys_that_cannot_go_together_are_refused() {
    for (yaml, path) in [
        ("{}", "url"),
        ("{url: x, compression: gzip}", "compression"),
        ("{url: x, compression_level: 23}", "compression_level"),
        ("{url: x, partition_by: [date, date]}", "partition_by::1"),
        ("{url: x, columns: {trace_id: string}}", "columns::trace_id"),
        (
            "{url: x, format: otlp_json, columns: {a: string}}",
            "columns",
        ),
        ("{url: 's3://b', s3: {access_key_id: a}}", "s3"),
    ] {
        let context = BuildContext::detached("exporter", "object_storage".parse().unwrap());
        let error = read::<Config>(yaml).build(&context).err().unwrap();
        assert_eq!(error.path, path, "{yaml}: {error}");
    }
}
