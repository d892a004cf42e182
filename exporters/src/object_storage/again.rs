//! What a former life sealed is made again, to the byte.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tidegate_component::testing::read;
use tidegate_component::{
    AnyExporter, BuildContext, BulkExporter, ComponentConfig, ExportError, Items, Origin, Portion,
    Position, Sealed,
};
use tidegate_pdata::testing::{Request, arbitrary_request};
use tidegate_pdata::{Batch, Context, Payload, Receipt, Signal};
use tokio::time::Instant;

use super::Config;

const ORIGIN: Origin = Origin {
    logs: [[1; 16], [2; 16], [3; 16]],
    first_ordinal: 7,
};

/// A lake of its own in a directory, as one life of the process has it.
fn life(directory: &std::path::Path, keys: &str) -> std::sync::Arc<dyn BulkExporter> {
    let context = BuildContext::detached("exporter", "object_storage".parse().unwrap());
    let yaml = format!("url: {}\n{keys}", directory.join("lake").display());
    let Ok(AnyExporter::Bulk(exporter)) = read::<Config>(&yaml).build(&context) else {
        panic!("{yaml}");
    };
    exporter.resume(ORIGIN);
    exporter
}

fn whole(signal: Signal, requests: &[Request]) -> Payload {
    let mut whole = Payload::empty(signal);
    for request in requests {
        let bytes = Bytes::from(request.encode());
        whole.append(Payload::admit(signal, bytes, None).unwrap().payload);
    }
    whole
}

/// The same payload as a disk gives it back: in one piece.
fn joined(payload: &Payload) -> Payload {
    let bytes: Vec<u8> = payload
        .segments()
        .iter()
        .flat_map(|segment| segment.bytes().iter().copied())
        .collect();
    let payload = Payload::admit(payload.signal(), Bytes::from(bytes), None);
    payload.unwrap().payload
}

fn all(exporter: &dyn BulkExporter) -> Vec<Sealed> {
    exporter.seal(Instant::now() + Duration::from_secs(1 << 30))
}

async fn bytes_of(exporter: &dyn BulkExporter, sealed: &Sealed) -> Vec<u8> {
    exporter.commit(sealed).await.unwrap();
    let file = std::path::PathBuf::from(format!("/{}", sealed.name));
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    bytes
}

const KEYS: [&str; 5] = [
    "partition_by: [hour]\nrow_group_rows: 7\ncolumns: {a: string}",
    "partition_by: [service]\npartition_time: arrival\nids: binary",
    "format: otlp_proto\npartition_by: [service]\ncompression: zstd",
    "format: otlp_json\npartition_by: [minute]\ncompression: gzip",
    "format: otlp_proto\npartition_by: []",
];

/// Another configuration than each of the above, as the next life may have it.
const OTHER: &str = "format: otlp_json\npartition_by: []\ncompression: zstd";

fn check(signal: Signal, batches: &[Vec<Request>], keys: usize, part: bool) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let first = life(directory.path(), KEYS[keys]);
        let mut held = HashMap::new();
        for (number, requests) in batches.iter().enumerate() {
            let position = Position(number as u64 * 4 + signal.index() as u64);
            let payload = whole(signal, requests);
            let mut odd = Items::default();
            for item in (1..payload.items()).step_by(2) {
                odd.push(item..item + 1);
            }
            let batch = Batch::new(payload.clone(), Context::default(), Receipt::none());
            let portion = Portion {
                items: part.then_some(&odd),
                ..Portion::whole(position, &batch)
            };
            first.add(&portion).unwrap();
            held.insert(position, joined(&payload));
        }
        for (at, sealed) in all(&*first).into_iter().enumerate() {
            assert_eq!(sealed.ordinal, 7 + at as u64);
            let expected = bytes_of(&*first, &sealed).await;
            for keys in [KEYS[keys], OTHER] {
                let next = life(directory.path(), keys);
                let fetch = &mut |position| Ok(held[&position].clone());
                next.rebuild(&sealed, fetch).unwrap();
                assert!(!next.is_committed(&sealed).await.unwrap());
                let again = bytes_of(&*next, &sealed).await;
                assert!(again == expected, "{} became another", sealed.name);
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sealed_object_is_made_again_byte_for_byte_whatever_the_configuration_is_now(
        (signal, batches) in tidegate_pdata::testing::arbitrary_signal().prop_flat_map(|signal| {
            let requests = prop::collection::vec(arbitrary_request(signal), 0..3);
            (Just(signal), prop::collection::vec(requests, 1..5))
        }),
        keys in 0..KEYS.len(),
        part in any::<bool>(),
    ) {
        check(signal, &batches, keys, part);
    }
}

/// One sealed object of ten spans in a lake, and what it holds.
fn sealed(exporter: &dyn BulkExporter) -> (Sealed, Payload) {
    let payload = tidegate_component::testing::realistic(Signal::Traces, 10);
    let batch = Batch::new(payload.clone(), Context::default(), Receipt::none());
    exporter.add(&Portion::whole(Position(4), &batch)).unwrap();
    (all(exporter).remove(0), payload)
}

#[tokio::test]
async fn name_tells_queue_first_position_and_ordinal() {
    let directory = tempfile::tempdir().unwrap();
    let (sealed, _) = sealed(&*life(directory.path(), "partition_by: []"));
    let queue = "01".repeat(16);
    assert!(
        sealed.name.ends_with(&format!("/{queue}-4-7.parquet")),
        "{}",
        sealed.name
    );
}

#[tokio::test]
async fn object_that_is_there_is_left_as_it_is_and_leftovers_of_a_death_are_cleared() {
    let directory = tempfile::tempdir().unwrap();
    let first = life(directory.path(), "partition_by: []");
    let (sealed, payload) = sealed(&*first);
    assert!(!first.is_committed(&sealed).await.unwrap());
    first.commit(&sealed).await.unwrap();
    let file = format!("/{}", sealed.name);
    let bytes = std::fs::read(&file).unwrap();
    for number in 1..3 {
        std::fs::write(format!("{file}#{number}"), "half of it").unwrap();
    }
    let next = life(directory.path(), "partition_by: []");
    assert!(next.is_committed(&sealed).await.unwrap());
    next.rebuild(&sealed, &mut |_| Ok(payload.clone())).unwrap();
    next.commit(&sealed).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    let beside = std::fs::read_dir(std::path::Path::new(&file).parent().unwrap());
    assert_eq!(beside.unwrap().count(), 1);
}

#[tokio::test]
async fn what_cannot_be_made_again_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let next = life(directory.path(), "partition_by: []");
    let (mut sealed, payload) = sealed(&*next);
    let gone = || ExportError::Permanent {
        endpoint: "queue".into(),
        reason: "it is gone".to_owned(),
        divisible: false,
    };
    let error = next.rebuild(&sealed, &mut |_| Err(gone())).unwrap_err();
    assert!(error.to_string().contains("it is gone"), "{error}");
    sealed.recipe = Bytes::from_static(br#"{"version":2,"format":{"parquet":{}}}"#);
    let error = next.rebuild(&sealed, &mut |_| Ok(payload.clone()));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("no recipe that this version knows"),
        "{error}"
    );
}
