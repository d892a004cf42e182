use serde_json::json;
use tidegate_component::testing::{ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::json::from_json;
use tidegate_pdata::{Payload, Signal};

use super::Config;

#[test]
fn what_a_rule_needs_is_asked_for() {
    let fault = |rule: &str| {
        let yaml = format!("rules: [{rule}]");
        let cx = BuildContext::detached("processor", "m".parse().unwrap());
        let error = read::<Config>(&yaml).build(&cx).err().unwrap();
        assert!(error.remedy.is_some(), "{yaml}");
        error.path.trim_start_matches("rules::0::").to_owned()
    };
    assert_eq!(fault("{type: scale, metric1: a}"), "name");
    assert_eq!(fault("{name: n, metric1: a}"), "type");
    assert_eq!(fault("{name: n, type: scale}"), "metric1");
    assert_eq!(fault("{name: n, type: calculate, metric1: a}"), "metric2");
    assert_eq!(fault("{name: n, type: scale, metric1: n}"), "name");
    assert_eq!(
        fault("{name: n, type: calculate, metric1: a, metric2: n}"),
        "name"
    );
    assert_eq!(
        fault("{name: n, type: scale, metric1: a, scale_by: -1, operation: add}"),
        "scale_by"
    );
    assert_eq!(
        fault("{name: n, type: scale, metric1: a, scale_by: 1}"),
        "operation"
    );
}

/// What is made of two gauges of so many points each.
fn made(yaml: &str, points: usize) -> usize {
    let point = json!({"asInt": "1"});
    let gauge =
        |name: &str| json!({"name": name, "gauge": {"dataPoints": vec![point.clone(); points]}});
    let metrics = [gauge("a"), gauge("b")];
    let request =
        json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string();
    let bytes = from_json(Signal::Metrics, request.as_bytes(), &mut |_| true).unwrap();
    let admitted = Payload::admit(Signal::Metrics, bytes.into(), None).unwrap();
    let mut bench = ProcessorBench::new::<Config>(yaml, Signal::Metrics);
    bench.send(admitted.payload);
    bench.sizes()[0] - 2 * points
}

#[test]
fn points_are_taken_together_one_by_one_unless_they_are_too_many() {
    let rule = "rules: [{name: c, type: calculate, metric1: a, metric2: b, operation: add}]";
    let each = format!("match_attributes: true\n{rule}");
    assert_eq!((made(rule, 10), made(&each, 10)), (10, 100));
    assert_eq!((made(rule, 2000), made(&each, 2000)), (2000, 0));
}
