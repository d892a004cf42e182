use serde_json::json;
use tidegate_component::testing::{ProcessorBench, findings, realistic};
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor};
use tidegate_pdata::{Outcome, Signal};

use super::Config;

fn build(config: serde_json::Value, signal: Signal) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = serde_json::from_value(config).unwrap();
    let mut cx = BuildContext::detached("processor", "filter".parse().unwrap());
    cx.signal = Some(signal);
    config.build(&cx)
}

fn fault(config: serde_json::Value) -> (String, String, String) {
    let error = build(config, Signal::Logs).err().unwrap();
    let message = error.message.lines().next().unwrap_or_default().to_owned();
    (error.path, message, error.remedy.unwrap_or_default())
}

fn items(bench: &ProcessorBench) -> usize {
    bench.emitted().iter().map(|payload| payload.items()).sum()
}

#[test]
fn what_is_filtered_is_counted_as_a_decision() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let yaml = "logs: {log_record: ['severity_number < SEVERITY_NUMBER_ERROR']}";
    let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Logs);
    let payload = realistic(Signal::Logs, 100);
    let all = payload.items() as u64;
    bench.send(payload);
    bench.finish();
    let left = items(&bench) as u64;
    assert!(0 < bench.dropped("filtered") && bench.dropped("filtered") <= all);
    assert_eq!(left + bench.dropped("filtered"), all);
}

#[test]
fn conditions_that_let_all_pass_change_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let yaml = "trace_conditions: ['span.name == \"no such span\"']";
    let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Traces);
    let payload = realistic(Signal::Traces, 50);
    let bytes = payload.segments()[0].bytes().to_vec();
    bench.send(payload);
    bench.finish();
    assert_eq!(bench.emitted()[0].segments()[0].bytes()[..], bytes[..]);
}

#[test]
fn a_condition_that_fails_turns_the_batch_away_where_it_is_told_to() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let condition = "logs: {log_record: ['Double(attributes) > 1.0']}";
    let mut bench =
        ProcessorBench::new::<Config>(&format!("error_mode: propagate\n{condition}"), Signal::Logs);
    let outcome = bench.send(realistic(Signal::Logs, 5));
    match outcome {
        Some(Outcome::Rejected(message)) => {
            let expected =
                "the statement `Double(attributes) > 1.0` failed: expected a number but got map";
            assert_eq!(&*message, expected);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.dropped("statement_failed"), 5);
    let mut bench = ProcessorBench::new::<Config>(condition, Signal::Logs);
    bench.send(realistic(Signal::Logs, 5));
    bench.finish();
    assert_eq!(items(&bench), 5);
}

#[test]
fn faults_are_told_at_their_key() {
    let cases = [
        (
            json!({"logs": {"log_record": ["body == 1", "boddy == 1"]}}),
            "logs::log_record::1",
            "column 1: `log` has no field `boddy`",
            "write `log.body`",
        ),
        (
            json!({"traces": {"span": ["name = 1"]}}),
            "traces::span::0",
            "column 6: expected a comparison, found `=`",
            "write `==`",
        ),
        (
            json!({"log_conditions": [{"context": "span", "conditions": ["name == 1"]}]}),
            "log_conditions::0::context",
            "\"span\" is no context of logs",
            "write one of resource, scope, log",
        ),
        (
            json!({"log_conditions": ["log.body == 1"], "logs": {"log_record": ["body == 1"]}}),
            "log_conditions",
            "logs are filtered in two forms at once",
            "put all conditions under `log_conditions`",
        ),
        (
            json!({"log_conditions": ["log.body == 1", {"conditions": ["log.body == 1"]}]}),
            "log_conditions",
            "texts and groups stand side by side",
            "put the texts into a group of their own, or leave the groups out",
        ),
        (
            json!({"metrics": {"exclude": {"match_type": "expr", "expressions": ["MetricName == \"a\""]}}}),
            "metrics::exclude::match_type",
            "expressions of `match_type: expr` are not built",
            "write conditions instead, as metrics: {metric: ['name == \"a\" and HasAttrOnDatapoint(\"key\", \"value\")']}",
        ),
        (
            json!({"logs": {"include": {"match_type": "strict", "severity_number": {"min": "LOUD"}}}}),
            "logs::include::severity_number::min",
            "\"LOUD\" is no severity",
            "write one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL",
        ),
    ];
    for (config, path, message, remedy) in cases {
        let expected = (path.to_owned(), message.to_owned(), remedy.to_owned());
        assert_eq!(fault(config.clone()), expected, "{config}");
    }
}

#[test]
fn unknown_keys_are_refused() {
    let (_, found) = findings::<Config>("logs: {log_records: []}");
    assert!(
        found.iter().any(|line| line.contains("log_record")),
        "{found:?}"
    );
}
