//! What is added of a pod, and how it is found.

use super::*;

const BY_UID: &str =
    "pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}]";

#[tokio::test]
async fn a_pod_is_found_by_the_address_that_sent() {
    let server = Server::start().await;
    server.put(PODS, pod("cart-1", "u1", "10.0.0.7"));
    let mut rig = Rig::start(&server, "").await;
    let told = rig.tell(&[("service.name", "mine")], Some("10.0.0.7"));
    assert_eq!(
        told,
        of(&[
            ("service.name", "mine"),
            ("k8s.pod.name", "cart-1"),
            ("k8s.namespace.name", "shop"),
            ("k8s.pod.uid", "u1"),
            ("k8s.pod.start_time", "2026-01-01T00:00:00Z"),
            ("k8s.deployment.name", "cart"),
            ("k8s.node.name", "n1"),
            ("container.image.name", "ghcr.io/shop/cart"),
            ("container.image.tag", "1.2"),
        ])
    );
    for (name, address) in [("k8s.pod.ip", "10.0.0.7"), ("ip", "10.0.0.7")] {
        let told = rig.tell(&[(name, address)], Some("10.9.9.9"));
        assert_eq!(told["k8s.pod.name"], "cart-1", "{name}");
    }
    let told = rig.tell(&[("host.name", "10.0.0.7")], None);
    assert_eq!(told["k8s.pod.name"], "cart-1");
    let told = rig.tell(&[("host.name", "vm")], Some("10.9.9.9"));
    assert_eq!(told, of(&[("host.name", "vm")]));
    assert_eq!(rig.counter("otelcol_otelsvc_k8s_ip_lookup_miss"), 1);
}

#[tokio::test]
async fn what_is_there_and_not_empty_stays() {
    let server = Server::start().await;
    server.put(PODS, pod("cart-1", "u1", "10.0.0.7"));
    let mut rig = Rig::start(&server, BY_UID).await;
    let came = [
        ("k8s.pod.uid", "u1"),
        ("k8s.pod.name", ""),
        ("k8s.node.name", "other"),
    ];
    let told = rig.tell(&came, None);
    assert_eq!(told["k8s.pod.name"], "cart-1");
    assert_eq!(told["k8s.node.name"], "other");
}

#[tokio::test]
async fn rules_are_tried_in_order_and_need_all_their_sources() {
    let server = Server::start().await;
    server.put(PODS, pod("cart-1", "u1", "10.0.0.7"));
    server.put(PODS, pod("cart-2", "u2", "10.0.0.8"));
    let rules = "pod_association: [\
        {sources: [{from: resource_attribute, name: k8s.pod.ip}]}, \
        {sources: [{from: resource_attribute, name: k8s.pod.uid}]}, \
        {sources: [{from: resource_attribute, name: k8s.pod.name}, {from: resource_attribute, name: k8s.namespace.name}]}, \
        {sources: [{from: resource_attribute, name: container.id}]}, \
        {sources: [{from: resource_attribute, name: tier}, {from: connection}]}, \
        {sources: [{from: connection}]}], \
        extract: {metadata: [k8s.pod.uid, container.id], labels: [{tag_name: tier, key: tier}]}";
    let mut rig = Rig::start(&server, rules).await;
    for (attributes, peer, uid) in [
        (&[("k8s.pod.ip", "10.0.0.8")][..], None, Some("u2")),
        (
            &[("k8s.pod.name", "cart-1"), ("k8s.namespace.name", "shop")],
            None,
            Some("u1"),
        ),
        (&[("k8s.pod.name", "cart-1")], None, None),
        (&[("k8s.pod.name", "cart-1")], Some("10.0.0.8"), Some("u2")),
        (&[("tier", "front")], Some("10.0.0.7"), Some("u1")),
        // The first rule that applies counts, whether it leads to a pod or not.
        (&[("k8s.pod.ip", "10.9.9.9")], Some("10.0.0.8"), None),
        (&[("tier", "back")], Some("10.0.0.7"), None),
    ] {
        let told = rig.tell(attributes, peer);
        let found = told.get("k8s.pod.uid").map(String::as_str);
        assert_eq!(found, uid, "{attributes:?} {peer:?}");
    }
    server.delete(PODS, "shop", "cart-2");
    let told = rig.tell(&[("container.id", "c1")], None);
    assert!(told.contains_key("k8s.pod.uid"), "{told:?}");
}

#[tokio::test]
async fn labels_and_annotations_are_taken_by_key_and_by_pattern() {
    let server = Server::start().await;
    let mut cart = pod("cart-1", "u1", "10.0.0.7");
    cart["metadata"]["annotations"]["resource.opentelemetry.io/service.version"] = json!("7");
    server.put(PODS, cart);
    server.put(
        "/api/v1/namespaces",
        json!({"metadata": {"name": "shop", "uid": "ns1", "labels": {"team": "blue"}, "annotations": {"cost": "9"}}}),
    );
    server.put(
        "/api/v1/nodes",
        json!({"metadata": {"name": "n1", "uid": "node1", "labels": {"zone": "a"}}}),
    );
    server.put(
        "/apis/apps/v1/deployments",
        json!({"metadata": {"name": "cart", "namespace": "shop", "uid": "d1", "labels": {"owner": "jo"}}}),
    );
    let keys = format!(
        "{BY_UID}, extract: {{otel_annotations: true, metadata: [k8s.deployment.uid, k8s.node.uid, service.version], labels: [\
         {{tag_name: '$1', key_regex: 'app.kubernetes.io/(.*)', from: pod}}, \
         {{key_regex: 'ti.r'}}, {{key: team, from: namespace}}, {{tag_name: zone, key: zone, from: node}}, \
         {{key_regex: 'own(er)', tag_name: 'x-$1', from: deployment}}, {{key: owner, from: deployment}}, {{key: absent}}], \
         annotations: [{{key: note}}, {{key_regex: c.*, from: namespace}}]}}"
    );
    let mut rig = Rig::start(&server, &keys).await;
    let told = rig.tell(&[("k8s.pod.uid", "u1")], None);
    assert_eq!(
        told,
        of(&[
            ("k8s.pod.uid", "u1"),
            ("component", "web"),
            ("k8s.pod.labels.tier", "front"),
            ("k8s.namespace.labels.team", "blue"),
            ("zone", "a"),
            ("x-er", "jo"),
            ("k8s.deployment.label.owner", "jo"),
            ("k8s.pod.annotations.note", "hello"),
            ("k8s.namespace.annotations.cost", "9"),
            ("service.version", "7"),
            ("k8s.deployment.uid", "d1"),
            ("k8s.node.uid", "node1"),
        ])
    );
    assert_eq!(server.count(&["replicasets"]), 0);
    for of in ["namespaces", "nodes", "deployments"] {
        assert!(server.count(&[of]) > 0);
    }
}

#[tokio::test]
async fn owners_are_told_by_their_kinds() {
    let server = Server::start().await;
    let owned = |name: &str, uid: &str, kind: &str, owner: &str| {
        let mut pod = pod(name, uid, "");
        pod["metadata"]["labels"] = json!({});
        pod["metadata"]["ownerReferences"] =
            json!([{"kind": kind, "name": owner, "uid": format!("{uid}-owner")}]);
        server.put(PODS, pod);
    };
    owned("a", "u1", "StatefulSet", "db");
    owned("b", "u2", "DaemonSet", "agent");
    owned("c", "u3", "Job", "nightly-28400000");
    // A replica set that no deployment made.
    owned("d", "u4", "ReplicaSet", "lonely-6c45f8d6f6");
    server.put(
        "/apis/batch/v1/jobs",
        json!({"metadata": {"name": "nightly-28400000", "namespace": "shop", "uid": "u3-owner",
               "ownerReferences": [{"kind": "CronJob", "name": "nightly", "uid": "cron1"}]}}),
    );
    let names = [
        "replicaset",
        "statefulset",
        "daemonset",
        "job",
        "cronjob",
        "deployment",
    ];
    let names: Vec<String> = names
        .iter()
        .flat_map(|kind| [format!("k8s.{kind}.name"), format!("k8s.{kind}.uid")])
        .collect();
    let keys = format!(
        "{BY_UID}, extract: {{metadata: [service.name, {}]}}",
        names.join(", ")
    );
    let mut rig = Rig::start(&server, &keys).await;
    for (uid, expected) in [
        (
            "u1",
            vec![
                ("k8s.statefulset.name", "db"),
                ("k8s.statefulset.uid", "u1-owner"),
                ("service.name", "db"),
            ],
        ),
        (
            "u2",
            vec![
                ("k8s.daemonset.name", "agent"),
                ("k8s.daemonset.uid", "u2-owner"),
                ("service.name", "agent"),
            ],
        ),
        (
            "u3",
            vec![
                ("k8s.job.name", "nightly-28400000"),
                ("k8s.job.uid", "u3-owner"),
                ("k8s.cronjob.name", "nightly"),
                ("k8s.cronjob.uid", "cron1"),
                ("service.name", "nightly"),
            ],
        ),
        (
            "u4",
            vec![
                ("k8s.replicaset.name", "lonely-6c45f8d6f6"),
                ("k8s.replicaset.uid", "u4-owner"),
                ("service.name", "lonely-6c45f8d6f6"),
            ],
        ),
    ] {
        let told = rig.tell(&[("k8s.pod.uid", uid)], None);
        let mut expected = of(&expected);
        expected.insert("k8s.pod.uid".to_owned(), uid.to_owned());
        assert_eq!(told, expected, "{uid}");
    }
}

#[tokio::test]
async fn services_are_called_after_what_is_known_best() {
    let server = Server::start().await;
    let mut labelled = pod("b", "u2", "");
    labelled["metadata"]["labels"]["app.kubernetes.io/name"] = json!("named");
    labelled["metadata"]["labels"]["app.kubernetes.io/version"] = json!("3");
    server.put(PODS, labelled.clone());
    labelled["metadata"]["name"] = json!("c");
    labelled["metadata"]["uid"] = json!("u3");
    labelled["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("instance");
    server.put(PODS, labelled);
    server.put(PODS, pod("a", "u1", ""));
    let keys = format!(
        "{BY_UID}, extract: {{metadata: [service.name, service.namespace, service.version, service.instance.id]}}"
    );
    let mut rig = Rig::start(&server, &keys).await;
    for (uid, name, version, pod) in [
        ("u1", "cart", "1.2", "a"),
        ("u2", "named", "3", "b"),
        ("u3", "instance", "3", "c"),
    ] {
        let told = rig.tell(&[("k8s.pod.uid", uid)], None);
        assert_eq!(told["service.name"], name);
        assert_eq!(told["service.namespace"], "shop");
        assert_eq!(told["service.version"], version);
        assert_eq!(told["service.instance.id"], format!("shop.{pod}.app"));
    }
}

#[tokio::test]
async fn containers_are_told_apart_by_name_id_and_run() {
    let server = Server::start().await;
    let mut two = pod("cart-1", "u1", "");
    two["spec"]["initContainers"] = json!([{"name": "init", "image": "setup"}]);
    two["status"]["initContainerStatuses"] = json!([{"name": "init", "containerID": "containerd://c0", "restartCount": 0, "imageID": ""}]);
    server.put(PODS, two);
    let keys = format!(
        "{BY_UID}, extract: {{metadata: [k8s.container.name, container.id, container.image.name, \
         container.image.tag, container.image.repo_digests]}}"
    );
    let mut rig = Rig::start(&server, &keys).await;
    let mut with = |more: &[(&str, &str)]| {
        let all = [&[("k8s.pod.uid", "u1")], more].concat();
        let mut told = rig.tell(&all, None);
        for (name, _) in all {
            told.remove(name);
        }
        told
    };
    assert_eq!(with(&[]), of(&[]), "it could be either");
    let app = [
        ("container.id", "c1"),
        ("container.image.name", "ghcr.io/shop/cart"),
        ("container.image.tag", "1.2"),
        ("container.image.repo_digests", "1"),
    ];
    assert_eq!(with(&[("k8s.container.name", "app")]), of(&app));
    let init = [
        ("k8s.container.name", "init"),
        ("container.image.name", "setup"),
        ("container.image.tag", "latest"),
    ];
    assert_eq!(with(&[("container.id", "c0")]), of(&init));
    let named = [("k8s.container.name", "app")];
    let run = |run| [named[0], ("k8s.container.restart_count", run)];
    assert_eq!(with(&run("2")), of(&app));
    // The run before had another ID, and maybe another image.
    assert_eq!(with(&run("1")), of(&app[1..3]));
    assert_eq!(with(&[("k8s.container.name", "other")]), of(&[]));
}

#[tokio::test]
async fn pods_of_the_host_network_are_not_found_by_address() {
    let server = Server::start().await;
    let mut host = pod("proxy", "u1", "10.0.0.1");
    host["spec"]["hostNetwork"] = json!(true);
    server.put(PODS, host);
    let keys = "pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}, {sources: [{from: connection}]}]";
    let mut rig = Rig::start(&server, keys).await;
    assert!(rig.tell(&[], Some("10.0.0.1")).is_empty());
    let told = rig.tell(&[("k8s.pod.uid", "u1")], None);
    assert_eq!(told["k8s.pod.name"], "proxy");
}

#[tokio::test]
async fn pods_that_are_to_be_left_alone_are() {
    let server = Server::start().await;
    server.put(PODS, pod("jaeger-agent-1", "u1", ""));
    let mut shy = pod("shy", "u2", "");
    shy["metadata"]["annotations"]["opentelemetry.io/k8s-processor/ignore"] = json!(" True");
    server.put(PODS, shy);
    let mut rig = Rig::start(&server, BY_UID).await;
    for uid in ["u1", "u2"] {
        assert_eq!(rig.tell(&[("k8s.pod.uid", uid)], None).len(), 1, "{uid}");
    }
    let keys = format!("{BY_UID}, exclude: {{pods: [{{name: '^shy$'}}]}}");
    let mut rig = Rig::start(&server, &keys).await;
    assert!(rig.tell(&[("k8s.pod.uid", "u1")], None).len() > 1);
}

#[tokio::test]
async fn passing_through_adds_the_address_alone_and_asks_nobody() {
    let server = Server::start().await;
    server.put(PODS, pod("cart-1", "u1", "10.0.0.7"));
    let mut rig = Rig::start(&server, "passthrough: true").await;
    let told = rig.tell(&[], Some("10.0.0.7"));
    assert_eq!(told, of(&[("k8s.pod.ip", "10.0.0.7")]));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_cluster_is_told_by_the_uid_of_its_first_namespace() {
    let server = Server::start().await;
    server.put(PODS, pod("cart-1", "u1", ""));
    for (name, uid) in [("kube-system", "cluster1"), ("shop", "ns1")] {
        server.put(
            "/api/v1/namespaces",
            json!({"metadata": {"name": name, "uid": uid}}),
        );
    }
    let keys = format!("{BY_UID}, extract: {{metadata: [k8s.cluster.uid]}}");
    let mut rig = Rig::start(&server, &keys).await;
    let told = rig.tell(&[("k8s.pod.uid", "u1")], None);
    assert_eq!(told["k8s.cluster.uid"], "cluster1");
    assert!(server.count(&["namespaces", "metadata.name%3Dkube-system"]) > 0);
}
