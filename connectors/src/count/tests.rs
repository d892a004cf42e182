use serde_json::{Value, json};
use tidegate_component::testing::{ConnectorBench, Contract, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::{Outcome, Payload, Refusal, Signal, json};

use super::Config;

const FULL: &str = r#"
spans: {all: {}, slow: {description: Those of servers., conditions: ['kind == SPAN_KIND_SERVER', 'name == "x"'], attributes: [{key: env}, {key: n, default_value: 5}, {key: d, default_value: 0.5}]}}
spanevents: {errors: {conditions: ['name == "exception"']}}
metrics: {sums: {conditions: ['type == METRIC_DATA_TYPE_SUM']}}
datapoints: {points: {attributes: [{key: cpu, default_value: none}]}}
logs: {warnings: {conditions: ['severity_number >= SEVERITY_NUMBER_WARN'], attributes: [{key: service.name}]}}
"#;

#[test]
fn keeps_the_contract() {
    Contract::<Config>::new("{}", &[FULL]).connector();
}

fn attributes(entries: &Value) -> Value {
    let entry = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => json!({"stringValue": text}),
            Value::Bool(value) => json!({"boolValue": value}),
            value => json!({"intValue": value.to_string()}),
        };
        json!({"key": key, "value": value})
    };
    entries.as_object().unwrap().iter().map(entry).collect()
}

fn payload(signal: Signal, request: &Value) -> Payload {
    let bytes = json::from_json(signal, request.to_string().as_bytes(), &mut |_| true).unwrap();
    Payload::admit(signal, bytes.into(), None).unwrap().payload
}

/// Spans of two resources, each with an environment of its own, and an event in the first.
fn spans() -> Payload {
    let span = |name: &str, kind: i32, own: Value, start: u64| {
        json!({"name": name, "kind": kind, "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + 5).to_string(), "attributes": attributes(&own)})
    };
    let mut first = span("a", 2, json!({"env": "prod"}), 100);
    first["events"] = json!([{"name": "exception", "timeUnixNano": "103", "attributes": attributes(&json!({"k": "v"}))}]);
    let group = |resource: Value, spans: Value| {
        json!({"resource": {"attributes": attributes(&resource)},
            "scopeSpans": [{"scope": {"name": "s", "attributes": attributes(&json!({"lib": "x"}))}, "spans": spans}]})
    };
    let request = json!({"resourceSpans": [
        group(json!({"host": "one"}), json!([first, span("b", 3, json!({"env": 7}), 90), span("c", 2, json!({}), 95)])),
        group(json!({"env": "dev"}), json!([span("d", 2, json!({"flag": true}), 0)])),
    ]});
    payload(Signal::Traces, &request)
}

/// What was emitted: for each point the resource, the metric, its attributes, its value and its times, sorted.
fn told(bench: &ConnectorBench) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, payload) in bench.emitted() {
        for group in payload.resource_metrics() {
            let resource = format!("{:?}", group.resource().attributes().collect::<Vec<_>>());
            for metric in group.scopes().flat_map(|scope| scope.metrics()) {
                let tidegate_pdata::view::MetricData::Sum(sum) = metric.data() else {
                    panic!("{metric:?} is no sum");
                };
                assert!(sum.is_monotonic() && sum.aggregation_temporality() == 1);
                for point in sum.data_points() {
                    let fields = point.fields();
                    let own = format!("{:?}", fields.attributes.collect::<Vec<_>>());
                    let times = (fields.start_time_unix_nano, fields.time_unix_nano);
                    let value = point.value().map(tidegate_pdata::view::Number::to_double);
                    let line = format!("{resource} {:?} {own} {value:?} {times:?}", metric.name());
                    lines.push(
                        line.replace("String(", "")
                            .replace('"', "")
                            .replace([')', '('], ""),
                    );
                }
            }
        }
    }
    lines.sort();
    lines
}

fn bench(yaml: &str, signal: Signal) -> ConnectorBench {
    ConnectorBench::new::<Config>(yaml, signal, &[Signal::Metrics])
}

#[test]
fn spans_and_events_are_counted_by_resource() {
    let mut bench = bench("{}", Signal::Traces);
    assert_eq!(bench.send(spans()), Some(Outcome::Delivered));
    let told = told(&bench);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told.iter().any(
            |line| line.contains("one") && line.contains("trace.span.count [] Some3.0 90, 105")
        ),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|line| line.contains("trace.span.event.count [] Some1.0 103, 103")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|line| line.contains("dev") && line.contains("trace.span.count [] Some1.0 5, 5")),
        "{told:#?}"
    );
}

#[test]
fn what_lacks_an_attribute_is_not_counted_unless_there_is_a_default() {
    let mut bench = bench(
        "{spans: {by.env: {attributes: [{key: env}, {key: lib}, {key: n, default_value: 5}]}}, spanevents: {}}",
        Signal::Traces,
    );
    bench.send(spans());
    let told = told(&bench);
    // The third span of the first resource has no `env`; numbers stay numbers; the resource's is as good.
    assert_eq!(told.len(), 3, "{told:#?}");
    for expected in [
        "env, prod, lib, x, n, Int5",
        "env, Int7, lib, x, n, Int5",
        "env, dev, lib, x, n, Int5",
    ] {
        assert!(
            told.iter().any(|line| line.contains(expected)),
            "{expected}: {told:#?}"
        );
    }
}

#[test]
fn any_condition_is_enough() {
    let yaml = "{spans: {some: {conditions: ['name == \"a\"', 'kind == SPAN_KIND_CLIENT']}}, spanevents: {}}";
    let mut bench = bench(yaml, Signal::Traces);
    bench.send(spans());
    let told = told(&bench);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("some [] Some2.0"), "{told:#?}");
}

#[test]
fn points_that_are_counted_are_accounted_for() {
    let mut bench = bench("{}", Signal::Metrics);
    let sent = tidegate_component::testing::realistic(Signal::Metrics, 50);
    let items = sent.items();
    bench.send(sent);
    assert_eq!(bench.dropped("counted"), items as u64);
    assert!(!told(&bench).is_empty());
}

#[test]
fn senders_hear_what_became_of_the_counts() {
    let mut bench = bench("{}", Signal::Traces);
    let refused = Outcome::Refused(Refusal::new("full", std::time::Duration::from_secs(1)));
    bench.answer(0, refused.clone());
    assert_eq!(bench.send(spans()), Some(refused));
}

#[test]
fn a_condition_that_fails_turns_the_batch_away() {
    let yaml = "{spans: {some: {conditions: ['ParseJSON(name)[\"a\"] == 1']}}}";
    let mut bench = bench(yaml, Signal::Traces);
    assert!(matches!(bench.send(spans()), Some(Outcome::Rejected(_))));
    assert_eq!(
        (bench.items(), bench.dropped("statement_failed")),
        (vec![0], 4)
    );
    // What was counted of it is not told with the next batch.
    bench.send(Payload::empty(Signal::Traces));
    assert_eq!(bench.items(), [0]);
}

#[test]
fn what_cannot_be_is_told_at_its_key() {
    for (yaml, expected) in [
        (
            "metrics: {a: {attributes: [{key: b}]}}",
            "metrics::a::attributes",
        ),
        (
            "logs: {a: {attributes: [{key: ''}]}}",
            "logs::a::attributes::0::key",
        ),
        (
            "logs: {a: {attributes: [{key: b}, {key: b}]}}",
            "logs::a::attributes::1::key",
        ),
        (
            "spans: {a: {conditions: ['true', 'nmae == 1']}}",
            "spans::a::conditions::1",
        ),
        ("spans: {'': {}}", "spans"),
    ] {
        let cx = BuildContext::detached("connector", "count".parse().unwrap());
        let error = read::<Config>(yaml).build(&cx).err();
        let error = error.unwrap_or_else(|| panic!("`{yaml}` is built"));
        assert_eq!(error.path, expected, "{yaml}: {error}");
    }
}
