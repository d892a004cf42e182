//! Every processor keeps to the contract.

use tidegate_component::testing::Contract;
use tidegate_processors::{
    ALL, attributes, batch, memory_limiter, probabilistic_sampler, rate_limiter, resource,
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
