//! What is kept of objects.

use serde_json::json;

use super::objects::Object;
use super::*;
use crate::kubernetes::Read;
use crate::prometheus::testing::job;

fn reader(kind: Kind, rules: &str) -> Reader {
    let job = job(&format!("relabel_configs: [{rules}]"));
    let wants = Wants::new(job.relabel.iter());
    Reader::new(kind, Arc::new(wants), Arc::new(watch::channel(()).0))
}

/// A pod as clusters have them, with a few kilobytes of what nobody asks for.
fn pod(number: usize) -> String {
    let mut labels = serde_json::Map::new();
    let mut annotations = serde_json::Map::new();
    for at in 0..12 {
        labels.insert(
            format!("app.kubernetes.io/label-{at}"),
            json!(format!("value-{at}")),
        );
        annotations.insert(
            format!("example.com/annotation-{at}"),
            json!("x".repeat(200)),
        );
    }
    annotations.insert("prometheus.io/scrape".to_owned(), json!("true"));
    json!({
        "metadata": {
            "name": format!("web-7d9f-{number}"), "namespace": "shop", "uid": format!("0c9b3b1e-{number:027}"),
            "labels": labels, "annotations": annotations,
            "managedFields": [{"fieldsV1": {"f:metadata": "y".repeat(2000)}}],
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d9f", "controller": true}],
        },
        "spec": {"nodeName": format!("node-{}", number % 100), "containers": [
            {"name": "web", "image": "registry.example.com/shop/web:v1.2.3", "env": [{"name": "A", "value": "z".repeat(1000)}],
             "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]},
            {"name": "proxy", "image": "registry.example.com/mesh/proxy:v1", "ports": [{"containerPort": 15090, "protocol": "TCP"}]},
        ]},
        "status": {"phase": "Running", "podIP": format!("10.1.{}.{}", number / 250, number % 250),
            "conditions": [{"type": "Ready", "status": "True"}]},
    })
    .to_string()
}

#[test]
fn only_what_rules_read_is_kept() {
    let mut reader = reader(
        Kind::Of(Role::Pod),
        "{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: 'true'}, \
         {action: labelmap, regex: '__meta_kubernetes_pod_label_app_kubernetes_io_label_1'}, \
         {source_labels: [x], target_label: __meta_kubernetes_pod_phase, action: dropequal}",
    );
    let (key, object) = reader.read(&pod(1)).unwrap();
    assert_eq!(&*key, "shop/web-7d9f-1");
    let Object::Pod(kept) = object else {
        panic!("{object:?}")
    };
    let names = kept
        .labels
        .iter()
        .map(|(name, _)| &name["__meta_kubernetes_".len()..]);
    let names: Vec<&str> = names.collect();
    let expected = [
        "namespace",
        "pod_phase",
        "pod_node_name",
        "pod_uid",
        "pod_name",
        "pod_label_app_kubernetes_io_label_1",
        "pod_annotation_prometheus_io_scrape",
        "pod_controller_kind",
        "pod_controller_name",
    ];
    assert_eq!(names, expected);
    assert!(kept.containers.iter().all(|one| one.image.is_empty()));
}

#[test]
fn a_pod_is_kept_in_a_kilobyte() {
    let mut reader = reader(
        Kind::Of(Role::Pod),
        "{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: 'true'}, \
         {action: labelmap, regex: '__meta_kubernetes_pod_label_(.+)'}",
    );
    let pods: Vec<String> = (0..1000).map(pod).collect();
    let mut kept = Vec::with_capacity(1000);
    let used = allocation_counter::measure(|| {
        for pod in &pods {
            kept.push(reader.read(pod).unwrap());
        }
    });
    let each = used.bytes_current / 1000;
    assert!((200..1600).contains(&each), "{each} bytes for each");
    // Of names that nobody has any more none is kept for ever.
    kept.clear();
    let mut odd = reader_of_all();
    let mut last = None;
    for number in 0..5000 {
        let object = json!({"metadata": {"name": "a", "labels": {format!("l{number}"): "x"}}});
        last = Some(odd.read(&object.to_string()).unwrap());
    }
    assert!(last.is_some());
    assert!(odd.names() < 2000, "{} names", odd.names());
}

fn reader_of_all() -> Reader {
    reader(Kind::Of(Role::Node), "{action: labelmap, regex: '(.+)'}")
}
