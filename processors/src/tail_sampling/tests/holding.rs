//! How traces are held, for how long, and what follows a decision.

use std::time::Duration;

use serde_json::json;
use tidegate_component::testing::ProcessorBench;
use tidegate_component::{BuildContext, Promise};
use tidegate_pdata::{Context, Outcome, Signal};

use super::{Config, bench, kept, plain, request, span, spans};

const ALL: &str = "policies: [{name: all, type: always_sample}]";
const ERRORS: &str =
    "policies: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]";

fn failed(trace: u128) -> serde_json::Value {
    span(trace, &json!({"status": {"code": 2}}))
}

fn child(trace: u128) -> serde_json::Value {
    span(trace, &json!({"parentSpanId": "00000000000000ff"}))
}

fn counter(cx: &BuildContext, name: &str, labels: &[(&str, &str)]) -> u64 {
    let name = format!("otelcol_processor_tail_sampling_{name}");
    cx.metrics.counter(&name, "", labels).value()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test(start_paused = true)]
async fn a_trace_waits_from_its_first_span_on() {
    let mut bench = bench(&format!("{{decision_wait: 10s, {ERRORS}}}"));
    assert_eq!(
        bench.send(spans(vec![plain(1), plain(2)])),
        Some(Outcome::TakenOver)
    );
    bench.advance(secs(6)).await;
    bench.send(spans(vec![failed(1), plain(3)]));
    assert_eq!(bench.held().0, 4);
    bench.advance(secs(5)).await;
    assert_eq!(kept(&bench).into_iter().collect::<Vec<_>>(), [(1, 2)]);
    assert_eq!((bench.held().0, bench.dropped("sampled_out")), (1, 1));
    bench.advance(secs(6)).await;
    assert_eq!((bench.held().0, bench.dropped("sampled_out")), (0, 2));
    let cx = bench.context();
    let decided = |decision, sampled| {
        let labels = [("decision", decision), ("sampled", sampled)];
        counter(cx, "global_count_traces_sampled", &labels)
    };
    assert_eq!(
        (decided("sampled", "true"), decided("not_sampled", "false")),
        (1, 2)
    );
    let labels = [
        ("policy", "e"),
        ("decision", "sampled"),
        ("sampled", "true"),
    ];
    assert_eq!(counter(cx, "count_traces_sampled", &labels), 1);
    assert_eq!(counter(cx, "count_spans_sampled", &labels), 2);
    assert_eq!(counter(cx, "new_trace_id_received", &[]), 3);
}

#[tokio::test(start_paused = true)]
async fn a_root_shortens_the_wait() {
    let mut bench = bench(&format!(
        "{{decision_wait: 60s, decision_wait_after_root_received: 5s, {ALL}}}"
    ));
    bench.send(spans(vec![child(1), child(2)]));
    bench.advance(secs(10)).await;
    bench.send(spans(vec![plain(1)]));
    bench.advance(secs(6)).await;
    assert_eq!(kept(&bench).into_iter().collect::<Vec<_>>(), [(1, 2)]);
    // A root that comes at the end does not lengthen it.
    bench.advance(secs(42)).await;
    bench.send(spans(vec![plain(2)]));
    bench.advance(secs(4)).await;
    assert_eq!(kept(&bench).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn late_spans_follow_the_decision() {
    let mut bench = bench(&format!("{{decision_wait: 1s, {ERRORS}}}"));
    bench.send(spans(vec![failed(1), plain(2)]));
    bench.advance(secs(2)).await;
    bench.advance(secs(365 * 24 * 3600)).await;
    bench.send(spans(vec![plain(1), failed(2), plain(1)]));
    assert_eq!(kept(&bench).into_iter().collect::<Vec<_>>(), [(1, 3)]);
    assert_eq!((bench.held().0, bench.dropped("sampled_out")), (0, 2));
    let late = |sampled| {
        let name = "early_releases_from_cache_decision";
        counter(bench.context(), name, &[("sampled", sampled)])
    };
    assert_eq!((late("true"), late("false")), (2, 1));
}

#[test]
fn the_oldest_trace_is_decided_where_there_are_too_many() {
    let mut bench = bench(&format!("{{num_traces: 10, {ERRORS}}}"));
    bench.send(spans(
        (1..=15)
            .map(|at| if at == 3 { failed(at) } else { plain(at) })
            .collect(),
    ));
    assert_eq!((bench.held().0, bench.dropped("sampled_out")), (10, 4));
    assert_eq!(kept(&bench).into_keys().collect::<Vec<_>>(), [3]);
    assert_eq!(
        counter(bench.context(), "sampling_trace_dropped_too_early", &[]),
        5
    );
    bench.finish();
}

#[test]
fn memory_is_bounded_by_deciding_early() {
    let mut bench = bench(&format!("{{memory_limit: 64KiB, {ALL}}}"));
    for batch in 0..50 {
        bench.send(spans(
            (0..20).map(|at| plain(batch * 20 + at + 1)).collect(),
        ));
        assert!(bench.held().1 <= 64 << 10, "{:?}", bench.held());
    }
    assert!(bench.held().0 > 100);
    bench.finish();
    assert_eq!(kept(&bench).len(), 1000);
}

#[test]
fn memory_is_bounded_by_taking_no_new_traces() {
    let mut bench = bench(&format!(
        "{{memory_limit: 64KiB, overflow: drop_new, {ALL}}}"
    ));
    bench.send(spans((1..=1000).map(plain).collect()));
    let (held, bytes) = bench.held();
    assert!(bytes <= (64 << 10) + 1000 && held > 100, "{held}, {bytes}");
    assert_eq!(bench.dropped("memory_limit"), 1000 - held as u64);
    // What is held may still grow, and what was not taken is not taken later.
    bench.send(spans(vec![plain(1), plain(1000)]));
    bench.finish();
    let kept = kept(&bench);
    assert_eq!((kept.len(), kept[&1], kept.get(&1000)), (held, 2, None));
}

#[test]
fn a_giant_trace_is_dropped_and_holds_nobody_up() {
    let mut bench = bench(&format!("{{maximum_trace_size_bytes: 1MB, {ALL}}}"));
    bench.send(spans(vec![plain(7)]));
    let thousand = spans(vec![child(1); 1000]);
    for _ in 0..1000 {
        bench.send(thousand.clone());
    }
    assert_eq!(bench.held().0, 1);
    assert_eq!(counter(bench.context(), "traces_dropped_too_large", &[]), 1);
    let dropped = bench.dropped("trace_too_large") + bench.dropped("sampled_out");
    assert_eq!(dropped, 1_000_000);
    bench.finish();
    assert_eq!(kept(&bench).into_keys().collect::<Vec<_>>(), [7]);
}

#[test]
fn a_large_trace_goes_out_in_requests_that_receivers_take() {
    let mut bench = bench(ALL);
    let thousand = spans(vec![child(1); 1000]);
    for _ in 0..40 {
        bench.send(thousand.clone());
    }
    bench.finish();
    assert_eq!(kept(&bench)[&1], 40_000);
    assert!(
        bench
            .emitted()
            .iter()
            .all(|payload| payload.bytes() < 2 << 20)
    );
    assert!(bench.emitted().len() > 1);
}

#[test]
fn spans_without_an_id_are_one_trace_and_those_that_come_twice_stay() {
    let mut bench = bench("policies: [{name: p, type: span_count, span_count: {min_spans: 2}}]");
    bench.send(spans(vec![plain(0), plain(1), plain(1), plain(2)]));
    let mut without = plain(3);
    without.as_object_mut().unwrap().remove("traceId");
    bench.send(spans(vec![without]));
    bench.finish();
    assert_eq!(
        kept(&bench).into_iter().collect::<Vec<_>>(),
        [(0, 2), (1, 2)]
    );
}

#[test]
fn at_a_shutdown_all_is_decided_or_dropped() {
    let mut decided = bench(ERRORS);
    decided.send(spans(vec![plain(1), failed(2)]));
    decided.finish();
    assert_eq!(kept(&decided).into_keys().collect::<Vec<_>>(), [2]);
    let mut dropped = bench(&format!(
        "{{drop_pending_traces_on_shutdown: true, {ERRORS}}}"
    ));
    dropped.send(spans(vec![plain(1), failed(2)]));
    dropped.finish();
    assert_eq!((kept(&dropped).len(), dropped.dropped("shutdown")), (0, 2));
}

#[test]
fn resources_and_scopes_go_out_with_their_spans_and_their_schemas() {
    let mut bench = bench(ALL);
    let resources = |name: &str| json!([super::attribute("service.name", name)]);
    for _ in 0..2 {
        bench.send(request(&[
            (resources("cart"), vec![plain(1), plain(2)]),
            (resources("shop"), vec![child(1)]),
        ]));
    }
    bench.finish();
    let payload = bench.emitted()[0];
    let mut found: Vec<(String, usize)> = payload
        .resource_spans()
        .map(|group| {
            assert_eq!(group.schema_url(), "resource.schema");
            let attributes = group.resource().attributes();
            let name = attributes.get("service.name").unwrap().as_text().unwrap();
            let spans = group.scopes().map(|scope| {
                assert_eq!(scope.schema_url(), "scope.schema");
                assert_eq!(scope.scope().name(), "scope");
                scope.spans().count()
            });
            (name.to_string(), spans.sum())
        })
        .collect();
    found.sort();
    assert_eq!(found, [("cart".to_owned(), 4), ("shop".to_owned(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn sampled_spans_say_by_which_policy_where_that_is_wanted() {
    let budget = "{name: c, type: composite, composite: {max_total_spans_per_second: 1000, \
                  composite_sub_policy: [{name: part, type: always_sample}], rate_allocation: [{policy: part, percent: 100}]}}";
    let mut bench = bench(&format!(
        "{{record_policy: true, decision_wait: 1s, policies: [{}, {budget}]}}",
        "{name: e, type: status_code, status_code: {status_codes: [ERROR]}}"
    ));
    bench.send(spans(vec![failed(1), plain(2)]));
    bench.advance(secs(2)).await;
    bench.send(spans(vec![plain(2)]));
    let mut said: Vec<String> = Vec::new();
    for payload in bench.emitted() {
        for scope in payload.resource_spans().flat_map(|group| group.scopes()) {
            let scope = scope.scope();
            assert_eq!(scope.name(), "scope");
            let attributes = scope
                .attributes()
                .map(|(key, value)| match value.as_text() {
                    Some(text) => format!("{key}={text}"),
                    None => key.to_string(),
                });
            said.push(attributes.collect::<Vec<_>>().join(","));
        }
    }
    said.sort();
    let part = "tailsampling.composite_policy=part,tailsampling.policy";
    let expected = [
        "tailsampling.cached_decision".to_owned(),
        format!("{part}=c"),
        format!("{part}=e"),
    ];
    said.sort_by_key(|text| text.contains('='));
    assert_eq!(said, expected);
}

#[tokio::test(start_paused = true)]
async fn with_span_ingest_each_batch_is_looked_at_by_itself() {
    let both = "policies: [{name: and, type: and, and: {and_sub_policy: [\
                {name: e, type: status_code, status_code: {status_codes: [ERROR]}}, \
                {name: x, type: ottl_condition, ottl_condition: {span: ['name == \"x\"']}}]}}]";
    let yaml =
        |strategy: &str| format!("{{sampling_strategy: {strategy}, decision_wait: 10s, {both}}}");
    let named = |trace: u128| span(trace, &json!({"name": "x"}));
    for (strategy, expected) in [("trace-complete", vec![1, 2]), ("span-ingest", vec![2])] {
        let mut bench = bench(&yaml(strategy));
        bench.send(spans(vec![failed(1), plain(2)]));
        bench.send(spans(vec![named(1), named(2), failed(2)]));
        if strategy == "span-ingest" {
            assert_eq!((kept(&bench)[&2], bench.held().0), (3, 2));
        }
        bench.advance(secs(11)).await;
        assert_eq!(kept(&bench).into_keys().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn senders_wait_at_the_door_where_no_trace_may_give_way() {
    let mut bench = bench(&format!(
        "{{num_traces: 3, block_on_overflow: true, {ALL}}}"
    ));
    let gate = bench.context().gates.list().remove(0);
    bench.send(spans(vec![plain(1), plain(2)]));
    assert_eq!(gate.refusal(0, &Context::default()), None);
    bench.send(spans(vec![plain(3), plain(4)]));
    assert!(gate.refusal(0, &Context::default()).is_some());
    assert_eq!(bench.held().0, 4);
    bench.finish();
    assert_eq!(gate.refusal(0, &Context::default()), None);
}

#[test]
fn senders_are_answered_at_once_whatever_lies_behind() {
    let mut bench = ProcessorBench::promising::<Config>(ALL, Signal::Traces, Promise::Delivered);
    assert_eq!(bench.promise(), Promise::Memory);
    assert_eq!(bench.send(spans(vec![plain(1)])), Some(Outcome::TakenOver));
    bench.finish();
}
