//! The receiver beside an API server that is scripted from the documentation of the API.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_component::testing::{FakeDoor, findings, read};
use tidegate_component::{BuildContext, ComponentConfig, Receiver, Storages};
use tidegate_transport::kubernetes::Surroundings;
use tidegate_transport::kubernetes::scripted::Server;
use tokio::time::{Instant, sleep};

use super::{Config, K8sEvents};
use crate::kubernetes::testing::{PATIENCE, taken, wait_for};
use crate::shelf::Shelf;

const EVENTS: &str = "/api/v1/events";

struct Rig {
    receiver: K8sEvents,
    door: Arc<FakeDoor>,
}

impl Rig {
    async fn start(server: &Server, keys: &str) -> Self {
        Self::beside(server, keys, Storages::default()).await
    }

    async fn beside(server: &Server, keys: &str, storages: Storages) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = server.kubeconfig(folder.path());
        let text = format!(
            "{{auth_type: kubeConfig, kube_config_path: '{}', {keys}}}",
            file.display()
        );
        let mut build = BuildContext::detached("receiver", "k8s_events".parse().unwrap());
        build.storages = storages;
        let nowhere = Surroundings::made_up(&[], Path::new("/no/account"));
        let mut receiver = read::<Config>(&text).receiver(&build, nowhere).unwrap();
        let door = Arc::new(FakeDoor::default());
        receiver.start(door.receiver(build.id)).await.unwrap();
        let watched = receiver.namespaces.len().max(1);
        let end = Instant::now() + PATIENCE;
        while server.count(&["watch=1"]) < watched {
            assert!(Instant::now() < end, "nobody watches");
            sleep(std::time::Duration::from_millis(5)).await;
        }
        Self { receiver, door }
    }

    async fn stop(mut self) {
        self.receiver.stop().await;
    }
}

fn event(name: &str, namespace: &str, time: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z"},
        "involvedObject": {
            "kind": "Pod", "namespace": namespace, "name": "cart-1", "uid": "u1", "apiVersion": "v1",
            "resourceVersion": "77", "fieldPath": "spec.containers{app}",
        },
        "source": {"component": "kubelet", "host": "n1"},
        "reason": "BackOff", "message": "restarting failed container", "type": "Warning", "count": 3,
        "eventTime": null, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": time,
    })
}

/// A time that is yet to come.
const LATER: &str = "2199-01-01T00:00:00Z";

#[tokio::test]
async fn an_event_becomes_the_record_that_the_original_makes() {
    let server = Server::start().await;
    let rig = Rig::start(&server, "").await;
    server.put(EVENTS, event("e1", "shop", LATER));
    let told = wait_for(&rig.door, 1).await.remove(0);
    rig.stop().await;
    let own = |pairs: &[(&str, &str)]| {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs
            .iter()
            .map(own)
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(
        told.resource,
        own(&[
            ("k8s.node.name", "n1"),
            ("k8s.object.kind", "Pod"),
            ("k8s.object.name", "cart-1"),
            ("k8s.object.uid", "u1"),
            ("k8s.object.fieldpath", "spec.containers{app}"),
            ("k8s.object.api_version", "v1"),
            ("k8s.object.resource_version", "77"),
        ])
    );
    assert_eq!(
        told.attributes,
        own(&[
            ("k8s.event.reason", "BackOff"),
            ("k8s.event.action", ""),
            ("k8s.event.start_time", "2026-01-01 00:00:00 +0000 UTC"),
            ("k8s.event.name", "e1"),
            ("k8s.event.uid", "uid-e1"),
            ("k8s.namespace.name", "shop"),
            ("k8s.event.count", "3"),
        ])
    );
    assert_eq!(told.body, json!("restarting failed container"));
    assert_eq!(told.severity, (13, "Warning".to_owned()));
    assert_eq!(told.time, 7_226_582_400_000_000_000);
}

#[tokio::test]
async fn what_happened_before_the_start_is_not_told() {
    let server = Server::start().await;
    server.put(EVENTS, event("old", "shop", "2026-01-01T00:00:00Z"));
    let rig = Rig::start(&server, "").await;
    server.put(EVENTS, event("older", "shop", "2026-01-01T00:00:00Z"));
    server.put(EVENTS, event("new", "shop", LATER));
    server.put(EVENTS, event("old", "shop", LATER));
    let told = wait_for(&rig.door, 2).await;
    rig.stop().await;
    let names: Vec<&str> = told
        .iter()
        .map(|told| told.attributes["k8s.event.name"].as_str())
        .collect();
    assert_eq!(names, ["new", "old"]);
}

#[tokio::test]
async fn what_a_list_brings_again_is_not_told_again_and_what_was_missed_is() {
    let server = Server::start().await;
    let rig = Rig::start(&server, "").await;
    server.put(EVENTS, event("a", "shop", LATER));
    let _ = wait_for(&rig.door, 1).await;
    server.cut_watches();
    server.put(EVENTS, event("b", "shop", LATER));
    server.compact();
    server.put(EVENTS, event("c", "shop", LATER));
    let mut names: Vec<String> = wait_for(&rig.door, 2)
        .await
        .into_iter()
        .map(|told| told.attributes["k8s.event.name"].clone())
        .collect();
    names.sort();
    assert_eq!(names, ["b", "c"]);
    rig.stop().await;
}

#[tokio::test]
async fn only_namespaces_that_are_named_are_watched() {
    let server = Server::start().await;
    let rig = Rig::start(&server, "namespaces: [shop, pay]").await;
    for namespace in ["shop", "other", "pay"] {
        server.put(EVENTS, event(namespace, namespace, LATER));
    }
    let told = wait_for(&rig.door, 2).await;
    rig.stop().await;
    assert!(
        told.iter()
            .all(|told| told.attributes["k8s.event.name"] != "other")
    );
    assert_eq!(server.count(&["GET /api/v1/events"]), 0);
}

#[tokio::test]
async fn changes_of_an_event_are_told_as_seldom_as_wanted() {
    let server = Server::start().await;
    let never = Rig::start(&server, "dedup_interval: -1s").await;
    let seldom = Rig::start(&server, "dedup_interval: 1h").await;
    for _ in 0..3 {
        server.put(EVENTS, event("a", "shop", LATER));
    }
    server.put(EVENTS, event("b", "shop", LATER));
    for rig in [never, seldom] {
        let told = wait_for(&rig.door, 2).await;
        assert_eq!(told[1].attributes["k8s.event.name"], "b");
        rig.stop().await;
    }
}

#[tokio::test]
async fn the_next_process_goes_on_where_the_last_one_was() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let storages = Shelf::storages(folder.path());
    let rig = Rig::beside(&server, "storage: file_storage", storages.clone()).await;
    server.put(EVENTS, event("a", "shop", LATER));
    let _ = wait_for(&rig.door, 1).await;
    rig.stop().await;
    // It happened while nobody looked, and its time is past when the next one starts.
    server.put(EVENTS, event("b", "shop", "2026-01-01T00:00:00Z"));
    let rig = Rig::beside(&server, "storage: file_storage", storages).await;
    let told = wait_for(&rig.door, 1).await;
    assert_eq!(told[0].attributes["k8s.event.name"], "b");
    rig.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_costs_itself_alone() {
    let server = Server::start().await;
    let rig = Rig::start(&server, "").await;
    let mut odd = event("odd", "shop", LATER);
    odd["involvedObject"] = json!("none");
    server.put(EVENTS, odd);
    server.put(EVENTS, event("fine", "shop", LATER));
    let told = wait_for(&rig.door, 1).await;
    assert_eq!(told[0].attributes["k8s.event.name"], "fine");
    assert!(taken(&rig.door).is_empty());
    rig.stop().await;
}

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, path) in [
        ("{auth_type: tls}", "auth_type"),
        ("{dedup_interval: often}", "dedup_interval"),
        (
            "{k8s_leader_elector: k8s_leader_elector}",
            "k8s_leader_elector",
        ),
        ("{storage: file_storage}", "storage"),
    ] {
        let cx = BuildContext::detached("receiver", "k8s_events".parse().unwrap());
        let error = read::<Config>(text).build(&cx).err().unwrap();
        assert_eq!(error.path, path, "{text}");
    }
    let (_, found) = findings::<Config>("{namespace: [a]}");
    assert!(
        found.iter().any(|line| line.contains("namespace")),
        "{found:?}"
    );
}
