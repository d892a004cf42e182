//! What may be configured.

use tidegate_component::testing::{findings, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_transport::kubernetes::Surroundings;

use super::*;

#[test]
fn what_is_wrong_is_named_with_its_key() {
    for (text, path, message) in [
        (
            "{auth_type: tls}",
            "auth_type",
            "the API server is not spoken to by keys of TLS that are written here",
        ),
        (
            "{extract: {metadata: [k8s.pod.nam]}}",
            "extract::metadata::0",
            "no attribute `k8s.pod.nam` is known of pods",
        ),
        (
            "{extract: {labels: [{key: a, key_regex: b}]}}",
            "extract::labels::0::key_regex",
            "there is a `key` already",
        ),
        (
            "{extract: {annotations: [{tag_name: a}]}}",
            "extract::annotations::0",
            "neither `key` nor `key_regex`",
        ),
        (
            "{pod_association: [{sources: []}]}",
            "pod_association::0::sources",
            "a rule without a source",
        ),
        (
            "{pod_association: [{sources: [{from: connection}, {from: connection}, {from: connection}, {from: connection}, {from: connection}]}]}",
            "pod_association::0::sources",
            "a rule has at most 4 sources",
        ),
        (
            "{pod_association: [{sources: [{from: resource_attribute}]}]}",
            "pod_association::0::sources::0::name",
            "the name of the attribute is needed",
        ),
        (
            "{pod_association: [{sources: [{from: resource_attribute, name: k8s.node.uid}]}]}",
            "pod_association::0::sources::0::name",
            "no pod can be found by `k8s.node.uid`",
        ),
        (
            "{filter: {fields: [{key: a, op: exists}]}}",
            "filter::fields::0::op",
            "of a field it cannot be asked whether it exists",
        ),
    ] {
        let cx = BuildContext::detached("processor", "k8s_attributes".parse().unwrap());
        let error = read::<Config>(text).build(&cx).err().unwrap();
        assert_eq!((&*error.path, &*error.message), (path, message), "{text}");
    }
    for text in [
        "{extract: {labels: [{key_regex: '('}]}}",
        "{exclude: {pods: [{name: '('}]}}",
    ] {
        let cx = BuildContext::detached("processor", "k8s_attributes".parse().unwrap());
        let error = read::<Config>(text).build(&cx).err().unwrap();
        assert!(error.message.contains("no regular expression"), "{error}");
    }
}

#[test]
fn values_that_are_not_known_are_found() {
    for (text, key) in [
        (
            "{extract: {labels: [{key: a, from: replicaset}]}}",
            "replicaset",
        ),
        ("{filter: {labels: [{key: a, op: like}]}}", "like"),
        (
            "{pod_association: [{sources: [{from: build_hostname}]}]}",
            "build_hostname",
        ),
        (
            "{extract: {deployment_name_from_replicaset: true}}",
            "deployment_name_from_replicaset",
        ),
        ("{watch_sync_period: 5m}", "watch_sync_period"),
    ] {
        let (_, found) = findings::<Config>(text);
        let told = found.iter().any(|line| line.contains(key));
        assert!(told, "{text}: {found:?}");
    }
}

#[tokio::test]
async fn a_variable_without_a_node_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "a").unwrap();
    let variables = [
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", "1"),
    ];
    let cx = BuildContext::detached("processor", "k8s_attributes".parse().unwrap());
    let config = read::<Config>("{filter: {node_from_env_var: K8S_NODE_NAME}}");
    let surroundings = Surroundings::made_up(&variables, folder.path());
    let built = config.processor(&cx, surroundings).unwrap();
    let preparation = cx.preparations.take().pop().unwrap();
    let error = preparation.run(HereWorkers::workers()).await.unwrap_err();
    assert!(
        error.message.contains("K8S_NODE_NAME is not set"),
        "{error}"
    );
    drop(built);
}

#[tokio::test]
async fn outside_a_pod_the_start_fails_and_says_why() {
    let cx = BuildContext::detached("processor", "k8s_attributes".parse().unwrap());
    let nowhere = Surroundings::made_up(&[], Path::new("/no/account"));
    let built = read::<Config>("{}").processor(&cx, nowhere).unwrap();
    let preparation = cx.preparations.take().pop().unwrap();
    let error = preparation.run(HereWorkers::workers()).await.unwrap_err();
    assert!(error.message.contains("/no/account/token"), "{error}");
    drop(built);
}
