use std::time::Duration;

use serde_json::{Value, json};
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig, Promise};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Outcome, Payload, Signal};

use super::Config;

/// Log records with these texts.
fn logs(texts: &[&str]) -> Payload {
    let records = texts
        .iter()
        .map(|text| json!({"body": {"stringValue": text}}));
    let records: Vec<Value> = records.collect();
    let request = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    let bytes = from_json(Signal::Logs, request.as_bytes(), &mut |_| true).unwrap();
    Payload::admit(Signal::Logs, bytes.into(), None)
        .unwrap()
        .payload
}

#[tokio::test(start_paused = true)]
async fn one_record_stands_for_all_of_an_interval() {
    let mut bench = ProcessorBench::new::<Config>("{}", Signal::Logs);
    assert_eq!(bench.send(logs(&["a", "b", "a"])), Some(Outcome::TakenOver));
    bench.send(logs(&["a"]));
    assert_eq!((bench.held().0, bench.dropped("repeated")), (2, 2));
    bench.advance(Duration::from_secs(10)).await;
    assert_eq!((bench.sizes(), bench.held()), (vec![2], (0, 0)));
    bench.send(logs(&["a"]));
    bench.advance(Duration::from_secs(10)).await;
    assert_eq!(bench.sizes(), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn senders_wait_where_more_than_memory_is_promised() {
    let mut bench = ProcessorBench::promising::<Config>("{}", Signal::Logs, Promise::Delivered);
    assert_eq!(bench.send(logs(&["a"])), None);
    assert_eq!(bench.send(logs(&["a"])), None);
    bench.advance(Duration::from_secs(10)).await;
    let delivered = |outcome: &Option<Outcome>| *outcome == Some(Outcome::Delivered);
    assert!(bench.outcomes().iter().all(delivered));
}

#[test]
fn more_records_than_there_may_be_pass_as_they_come() {
    let mut bench = ProcessorBench::new::<Config>("max_records: 1", Signal::Logs);
    bench.send(logs(&["a", "b", "a", "b"]));
    assert_eq!((bench.held().0, bench.sizes()), (1, vec![2]));
    bench.finish();
}

#[test]
fn what_cannot_be_compared_is_refused_when_built() {
    let fault = |yaml: &str| {
        let cx = BuildContext::detached("processor", "l".parse().unwrap());
        let error = read::<Config>(yaml).build(&cx).err().unwrap();
        assert!(error.remedy.is_some(), "{yaml}");
        error.path
    };
    assert_eq!(fault("interval: 0s"), "interval");
    assert_eq!(fault("log_count_attribute: ''"), "log_count_attribute");
    assert_eq!(fault("timezone: Nowhere/City"), "timezone");
    assert_eq!(fault("conditions: ['true']"), "conditions");
    assert_eq!(
        fault("exclude_fields: [attributes.a, body]"),
        "exclude_fields::1"
    );
    assert_eq!(fault("exclude_fields: [resource.a]"), "exclude_fields::0");
    assert_eq!(
        fault("include_fields: [body.a, body.a]"),
        "include_fields::1"
    );
    assert_eq!(
        fault("{include_fields: [body.a], exclude_fields: [body.a]}"),
        "include_fields"
    );
}
