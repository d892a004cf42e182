//! The receiver beside an API server that is scripted from the documentation of the API.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_component::testing::{FakeDoor, findings, read};
use tidegate_component::{BuildContext, ComponentConfig, Receiver, StartError, Storages};
use tidegate_pdata::{Outcome, Refusal};
use tidegate_transport::kubernetes::Surroundings;
use tidegate_transport::kubernetes::scripted::Server;
use tokio::time::{Instant, sleep};

use super::{Config, K8sObjects};
use crate::kubernetes::testing::{PATIENCE, at_least, taken, wait_for};
use crate::shelf::Shelf;

const PODS: &str = "/api/v1/pods";

struct Rig {
    receiver: K8sObjects,
    door: Arc<FakeDoor>,
}

/// A server that says which objects it has.
async fn server() -> Server {
    let server = Server::start().await;
    let list = |names: &[&str]| {
        let one =
            |name: &&str| json!({"name": name, "namespaced": true, "verbs": ["list", "watch"]});
        json!({"kind": "APIResourceList", "resources": names.iter().map(one).collect::<Vec<_>>()})
    };
    let group = |name: &str, version: &str| {
        let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
        json!({"name": name, "versions": [version], "preferredVersion": version})
    };
    server.document("/api/v1", list(&["pods", "pods/status", "events", "nodes"]));
    server.document(
        "/apis",
        json!({"kind": "APIGroupList", "groups": [group("apps", "v1"), group("broken.io", "v1"), group("events.k8s.io", "v1")]}),
    );
    server.document("/apis/apps/v1", list(&["deployments"]));
    server.document("/apis/events.k8s.io/v1", list(&["events"]));
    server
}

impl Rig {
    async fn start(server: &Server, keys: &str) -> Self {
        Self::beside(server, keys, Storages::default())
            .await
            .unwrap()
    }

    async fn beside(server: &Server, keys: &str, storages: Storages) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().unwrap();
        let file = server.kubeconfig(folder.path());
        let text = format!(
            "{{auth_type: kubeConfig, kube_config_path: '{}', {keys}}}",
            file.display()
        );
        let mut build = BuildContext::detached("receiver", "k8s_objects".parse().unwrap());
        build.storages = storages;
        let nowhere = Surroundings::made_up(&[], Path::new("/no/account"));
        let mut receiver = read::<Config>(&text).receiver(&build, nowhere).unwrap();
        let door = Arc::new(FakeDoor::default());
        receiver.start(door.receiver(build.id)).await?;
        Ok(Self { receiver, door })
    }

    async fn watching(server: &Server, keys: &str) -> Self {
        let rig = Self::start(server, keys).await;
        asked(server, &["watch=1"], 1).await;
        rig
    }

    async fn stop(mut self) {
        self.receiver.stop().await;
    }
}

async fn asked(server: &Server, parts: &[&str], count: usize) {
    let end = Instant::now() + PATIENCE;
    while server.count(parts) < count {
        assert!(Instant::now() < end, "{parts:?}: {:?}", server.requests());
        sleep(Duration::from_millis(5)).await;
    }
}

fn pod(name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": name, "labels": {"app": name}},
        "spec": {"nodeName": "n1", "priority": 5, "ratio": 0.5, "containers": [{"name": "app", "tty": true, "nothing": null}]},
    })
}

#[tokio::test]
async fn objects_are_pulled_as_they_are_and_again() {
    let server = server().await;
    server.put(PODS, pod("a", "pay"));
    server.put(PODS, pod("b", "shop"));
    server.put(PODS, pod("c", "shop"));
    let keys = "objects: [{name: pods, interval: 300ms, label_selector: 'app!=c', field_selector: spec.nodeName=n1}]";
    let rig = Rig::start(&server, keys).await;
    let told = at_least(&rig.door, 4).await;
    assert_eq!(told[0].resource["k8s.namespace.name"], "pay");
    assert_eq!(told[1].resource["k8s.namespace.name"], "shop");
    for (told, name) in told.iter().zip(["a", "b"]) {
        let mut expected = pod(name, &told.resource["k8s.namespace.name"]);
        expected["metadata"]["resourceVersion"] = told.body["metadata"]["resourceVersion"].clone();
        assert_eq!(told.body, expected);
        assert_eq!(told.attributes.len(), 1);
        assert_eq!(told.attributes["k8s.resource.name"], "pods");
        assert!(told.observed > 0 && told.time == 0);
    }
    assert_eq!(
        (&told[2].body, &told[3].body),
        (&told[0].body, &told[1].body)
    );
    rig.stop().await;
    assert_eq!(server.count(&["watch=1"]), 0);
}

#[tokio::test]
async fn long_lists_are_told_page_by_page() {
    let server = server().await;
    for number in 0..1100 {
        server.put(PODS, pod(&format!("p{number:04}"), "shop"));
    }
    let rig = Rig::start(&server, "objects: [{name: pods}]").await;
    let told = wait_for(&rig.door, 1100).await;
    assert_eq!(told[1099].body["metadata"]["name"], "p1099");
    rig.stop().await;
    assert_eq!(server.count(&["continue="]), 2);
}

#[tokio::test]
async fn changes_are_told_with_what_they_are() {
    let server = server().await;
    server.put(PODS, pod("old", "shop"));
    let rig = Rig::watching(&server, "objects: [{name: pods, mode: watch}]").await;
    server.put(PODS, pod("a", "shop"));
    server.put(PODS, pod("a", "shop"));
    server.delete(PODS, "shop", "a");
    let told = wait_for(&rig.door, 3).await;
    rig.stop().await;
    for (told, kind) in told.iter().zip(["ADDED", "MODIFIED", "DELETED"]) {
        assert_eq!(told.body["type"], kind);
        assert_eq!(told.body["object"]["spec"], pod("a", "shop")["spec"]);
        assert_eq!(told.resource["k8s.namespace.name"], "shop");
        assert_eq!(told.attributes["event.domain"], "k8s");
        assert_eq!(told.attributes["event.name"], "a");
        assert_eq!(told.attributes["k8s.resource.name"], "pods");
    }
}

#[tokio::test]
async fn what_was_missed_while_the_version_was_gone_is_told() {
    let server = server().await;
    server.put(PODS, pod("old", "shop"));
    let rig = Rig::watching(&server, "objects: [{name: pods, mode: watch}]").await;
    server.cut_watches();
    server.put(PODS, pod("a", "shop"));
    server.compact();
    let told = wait_for(&rig.door, 1).await;
    assert_eq!(told[0].attributes["event.name"], "a");
    asked(&server, &["watch=1"], 2).await;
    server.expire_watches();
    asked(&server, &["watch=1"], 3).await;
    assert!(taken(&rig.door).is_empty(), "it is told again");
    rig.stop().await;
}

#[tokio::test]
async fn ways_of_changing_can_be_left_out_and_the_first_state_told() {
    let server = server().await;
    server.put(PODS, pod("old", "shop"));
    let keys = "include_initial_state: true, objects: [{name: pods, mode: watch, namespaces: [shop], exclude_watch_type: [MODIFIED, DELETED]}]";
    let rig = Rig::watching(&server, keys).await;
    server.put(PODS, pod("far", "pay"));
    server.put(PODS, pod("old", "shop"));
    server.delete(PODS, "shop", "old");
    server.put(PODS, pod("new", "shop"));
    let told = wait_for(&rig.door, 2).await;
    rig.stop().await;
    for (told, name) in told.iter().zip(["old", "new"]) {
        assert_eq!(
            (&told.body["type"], &*told.attributes["event.name"]),
            (&json!("ADDED"), name)
        );
    }
}

#[tokio::test]
async fn a_watch_begins_at_the_version_that_is_named() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        server.put(PODS, pod(name, "shop"));
    }
    let keys = "objects: [{name: pods, mode: watch, resource_version: '1'}]";
    let rig = Rig::watching(&server, keys).await;
    let told = wait_for(&rig.door, 2).await;
    assert_eq!(told[1].attributes["event.name"], "c");
    rig.stop().await;
    assert_eq!(server.count(&["limit="]), 0);
}

#[tokio::test]
async fn a_pipeline_that_refuses_loses_nothing() {
    let server = server().await;
    let rig = Rig::watching(&server, "objects: [{name: pods, mode: watch}]").await;
    let refusal = Refusal::new("the far end is full", Duration::from_secs(1));
    rig.door.answer(Some(Outcome::Refused(refusal)));
    server.put(PODS, pod("a", "shop"));
    let end = Instant::now() + PATIENCE;
    while rig.door.items() < 2 {
        assert!(Instant::now() < end, "it is not offered again");
        sleep(Duration::from_millis(20)).await;
    }
    server.put(PODS, pod("b", "shop"));
    rig.door.answer(Some(Outcome::TakenOver));
    let end = Instant::now() + PATIENCE;
    let mut names = Vec::new();
    while !names.contains(&"b".to_owned()) {
        assert!(Instant::now() < end, "{names:?}");
        let told = taken(&rig.door).into_iter();
        names.extend(told.map(|told| told.attributes["event.name"].clone()));
        sleep(Duration::from_millis(5)).await;
    }
    assert!(names.contains(&"a".to_owned()));
    rig.stop().await;
}

#[tokio::test]
async fn the_next_process_goes_on_where_the_last_one_was() {
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    let storages = Shelf::storages(folder.path());
    let keys = "storage: file_storage, objects: [{name: pods, mode: watch}]";
    let rig = Rig::beside(&server, keys, storages.clone()).await.unwrap();
    asked(&server, &["watch=1"], 1).await;
    server.put(PODS, pod("a", "shop"));
    let _ = wait_for(&rig.door, 1).await;
    rig.stop().await;
    server.put(PODS, pod("b", "shop"));
    let rig = Rig::beside(&server, keys, storages).await.unwrap();
    let told = wait_for(&rig.door, 1).await;
    assert_eq!(told[0].attributes["event.name"], "b");
    rig.stop().await;
    assert_eq!(server.count(&["limit="]), 1, "nothing is listed again");
}

#[tokio::test]
async fn kinds_are_found_in_the_group_that_is_named() {
    let server = server().await;
    let keys = "objects: [{name: events, mode: watch}, {name: events, mode: watch, group: events.k8s.io}, \
                {name: deployments, mode: watch}]";
    let rig = Rig::start(&server, keys).await;
    for path in [
        "/api/v1/events?",
        "/apis/events.k8s.io/v1/events?",
        "/apis/apps/v1/deployments?",
    ] {
        asked(&server, &[path, "watch=1"], 1).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn kinds_that_the_cluster_does_not_have_are_dealt_with_as_told() {
    let server = server().await;
    let both = "objects: [{name: gadgets}, {name: pods, mode: watch}]";
    let started = Rig::beside(&server, both, Storages::default()).await;
    let error = started.err().unwrap();
    assert!(error.message.contains("\"gadgets\""), "{error}");
    for mode in ["ignore", "silent"] {
        let keys = format!("error_mode: {mode}, {both}");
        Rig::watching(&server, &keys).await.stop().await;
    }
    let keys = "error_mode: silent, objects: [{name: gadgets}]";
    let started = Rig::beside(&server, keys, Storages::default()).await;
    assert!(started.is_err());
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, path) in [
        ("{}", "objects"),
        ("{objects: [{mode: watch}]}", "objects::0::name"),
        ("{objects: [{name: a/b}]}", "objects::0::name"),
        (
            "{objects: [{name: pods, exclude_watch_type: [ADDED]}]}",
            "objects::0::exclude_watch_type",
        ),
        (
            "{objects: [{name: pods, resource_version: '5'}]}",
            "objects::0::resource_version",
        ),
        (
            "{objects: [{name: pods, mode: watch, interval: 1m}]}",
            "objects::0::interval",
        ),
        (
            "{objects: [{name: pods}], k8s_leader_elector: a}",
            "k8s_leader_elector",
        ),
        ("{objects: [{name: pods}], auth_type: tls}", "auth_type"),
    ] {
        let cx = BuildContext::detached("receiver", "k8s_objects".parse().unwrap());
        let error = read::<Config>(text).build(&cx).err().unwrap();
        assert_eq!(error.path, path, "{text}");
    }
    for (text, key) in [
        ("{objects: [{name: pods, mode: poll}]}", "poll"),
        (
            "{objects: [{name: pods, mode: watch, exclude_watch_type: [CHANGED]}]}",
            "CHANGED",
        ),
    ] {
        let (_, found) = findings::<Config>(text);
        assert!(
            found.iter().any(|line| line.contains(key)),
            "{text}: {found:?}"
        );
    }
}
