use serde_json::json;
use tidegate_component::testing::{ProcessorBench, realistic};
use tidegate_component::{BuildContext, BuildError, ComponentConfig, Processor};
use tidegate_pdata::{Outcome, Signal};

use super::Config;

fn build(config: serde_json::Value, signal: Signal) -> Result<Box<dyn Processor>, BuildError> {
    let config: Config = serde_json::from_value(config).unwrap();
    let mut cx = BuildContext::detached("processor", "transform".parse().unwrap());
    cx.signal = Some(signal);
    config.build(&cx)
}

fn fault(config: serde_json::Value) -> (String, String) {
    let error = build(config, Signal::Logs).err().unwrap();
    let message = error.message.lines().next().unwrap_or_default().to_owned();
    (error.path, message)
}

#[test]
fn statements_that_change_nothing_pass_the_bytes_on() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let yaml = "trace_statements: ['set(span.name, \"a\") where span.name == \"no such span\"']";
    let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Traces);
    let payload = realistic(Signal::Traces, 50);
    let bytes = payload.segments()[0].bytes().to_vec();
    bench.send(payload);
    bench.finish();
    assert_eq!(bench.emitted()[0].segments()[0].bytes()[..], bytes[..]);
}

#[test]
fn metrics_that_are_made_and_points_that_are_put_together_are_counted() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    for yaml in [
        "metric_statements: ['copy_metric(name=Concat([metric.name, \"copy\"], \".\")) where not IsMatch(metric.name, \"copy$\")']",
        "metric_statements: [{context: metric, statements: ['aggregate_on_attributes(\"sum\", []) where type == METRIC_DATA_TYPE_SUM']}]",
    ] {
        let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Metrics);
        let payload = realistic(Signal::Metrics, 60);
        bench.send(payload);
        // The bench holds the ledger to the item.
        bench.finish();
    }
}

#[test]
fn a_copy_that_copies_itself_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let yaml = "metric_statements: ['copy_metric(name=\"copy\") where metric.name != nil']";
    let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Metrics);
    bench.send(realistic(Signal::Metrics, 1));
    bench.finish();
    let left: usize = bench.emitted().iter().map(|payload| payload.items()).sum();
    assert!((2..200_000).contains(&left), "{left}");
}

#[test]
fn a_statement_that_fails_turns_the_batch_away_where_it_is_told_to() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let yaml = "{error_mode: propagate, log_statements: ['set(log.body, Double(log.attributes))']}";
    let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Logs);
    let outcome = bench.send(realistic(Signal::Logs, 5));
    assert!(matches!(outcome, Some(Outcome::Rejected(_))), "{outcome:?}");
    assert_eq!(bench.dropped("statement_failed"), 5);
}

#[test]
fn faults_are_told_at_their_key() {
    let cases = [
        (
            json!({"log_statements": ["set(log.body, 1)", "set(log.boddy, 1)"]}),
            "log_statements::1",
            "column 5: `log` has no field `boddy`",
        ),
        (
            json!({"trace_statements": [{"context": "span", "conditions": ["nmae == 1"], "statements": []}]}),
            "trace_statements::0::conditions::0",
            "column 1: `span` has no field `nmae`",
        ),
        (
            json!({"log_statements": [{"statements": ["set(attributes[\"a\"], 1)"]}]}),
            "log_statements::0::statements",
            "column 5: `attributes` does not say of what: in logs a path begins with `resource.`, `scope.`, `log.`",
        ),
        (
            json!({"metric_statements": [{"context": "datapoint", "statements": ["convert_sum_to_gauge()"]}]}),
            "metric_statements::0::statements::0",
            "column 1: `convert_sum_to_gauge` is not for `datapoint`, but for `metric`",
        ),
        (
            json!({"flatten_data": true}),
            "flatten_data",
            "this is not built",
        ),
    ];
    for (config, path, message) in cases {
        assert_eq!(
            fault(config.clone()),
            (path.to_owned(), message.to_owned()),
            "{config}"
        );
    }
}
