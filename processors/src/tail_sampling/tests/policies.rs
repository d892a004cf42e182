//! What each policy says, and what follows of several.

use serde_json::json;
use tidegate_component::BuildContext;
use tidegate_component::testing::read;

use super::{Config, attribute, bench, fault, kept, kept_of, plain, request, span, spans};

const DAY: u64 = 1_700_000_000_000_000_000;

/// A policy of a type with its keys.
fn policy(kind: &str, keys: &str) -> String {
    match keys {
        "" => format!("{{name: p, type: {kind}}}"),
        keys => format!("{{name: p, type: {kind}, {kind}: {keys}}}"),
    }
}

/// Traces of one span each, numbered from 1, with these fields.
fn each(fields: &[serde_json::Value]) -> tidegate_pdata::Payload {
    let spans_of = fields.iter().enumerate();
    spans(
        spans_of
            .map(|(at, more)| span(at as u128 + 1, more))
            .collect(),
    )
}

#[test]
fn always_sample_keeps_everything() {
    assert_eq!(
        kept_of(&policy("always_sample", ""), each(&[json!({}), json!({})])),
        [1, 2]
    );
}

#[test]
fn latency_is_from_the_earliest_start_to_the_latest_end() {
    let at = |start: u64, end: u64| {
        let nanos = |millis: u64| (DAY + millis * 1_000_000).to_string();
        json!({"startTimeUnixNano": nanos(start), "endTimeUnixNano": nanos(end)})
    };
    let traces = || {
        spans(vec![
            span(1, &at(0, 99)),
            span(2, &at(0, 100)),
            span(3, &at(0, 10)),
            span(3, &at(95, 100)),
            span(4, &at(0, 500)),
        ])
    };
    let lower = policy("latency", "{threshold_ms: 100}");
    assert_eq!(kept_of(&lower, traces()), [2, 3, 4]);
    let both = policy("latency", "{threshold_ms: 99, upper_threshold_ms: 100}");
    assert_eq!(kept_of(&both, traces()), [2, 3]);
}

#[test]
fn numbers_are_looked_for_in_spans_and_resources() {
    let of = |value: serde_json::Value| json!({"attributes": [attribute("n", value)]});
    let traces = || {
        each(&[
            of(json!(49)),
            of(json!(50)),
            of(json!(101)),
            of(json!("x")),
            json!({}),
        ])
    };
    let keys = "{key: n, min_value: 50, max_value: 100}";
    assert_eq!(kept_of(&policy("numeric_attribute", keys), traces()), [2]);
    // What is no whole number counts as 0.
    let keys = "{key: n, max_value: 49}";
    assert_eq!(
        kept_of(&policy("numeric_attribute", keys), traces()),
        [1, 4]
    );
    let keys = "{key: n, min_value: 50, max_value: 100, invert_match: true}";
    assert_eq!(
        kept_of(&policy("numeric_attribute", keys), traces()),
        [1, 3, 4, 5]
    );
    let resource = request(&[(json!([attribute("n", 50)]), vec![plain(1), plain(2)])]);
    let keys = "{key: n, min_value: 50}";
    assert_eq!(
        kept_of(&policy("numeric_attribute", keys), resource),
        [1, 2]
    );
}

#[test]
fn texts_are_compared_or_matched() {
    let of = |value: &str| json!({"attributes": [attribute("t", value)]});
    let traces = || each(&[of("a"), of("ab"), of("b"), of(""), json!({})]);
    let exact = policy("string_attribute", "{key: t, values: [a, '']}");
    assert_eq!(kept_of(&exact, traces()), [1]);
    let keys = "{key: t, values: ['^a', 'x+'], enabled_regex_matching: true}";
    assert_eq!(kept_of(&policy("string_attribute", keys), traces()), [1, 2]);
    let keys = "{key: t, values: ['.*'], enabled_regex_matching: true}";
    assert_eq!(
        kept_of(&policy("string_attribute", keys), traces()),
        [1, 2, 3]
    );
    let keys = "{key: t, values: [a], invert_match: true}";
    assert_eq!(
        kept_of(&policy("string_attribute", keys), traces()),
        [2, 3, 4, 5]
    );
    let resource = request(&[(json!([attribute("t", "a")]), vec![plain(1)])]);
    assert_eq!(kept_of(&exact, resource), [1]);
}

#[test]
fn booleans_are_compared_and_other_types_are_false() {
    let of = |value: serde_json::Value| json!({"attributes": [attribute("b", value)]});
    let traces = || {
        each(&[
            of(json!(true)),
            of(json!(false)),
            of(json!("true")),
            json!({}),
        ])
    };
    let policy = |keys: &str| policy("boolean_attribute", keys);
    assert_eq!(kept_of(&policy("{key: b, value: true}"), traces()), [1]);
    assert_eq!(kept_of(&policy("{key: b, value: false}"), traces()), [2, 3]);
    let inverted = policy("{key: b, value: true, invert_match: true}");
    assert_eq!(kept_of(&inverted, traces()), [2, 3, 4]);
}

#[test]
fn a_share_is_chosen_by_the_trace_id() {
    let traces = || {
        spans(
            (1..=1000)
                .map(|at| plain((at << 64) | (at * 7919)))
                .collect(),
        )
    };
    let of = |keys: &str| kept_of(&policy("probabilistic", keys), traces());
    let kept = of("{sampling_percentage: 25}");
    assert!((200..300).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept, of("{sampling_percentage: 25}"));
    assert_ne!(kept, of("{sampling_percentage: 25, hash_salt: other}"));
    assert_eq!(of("{sampling_percentage: 100}").len(), 1000);
    assert_eq!(of("{sampling_percentage: 0}").len(), 0);
}

#[test]
fn codes_flags_and_trace_states_are_those_of_one_span() {
    let code = |code: u32| json!({"status": {"code": code}});
    let traces = || each(&[json!({}), code(1), code(2)]);
    let of = |codes: &str| policy("status_code", &format!("{{status_codes: [{codes}]}}"));
    assert_eq!(kept_of(&of("UNSET"), traces()), [1]);
    assert_eq!(kept_of(&of("OK, ERROR"), traces()), [2, 3]);

    let flags = |flags: u32| json!({"flags": flags});
    let traces = each(&[flags(0), flags(1), flags(256), flags(257)]);
    assert_eq!(kept_of(&policy("trace_flags", ""), traces), [2, 4]);

    let state = |text: &str| json!({"traceState": text});
    let traces = each(&[state("k=v"), state("a=b,k=w"), state("k=v,="), state("k=x")]);
    let of = policy("trace_state", "{key: k, values: [v, w]}");
    assert_eq!(kept_of(&of, traces), [1, 2]);
}

#[test]
fn spans_are_counted_over_all_batches() {
    let mut bench =
        bench("policies: [{name: p, type: span_count, span_count: {min_spans: 2, max_spans: 3}}]");
    bench.send(spans(vec![
        plain(1),
        plain(2),
        plain(3),
        plain(3),
        plain(3),
    ]));
    bench.send(spans(vec![plain(2), plain(3)]));
    bench.finish();
    assert_eq!(kept(&bench).into_iter().collect::<Vec<_>>(), [(2, 2)]);
}

#[test]
fn conditions_are_asked_of_spans_and_events() {
    let traces = || {
        each(&[
            json!({"name": "x"}),
            json!({"events": [{"name": "no"}, {"name": "exception"}]}),
            json!({"attributes": [attribute("n", "text")]}),
            json!({"attributes": [attribute("n", 5)]}),
        ])
    };
    let of = |keys: &str| kept_of(&policy("ottl_condition", keys), traces());
    let both = r#"{span: ['name == "x"'], spanevent: ['name == "exception"']}"#;
    assert_eq!(of(both), [1, 2]);
    // What fails for a span is passed over, or is all that the policy says of its trace.
    let keys = r#"{error_mode: ignore, span: ['Hour(attributes["n"]) == 1', 'name == "a"']}"#;
    assert_eq!(of(keys), [2, 3, 4]);
    let keys = r#"{error_mode: propagate, span: ['Hour(attributes["n"]) == 1', 'name == "a"']}"#;
    assert_eq!(of(keys).len(), 0);
}

#[test]
fn rates_let_through_what_stays_below_them() {
    let traces = || spans((1..=10).flat_map(|at| [plain(at), plain(at)]).collect());
    let of = |keys: &str| kept_of(&policy("rate_limiting", keys), traces()).len();
    // A new second may begin between two traces.
    assert!((3..=6).contains(&of("{spans_per_second: 8}")));
    assert_eq!(of("{spans_per_second: 0}"), 0);
    let of = |keys: &str| kept_of(&policy("bytes_limiting", keys), traces()).len();
    assert_eq!(of("{bytes_per_second: 1, burst_capacity: 100000}"), 10);
    assert_eq!(of("{bytes_per_second: 1, burst_capacity: 10}"), 0);
    assert!((1..=4).contains(&of("{bytes_per_second: 200, burst_capacity: 500}")));
}

const ERROR: &str = "{name: e, type: status_code, status_code: {status_codes: [ERROR]}}";
const SLOW: &str = "{name: l, type: latency, latency: {threshold_ms: 100}}";

/// 1 is slow, 2 failed, 3 both, 4 none.
fn four() -> tidegate_pdata::Payload {
    let slow = json!({"endTimeUnixNano": (DAY + 1_000_000_000).to_string()});
    let failed = json!({"status": {"code": 2}});
    let mut both = slow.clone();
    both["status"] = failed["status"].clone();
    each(&[slow, failed, both, json!({})])
}

#[test]
fn policies_in_each_other_agree_or_turn_round() {
    let and = format!("{{name: a, type: and, and: {{and_sub_policy: [{ERROR}, {SLOW}]}}}}");
    assert_eq!(kept_of(&and, four()), [3]);
    let not = format!("{{name: n, type: not, not: {{not_sub_policy: {ERROR}}}}}");
    assert_eq!(kept_of(&not, four()), [1, 4]);
    let inner = format!("{{name: a, type: and, and: {{and_sub_policy: [{SLOW}, {not}]}}}}");
    assert_eq!(kept_of(&inner, four()), [1]);
    assert_eq!(kept_of(&format!("{ERROR}, {SLOW}"), four()), [1, 2, 3]);
}

#[test]
fn what_is_dropped_stays_out_whatever_others_say() {
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{ERROR}]}}}}");
    let all = "{name: all, type: always_sample}";
    assert_eq!(kept_of(&format!("{all}, {drop}"), four()), [1, 4]);
    let both = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{ERROR}, {SLOW}]}}}}");
    assert_eq!(kept_of(&format!("{all}, {both}"), four()), [1, 2, 4]);
}

#[test]
fn a_trace_that_is_dropped_for_good_is_not_held() {
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{ERROR}]}}}}");
    let mut bench = bench(&format!(
        "policies: [{{name: all, type: always_sample}}, {drop}]"
    ));
    bench.send(spans(vec![plain(1), plain(2)]));
    assert_eq!(bench.held().0, 2);
    bench.send(spans(vec![
        span(2, &json!({"status": {"code": 2}})),
        plain(2),
    ]));
    assert_eq!((bench.held().0, bench.dropped("sampled_out")), (1, 3));
    bench.finish();
    assert_eq!(kept(&bench).into_keys().collect::<Vec<_>>(), [1]);
}

#[test]
fn inverted_matches_weigh_more_where_that_is_wanted() {
    let inverted = "{name: i, type: string_attribute, string_attribute: {key: t, values: [a], invert_match: true}}";
    let of = |value: &str| json!({"attributes": [attribute("t", value)]});
    let traces = || each(&[of("a"), of("b")]);
    let all = "{name: all, type: always_sample}";
    let none = "{name: none, type: span_count, span_count: {min_spans: 99}}";
    let kept = |policies: &str, weighty: bool| {
        let mut bench = bench(&format!(
            "{{inverted_decisions: {weighty}, policies: [{policies}]}}"
        ));
        bench.send(traces());
        bench.finish();
        super::kept(&bench).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(kept(&format!("{all}, {inverted}"), false), [1, 2]);
    assert_eq!(kept(&format!("{all}, {inverted}"), true), [2]);
    assert_eq!(kept(&format!("{none}, {inverted}"), false), [2]);
    assert_eq!(kept(&format!("{none}, {inverted}"), true).len(), 0);
    assert_eq!(kept(inverted, true), [2]);
    // Within others they are answers as any.
    let and = format!("{{name: and, type: and, and: {{and_sub_policy: [{inverted}]}}}}");
    assert_eq!(kept(&format!("{all}, {and}"), true), [1, 2]);
}

#[test]
fn parts_of_a_budget_take_no_more_than_their_shares() {
    let parts = format!("[{ERROR}, {{name: rest, type: always_sample}}]");
    let of = |shares: &str| {
        format!(
            "{{name: c, type: composite, composite: {{max_total_spans_per_second: 100, policy_order: [e, rest], \
             composite_sub_policy: {parts}, rate_allocation: {shares}}}}}"
        )
    };
    let failed = json!({"status": {"code": 2}});
    let traces = || {
        let failing = (1..=200).map(|at| span(at, &failed));
        spans(failing.chain((201..=400).map(plain)).collect())
    };
    let kept = kept_of(
        &of("[{policy: e, percent: 50}, {policy: rest, percent: 20}]"),
        traces(),
    );
    let failing = kept.iter().filter(|id| **id <= 200).count();
    // A new second may begin on the way.
    assert!([50, 100].contains(&failing) || (50..=100).contains(&failing));
    assert!((20..=40).contains(&(kept.len() - failing)));
    // One without a share has none.
    let kept = kept_of(&of("[{policy: e, percent: 50}]"), traces());
    assert!(kept.iter().all(|id| *id <= 200));
    let equal = kept_of(&of("[{policy: e}, {policy: rest}]"), traces());
    assert!((100..=200).contains(&equal.len()));
}

#[test]
fn the_first_match_ends_it_where_that_is_wanted() {
    let second = "{name: s, type: always_sample}";
    let mut bench = bench(&format!(
        "{{sample_on_first_match: true, policies: [{ERROR}, {second}]}}"
    ));
    bench.send(four());
    bench.finish();
    let asked = |policy: &str| {
        let name = "otelcol_processor_tail_sampling_sampling_policy_execution_count";
        bench
            .context()
            .metrics
            .counter(name, "", &[("policy", policy)])
            .value()
    };
    assert_eq!((asked("e"), asked("s")), (4, 2));
}

#[test]
fn what_cannot_work_is_refused_where_it_stands() {
    let cases = [
        ("{}", "policies"),
        ("policies: [{type: always_sample}]", "policies::0"),
        (
            "policies: [{name: a, type: always_sample}, {name: a, type: always_sample}]",
            "policies::1::name",
        ),
        (
            "policies: [{name: a, type: numeric_attribute, numeric_attribute: {key: a}}]",
            "policies::0::numeric_attribute",
        ),
        (
            "policies: [{name: a, type: status_code}]",
            "policies::0::status_code::status_codes",
        ),
        (
            "policies: [{name: a, type: status_code, status_code: {status_codes: [BAD]}}]",
            "policies::0::status_code::status_codes::0",
        ),
        (
            "policies: [{name: a, type: ottl_condition}]",
            "policies::0::ottl_condition",
        ),
        (
            "policies: [{name: a, type: ottl_condition, ottl_condition: {span: ['nmae == 1']}}]",
            "policies::0::ottl_condition::span::0",
        ),
        (
            "policies: [{name: a, type: string_attribute, string_attribute: {key: a, values: ['('], enabled_regex_matching: true}}]",
            "policies::0::string_attribute::values::0",
        ),
        (
            "policies: [{name: a, type: string_attribute}]",
            "policies::0::string_attribute::key",
        ),
        (
            "policies: [{name: a, type: and}]",
            "policies::0::and::and_sub_policy",
        ),
        (
            "policies: [{name: a, type: not}]",
            "policies::0::not::not_sub_policy",
        ),
        (
            "policies: [{name: a, type: and, and: {and_sub_policy: [{name: b, type: drop}]}}]",
            "policies::0::and::and_sub_policy::0::type",
        ),
        (
            "policies: [{name: a, type: composite, composite: {composite_sub_policy: [{name: b, type: always_sample}], policy_order: [c]}}]",
            "policies::0::composite::policy_order::0",
        ),
        (
            "{sampling_strategy: span-ingest, policies: [{name: a, type: rate_limiting}]}",
            "policies::0",
        ),
        (
            "{num_traces: 0, policies: [{name: a, type: always_sample}]}",
            "num_traces",
        ),
        (
            "{memory_limit: 0, policies: [{name: a, type: always_sample}]}",
            "memory_limit",
        ),
    ];
    for (yaml, path) in cases {
        assert_eq!(fault(yaml).path, path, "{yaml}");
    }
}

#[test]
fn what_is_decided_is_explained_by_what_was_seen() {
    let cx = BuildContext::detached("processor", "tail_sampling".parse().unwrap());
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{SLOW}]}}}}");
    let ottl = "{name: o, type: ottl_condition, ottl_condition: {span: ['name == \"x\"']}}";
    let config: Config = read(&format!("policies: [{ERROR}, {drop}, {ottl}]"));
    let text = config.explain(&four(), &cx).unwrap();
    let span = "span 0000000000000001 \"a\"";
    let expected = format!(
        "\
trace 00000000000000000000000000000001, 1 spans: dropped by d
  d (drop): drops
    l (latency): samples: seen in {span}
  the policies behind it are not asked
trace 00000000000000000000000000000002, 1 spans: sampled by e
  d (drop): no
    l (latency): no: not seen
  e (status_code): samples: seen in {span}
  o (ottl_condition): no: no condition holds
"
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains("0004, 1 spans: not sampled, as no policy samples it"));
}

/// The gateway of an installation in two tiers, as it is published.
const GATEWAY: &str = r#"
decision_wait: 30s
num_traces: 200000
decision_cache: {sampled_cache_size: 500000, non_sampled_cache_size: 1000000}
policies:
- {name: health, type: drop, drop: {drop_sub_policy: [{name: r, type: string_attribute, string_attribute: {key: http.route, values: ["/healthz", "/ready.*"], enabled_regex_matching: true}}]}}
- {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
- {name: slow, type: latency, latency: {threshold_ms: 500}}
- {name: vip, type: and, and: {and_sub_policy: [{name: t, type: string_attribute, string_attribute: {key: tenant, values: [gold]}}, {name: p, type: probabilistic, probabilistic: {sampling_percentage: 50}}]}}
- {name: ottl, type: ottl_condition, ottl_condition: {error_mode: ignore, span: ['attributes["retry.count"] > 3']}}
- {name: budget, type: composite, composite: {max_total_spans_per_second: 20000, policy_order: [c1, c2], composite_sub_policy: [{name: c1, type: always_sample}, {name: c2, type: rate_limiting, rate_limiting: {spans_per_second: 5000}}], rate_allocation: [{policy: c1, percent: 60}, {policy: c2, percent: 40}]}}
"#;

#[test]
fn a_published_gateway_runs() {
    let mut bench = bench(GATEWAY);
    let route = |route: &str| json!({"attributes": [attribute("http.route", route)]});
    bench.send(each(&[
        route("/ready/now"),
        route("/shop"),
        json!({"status": {"code": 2}}),
    ]));
    assert_eq!(bench.held().0, 2);
    bench.finish();
    assert_eq!(kept(&bench).into_keys().collect::<Vec<_>>(), [2, 3]);
}
