//! Targets that a cluster has, before the scripted API server.

use serde_json::{Value, json};
use tidegate_transport::kubernetes::scripted::Server;

use super::*;

const PODS: &str = "/api/v1/pods";
const SERVICES: &str = "/api/v1/services";
const NODES: &str = "/api/v1/nodes";
const ENDPOINTS: &str = "/api/v1/endpoints";
const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

fn port(peer: &Peer) -> u16 {
    peer.to_string().split_once(':').unwrap().1.parse().unwrap()
}

/// A pod on this machine whose container has these ports.
fn pod(name: &str, ports: &[(&str, u16)], annotations: &Value) -> Value {
    let ports = ports
        .iter()
        .map(|(name, number)| json!({"name": name, "containerPort": number, "protocol": "TCP"}));
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "labels": {"app.kubernetes.io/name": name, "tier": "front"},
            "annotations": annotations,
            "ownerReferences": [
                {"kind": "Other", "name": "x"},
                {"kind": "ReplicaSet", "name": format!("{name}-abc"), "controller": true},
            ],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "web", "image": "web:1", "ports": ports.collect::<Vec<_>>()}],
            "initContainers": null,
        },
        "status": {
            "phase": "Running", "podIP": "127.0.0.1", "hostIP": "10.0.0.1",
            "conditions": [{"type": "Initialized", "status": "False"}, {"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "web", "containerID": "containerd://c1"}],
        },
    })
}

/// A job of this role; all labels of discovery are copied to the series.
fn copying(server: &Server, role: &str, keys: &str, rules: &str) -> String {
    format!(
        "config: {{scrape_configs: [{{job_name: shop, scrape_interval: 200ms, \
         kubernetes_sd_configs: [{{role: {role}, api_server: '{}/'{keys}}}], \
         relabel_configs: [{{action: labelmap, regex: __meta_kubernetes_(.+)}}{rules}]}}]}}",
        server.url()
    )
}

fn labels(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    let labels = labels.iter();
    labels
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Waits for something.
async fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// What most charts and guides tell people to write.
fn by_annotations(server: &Server) -> String {
    format!(
        "config: {{scrape_configs: [{{job_name: kubernetes-pods, scrape_interval: 200ms,
  kubernetes_sd_configs: [{{role: pod, api_server: '{}'}}],
  relabel_configs: [
    {{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: true}},
    {{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme], action: replace, regex: '(https?)', target_label: __scheme__}},
    {{source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], action: replace, regex: '(.+)', target_label: __metrics_path__}},
    {{source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port], action: replace,
      regex: '([^:]+)(?::\\d+)?;(\\d+)', replacement: '$1:$2', target_label: __address__}},
    {{action: labelmap, regex: __meta_kubernetes_pod_annotation_prometheus_io_param_(.+), replacement: __param_$1}},
    {{action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}},
    {{source_labels: [__meta_kubernetes_namespace], action: replace, target_label: namespace}},
    {{source_labels: [__meta_kubernetes_pod_name], action: replace, target_label: pod}},
    {{source_labels: [__meta_kubernetes_pod_phase], regex: Pending|Succeeded|Failed|Completed, action: drop}}]}}]}}",
        server.url()
    )
}

#[tokio::test]
async fn pods_are_scraped_as_their_annotations_say() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let bystander = Peer::serving(|_| Reply::page("b 1\n")).await;
    let server = Server::start().await;
    let annotations = |scrape: &str| {
        json!({
            "prometheus.io/scrape": scrape, "prometheus.io/port": port(&peer).to_string(),
            "prometheus.io/path": "/own", "prometheus.io/param_q": "7",
        })
    };
    server.put(
        PODS,
        pod("web", &[("http", 80), ("admin", 81)], &annotations("true")),
    );
    server.put(
        PODS,
        pod("none", &[("http", port(&bystander))], &Value::Null),
    );
    server.put(
        PODS,
        pod("off", &[("http", port(&bystander))], &annotations("false")),
    );
    let mut over = pod("over", &[("http", 80)], &annotations("true"));
    over["status"]["phase"] = json!("Succeeded");
    server.put(PODS, over);
    let mut rig = Rig::start(&by_annotations(&server)).await;
    let point = rig.value("a", 1.0).await;
    let expected = [
        ("app_kubernetes_io_name", "web"),
        ("namespace", "shop"),
        ("pod", "web"),
        ("tier", "front"),
    ];
    assert_eq!(point.attributes, labels(&expected));
    assert_eq!(point.instance, peer.to_string());
    assert!(peer.has("GET /own?q=7 HTTP/1.1"));
    // Both ports of the container stand for one target.
    rig.value("scrape_samples_scraped", 1.0).await;
    sleep(Duration::from_secs(1)).await;
    let others = rig.came.iter().filter(|came| came.metric == "up");
    assert!(
        others
            .into_iter()
            .all(|came| came.instance == peer.to_string())
    );
    assert_eq!(bystander.count(), 0);
    // What is annotated later is scraped later, and what is no longer is not.
    server.put(PODS, pod("none", &[("http", 80)], &annotations("true")));
    rig.wait_for(|came| {
        came.metric == "a"
            && came
                .attributes
                .contains(&("pod".to_owned(), "none".to_owned()))
    })
    .await;
    server.put(PODS, pod("web", &[("http", 80)], &annotations("false")));
    let ended = rig.ended("a").await;
    assert!(
        ended
            .attributes
            .contains(&("pod".to_owned(), "web".to_owned()))
    );
    server.delete(PODS, "shop", "none");
    rig.ended("a").await;
    rig.stop().await;
}

#[tokio::test]
async fn what_is_known_of_pods_is_told() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let server = Server::start().await;
    let port = port(&peer);
    server.put(PODS, pod("web", &[("http", port)], &json!({"note/x": "y"})));
    server.put(
        NODES,
        json!({"metadata": {"name": "n1", "labels": {"zone": "z"}}, "spec": {"providerID": "p"}}),
    );
    server.put(
        "/api/v1/namespaces",
        json!({"metadata": {"name": "shop", "annotations": {"owner": "me"}}}),
    );
    server.put("/apis/apps/v1/replicasets", json!({"metadata": {
        "name": "web-abc", "namespace": "shop", "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": true}],
    }}));
    // A pod on a node that is not there is none of ours.
    let mut elsewhere = pod("elsewhere", &[("http", port)], &Value::Null);
    elsewhere["spec"]["nodeName"] = json!("n2");
    server.put(PODS, elsewhere);
    let keys = ", attach_metadata: {node: true, namespace: true, deployment: true, job: true, cronjob: true}";
    let mut rig = Rig::start(&copying(&server, "pod", keys, "")).await;
    let point = rig.value("a", 1.0).await;
    let port = port.to_string();
    let expected = [
        ("namespace", "shop"),
        ("namespace_annotation_owner", "me"),
        ("namespace_annotationpresent_owner", "true"),
        ("node_label_zone", "z"),
        ("node_labelpresent_zone", "true"),
        ("node_name", "n1"),
        ("pod_annotation_note_x", "y"),
        ("pod_annotationpresent_note_x", "true"),
        ("pod_container_id", "containerd://c1"),
        ("pod_container_image", "web:1"),
        ("pod_container_init", "false"),
        ("pod_container_name", "web"),
        ("pod_container_port_name", "http"),
        ("pod_container_port_number", &port),
        ("pod_container_port_protocol", "TCP"),
        ("pod_controller_kind", "ReplicaSet"),
        ("pod_controller_name", "web-abc"),
        ("pod_deployment_name", "web"),
        ("pod_host_ip", "10.0.0.1"),
        ("pod_ip", "127.0.0.1"),
        ("pod_label_app_kubernetes_io_name", "web"),
        ("pod_label_tier", "front"),
        ("pod_labelpresent_app_kubernetes_io_name", "true"),
        ("pod_labelpresent_tier", "true"),
        ("pod_name", "web"),
        ("pod_node_name", "n1"),
        ("pod_phase", "Running"),
        ("pod_ready", "true"),
        ("pod_uid", "uid-web"),
    ];
    assert_eq!(point.attributes, labels(&expected));
    // A node that is told of otherwise is told of otherwise with its pods.
    server.put(
        NODES,
        json!({"metadata": {"name": "n1", "labels": {"zone": "other"}}}),
    );
    let zone = ("node_label_zone".to_owned(), "other".to_owned());
    rig.wait_for(|came| came.metric == "a" && came.attributes.contains(&zone))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn what_a_job_made_is_told_of_its_cron_job() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let server = Server::start().await;
    let mut one = pod("web", &[("http", port(&peer))], &Value::Null);
    one["metadata"]["ownerReferences"] =
        json!([{"kind": "Job", "name": "j-1", "controller": true}]);
    server.put(PODS, one);
    server.put("/apis/batch/v1/jobs", json!({"metadata": {
        "name": "j-1", "namespace": "shop", "ownerReferences": [{"kind": "CronJob", "name": "j", "controller": true}],
    }}));
    let keys = ", attach_metadata: {job: true, cronjob: true}";
    let mut rig = Rig::start(&copying(&server, "pod", keys, "")).await;
    let point = rig.value("a", 1.0).await;
    for (name, value) in [("pod_job_name", "j-1"), ("pod_cronjob_name", "j")] {
        let label = (name.to_owned(), value.to_owned());
        assert!(point.attributes.contains(&label), "{:?}", point.attributes);
    }
    rig.stop().await;
}

/// A service with the pod `web` behind it, and a pod that is not ready.
fn behind(server: &Server, port: u16, beside: u16) {
    server.put(
        PODS,
        pod("web", &[("http", port), ("admin", beside)], &Value::Null),
    );
    server.put(
        SERVICES,
        json!({
            "metadata": {"name": "web", "namespace": "shop", "annotations": {"a": "b"}},
            "spec": {"clusterIP": "10.1.1.1", "type": "ClusterIP"},
        }),
    );
    let target = json!({"kind": "Pod", "namespace": "shop", "name": "web"});
    server.put(ENDPOINTS, json!({
        "metadata": {"name": "web", "namespace": "shop", "labels": {"e": "f"}},
        "subsets": [{
            "addresses": [{"ip": "127.0.0.1", "nodeName": "n1", "hostname": "h", "targetRef": target}],
            "notReadyAddresses": [{"ip": "127.0.0.2"}],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }],
    }));
    server.put(SLICES, json!({
        "metadata": {"name": "web-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["127.0.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false},
             "nodeName": "n1", "zone": "z", "hostname": "h", "targetRef": target, "deprecatedTopology": {"k/l": "m"}},
            {"addresses": ["127.0.0.2"], "conditions": {"ready": false}},
        ],
        "ports": [{"name": "http", "port": port, "protocol": "TCP", "appProtocol": "http"}],
    }));
}

#[tokio::test]
async fn what_stands_behind_services_is_found() {
    let (peer, beside) = (
        Peer::serving(|_| Reply::page("a 1\n")).await,
        Peer::serving(|_| Reply::page("b 1\n")).await,
    );
    let (port, other) = (port(&peer), port(&beside));
    let of_service = [
        ("namespace", "shop"),
        ("service_annotation_a", "b"),
        ("service_annotationpresent_a", "true"),
        ("service_name", "web"),
    ];
    let number = port.to_string();
    let of_endpoints = [
        ("endpoint_address_target_kind", "Pod"),
        ("endpoint_address_target_name", "web"),
        ("endpoint_hostname", "h"),
        ("endpoint_node_name", "n1"),
        ("endpoint_port_name", "http"),
        ("endpoint_port_protocol", "TCP"),
        ("endpoint_ready", "true"),
        ("endpoints_label_e", "f"),
        ("endpoints_labelpresent_e", "true"),
        ("endpoints_name", "web"),
    ];
    let of_slice = [
        ("endpointslice_address_target_kind", "Pod"),
        ("endpointslice_address_target_name", "web"),
        ("endpointslice_address_type", "IPv4"),
        ("endpointslice_endpoint_conditions_ready", "true"),
        ("endpointslice_endpoint_conditions_serving", "true"),
        ("endpointslice_endpoint_conditions_terminating", "false"),
        ("endpointslice_endpoint_hostname", "h"),
        ("endpointslice_endpoint_node_name", "n1"),
        ("endpointslice_endpoint_topology_k_l", "m"),
        ("endpointslice_endpoint_topology_present_k_l", "true"),
        ("endpointslice_endpoint_zone", "z"),
        ("endpointslice_label_kubernetes_io_service_name", "web"),
        (
            "endpointslice_labelpresent_kubernetes_io_service_name",
            "true",
        ),
        ("endpointslice_name", "web-x"),
        ("endpointslice_port", &number),
        ("endpointslice_port_app_protocol", "http"),
        ("endpointslice_port_name", "http"),
        ("endpointslice_port_protocol", "TCP"),
    ];
    let of_container = [
        ("pod_container_name", "web"),
        ("pod_container_port_name", "http"),
        ("pod_container_port_number", &number),
        ("pod_container_port_protocol", "TCP"),
        ("pod_name", "web"),
        ("pod_uid", "uid-web"),
    ];
    for (role, own) in [
        ("endpoints", &of_endpoints[..]),
        ("endpointslice", &of_slice[..]),
    ] {
        let server = Server::start().await;
        behind(&server, port, other);
        let mut rig = Rig::start(&copying(&server, role, "", "")).await;
        let point = rig.value("a", 1.0).await;
        for label in labels(&[own, &of_service[..], &of_container[..]].concat()) {
            assert!(
                point.attributes.contains(&label),
                "{label:?}: {:?}",
                point.attributes
            );
        }
        let unknown = point.attributes.iter().find(|(name, _)| {
            name.starts_with("endpoint") && !own.iter().any(|(known, _)| known == name)
        });
        assert_eq!(unknown, None);
        // The port that belongs to no endpoint is one more target.
        let point = rig.value("b", 1.0).await;
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert!(
            point
                .attributes
                .contains(&label("pod_container_port_name", "admin"))
        );
        assert!(point.attributes.contains(&label("service_name", "web")));
        assert!(
            !point
                .attributes
                .iter()
                .any(|(name, _)| name.ends_with("_port_protocol") && name.starts_with("endpoint"))
        );
        // One that is not ready is told of as such, and is down.
        rig.wait_for(|came| came.metric == "up" && came.instance == format!("127.0.0.2:{port}"))
            .await;
        // A service that changes changes what stands behind it.
        server.put(
            SERVICES,
            json!({"metadata": {"name": "web", "namespace": "shop", "annotations": {"a": "c"}}}),
        );
        let label = label("service_annotation_a", "c");
        rig.wait_for(|came| came.metric == "a" && came.attributes.contains(&label))
            .await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn nodes_services_and_ingresses_are_targets_too() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let server = Server::start().await;
    server.put(NODES, json!({
        "metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux"}},
        "spec": {"providerID": "kind://n1"},
        "status": {
            "conditions": [{"type": "MemoryPressure", "status": "False"}],
            "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port(&peer)}},
        },
    }));
    server.put(NODES, json!({"metadata": {"name": "bare"}}));
    let mut rig = Rig::start(&copying(&server, "node", "", "")).await;
    let point = rig.value("a", 1.0).await;
    let expected = [
        ("node_address_Hostname", "n1"),
        ("node_address_InternalIP", "127.0.0.1"),
        ("node_condition_memorypressure", "false"),
        ("node_label_kubernetes_io_os", "linux"),
        ("node_labelpresent_kubernetes_io_os", "true"),
        ("node_name", "n1"),
        ("node_provider_id", "kind://n1"),
    ];
    assert_eq!(point.attributes, labels(&expected));
    assert_eq!(point.instance, "n1");
    rig.stop().await;
    // What names hosts that nobody here knows is probed by way of another.
    let probe = format!(
        ", {{source_labels: [__address__], target_label: instance}}, {{target_label: __address__, replacement: '{peer}'}}"
    );
    server.put(SERVICES, json!({
        "metadata": {"name": "web", "namespace": "shop", "labels": {"l": "m"}},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.1.1.1", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "x"}, {"ip": "2.2.2.2"}]}},
    }));
    let mut rig = Rig::start(&copying(&server, "service", "", &probe)).await;
    let point = rig.value("a", 1.0).await;
    let expected = [
        ("namespace", "shop"),
        ("service_cluster_ip", "10.1.1.1"),
        ("service_label_l", "m"),
        ("service_labelpresent_l", "true"),
        ("service_loadbalancer_ip", "1.1.1.1,2.2.2.2"),
        ("service_name", "web"),
        ("service_port_name", "http"),
        ("service_port_number", "80"),
        ("service_port_protocol", "TCP"),
        ("service_type", "LoadBalancer"),
    ];
    assert_eq!(point.attributes, labels(&expected));
    assert_eq!(point.instance, "web.shop.svc:80");
    rig.stop().await;
    server.put(
        "/apis/networking.k8s.io/v1/ingresses",
        json!({
            "metadata": {"name": "in", "namespace": "shop"},
            "spec": {
                "ingressClassName": "nginx",
                "tls": [{"hosts": ["*.example.com"]}],
                "rules": [
                    {"host": "a.example.com", "http": {"paths": [{"path": "/x"}]}},
                    {"host": "plain.test"},
                ],
            },
        }),
    );
    let mut rig = Rig::start(&copying(&server, "ingress", "", &probe)).await;
    for (host, scheme, path) in [
        ("a.example.com", "https", "/x"),
        ("plain.test", "http", "/"),
    ] {
        let point = rig
            .wait_for(|came| came.metric == "a" && came.instance == host)
            .await;
        let expected = [
            ("ingress_class_name", "nginx"),
            ("ingress_host", host),
            ("ingress_name", "in"),
            ("ingress_path", path),
            ("ingress_scheme", scheme),
            ("namespace", "shop"),
        ];
        assert_eq!(point.attributes, labels(&expected));
        rig.came.clear();
    }
    rig.stop().await;
}

#[tokio::test]
async fn jobs_share_what_they_watch() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let server = Server::start().await;
    behind(&server, port(&peer), 1);
    let url = server.url();
    let mut list = String::new();
    for number in 0..5 {
        list += &format!(
            "{{job_name: p{number}, scrape_interval: 200ms, kubernetes_sd_configs: [{{role: pod, api_server: '{url}'}}]}}, "
        );
        list += &format!(
            "{{job_name: e{number}, scrape_interval: 200ms, kubernetes_sd_configs: [{{role: endpoints, api_server: '{url}'}}]}}, "
        );
    }
    list += &format!(
        "{{job_name: own, scrape_interval: 200ms, kubernetes_sd_configs: [{{role: pod, api_server: '{url}', namespaces: {{names: [shop, shop]}}, \
                      selectors: [{{role: pod, label: 'tier=front', field: 'spec.nodeName=n1'}}]}}]}}"
    );
    let mut rig = Rig::start(&format!("config: {{scrape_configs: [{list}]}}")).await;
    for _ in 0..11 {
        rig.value("a", 1.0).await;
    }
    until("watches are open", || server.count(&["watch=1"]) == 4).await;
    assert_eq!(server.count(&["GET /api/v1/pods?limit="]), 1);
    assert_eq!(server.count(&["GET /api/v1/services?limit="]), 1);
    assert_eq!(server.count(&["GET /api/v1/endpoints?limit="]), 1);
    let own = "GET /api/v1/namespaces/shop/pods?limit=500&fieldSelector=spec.nodeName%3Dn1&labelSelector=tier%3Dfront&resourceVersion=0";
    assert_eq!(server.count(&[own]), 1, "{:?}", server.requests());
    assert_eq!(server.count(&["GET"]), 8, "{:?}", server.requests());
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_resets_forgets_and_refuses_loses_no_target() {
    let peer = Peer::serving(|count| Reply::page(&format!("n {count}\n"))).await;
    let server = Server::start().await;
    server.chunks(100);
    server.put(PODS, pod("web", &[("http", port(&peer))], &Value::Null));
    let mut rig = Rig::start(&copying(&server, "pod", "", "")).await;
    rig.value("n", 1.0).await;
    for round in 0..4 {
        until("a watch is open", || server.count(&["watch=1"]) > round).await;
        match round {
            0 => server.cut_watches(),
            1 => {
                server.compact();
                server.expire_watches();
            }
            2 => {
                server.refuse(2, 429, Some(1));
                server.cut_watches();
            }
            _ => {
                server.refuse(1, 500, None);
                server.expire_watches();
            }
        }
        server.bookmark();
        sleep(Duration::from_secs(1)).await;
    }
    server.put(PODS, pod("later", &[("http", port(&peer))], &Value::Null));
    let later = ("pod_name".to_owned(), "later".to_owned());
    let is_later = |came: &Came| came.metric == "n" && came.attributes.contains(&later);
    let end = Instant::now() + PATIENCE;
    let mut known = Vec::new();
    while !known.iter().any(is_later) {
        assert!(Instant::now() < end);
        known.push(rig.wait_for(|came| came.metric == "n").await);
    }
    let ended = known.iter().filter(|came| came.value.is_none());
    assert_eq!(ended.count(), 0, "the first is still there");
    rig.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_left_out() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let server = Server::start().await;
    for (name, rest) in [
        ("bare", json!({})),
        ("null", json!({"spec": null, "status": null})),
        (
            "odd",
            json!({"spec": {"containers": "three"}, "status": {"podIP": "127.0.0.1"}}),
        ),
        (
            "far",
            json!({"spec": {"containers": [{"ports": [{"containerPort": -1}]}]}}),
        ),
        ("no-containers", json!({"status": {"podIP": "127.0.0.1"}})),
    ] {
        let mut object = rest;
        object["metadata"] = json!({"name": name, "namespace": "shop"});
        server.put(PODS, object);
    }
    server.put(ENDPOINTS, json!({"metadata": {"name": "e", "namespace": "shop"}, "subsets": [
        {"addresses": [{"ip": "127.0.0.1", "targetRef": {}}], "ports": null}, {"ports": [{}]}, {},
    ]}));
    server.put(PODS, pod("web", &[("http", port(&peer))], &Value::Null));
    let text = format!(
        "config: {{scrape_configs: [{{job_name: p, scrape_interval: 200ms, kubernetes_sd_configs: [{{role: pod, api_server: '{0}'}}, {{role: endpoints, api_server: '{0}'}}, {{role: ingress, api_server: '{0}'}}]}}]}}",
        server.url()
    );
    let mut rig = Rig::start(&text).await;
    let point = rig.value("a", 1.0).await;
    assert_eq!(point.instance, peer.to_string());
    rig.value("a", 1.0).await;
    rig.stop().await;
}

#[tokio::test]
async fn each_way_of_speaking_to_the_server_is_a_way_of_its_own() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let server = Server::start().await;
    server.require("secret");
    server.put(PODS, pod("web", &[("http", port(&peer))], &Value::Null));
    let folder = tempfile::tempdir().unwrap();
    let file = server.kubeconfig(folder.path());
    let (url, file) = (server.url(), file.display());
    let login = Peer::serving(|_| {
        Reply::of(
            "application/json",
            b"{\"access_token\": \"secret\", \"expires_in\": 3600}",
        )
    })
    .await;
    let job = |name: &str, keys: String| {
        format!(
            "{{job_name: {name}, scrape_interval: 200ms, kubernetes_sd_configs: [{{role: pod, {keys}}}]}}"
        )
    };
    let jobs = [
        job("file", format!("kubeconfig_file: '{file}'")),
        job(
            "token",
            format!("api_server: '{url}', authorization: {{credentials: secret}}"),
        ),
        job(
            "wrong",
            format!("api_server: '{url}', authorization: {{credentials: wrong}}"),
        ),
        job(
            "login",
            format!("api_server: '{url}', oauth2: {{client_id: me, token_url: 'http://{login}/'}}"),
        ),
        job("missing", format!("kubeconfig_file: '{file}.not'")),
        job("pod", "namespaces: {names: [shop]}".to_owned()),
    ];
    let mut rig = Rig::start(&format!(
        "config: {{scrape_configs: [{}]}}",
        jobs.join(", ")
    ))
    .await;
    // Each of the three is one of its own, and the others wait for a server.
    for _ in 0..6 {
        rig.value("a", 1.0).await;
    }
    until("three scrape", || peer.count() > 9).await;
    assert_eq!(server.count(&["watch=1"]), 3, "{:?}", server.requests());
    rig.stop().await;
}

#[tokio::test]
async fn ten_thousand_pods_cost_little_and_disturb_nobody() {
    let peer = Peer::serving(|_| Reply::page("a 1\n")).await;
    let server = Server::start().await;
    for number in 0..10_000 {
        let mut object = pod(
            &format!("p{number}"),
            &[("http", 80)],
            &json!({"note": "x".repeat(100)}),
        );
        object["status"]["podIP"] = json!(format!("10.1.{}.{}", number / 250, number % 250));
        server.put(PODS, object);
    }
    let annotations =
        json!({"prometheus.io/scrape": "true", "prometheus.io/port": port(&peer).to_string()});
    server.put(PODS, pod("web", &[("http", 80)], &annotations));
    let mut rig = Rig::start(&by_annotations(&server)).await;
    rig.value("a", 1.0).await;
    // All are of one list, in pages.
    assert_eq!(server.count(&["limit=500"]), 21, "{:?}", server.requests());
    let mut late = pod("late", &[("http", 80)], &annotations);
    late["metadata"]["labels"] = json!({"is": "late"});
    server.put(PODS, late);
    let label = ("is".to_owned(), "late".to_owned());
    rig.wait_for(|came| came.metric == "a" && came.attributes.contains(&label))
        .await;
    assert!(
        rig.came
            .iter()
            .all(|came| !came.instance.starts_with("10."))
    );
    rig.stop().await;
}
