use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::World;

#[test]
fn documents_merge_in_order_and_sets_come_last() {
    let world = World::default()
        .file(
            "a.yaml",
            "processors: {batch: {timeout: 1s, send_batch_size: 5}}\nlist: [1, 2]\n",
        )
        .file("b.yaml", "processors: {batch: {timeout: 2s}}\nlist: [3]\n")
        .set("MORE", "extra: true\n");
    let loaded = world.load(
        &[
            "a.yaml",
            "file:b.yaml",
            "env:MORE",
            "yaml:processors::batch::timeout: 3s",
        ],
        &[
            "processors.batch.timeout=4s",
            "exporters.otlp/x.headers={a: b}",
            " nothing =",
            "empty={}",
        ],
    );
    assert_eq!(
        loaded.json(""),
        json!({
            "processors": {"batch": {"timeout": "4s", "send_batch_size": 5}},
            "list": [3], "extra": true,
            "exporters": {"otlp/x": {"headers": {"a": "b"}}},
            "nothing": null, "empty": {},
        })
    );
}

#[test]
fn a_value_keeps_the_place_of_whoever_set_it() {
    let world = World::default().file("a.yaml", "a: {b: 1, c: 2}\n");
    let loaded = world.load(&["a.yaml", "yaml:{a: {d: 4}}"], &["a.b=9"]);
    let place = |path: &str| {
        loaded
            .sources
            .locate(loaded.at(path).span)
            .unwrap()
            .to_string()
    };
    assert_eq!(place("a::b"), "--set:1:5");
    assert_eq!(place("a::c"), "a.yaml:1:14");
    assert_eq!(place("a::d"), "yaml::1:9");
}

#[test]
fn a_page_configures_through_the_function_it_is_given() {
    let world = World::default().file("https://me:pw@host/c.yaml", "a: 1\n");
    let loaded = world.load(&["https://me:pw@host/c.yaml"], &[]);
    assert_eq!(loaded.json("a"), 1);
    let loaded = world.load(&["http://me:pw@host/none"], &[]);
    assert!(
        loaded
            .rendered()
            .contains("`http://host/none` cannot be read: 404"),
        "{}",
        loaded.rendered()
    );
}

#[test]
fn what_cannot_be_read_is_reported_with_the_rest() {
    let world = World::default()
        .file("bad.yaml", "a: [\n")
        .file("latin", b"a: \xe4\n")
        .file("list.yaml", "- a\n");
    let configs = [
        "nowhere.yaml",
        "bad.yaml",
        "latin",
        "list.yaml",
        "env:NOT_THERE",
        "s3:bucket",
        "fil:x",
    ];
    let loaded = world.load(&configs, &["a.b", "=1", "a=[", "b=*x"]);
    insta::assert_snapshot!(loaded.rendered());
}

#[test]
fn an_empty_document_is_none() {
    let world = World::default()
        .file("a.yaml", "# nothing\n")
        .file("b.yaml", "");
    let loaded = world.load(&["a.yaml", "b.yaml"], &[]);
    assert_eq!(loaded.json(""), json!({}));
    assert!(loaded.diagnostics.is_empty());
}

#[test]
fn variables_of_gos_runtime_are_named() {
    let world = World::default().set("GOMEMLIMIT", "400MiB").set("GOGC", "");
    let found = go_variables(&world);
    assert_eq!(found.len(), 1);
    assert!(found.to_string().contains("GOMEMLIMIT"));
}

#[test]
fn a_real_file_is_read_and_an_endless_one_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    std::fs::write(&path, "a: 1\n").unwrap();
    let process = crate::Process(|_: &str| Err("no network".to_owned()));
    let mut request = Request::default();
    request.configs.push(path.to_string_lossy().into_owned());
    assert_eq!(load(&request, &process).json("a"), 1);
    request.configs = vec![dir.path().to_string_lossy().into_owned()];
    assert!(
        load(&request, &process)
            .rendered()
            .contains("error[unreadable]")
    );
    if std::path::Path::new("/dev/zero").exists() {
        request.configs = vec!["/dev/zero".to_owned()];
        assert!(load(&request, &process).rendered().contains("error[limit]"));
    }
}

proptest! {
    #[test]
    fn any_bytes_load_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        World::default().file("c.yaml", &bytes).load(&["c.yaml"], &[]).rendered();
    }

    #[test]
    fn any_set_loads_or_fails_without_panic(text in r"[a-c.:=\[\]{} $]{0,20}") {
        World::default().load(&[], &[&text]).rendered();
    }
}
