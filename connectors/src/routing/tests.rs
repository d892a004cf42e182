use std::time::Duration;

use tidegate_component::testing::{ConnectorBench, Contract, read};
use tidegate_component::{BuildContext, ComponentConfig, Route};
use tidegate_pdata::compose::{Request, log_record};
use tidegate_pdata::{Outcome, Payload, Refusal, Signal, Signals};

use super::Config;

const MINIMAL: &str = "table: [{condition: 'attributes[\"env\"] == \"prod\"', pipelines: [traces/0, metrics/0, logs/0]}]";
const FULL: &str = r#"
table:
- {context: request, condition: 'request["X-Tenant"] == "acme"', pipelines: [traces/0, metrics/0, logs/0]}
- {context: resource, statement: 'delete_key(attributes, "service.name") where IsMatch(attributes["service.name"], "^c")', pipelines: [traces/0, metrics/0, logs/0]}
- {context: span, condition: 'kind == SPAN_KIND_SERVER', action: copy, pipelines: [traces/0, traces/1]}
- {context: span, statement: 'route() where Len(name) > 10', pipelines: [traces/1]}
- {context: metric, condition: 'type == METRIC_DATA_TYPE_SUM', pipelines: [metrics/1]}
- {context: datapoint, condition: 'metric.name != "a" and attributes["cpu"] == nil', action: copy, pipelines: [metrics/0]}
- {context: log, condition: 'severity_number >= SEVERITY_NUMBER_WARN', pipelines: [logs/1]}
default_pipelines: [traces/1, metrics/1, logs/1]
error_mode: ignore
"#;

#[test]
fn keeps_the_contract() {
    Contract::<Config>::new(MINIMAL, &[FULL]).connector();
}

/// Log records of environments, one resource each.
fn logs(environments: &[&str]) -> Payload {
    let mut request = Request::new(Signal::Logs);
    for name in environments {
        request.resource(|resource| resource.attribute(1, "env", *name));
        for severity in [9, 17] {
            request.record(|record| {
                record.uint(log_record::SEVERITY_NUMBER, severity);
                record.value(log_record::BODY, (*name).into());
            });
        }
    }
    request.finish(None).unwrap()
}

fn bench(yaml: &str, pipelines: usize) -> ConnectorBench {
    ConnectorBench::new::<Config>(yaml, Signal::Logs, &vec![Signal::Logs; pipelines])
}

#[test]
fn the_first_route_that_holds_takes_a_record() {
    let mut bench = bench(
        r#"
table:
- {context: log, condition: 'severity_number > 10', pipelines: [logs/0]}
- {condition: 'attributes["env"] == "a"', pipelines: [logs/1, logs/2]}
- {condition: 'resource.attributes["env"] == "b"', action: copy, pipelines: [logs/2]}
default_pipelines: [logs/3]
"#,
        4,
    );
    assert_eq!(bench.send(logs(&["a", "b", "c"])), Some(Outcome::Delivered));
    assert_eq!(bench.items(), [3, 1, 2, 2]);
    assert_eq!(bench.counts(), (2, 0));
}

#[test]
fn what_no_route_takes_ends_in_the_ledger() {
    let mut bench = bench(
        "table: [{condition: 'attributes[\"env\"] == \"a\"', pipelines: [logs/0]}]",
        1,
    );
    assert_eq!(bench.send(logs(&["a", "b", "c"])), Some(Outcome::Delivered));
    assert_eq!((bench.items(), bench.dropped("unrouted")), (vec![2], 4));
}

#[test]
fn the_worst_outcome_of_all_branches_is_the_answer() {
    let yaml = "table: [{context: log, condition: 'severity_number > 10', pipelines: [logs/0]}]\ndefault_pipelines: [logs/1]";
    let refused = Outcome::Refused(Refusal::new("full", Duration::from_secs(1)));
    for route in [0, 1] {
        let mut bench = bench(yaml, 2);
        bench.answer(route, refused.clone());
        assert_eq!(bench.send(logs(&["a"])), Some(refused.clone()));
    }
}

#[test]
fn a_condition_that_fails_turns_the_batch_away_unless_told() {
    let faulty = "table: [{context: log, condition: 'Int(attributes) > 1 or Concat([Sort([body, 1])], \"\") == \"\"', pipelines: [logs/0]}]";
    let propagating = format!("{faulty}\ndefault_pipelines: [logs/1]");
    let mut turned = bench(&propagating, 2);
    let outcome = turned.send(logs(&["a"]));
    let mut told = bench(&format!("{propagating}\nerror_mode: ignore"), 2);
    assert_eq!(told.send(logs(&["a"])), Some(Outcome::Delivered));
    assert_eq!(told.items(), [0, 2]);
    assert!(matches!(outcome, Some(Outcome::Rejected(_))), "{outcome:?}");
    assert_eq!(
        (turned.items(), turned.dropped("statement_failed")),
        (vec![0, 0], 2)
    );
}

#[test]
fn what_cannot_be_is_told_at_its_key() {
    for (yaml, expected) in [
        ("table: []", "table"),
        (
            "table: [{condition: 'true', pipelines: []}]",
            "table::0::pipelines",
        ),
        ("table: [{pipelines: [logs/0]}]", "table::0"),
        (
            "table: [{condition: 'true', statement: 'route()', pipelines: [logs/0]}]",
            "table::0",
        ),
        (
            "table: [{condition: 'true', pipelines: [logs/9]}]",
            "table::0::pipelines::0",
        ),
        (
            "table: [{condition: 'true', pipelines: [traces/0]}]",
            "table::0::pipelines::0",
        ),
        (
            "table: [{condition: 'true', pipelines: [other]}]",
            "table::0::pipelines::0",
        ),
        (
            "table: [{context: span, condition: 'true', pipelines: [logs/0]}]",
            "table::0::context",
        ),
        (
            "table: [{context: scope, condition: 'true', pipelines: [logs/0]}]",
            "table::0::context",
        ),
        (
            "table: [{condition: 'nmae == 1', pipelines: [logs/0]}]",
            "table::0::condition",
        ),
        (
            "table: [{statement: 'route(1)', pipelines: [logs/0]}]",
            "table::0::statement",
        ),
        (
            "table: [{statement: 'set(attributes[\"a\"], 1)', pipelines: [logs/0]}]",
            "table::0::statement",
        ),
        (
            "table: [{statement: 'route() where nmae == 1', pipelines: [logs/0]}]",
            "table::0::statement",
        ),
        (
            "table: [{context: request, condition: 'true', pipelines: [logs/0]}]",
            "table::0::condition",
        ),
        (
            "table: [{context: request, statement: 'route()', pipelines: [logs/0]}]",
            "table::0::statement",
        ),
        (
            "{table: [{condition: 'true', pipelines: [logs/0]}], default_pipelines: [logs/9]}",
            "default_pipelines::0",
        ),
    ] {
        let mut cx = BuildContext::detached("connector", "routing".parse().unwrap());
        cx.signal = Some(Signal::Logs);
        cx.signals = Signals::LOGS;
        cx.routes = vec![Route {
            pipeline: "logs/0".to_owned(),
            signal: Signal::Logs,
        }];
        let error = read::<Config>(yaml).build(&cx).err();
        let error = error.unwrap_or_else(|| panic!("`{yaml}` is built"));
        assert_eq!(error.path, expected, "{yaml}: {error}");
    }
}
