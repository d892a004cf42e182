//! Every processor keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_processors::{
    ALL, attributes, batch, group_by_attrs, k8s_attributes, memory_limiter, probabilistic_sampler,
    rate_limiter, resource, resource_detection,
};

/// Every action, each with the keys that it takes.
const ACTIONS: &str = "
- {key: added, value: 1, action: insert}
- {key: http.method, value: [a, true], action: update}
- {key: copied, from_attribute: http.method, default_value: none, action: upsert}
- {key: tenant, from_context: metadata.x-tenant, default_value: none, action: upsert}
- {key: http.url, pattern: '^(?P<scheme>[a-z]+)://', action: extract}
- {key: http.status_code, action: convert, converted_type: string}
- {pattern: user, action: hash}
- {key: http.method, action: delete}
";

fn indented(list: &str) -> String {
    list.replace('\n', "\n  ")
}

#[test]
fn attributes_keeps_to_it() {
    let include = "{match_type: regexp, resources: [{key: service.name, value: '^c'}]}";
    let exclude = "{match_type: strict, resources: [{key: service.name, value: cart}]}";
    let full = format!(
        "actions: {}\ninclude: {include}\nexclude: {exclude}",
        indented(ACTIONS)
    );
    let all = format!("actions: {}", indented(ACTIONS));
    Contract::<attributes::Config>::new(
        "actions: [{key: a, value: b, action: upsert}]",
        &[&full, &all],
    )
    .processor();
}

#[test]
fn resource_keeps_to_it() {
    let all = format!("attributes: {}", indented(ACTIONS));
    Contract::<resource::Config>::new("attributes: [{key: a, value: b, action: upsert}]", &[&all])
        .processor();
}

#[test]
fn resource_detection_keeps_to_it() {
    let attributes = "resource_attributes: {cloud.provider: {enabled: false}}";
    let full = format!(
        "
detectors: [env, system, docker, ec2, ecs, eks, elastic_beanstalk, lambda, gcp, azure, aks, k8s_api, k8snode, heroku]
override: false
attributes: [host.name]
timeout: 2s
refresh_interval: 10m
fail_on_missing_metadata: true
retry: {{enabled: true, initial_interval: 2s, randomization_factor: 0.1, multiplier: 1.5, max_interval: 10s, max_elapsed_time: 1m}}
env: {{allowlist: [a]}}
system: {{hostname_sources: [dns, os, cname, lookup], resource_attributes: {{host.id: {{enabled: true}}}}}}
docker: {{resource_attributes: {{container.name: {{enabled: true}}}}}}
ec2: {{tags: [a], tags_from_imds: true, fail_on_missing_metadata: true, {attributes}}}
ecs: {{{attributes}}}
eks: {{{attributes}}}
elastic_beanstalk: {{{attributes}}}
lambda: {{{attributes}}}
gcp: {{{attributes}}}
azure: {{tags: [a], {attributes}}}
aks: {{{attributes}}}
k8s_api: {{auth_type: none, node_from_env_var: NODE, resource_attributes: {{k8s.cluster.uid: {{enabled: false}}}}}}
k8snode: {{auth_type: serviceAccount}}
heroku: {{{attributes}}}
"
    );
    Contract::<resource_detection::Config>::new("{}", &[&full]).processor();
}

#[test]
fn k8s_attributes_keeps_to_it() {
    let full = "
auth_type: kubeConfig
context: here
kube_config_path: config
passthrough: false
extract:
  metadata: [k8s.pod.name, container.id, service.name]
  labels: [{tag_name: $1, key_regex: 'app/(.*)', from: pod}, {key: team, from: namespace}]
  annotations: [{tag_name: a, key: a, from: node}]
  otel_annotations: true
  deployment_name_from_replicaset: true
filter:
  node: n1
  node_from_env_var: NODE
  namespace: shop
  fields: [{key: status.phase, value: Running, op: equals}]
  labels: [{key: app, op: exists}]
pod_association:
- sources: [{from: resource_attribute, name: k8s.pod.uid}]
- sources: [{from: connection}]
exclude: {pods: [{name: agent}]}
wait_for_metadata: true
wait_for_metadata_timeout: 5s
pod_delete_grace_period: 1m
watch_sync_period: 0s
";
    let through = "passthrough: true";
    Contract::<k8s_attributes::Config>::new("{}", &[full, through]).processor();
}

#[test]
fn group_by_attrs_keeps_to_it() {
    let keys = "keys: [service.name, http.method, host.name]";
    Contract::<group_by_attrs::Config>::new("{}", &[keys]).processor();
}

#[test]
fn batch_keeps_to_it() {
    let full = "
timeout: 1s
send_batch_size: 100
send_batch_max_size: 150
metadata_keys: [tenant]
metadata_cardinality_limit: 10
";
    Contract::<batch::Config>::new("{}", &[full, "timeout: 0s"]).processor();
}

#[test]
fn memory_limiter_keeps_to_it() {
    let full = "
check_interval: 1s
limit_mib: 4000
spike_limit_mib: 800
limit_percentage: 80
spike_limit_percentage: 20
min_gc_interval_when_soft_limited: 10s
min_gc_interval_when_hard_limited: 0s
";
    Contract::<memory_limiter::Config>::new("{check_interval: 1s, limit_mib: 4000}", &[full])
        .processor();
}

#[test]
fn probabilistic_sampler_keeps_to_it() {
    let full = "
sampling_percentage: 50
mode: hash_seed
hash_seed: 22
fail_closed: false
sampling_precision: 14
attribute_source: record
from_attribute: user.id
sampling_priority: priority
";
    let others = [
        "{sampling_percentage: 50, mode: equalizing}",
        "{sampling_percentage: 50, mode: proportional, fail_closed: false}",
        "{sampling_percentage: 100}",
    ];
    Contract::<probabilistic_sampler::Config>::new("{}", &[full, others[0], others[1], others[2]])
        .processor();
}

#[test]
fn rate_limiter_keeps_to_it() {
    // A rate that some of what comes is over, by a key of the data.
    let full = "
key_by: [resource.service.name]
metadata_keys: [x-tenant]
strategy: records
rate: 100
burst: 200
max_keys: 10
overrides: {cart: {rate: 1, burst: 1}}
throttle_behavior: error
type: local
throttle_interval: 1s
retry_delay: 1s
";
    Contract::<rate_limiter::Config>::new("rate: 1000000000", &[full]).processor();
}

#[test]
fn no_processor_is_forgotten() {
    for entry in ALL {
        let test = format!("fn {}_keeps_to_it()", entry.name);
        assert!(include_str!("contract.rs").contains(&test), "{test}");
    }
}
