//! What may be configured.

use tidegate_component::ComponentConfig;
use tidegate_component::testing::findings;

use super::*;

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, path, message) in [
        (
            "{}",
            "auth_type",
            "`tls`, which holds where nothing is written, needs a certificate to present",
        ),
        (
            "{auth_type: none, collection_interval: 0s}",
            "collection_interval",
            "the interval cannot be 0",
        ),
        (
            "{auth_type: kubeConfig, endpoint: 'https://n1:10250'}",
            "endpoint",
            "with `auth_type: kubeConfig` this is the name of the node",
        ),
        (
            "{auth_type: serviceAccount, context: a}",
            "context",
            "a kubeconfig file is read with \"auth_type: kubeConfig\" alone",
        ),
        (
            "{auth_type: serviceAccount, k8s_api_config: {auth_type: tls}}",
            "k8s_api_config::auth_type",
            "the API server is not spoken to by keys of TLS that are written here",
        ),
        (
            "{auth_type: serviceAccount, metrics: {k8s.pod.cpu.node.utilization: {enabled: true}}}",
            "node",
            "a metric that compares with what the node has needs `node`",
        ),
        (
            "{auth_type: tls, cert_file: a.pem}",
            "key_file",
            "a certificate is given without its private key",
        ),
        (
            "{auth_type: none, resource_attributes: {k8s.pod.name: {metrics_include: [{}]}}}",
            "resource_attributes::k8s.pod.name::metrics_include::0",
            "one of `strict` and `regexp` is needed",
        ),
    ] {
        let cx = BuildContext::detached("receiver", "kubelet_stats".parse().unwrap());
        let error = read::<Config>(text).build(&cx).err().unwrap();
        assert_eq!((&*error.path, &*error.message), (path, message), "{text}");
    }
}

#[test]
fn values_that_are_not_known_are_found() {
    for (text, key) in [
        ("{auth_type: token}", "token"),
        ("{metric_groups: [node, disk]}", "disk"),
        ("{extra_metadata_labels: [k8s.pod.name]}", "k8s.pod.name"),
        (
            "{metrics: {k8s.pod.cpu.utilization: {}}}",
            "k8s.pod.cpu.utilization",
        ),
        ("{resource_attributes: {host.name: {}}}", "host.name"),
        ("{insecure: true}", "insecure"),
    ] {
        let (_, found) = findings::<Config>(text);
        let told = found.iter().any(|line| line.contains(key));
        assert!(told, "{text}: {found:?}");
    }
}

#[tokio::test]
async fn a_service_account_without_a_token_is_told_at_the_start() {
    let build = BuildContext::detached("receiver", "kubelet_stats".parse().unwrap());
    let config = read::<Config>("{auth_type: serviceAccount, endpoint: 'n1:10250'}");
    let mut receiver = config.receiver(&build, nowhere()).unwrap();
    let door = Arc::new(FakeDoor::default());
    let error = receiver.start(door.receiver(build.id)).await.unwrap_err();
    assert!(error.message.contains("/no/account/token"), "{error}");
}
