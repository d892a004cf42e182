//! How the processor keeps up with the cluster.

use super::*;

const BY_UID: &str =
    "pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}]";

fn of_pod(uid: &str) -> [(&str, &str); 1] {
    [("k8s.pod.uid", uid)]
}

#[tokio::test]
async fn pods_that_come_and_change_are_known_soon() {
    let server = Server::start().await;
    server.chunks(100);
    let mut rig = Rig::start(&server, BY_UID).await;
    assert_eq!(rig.tell(&of_pod("u1"), None).len(), 1);
    let mut cart = pod("cart-1", "u1", "");
    cart["spec"]["nodeName"] = json!("");
    server.put(PODS, cart);
    rig.until(&of_pod("u1"), |told| told.contains_key("k8s.pod.name"))
        .await;
    server.put(PODS, pod("cart-1", "u1", ""));
    rig.until(&of_pod("u1"), |told| told.contains_key("k8s.node.name"))
        .await;
    assert_eq!(rig.counter("otelcol_otelsvc_k8s_pod_added"), 1);
    assert_eq!(rig.counter("otelcol_otelsvc_k8s_pod_updated"), 1);
}

#[tokio::test]
async fn a_pod_that_is_gone_is_found_for_a_while_yet() {
    let server = Server::start().await;
    server.put(PODS, pod("cart-1", "u1", ""));
    let keys = format!("{BY_UID}, pod_delete_grace_period: 2s");
    let mut rig = Rig::start(&server, &keys).await;
    server.delete(PODS, "shop", "cart-1");
    let end = Instant::now() + PATIENCE;
    while rig.counter("otelcol_otelsvc_k8s_pod_deleted") == 0 {
        assert!(Instant::now() < end, "nobody notices");
        sleep(Duration::from_millis(5)).await;
    }
    let deleted = Instant::now();
    rig.until(&of_pod("u1"), |told| told.len() == 1).await;
    assert!(deleted.elapsed() > Duration::from_millis(1900));
}

#[tokio::test]
async fn an_address_belongs_to_the_pod_that_has_it_last() {
    let server = Server::start().await;
    let mut old = pod("old", "u1", "10.0.0.7");
    server.put(PODS, old.clone());
    let mut rig = Rig::start(&server, "").await;
    assert_eq!(rig.tell(&[], Some("10.0.0.7"))["k8s.pod.name"], "old");
    let mut new = pod("new", "u2", "10.0.0.7");
    new["status"]["startTime"] = json!("2026-01-02T00:00:00Z");
    server.put(PODS, new);
    let by_ip = [("k8s.pod.ip", "10.0.0.7")];
    rig.until(&by_ip, |told| told["k8s.pod.name"] == "new")
        .await;
    // An event of the pod that had it before comes late.
    old["metadata"]["labels"]["late"] = json!("yes");
    server.put(PODS, old);
    server.delete(PODS, "shop", "old");
    server.put(PODS, pod("other", "u3", "10.0.0.9"));
    rig.until(&[("k8s.pod.ip", "10.0.0.9")], |told| told.len() > 1)
        .await;
    assert_eq!(rig.tell(&by_ip, None)["k8s.pod.name"], "new");
}

#[tokio::test]
async fn what_was_missed_while_the_version_was_gone_is_made_up_for() {
    let server = Server::start().await;
    server.put(PODS, pod("a", "u1", ""));
    server.put(PODS, pod("b", "u2", ""));
    let keys = format!("{BY_UID}, pod_delete_grace_period: 0s");
    let mut rig = Rig::start(&server, &keys).await;
    let end = Instant::now() + PATIENCE;
    while server.count(&["watch=1"]) == 0 {
        assert!(Instant::now() < end, "nobody watches");
        sleep(Duration::from_millis(5)).await;
    }
    server.cut_watches();
    server.delete(PODS, "shop", "a");
    server.put(PODS, pod("c", "u3", ""));
    server.compact();
    rig.until(&of_pod("u3"), |told| told.len() > 1).await;
    rig.until(&of_pod("u1"), |told| told.len() == 1).await;
    assert!(rig.tell(&of_pod("u2"), None).len() > 1);
}

#[tokio::test]
async fn only_pods_that_the_filter_names_are_asked_for() {
    let server = Server::start().await;
    let mut other = pod("far", "u2", "");
    other["spec"]["nodeName"] = json!("n2");
    server.put(PODS, pod("near", "u1", ""));
    server.put(PODS, other);
    let keys = format!(
        "{BY_UID}, filter: {{node: n1, namespace: shop, \
         fields: [{{key: status.phase, value: Failed, op: not-equals}}], \
         labels: [{{key: tier, value: front}}, {{key: tier, op: exists}}, {{key: x, op: does-not-exist}}]}}"
    );
    let mut rig = Rig::start(&server, &keys).await;
    assert!(rig.tell(&of_pod("u1"), None).len() > 1);
    assert_eq!(rig.tell(&of_pod("u2"), None).len(), 1);
    let asked = server.requests().remove(0);
    for part in [
        "GET /api/v1/namespaces/shop/pods?",
        "fieldSelector=status.phase%21%3DFailed%2Cspec.nodeName%3Dn1",
        "labelSelector=tier%3Dfront%2Ctier%2C%21x",
    ] {
        assert!(asked.contains(part), "{asked}");
    }
}

#[tokio::test]
async fn without_a_node_all_pods_come_page_by_page() {
    let server = Server::start().await;
    for number in 0..1100 {
        let uid = format!("u{number}");
        server.put(PODS, pod(&format!("p{number}"), &uid, ""));
    }
    let mut rig = Rig::start(&server, BY_UID).await;
    assert!(rig.tell(&of_pod("u1099"), None).len() > 1);
    assert_eq!(server.count(&["limit=500"]), 3);
    assert_eq!(server.count(&["resourceVersion=0"]), 0);
}

#[tokio::test]
async fn who_waits_for_metadata_that_does_not_come_is_told() {
    let server = Server::start().await;
    server.refuse(100, 403, None);
    let started = Rig::try_start(&server, "wait_for_metadata_timeout: 1s").await;
    let error = started.err().unwrap();
    assert!(
        error.message.contains("wait_for_metadata_timeout"),
        "{error}"
    );
    assert!(error.message.contains("Pods"), "{error}");
}

#[tokio::test]
async fn nobody_follows_when_the_last_instance_is_gone() {
    let server = Server::start().await;
    let rig = Rig::start(&server, BY_UID).await;
    let end = Instant::now() + PATIENCE;
    while server.count(&["watch=1"]) == 0 {
        assert!(Instant::now() < end, "nobody watches");
        sleep(Duration::from_millis(5)).await;
    }
    drop(rig);
    sleep(Duration::from_millis(200)).await;
    let before = server.requests().len();
    server.cut_watches();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.requests().len(), before);
}

#[tokio::test]
async fn objects_that_make_no_sense_cost_themselves_alone() {
    let server = Server::start().await;
    let mut odd = pod("odd", "u1", "");
    odd["spec"]["containers"] = json!("none");
    server.put(PODS, odd);
    server.put(PODS, pod("fine", "u2", ""));
    let mut rig = Rig::start(&server, BY_UID).await;
    assert_eq!(rig.tell(&of_pod("u1"), None).len(), 1);
    assert!(rig.tell(&of_pod("u2"), None).len() > 1);
}
