//! Every processor keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_processors::{
    ALL, attributes, batch, cardinality_limiter, cumulative_to_delta, delta_to_cumulative, filter,
    group_by_attrs, interval, k8s_attributes, log_dedup, memory_limiter, metrics_transform,
    metricsgeneration, probabilistic_sampler, rate_limiter, redaction, resource,
    resource_detection, span, tail_sampling, transform,
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
fn cumulative_to_delta_keeps_to_it() {
    let full = "
include: {match_type: regexp, metrics: [a, e], metric_types: [sum, histogram, exponentialhistogram]}
exclude: {match_type: strict, metrics: [none]}
max_staleness: 10m
initial_value: keep
max_streams: 20
";
    let none = "{max_staleness: 0s, initial_value: drop, max_streams: 0}";
    Contract::<cumulative_to_delta::Config>::new("{}", &[full, none]).processor();
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
fn metrics_transform_keeps_to_it() {
    let full = "
transforms:
- {include: '.', match_type: regexp, action: insert, new_name: 'copy.$0', operations: [{action: add_label, new_label: a, new_value: '{{version}}'}]}
- {include: '^h', match_type: regexp, experimental_match_labels: {http.method: GET}, action: update, new_name: other}
- include: .*
  match_type: regexp
  action: update
  operations:
  - {action: update_label, label: a, new_label: b, value_actions: [{value: x, new_value: y}]}
  - {action: delete_label_value, label: http.route, label_value: /}
  - {action: toggle_scalar_data_type}
  - {action: experimental_scale_value, experimental_scale: 2.5}
  - {action: aggregate_label_values, label: http.method, aggregated_values: [GET, POST], new_value: any, aggregation_type: mean}
  - {action: aggregate_labels, label_set: [b], aggregation_type: sum}
- {include: '(.*)', match_type: regexp, action: combine, new_name: one, aggregation_type: median, submatch_case: upper}
- {include: '^[a-m]', match_type: regexp, action: group, group_resource_labels: {resource.type: first}}
";
    Contract::<metrics_transform::Config>::new("{}", &[full]).processor();
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
fn redaction_keeps_to_it() {
    let full = "
allow_all_keys: false
allowed_keys: [service.name, http.method]
ignored_keys: [http.route]
ignored_key_patterns: [^net]
blocked_key_patterns: [user]
blocked_values: ['[0-9]+']
allowed_values: [GET]
redact_all_types: true
hash_function: hmac-sha256
hmac_key: 0123456789abcdef0123456789abcdef
summary: debug
url_sanitizer: {enabled: false, attributes: [http.url]}
db_sanitizer: {sql: {enabled: false}}
";
    let all =
        "{allow_all_keys: true, blocked_values: ['.*', ''], summary: info, redact_all_types: true}";
    Contract::<redaction::Config>::new("{}", &[full, all]).processor();
}

#[test]
fn metricsgeneration_keeps_to_it() {
    let rules = "
- {name: new.a, unit: s, type: scale, metric1: http.server.request.duration, scale_by: 2, operation: multiply}
- {name: new.b, type: calculate, metric1: a, metric2: b, operation: percent}
";
    let rules: Vec<String> = ["false", "true"]
        .map(|by| format!("match_attributes: {by}\nrules: {}", indented(rules)))
        .into();
    Contract::<metricsgeneration::Config>::new("{}", &[&rules[0], &rules[1]]).processor();
}

#[test]
fn delta_to_cumulative_keeps_to_it() {
    let few = "{max_stale: 10s, max_streams: 20}";
    Contract::<delta_to_cumulative::Config>::new("{}", &[few, "max_streams: 0"]).processor();
}

#[test]
fn span_keeps_to_it() {
    let full = "
name:
  from_attributes: [http.method, http.route]
  separator: ' '
  to_attributes: {rules: ['(?P<first>[a-z]+)', '^(?P<all>.*)$'], break_after_match: true, keep_original_name: true}
status: {code: Error, description: wrong}
include: {match_type: regexp, services: ['.']}
exclude: {match_type: strict, span_names: [none]}
";
    let rules = "name: {to_attributes: {rules: ['(?P<all>.*)']}}";
    Contract::<span::Config>::new("status: {code: Ok}", &[full, rules]).processor();
}

#[test]
fn tail_sampling_keeps_to_it() {
    let full = "
decision_wait: 10s
decision_wait_after_root_received: 2s
num_traces: 100
block_on_overflow: false
expected_new_traces_per_sec: 10
num_shards: 4
decision_cache: {sampled_cache_size: 1000, non_sampled_cache_size: 1000}
sample_on_first_match: true
sampling_strategy: trace-complete
drop_pending_traces_on_shutdown: false
maximum_trace_size_bytes: 100kB
memory_limit: 100KiB
overflow: decide_early
inverted_decisions: true
record_policy: true
policies:
- {name: drop, type: drop, drop: {drop_sub_policy: [{name: a, type: string_attribute, string_attribute: {key: http.method, values: [^G], enabled_regex_matching: true, cache_max_size: 10}}]}}
- {name: and, type: and, and: {and_sub_policy: [{name: a, type: latency, latency: {threshold_ms: 1, upper_threshold_ms: 100}}, {name: b, type: not, not: {not_sub_policy: {name: c, type: trace_flags}}}]}}
- {name: number, type: numeric_attribute, numeric_attribute: {key: http.status_code, min_value: 200, max_value: 299, invert_match: true}}
- {name: bool, type: boolean_attribute, boolean_attribute: {key: a, value: true, invert_match: true}}
- {name: text, type: string_attribute, string_attribute: {key: a, values: [b], invert_match: true}}
- {name: state, type: trace_state, trace_state: {key: a, values: [b]}}
- {name: code, type: status_code, status_code: {status_codes: [ERROR, OK]}}
- {name: count, type: span_count, span_count: {min_spans: 2, max_spans: 20}}
- {name: rate, type: rate_limiting, rate_limiting: {spans_per_second: 35}}
- {name: bytes, type: bytes_limiting, bytes_limiting: {bytes_per_second: 1000, burst_capacity: 20000}}
- {name: share, type: probabilistic, probabilistic: {hash_salt: s, sampling_percentage: 50}}
- {name: ottl, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['attributes[\"a\"] > 1', 'name == \"x\"'], spanevent: ['name == \"exception\"']}}
- name: budget
  type: composite
  composite:
    max_total_spans_per_second: 100
    policy_order: [a, b]
    composite_sub_policy: [{name: a, type: and, and: {and_sub_policy: [{name: c, type: always_sample}]}}, {name: b, type: always_sample}]
    rate_allocation: [{policy: a, percent: 50}]
";
    let few = "
{decision_wait: 0s, drop_pending_traces_on_shutdown: true, num_traces: 3, overflow: drop_new, memory_limit: 20KiB, policies: [{name: all, type: always_sample}]}";
    let ingest = "
{sampling_strategy: span-ingest, block_on_overflow: true, policies: [{name: code, type: status_code, status_code: {status_codes: [ERROR]}}]}";
    Contract::<tail_sampling::Config>::new(
        "policies: [{name: all, type: always_sample}]",
        &[full, few, ingest],
    )
    .processor();
}

#[test]
fn cardinality_limiter_keeps_to_it() {
    let full = "
limits: [{per: [metric], series: 2}, {per: [service, resource.host.name, metadata.x-tenant], series: 3}]
window: 5s
max_series: 100
";
    Contract::<cardinality_limiter::Config>::new("{}", &[full]).processor();
}

#[test]
fn interval_keeps_to_it() {
    let full = "{interval: 5s, pass_through: {gauge: true, summary: true}, max_streams: 20}";
    Contract::<interval::Config>::new("{}", &[full]).processor();
}

#[test]
fn log_dedup_keeps_to_it() {
    let full = "
interval: 5s
log_count_attribute: count
timezone: America/Los_Angeles
exclude_fields: [attributes.http\\.method, body.a.b]
conditions: []
max_records: 20
";
    let include = "include_fields: [attributes.http\\.route, body.message]";
    Contract::<log_dedup::Config>::new("{}", &[full, include]).processor();
}

#[test]
fn filter_keeps_to_it() {
    let lists = "
error_mode: silent
traces:
  resource: ['attributes[\"service.name\"] == \"cart\"']
  span: ['IsMatch(name, \"^GET\") and kind == SPAN_KIND_SERVER']
  spanevent: ['name == \"exception\"']
metrics:
  resource: ['attributes[\"service.name\"] == \"cart\"']
  metric: ['type == METRIC_DATA_TYPE_GAUGE', 'HasAttrKeyOnDatapoint(\"http.method\")']
  datapoint: ['value_double > 1.0']
logs:
  resource: ['attributes[\"service.name\"] == \"cart\"']
  log_record: ['severity_number < SEVERITY_NUMBER_WARN']
";
    let inferred = "
trace_conditions: [{context: span, error_mode: propagate, conditions: ['kind == SPAN_KIND_CLIENT']}]
metric_conditions: ['metric.name == \"a\"', 'datapoint.count > 10']
log_conditions: ['not IsString(log.body)']
";
    let older = "
spans: {include: {match_type: regexp, span_names: ['.']}, exclude: {match_type: strict, services: [cart]}}
metrics:
  include: {match_type: regexp, metric_names: ['.'], resource_attributes: [{key: service.name}]}
  exclude: {match_type: strict, metric_names: [a]}
logs:
  include: {match_type: strict, severity_number: {min: INFO, match_undefined: true}}
  exclude: {match_type: regexp, severity_texts: [ERR], bodies: [x], record_attributes: [{key: a}], resource_attributes: [{key: b}]}
";
    Contract::<filter::Config>::new("{}", &[lists, inferred, older]).processor();
}

#[test]
fn transform_keeps_to_it() {
    let groups = "
error_mode: silent
flatten_data: false
trace_statements:
  - {context: resource, statements: ['set(attributes[\"team\"], \"a\")']}
  - {context: span, error_mode: ignore, conditions: ['kind == SPAN_KIND_SERVER'], statements: ['set(name, \"x\")', 'limit(attributes, 3, [])']}
  - {context: spanevent, statements: ['set(span.attributes[\"events\"], event_index)']}
metric_statements:
  - {context: metric, statements: ['set(description, \"\")', 'convert_gauge_to_sum(\"cumulative\", false)', 'extract_count_metric(true) where type == METRIC_DATA_TYPE_HISTOGRAM']}
  - {context: datapoint, statements: ['set(attributes[\"unit\"], metric.unit)']}
log_statements:
  - {context: scope, statements: ['set(version, \"1\")']}
  - {context: log, statements: ['merge_maps(attributes, body, \"insert\") where IsMap(body)', 'flatten(attributes)']}
";
    let flat = "
trace_statements: ['set(span.status.message, span.name)', 'delete_key(resource.attributes, \"host.name\")']
metric_statements: ['set(metric.unit, \"1\")']
log_statements: ['set(log.body, log.attributes)', 'truncate_all(log.attributes, 5)']
";
    Contract::<transform::Config>::new("{}", &[groups, flat]).processor();
}

#[test]
fn no_processor_is_forgotten() {
    for entry in ALL {
        let test = format!("fn {}_keeps_to_it()", entry.name);
        assert!(include_str!("contract.rs").contains(&test), "{test}");
    }
}
