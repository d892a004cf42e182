//! The lake over HTTP, against a scripted server of Google's XML API and of S3's.

#[path = "support/store.rs"]
mod store;

use std::sync::Arc;

use store::{Script, Store};
use tidegate_component::testing::{read, realistic};
use tidegate_component::{
    AnyExporter, BuildContext, BulkExporter, ComponentConfig, ExportError, Origin, Portion,
    Position, Sealed,
};
use tidegate_exporters::{googlecloudstorage, object_storage};
use tidegate_pdata::testing::Request;
use tidegate_pdata::{Batch, Context, Receipt, Signal};
use tokio::time::Instant;

fn build<C: ComponentConfig<Builds = AnyExporter>>(yaml: &str) -> Arc<dyn BulkExporter> {
    let id = C::TYPE.parse().expect("a type is a name");
    match read::<C>(yaml).build(&BuildContext::detached("exporter", id)) {
        Ok(AnyExporter::Bulk(exporter)) => exporter,
        Ok(other) => panic!("{other:?} collects nothing"),
        Err(error) => panic!("{error}"),
    }
}

/// Adds a batch of ten spans and seals all that is open.
fn sealed(exporter: &dyn BulkExporter, position: u64) -> Vec<Sealed> {
    let payload = realistic(Signal::Traces, 10);
    let batch = Batch::new(payload, Context::default(), Receipt::none());
    let added = exporter.add(&Portion::whole(Position(position), &batch));
    assert_eq!(added.expect("there is room").rejected, 0);
    exporter.seal(Instant::now() + std::time::Duration::from_secs(1 << 20))
}

fn gcs(store: &Store) -> Arc<dyn BulkExporter> {
    build::<object_storage::Config>(&format!(
        "url: gs://bucket/lake\nformat: otlp_proto\npartition_by: []\n\
         gcs: {{endpoint: '{}', anonymous: true}}",
        store.url()
    ))
}

fn s3(store: &Store) -> Arc<dyn BulkExporter> {
    build::<object_storage::Config>(&format!(
        "url: s3://bucket/lake\nformat: otlp_proto\npartition_by: []\n\
         s3: {{endpoint: '{}', force_path_style: true, region: eu-west-1, access_key_id: a, \
         secret_access_key: b, storage_class: STANDARD_IA}}",
        store.url()
    ))
}

#[tokio::test]
async fn object_is_put_only_where_none_is_and_once() {
    for exporter in [gcs, s3] {
        let store = Store::start();
        let exporter = exporter(&store);
        let objects = sealed(&*exporter, 1);
        exporter.commit(&objects[0]).await.expect("it is kept");
        exporter.commit(&objects[0]).await.expect("it is there");
        let kept = store.objects();
        assert_eq!(kept.len(), 1);
        let (path, bytes) = kept.first_key_value().expect("one");
        assert!(path.starts_with("/bucket/lake/signal=traces/"), "{path}");
        let request = Request::decode(Signal::Traces, bytes).expect("protobuf");
        assert_eq!(request.items(), 10);
        assert_eq!(store.heads().len(), 1);
    }
}

#[tokio::test]
async fn object_that_came_through_though_its_answer_failed_is_not_put_again() {
    for exporter in [gcs, s3] {
        let store = Store::start();
        let exporter = exporter(&store);
        let objects = sealed(&*exporter, 1);
        store.script(&[Script::Fail, Script::KeepAndFail]);
        for _ in 0..2 {
            let error = exporter.commit(&objects[0]).await.expect_err("it fails");
            let passes = matches!(&error, ExportError::Retryable { source, .. }
                if source.to_string().contains("503"));
            assert!(passes, "{error:?}");
        }
        exporter.commit(&objects[0]).await.expect("it is there");
        assert_eq!(store.objects().len(), 1);
    }
}

#[tokio::test]
async fn next_life_makes_the_same_object_again_and_leaves_the_one_that_is_there() {
    const QUEUE: Origin = Origin {
        logs: [[7; 16]; Signal::ALL.len()],
        first_ordinal: 1,
    };
    for exporter in [gcs, s3] {
        for came_through in [false, true] {
            let store = Store::start();
            let first = exporter(&store);
            first.resume(QUEUE);
            let object = &sealed(&*first, 1)[0];
            let script = [Script::Fail, Script::KeepAndFail];
            store.script(&script[usize::from(came_through)..][..1]);
            first.commit(object).await.expect_err("no answer says so");
            let before = store.objects();
            let next = exporter(&store);
            next.resume(QUEUE);
            let is_there = next.is_committed(object).await.expect("it can be asked");
            assert_eq!(is_there, came_through);
            let fetch = &mut |_| Ok(realistic(Signal::Traces, 10));
            next.rebuild(object, fetch).expect("it is made again");
            next.commit(object).await.expect("it is there");
            let kept = store.objects();
            assert_eq!(kept.len(), 1);
            assert!(before.is_empty() || before == kept);
        }
    }
}

#[tokio::test]
async fn store_without_conditions_gets_the_same_bytes_under_the_same_name() {
    let store = Store::start();
    let exporter = s3(&store);
    let objects = sealed(&*exporter, 1);
    store.script(&[Script::NoConditions, Script::KeepAndFail]);
    exporter.commit(&objects[0]).await.expect_err("it fails");
    let before = store.objects();
    exporter.commit(&objects[0]).await.expect("it is kept");
    assert_eq!(store.objects(), before);
    assert_eq!(before.len(), 1);
}

#[tokio::test]
async fn s3_objects_have_the_storage_class_asked_for() {
    let store = Store::start();
    let exporter = s3(&store);
    let objects = sealed(&*exporter, 1);
    exporter.commit(&objects[0]).await.expect("it is kept");
    assert!(store.heads()[0].contains("x-amz-storage-class: standard_ia"));
}

#[tokio::test]
async fn googlecloudstorage_names_objects_as_the_collector_does_and_each_batch_is_one() {
    let store = Store::start();
    let exporter = build::<googlecloudstorage::Config>(&format!(
        "bucket: {{name: bucket, reuse_if_exists: true, compression: gzip, \
         partition: {{prefix: archive, format: 'year=%Y'}}}}\n\
         gcs: {{endpoint: '{}', anonymous: true}}",
        store.url()
    ));
    let mut objects = sealed(&*exporter, 1);
    objects.extend(sealed(&*exporter, 2));
    assert_eq!(objects.len(), 2);
    for object in &objects {
        exporter.commit(object).await.expect("it is kept");
    }
    let kept = store.objects();
    assert_eq!(kept.len(), 2);
    for path in kept.keys() {
        let name = path.strip_prefix("/bucket/archive/year=2");
        let name = name.unwrap_or_else(|| panic!("{path}"));
        assert!(name.contains("/logs_") && name.ends_with(".gz"), "{path}");
    }
}
