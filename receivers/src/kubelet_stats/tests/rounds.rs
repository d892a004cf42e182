//! What is made of what the kubelet says.

use super::*;

/// Everything that can be made.
const ALL: &str = "metric_groups: [container, pod, node, volume], \
    metrics: {container.uptime: {enabled: true}, k8s.pod.uptime: {enabled: true}, \
    k8s.node.uptime: {enabled: true}, k8s.node.pid.limit: {enabled: true}, \
    k8s.node.pid.usage: {enabled: true}, k8s.node.filesystem.inode.count: {enabled: true}, \
    k8s.node.filesystem.inode.free: {enabled: true}, k8s.pod.volume.usage: {enabled: true}, \
    k8s.container.ephemeral_storage.usage: {enabled: true}, \
    k8s.node.system_container.cpu.time: {enabled: true}, \
    k8s.node.system_container.cpu.usage: {enabled: true}, \
    k8s.node.system_container.memory.usage: {enabled: true}, \
    k8s.node.system_container.memory.working_set: {enabled: true}}";

#[tokio::test]
async fn all_that_a_kubelet_tells_is_told_under_the_original_names() {
    let server = Server::start().await;
    server.document(SUMMARY, summary(10, 10));
    let mut rig = Rig::asking(&server, ALL).await;
    let first = rig.round("k8s.node.cpu.time").await;
    assert!(
        first.keys().all(|line| !line.contains("cpu.usage")),
        "{first:#?}"
    );
    server.document(SUMMARY, summary(11, 20));
    let mut round = rig.round("k8s.node.cpu.usage").await;
    rig.receiver.stop().await;
    // They count from a time in the past to now.
    round.retain(|line, value| !line.contains(".uptime") || *value < 86_400.0 * 300.0);
    let lines: Vec<String> = round
        .iter()
        .map(|(line, value)| format!("{line} | {value}"))
        .collect();
    insta::assert_snapshot!("everything", lines.join("\n"));
}

#[tokio::test]
async fn groups_that_are_not_named_are_not_told_of() {
    let server = Server::start().await;
    server.document(SUMMARY, summary(1, 1));
    let mut rig = Rig::asking(&server, "metric_groups: [pod]").await;
    let round = rig.round("k8s.pod.cpu.time").await;
    rig.receiver.stop().await;
    assert!(
        round.keys().all(|line| line.contains("| k8s.pod.")),
        "{round:#?}"
    );
    assert_eq!(server.count(&["/pods"]), 0, "nobody asked for more");
}

#[tokio::test]
async fn containers_are_told_with_their_ids_or_not_at_all() {
    let server = Server::start().await;
    server.document(SUMMARY, summary(1, 1));
    server.document("/pods", pods(""));
    let mut rig = Rig::asking(&server, "extra_metadata_labels: [container.id]").await;
    let round = rig.round("k8s.pod.cpu.time").await;
    assert!(
        round.keys().all(|line| !line.contains("| container.")),
        "{round:#?}"
    );
    server.document("/pods", pods("containerd://0123abc"));
    let round = rig.round("container.cpu.time").await;
    rig.receiver.stop().await;
    let line = "container.id=0123abc,k8s.container.name=app,k8s.namespace.name=shop,\
                k8s.pod.name=cart-1,k8s.pod.uid=u1 | container.cpu.time [s] counter | ";
    assert_eq!(round.get(line), Some(&2.0), "{round:#?}");
    assert_eq!(rig.errored(), 0);
}

#[tokio::test]
async fn what_stands_behind_a_claim_is_asked_for_once() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = server.kubeconfig(folder.path());
    server.document(SUMMARY, summary(1, 1));
    server.document("/pods", pods("x"));
    server.put(
        "/api/v1/persistentvolumeclaims",
        json!({"metadata": {"name": "claim", "namespace": "shop"}, "spec": {"volumeName": "pv1"}}),
    );
    server.put(
        "/api/v1/persistentvolumes",
        json!({"metadata": {"name": "pv1"}, "spec": {"awsElasticBlockStore": {"volumeID": "vol-1", "fsType": "ext4"}}}),
    );
    let text = format!(
        "metric_groups: [volume], extra_metadata_labels: [k8s.volume.type], \
         resource_attributes: {{aws.volume.id: {{enabled: true}}}}, \
         k8s_api_config: {{auth_type: kubeConfig, kube_config_path: '{}'}}",
        file.display()
    );
    let mut rig = Rig::asking(&server, &text).await;
    for _ in 0..3 {
        let round = rig.round("k8s.volume.capacity").await;
        let line = round.keys().next().unwrap();
        for part in [
            "aws.volume.id=vol-1",
            "k8s.persistentvolumeclaim.name=claim",
            "k8s.volume.type=awsElasticBlockStore",
            "k8s.volume.name=data",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
    rig.receiver.stop().await;
    assert_eq!(server.count(&["/persistentvolumes/pv1"]), 1);
}

#[tokio::test]
async fn uses_are_told_as_parts_of_limits_requests_and_the_node() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = server.kubeconfig(folder.path());
    server.document(SUMMARY, summary(10, 10));
    server.document("/pods", pods("x"));
    server.put(
        "/api/v1/nodes",
        json!({"metadata": {"name": "n1"}, "status": {"capacity": {"cpu": "8", "memory": "2Ki"}}}),
    );
    let names = [
        "k8s.container.cpu.node.utilization",
        "k8s.container.cpu_limit_utilization",
        "k8s.container.cpu_request_utilization",
        "k8s.container.memory.node.utilization",
        "k8s.container.memory_limit_utilization",
        "k8s.pod.cpu_limit_utilization",
        "k8s.pod.memory_request_utilization",
    ];
    let metrics: Vec<String> = names
        .iter()
        .map(|name| format!("{name}: {{enabled: true}}"))
        .collect();
    let text = format!(
        "metrics: {{{}}}, node: n1, k8s_api_config: {{auth_type: kubeConfig, kube_config_path: '{}'}}",
        metrics.join(", "),
        file.display()
    );
    let mut rig = Rig::asking(&server, &text).await;
    let _ = rig.round("container.cpu.time").await;
    // Two shares of ten seconds in ten seconds: two CPUs.
    server.document(SUMMARY, summary(20, 20));
    let round = rig.round("k8s.container.cpu_limit_utilization").await;
    rig.receiver.stop().await;
    let value = |name: &str| {
        let found = round.iter().find(|(line, _)| line.contains(name));
        found.map(|(_, value)| *value)
    };
    for (name, expected) in names.into_iter().zip([
        Some(2.0 / 8.0),
        Some(2.0 / 4.0),
        Some(2.0 / 0.5),
        Some(401.0 / 2048.0),
        Some(401.0 / 1024.0),
        Some(2.0 / 4.0),
        None,
    ]) {
        assert_eq!(value(name), expected, "{name}: {round:#?}");
    }
}

#[tokio::test]
async fn all_interfaces_are_told_of_where_that_is_wanted() {
    let server = Server::start().await;
    server.document(SUMMARY, summary(1, 1));
    let text = "collect_all_network_interfaces: {pod: true}";
    let mut rig = Rig::asking(&server, text).await;
    let round = rig.round("k8s.pod.network.io").await;
    rig.receiver.stop().await;
    let of = |part: &str| round.keys().filter(|line| line.contains(part)).count();
    assert_eq!(of("k8s.pod.network.io [By] counter | direction="), 4);
    assert_eq!(of("k8s.node.network.io [By] counter | direction="), 2);
}

#[tokio::test]
async fn a_token_is_read_again_when_it_was_renewed() {
    let server = Server::start().await;
    server.document(SUMMARY, summary(1, 1));
    server.require("first");
    let account = tempfile::tempdir().unwrap();
    std::fs::write(account.path().join("token"), "first").unwrap();
    let text = format!("auth_type: serviceAccount, endpoint: '{}'", server.url());
    let surroundings = Surroundings::made_up(&[], account.path());
    let mut rig = Rig::start(&text, surroundings).await;
    let _ = rig.round("k8s.node.cpu.time").await;
    server.require("second");
    let end = Instant::now() + PATIENCE;
    while rig.errored() == 0 {
        assert!(Instant::now() < end, "nothing is missed");
        sleep(Duration::from_millis(10)).await;
    }
    let _ = rig.door.take();
    std::fs::write(account.path().join("token"), "second").unwrap();
    let _ = rig.round("k8s.node.cpu.time").await;
    rig.receiver.stop().await;
}

#[tokio::test]
async fn a_kubelet_with_a_certificate_of_its_own_is_trusted_where_told() {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = certified.signing_key.serialize_pem();
    let server = Server::secured(&certified.cert.pem(), &key).await;
    server.document(SUMMARY, summary(1, 1));
    let account = tempfile::tempdir().unwrap();
    std::fs::write(account.path().join("token"), "a").unwrap();
    let base = format!("auth_type: serviceAccount, endpoint: '{}'", server.url());
    let start = async |more: &str| {
        let surroundings = Surroundings::made_up(&[], account.path());
        Rig::start(&format!("{base}{more}"), surroundings).await
    };
    let mut rig = start("").await;
    let end = Instant::now() + PATIENCE;
    while rig.errored() == 0 {
        assert!(Instant::now() < end, "it is trusted");
        sleep(Duration::from_millis(10)).await;
    }
    rig.receiver.stop().await;
    assert_eq!(rig.door.items(), 0);
    let mut rig = start(", insecure_skip_verify: true").await;
    let _ = rig.round("k8s.node.cpu.time").await;
    rig.receiver.stop().await;
    // The CA of the service account vouches for the kubelets of clusters that sign them.
    std::fs::write(account.path().join("ca.crt"), certified.cert.pem()).unwrap();
    let mut rig = start("").await;
    let _ = rig.round("k8s.node.cpu.time").await;
    rig.receiver.stop().await;
}

#[tokio::test]
async fn by_a_kubeconfig_file_the_kubelet_is_reached_by_way_of_the_api_server() {
    let server = Server::start().await;
    server.require("secret");
    server.document("/api/v1/nodes/n1/proxy/stats/summary", summary(1, 1));
    let folder = tempfile::tempdir().unwrap();
    let file = server.kubeconfig(folder.path());
    let surroundings =
        Surroundings::made_up(&[("KUBECONFIG", file.to_str().unwrap())], folder.path());
    let mut rig = Rig::start("auth_type: kubeConfig, endpoint: n1", surroundings).await;
    let _ = rig.round("k8s.node.cpu.time").await;
    rig.receiver.stop().await;
}

#[tokio::test]
async fn many_pods_come_in_several_requests_of_one_round() {
    let server = Server::start().await;
    let mut summary = summary(1, 1);
    let pod = summary["pods"][0].clone();
    let many = (0..400).map(|number| {
        let mut pod = pod.clone();
        pod["podRef"]["uid"] = json!(format!("u{number}"));
        pod
    });
    summary["pods"] = many.collect();
    server.document(SUMMARY, summary);
    let mut rig = Rig::asking(&server, "metric_groups: [pod, container]").await;
    let round = rig.round("k8s.pod.uid=u399").await;
    rig.receiver.stop().await;
    let of = |metric: &str| round.keys().filter(|line| line.contains(metric)).count();
    assert!(of("k8s.pod.cpu.time") > 1, "{}", round.len());
}

#[tokio::test]
async fn answers_that_make_no_sense_are_counted_and_cost_a_round() {
    let server = Server::start().await;
    server.document(SUMMARY, json!(["no summary"]));
    let mut rig = Rig::asking(&server, "metric_groups: [node]").await;
    let end = Instant::now() + PATIENCE;
    while rig.errored() == 0 {
        assert!(Instant::now() < end, "nothing is missed");
        sleep(Duration::from_millis(10)).await;
    }
    server.document(SUMMARY, summary(1, 1));
    let _ = rig.round("k8s.node.cpu.time").await;
    rig.receiver.stop().await;
}
