//! What becomes of the directory.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tidegate_component::testing::{HereWorkers, IdleStatus, findings, read};
use tidegate_component::{BuildContext, ComponentConfig, ExtensionContext};

use super::*;

fn build(text: &str) -> Arc<dyn Extension> {
    let id = "file_storage".parse().unwrap();
    let context = BuildContext::detached("extension", id);
    read::<Config>(text).build(&context).unwrap()
}

async fn start(extension: &Arc<dyn Extension>) -> Result<(), StartError> {
    let context = ExtensionContext {
        id: "file_storage".parse().unwrap(),
        workers: HereWorkers::workers(),
        status: Arc::new(IdleStatus),
    };
    extension.start(context).await
}

fn fault(text: &str) -> String {
    let id = "file_storage".parse().unwrap();
    let context = BuildContext::detached("extension", id);
    let error = read::<Config>(text).build(&context).err().unwrap();
    format!("{}: {error}", error.path)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn directory_is_made_where_it_is_told_to_and_is_the_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    let text = format!(
        "{{directory: {}, create_directory: true}}",
        directory.display()
    );
    let extension = build(&text);
    start(&extension).await.unwrap();
    let storage = extension.storage().unwrap();
    let log = storage.log("otlp-traces").unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("otlp-traces")), 0o700);
    assert_eq!(mode(&directory.join("LOCK")), 0o600);
    drop(log);
    assert_eq!(storage.unclaimed().unwrap()[0].name, "otlp-traces");
    extension.stop().await;
    assert!(storage.log("otlp-traces").is_err());
}

#[tokio::test]
async fn missing_directory_is_a_fault_that_says_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let text = format!("{{directory: {}/none}}", parent.path().display());
    let error = start(&build(&text)).await.unwrap_err();
    let source = error.source.unwrap().to_string();
    assert!(source.contains("create_directory: true"), "{source}");
}

#[tokio::test]
async fn second_process_is_refused_by_the_number_of_the_first_and_let_in_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "{{directory: {}, timeout: 100ms}}",
        directory.path().display()
    );
    let (first, second) = (build(&text), build(&text));
    start(&first).await.unwrap();
    let error = start(&second)
        .await
        .unwrap_err()
        .source
        .unwrap()
        .to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    let patient = build(&text.replace("100ms", "1m"));
    let (started, ()) = tokio::join!(start(&patient), first.stop());
    started.unwrap();
}

#[test]
fn collectors_switch_and_our_words_say_when_data_is_synced() {
    let promise = |text: &str| build(text).storage().unwrap().promise();
    for text in ["{}", "{fsync: true}", "{fsync: group}", "{fsync: always}"] {
        assert_eq!(promise(text), Promise::Durable, "{text}");
    }
    for text in ["{fsync: false}", "{fsync: interval}"] {
        assert_eq!(promise(text), Promise::Memory, "{text}");
    }
    let (_, found) = findings::<Config>("{fsync: sometimes}");
    assert!(!found.is_empty());
}

#[test]
fn sizes_and_times_that_make_no_sense_are_refused() {
    assert_eq!(
        fault("{segment_size: 1KiB}"),
        "segment_size: must lie between 64KiB and 2GiB"
    );
    assert_eq!(
        fault("{max_size: 100KiB}"),
        "max_size: is less than eight of the smallest files take"
    );
    assert_eq!(
        fault("{max_age: 0s}"),
        "max_age: everything would be too old at once"
    );
    assert_eq!(
        fault("{fsync: interval, fsync_interval: 0s}"),
        "fsync_interval: must be more than zero"
    );
    assert_eq!(
        fault("{group_commit: 1m}"),
        "group_commit: every sender would wait so long"
    );
    assert_eq!(
        fault("{directory_permissions: '0999'}"),
        "directory_permissions: \"0999\" is no mode of a directory"
    );
    assert_eq!(
        fault("{directory: ''}"),
        "directory: the directory has no name"
    );
}
